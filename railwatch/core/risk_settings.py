"""What a site lays down about trains, margins and brakes."""

from __future__ import annotations

import math
from dataclasses import dataclass


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be {low:g} to {high:g}, but is {value}")


@dataclass(frozen=True, slots=True)
class TrainSourceSettings:
    """A source of trains: `source_id` is its name in reports, `rail_track_ids` the tracks it speaks of (empty: all).

    `authoritative`: it may be believed when it says that no train comes. `max_age_s`: older reports count as a train
    now.
    """

    source_id: str
    rail_track_ids: tuple[str, ...] = ()
    authoritative: bool = False
    max_age_s: float = 5.0

    def __post_init__(self) -> None:
        _within("max_age_s", self.max_age_s, 0.1, 86_400.0)


@dataclass(frozen=True, slots=True)
class BrakeSettings:
    """How the trains of a site stop.

    `reaction_s`: from the alarm to the brake valve (message, signaller, driver). `build_up_s`: equivalent time until
    the brakes grip. `deceleration_mps2`: what the emergency brake gives on the level. `adhesion`: friction of wet,
    dirty rails.
    `gradient_permille`: of the line where trains come from, negative where they come downhill.
    """

    reaction_s: float = 10.0
    build_up_s: float = 4.0
    deceleration_mps2: float = 0.6
    adhesion: float = 0.08
    gradient_permille: float = 0.0

    def __post_init__(self) -> None:
        _within("reaction_s", self.reaction_s, 0.0, 300.0)
        _within("build_up_s", self.build_up_s, 0.0, 60.0)
        _within("deceleration_mps2", self.deceleration_mps2, 0.05, 3.0)
        _within("adhesion", self.adhesion, 0.01, 0.5)
        _within("gradient_permille", self.gradient_permille, -100.0, 100.0)


@dataclass(frozen=True, slots=True)
class RiskSettings:
    """When a train makes an object on the track an EMERGENCY.

    `least_margin_s`: an object must be out of danger so long before the train. `assumed_stay_s`: somebody who does not
    leave is taken to stay so long. `stay_hold_s`: somebody who was last seen on the track and was not leaving it is
    held there so long (observed time).
    """

    least_margin_s: float = 10.0
    assumed_stay_s: float = 180.0
    stay_hold_s: float = 20.0
    brakes: BrakeSettings = BrakeSettings()

    def __post_init__(self) -> None:
        _within("least_margin_s", self.least_margin_s, 0.0, 600.0)
        _within("assumed_stay_s", self.assumed_stay_s, 1.0, 3600.0)
        _within("stay_hold_s", self.stay_hold_s, 0.0, 3600.0)
