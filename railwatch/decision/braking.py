"""Whether a train can still stop: distance and time from the alarm to standstill.

The model is that of Barney, Haley and Nikandros, Calculating Train Braking Distance, 6th Australian Workshop on Safety
Critical Systems and Software (2001), and of the mean value method of EN 14531-1: the train runs on for a delay (alarm,
driver, brake build-up, as one equivalent time), drawn by the gradient meanwhile, and then slows down evenly.

    v1 = v + b t,  s = v t + b t^2 / 2 + v1^2 / (2 (a - b)),  b = -g i

with speed v, delay t, gradient i (positive uphill), g = 9.80665 m/s^2, and a, what the brakes give: never more than the
adhesion mu allows, mu g.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from railwatch.core.risk_settings import BrakeSettings

GRAVITY_MPS2: Final = 9.80665


class Stop(NamedTuple):
    """From the alarm to standstill: metres and seconds; infinite where the brakes do not hold the gradient."""

    distance_m: float
    time_s: float


def stop_from(speed_mps: float, brakes: BrakeSettings) -> Stop:
    """How far and how long a train runs after the alarm.

    `speed_mps` is at least 0. Delays are conservative: the train is taken to run on at full speed through them.

    >>> stop = stop_from(100 / 3.6, BrakeSettings(reaction_s=5.0, build_up_s=3.0, deceleration_mps2=0.7, adhesion=0.1))
    >>> round(stop.distance_m), round(stop.time_s, 1)
    (773, 47.7)
    """
    pull = -GRAVITY_MPS2 * brakes.gradient_permille / 1000
    delay_s = brakes.reaction_s + brakes.build_up_s
    if pull < 0 and speed_mps + pull * delay_s <= 0:
        pull = 0.0  # a hill that stops the train before its brakes do is not counted on
    onset_mps = speed_mps + pull * delay_s
    slowing = min(brakes.deceleration_mps2, brakes.adhesion * GRAVITY_MPS2) - pull
    if slowing <= 0:
        return Stop(math.inf, math.inf)
    return Stop(
        speed_mps * delay_s + pull * delay_s**2 / 2 + onset_mps**2 / (2 * slowing),
        delay_s + onset_mps / slowing,
    )


def can_stop(speed_mps: float, distance_m: float, brakes: BrakeSettings) -> bool:
    """Whether a train at `distance_m` before the object stands before it reaches it.

    >>> can_stop(20.0, 1000.0, BrakeSettings()), can_stop(20.0, 300.0, BrakeSettings())
    (True, False)
    """
    return stop_from(speed_mps, brakes).distance_m < distance_m
