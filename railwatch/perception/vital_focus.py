"""Whether the lens is in focus, against what is usual for this camera, and whether the picture is too noisy."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import Float32Array, UInt8Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import GRID, BoolArray, noise_of, sharpness_of
from railwatch.perception.vital_parts import Finding, Held

CLEAR_SHARE: Final = 0.8
"""Part of its looks in which a cell must have had contrast for sharpness to be judged by it."""

LEAST_LOOKS: Final = 5
"""Looks that must have been taken at a cell before it is judged by."""

LEAST_CELLS: Final = 5
"""Cells that sharpness is judged by; with fewer it is not."""

LEAST_SHOWN: Final = 0.5
"""Part of those cells that must show the scene: what passes blurs what it leaves."""

SHARP_QUANTILE: Final = 0.75
"""The sharpness of a picture is that of its sharper cells: people close by and motion blur others."""

BLURRED: Final = 0.75
"""Part of its usual sharpness below which a picture is out of focus."""

FAR_OUT: Final = 0.4
"""Part of its usual sharpness below which half of the animals are no longer found: BLIND and not only DEGRADED."""

LEAST_SHARPNESS: Final = 0.15
"""Sharpness below which any picture is out of focus, also one that has never been in focus."""

NOISY_LEVELS: Final = 25.0
"""Standard deviation of noise from which on half of the animals are no longer found, grey levels."""

MEASURES: Final = 5
"""Seconds over which the median of sharpness and the least noise are taken: one measure a second."""

_CLEAR_LOOKS: Final = 60.0
_SHARP_LOOKS: Final = 600


class Focus:
    """Sharpness and noise of one camera, measured once a second on two successive frames.

    It is judged by the cells that nearly always have contrast: one that has lost it has no sharpness left. What is
    usual is the mean over ten minutes, so that a lens that loosens is noticed before it is learned.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Learn anew what is usual."""
        self._usual, self._count = 0.0, 0
        self._said: Finding | None = None
        self._clear = np.zeros((GRID.height, GRID.width), np.float32)
        self._looks = np.zeros((GRID.height, GRID.width), np.float32)
        self._sharp: deque[float] = deque(maxlen=MEASURES)
        self._noise: deque[float] = deque(maxlen=MEASURES)
        self._blurred, self._noisy = Held(2.0, 3.0), Held(2.0, 3.0)

    def update(
        self, t_s: float, fine: UInt8Array, before: UInt8Array, scene: BoolArray, *, trusted: bool
    ) -> list[Finding]:
        """Take in two successive frames as `reduced` gives them; only from `trusted` ones is learned.

        `scene`: cells that show the scene, (9, 16): what passes is not the lens's fault.
        """
        self._noise.append(noise_of(fine, before))
        if len(self._noise) < MEASURES:
            return []
        # What moves all over the picture would pass for noise: the least of some seconds is the sensor's.
        sharp = sharpness_of(fine, min(self._noise))
        known = (self._clear >= CLEAR_SHARE) & (self._looks >= LEAST_LOOKS)
        cells = scene & known
        measured = int(cells.sum()) >= max(LEAST_CELLS, LEAST_SHOWN * int(known.sum()))
        if measured:
            self._sharp.append(float(np.quantile(np.nan_to_num(sharp)[cells], SHARP_QUANTILE)))
        blurred, findings = self._focus(t_s)
        if trusted and not blurred:
            self._learn(sharp, scene, measured=measured)
        return [*findings, *self._grain(t_s)]

    def _focus(self, t_s: float) -> tuple[bool, list[Finding]]:
        """Whether the picture is out of focus now, and whether it has been for long enough."""
        now = float(np.median(self._sharp)) if len(self._sharp) == MEASURES else None
        part = 1.0 if now is None or not self._count else now / max(self._usual, LEAST_SHARPNESS)
        gone = now is not None and now < LEAST_SHARPNESS
        blurred = gone or part < BLURRED
        if blurred:
            state = CameraState.BLIND if gone or part < FAR_OUT else CameraState.DEGRADED
            self._said = Finding(VitalCheck.DEFOCUSED, state, f"out of focus: {100.0 * part:.0f} % as sharp as usual")
        if self._blurred.update(t_s, blurred) and self._said is not None:
            return blurred, [self._said]
        return blurred, []

    def _learn(self, sharp: Float32Array, scene: BoolArray, *, measured: bool) -> None:
        """The usual sharpness, and how often each cell that shows the scene has contrast to tell it."""
        shown, clear = scene.astype(np.float32), np.isfinite(sharp).astype(np.float32)
        self._looks += shown
        self._clear += shown * (clear - self._clear) / np.clip(self._looks, 1.0, _CLEAR_LOOKS)
        if measured:
            self._count += 1
            self._usual += (self._sharp[-1] - self._usual) / min(self._count, _SHARP_LOOKS)

    def _grain(self, t_s: float) -> list[Finding]:
        least = min(self._noise)
        if not self._noisy.update(t_s, len(self._noise) == MEASURES and least >= NOISY_LEVELS):
            return []
        return [Finding(VitalCheck.NOISY, CameraState.DEGRADED, f"too noisy: noise of {least:.0f} grey levels")]
