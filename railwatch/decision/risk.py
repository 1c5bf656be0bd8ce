"""How dangerous an object in a zone is: a table, a row a rule, and the sentence for the operator.

The first row whose condition holds decides. Rows go from the worst to the least; a train that is not known is never
better than the rows above say. `margin_s` is the train's arrival minus the time until the object is out of danger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from railwatch.core.alerts import Severity
from railwatch.core.risk_settings import RiskSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.braking import Stop
from railwatch.decision.clearing import Clearing
from railwatch.decision.hours import NO_BOUNDS, Bounds
from railwatch.decision.trains import TrainBelief


@dataclass(frozen=True, slots=True)
class Situation:
    """One object in one zone, the train, and what the site lays down. `stop` None: the train's speed is not known."""

    kind: ZoneKind
    clearing: Clearing
    train: TrainBelief
    stop: Stop | None
    without_trains: Severity
    rules: RiskSettings

    @property
    def time_to_clear_s(self) -> float:
        """Seconds until the object is out of danger; the assumed stay for one that is taken to stay."""
        return self.rules.assumed_stay_s if self.clearing.seconds is None else self.clearing.seconds

    @property
    def margin_s(self) -> float | None:
        """Seconds between the object's leaving and the train's arrival; None without a train."""
        return None if self.train.eta_s is None else self.train.eta_s - self.time_to_clear_s

    @property
    def too_late_to_stop(self) -> bool:
        """Whether the train can no longer stop before it is here; it cannot be counted on if its speed is not known."""
        if self.train.eta_s is None:
            return False
        if self.stop is None:
            return True
        if self.train.distance_m is not None:
            return self.stop.distance_m >= self.train.distance_m
        return self.stop.time_s >= self.train.eta_s

    @property
    def margin_short(self) -> bool:
        """Whether the margin is below what the site wants; twice that where the train may no longer be able to stop."""
        wanted = self.rules.least_margin_s * (2 if self.too_late_to_stop else 1)
        return self.margin_s is not None and self.margin_s < wanted


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: where it applies, its condition, the severity it gives, and what the operator is to do."""

    name: str
    kind: ZoneKind
    holds: Callable[[Situation], bool]
    severity: Callable[[Situation], Severity]
    advice: str


def _always(_: Situation) -> bool:
    return True


def _notice(_: Situation) -> Severity:
    return Severity.NOTICE


def _warning(_: Situation) -> Severity:
    return Severity.WARNING


def _emergency(_: Situation) -> Severity:
    return Severity.EMERGENCY


def _without_trains(situation: Situation) -> Severity:
    return situation.without_trains


def _no_train(situation: Situation) -> Severity:
    return min(Severity.WARNING, situation.without_trains)


NO_TRAIN: Final = "track-no-train"
"""The rule of a track of which a trusted source says that no train comes."""

RULES: Final[tuple[Rule, ...]] = (
    Rule("train-and-no-time", ZoneKind.TRACK, lambda s: s.margin_short, _emergency, "stop the train"),
    Rule("train-and-time", ZoneKind.TRACK, lambda s: s.margin_s is not None, _warning, "warn the driver"),
    Rule(NO_TRAIN, ZoneKind.TRACK, lambda s: s.train.known, _no_train, ""),
    Rule("track", ZoneKind.TRACK, _always, _without_trains, ""),
    Rule("edge", ZoneKind.PLATFORM_EDGE, _always, _notice, ""),
    Rule("approach", ZoneKind.APPROACH, _always, _notice, ""),
)
"""The severity table. Missing information never lowers a severity: a failed source is a train now (see `trains`)."""


def severity_of(situation: Situation, *, possession: bool = False, bounds: Bounds = NO_BOUNDS) -> tuple[Rule, Severity]:
    """The first row that holds, and the severity, within the bounds of the hours.

    Under a possession what is not an EMERGENCY is a NOTICE: workers are meant to be there, but a train is not.
    """
    rule = next(rule for rule in RULES if rule.kind is situation.kind and rule.holds(situation))
    severity = bounds.on(rule.severity(situation), train=situation.train.eta_s is not None)
    return rule, Severity.NOTICE if possession and severity is not Severity.EMERGENCY else severity
