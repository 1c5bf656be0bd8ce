"""What one look at a picture tells without any memory: no signal, black, white, too dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import UInt8Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import Look
from railwatch.perception.vital_parts import Finding

BLACK_LEVEL: Final = 14.0
"""No cell of a black picture is brighter, grey levels."""

WHITE_LEVEL: Final = 240.0
"""No cell of a white picture is darker, but for a tenth of them."""

FLAT_DETAIL: Final = 0.3
"""Less detail than a cell of any scene has, of bare asphalt too."""

FLAT_SHARE: Final = 0.9
"""Part of the cells of a picture without signal, of one colour, that are flat."""

DARK_LEVEL: Final = 13.0
"""Level of the brightest tenth of the cells below which half of what could be found is no longer found: BLIND."""

DIM_LEVEL: Final = 23.0
"""The same for animals, which are found less surely than people: DEGRADED."""

BLUE_ABOVE: Final = 60.0
"""A flat picture whose blue is so much above its green and red is what recorders show without a signal."""

BARS_SLOPE: Final = 0.5
"""Mean difference between the lines of colour bars, grey levels."""

BARS_RANGE: Final = 100.0
"""Least difference of levels between colour bars, grey levels."""

BARS_PART: Final = 0.6
"""Upper part of a test card that is bars, of its height."""


def light_of(look: Look, bgr: Callable[[], UInt8Array]) -> Finding | None:
    """The gravest thing wrong with the light of a picture; `bgr` gives it in colour, asked for only if it is flat."""
    level, blind = look.level, CameraState.BLIND
    if float(level.max()) <= BLACK_LEVEL:
        return Finding(VitalCheck.BLACK, blind, "the picture is black")
    if float(np.quantile(level, 0.1)) >= WHITE_LEVEL:
        return Finding(VitalCheck.WHITE, blind, "the picture is white")
    if _is_bars(look):
        return Finding(VitalCheck.NO_SIGNAL, blind, "no signal: the picture is a test card")
    if float(np.mean(look.detail < FLAT_DETAIL)) >= FLAT_SHARE:
        blue, green, red = bgr()[::16, ::16].reshape(-1, 3).mean(axis=0)
        colour = "blue" if blue - max(green, red) >= BLUE_ABOVE else "one colour"
        return Finding(VitalCheck.NO_SIGNAL, blind, f"no signal: the picture is all {colour}")
    return _darkness(float(np.quantile(level, 0.9)))


def _darkness(bright: float) -> Finding | None:
    """What is wrong with a picture whose brightest tenth has the level `bright`."""
    if bright >= DIM_LEVEL:
        return None
    dark = bright < DARK_LEVEL
    words = "to see anybody" if dark else "to be sure of animals"
    reason = f"too dark {words} (level {bright:.0f} of 255 in the brightest tenth)"
    return Finding(VitalCheck.DARK, CameraState.BLIND if dark else CameraState.DEGRADED, reason)


def _is_bars(look: Look) -> bool:
    upper = look.small[: round(look.small.shape[0] * BARS_PART)]
    line = upper.mean(axis=0)
    if float(line.max() - line.min()) < BARS_RANGE:
        return False
    return float(np.abs(np.diff(upper, axis=0)).mean()) <= BARS_SLOPE
