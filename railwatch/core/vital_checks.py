"""The names of the checks that tell whether a picture is alive and to be trusted; a site file can switch each off."""

from __future__ import annotations

from enum import Enum


class VitalCheck(Enum):
    """What may be wrong with the picture of a camera."""

    NO_SIGNAL = "no_signal"
    FROZEN = "frozen"
    BLACK = "black"
    WHITE = "white"
    COVERED = "covered"
    DEFOCUSED = "defocused"
    MOVED = "moved"
    DARK = "dark"
    NOISY = "noisy"
    FRAME_RATE = "frame_rate"
    CLOCK = "clock"
