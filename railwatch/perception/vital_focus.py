"""Whether the lens is in focus, against what is usual for this camera, and whether the picture is too noisy."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import UInt8Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import BoolArray, noise_of, sharpness_of
from railwatch.perception.vital_parts import Finding, Held

LEAST_CELLS: Final = 8
"""Cells with contrast that sharpness is judged by; with fewer it is not."""

USUAL_CELLS: Final = 16.0
"""Where so many cells usually have contrast, that fewer than `LEAST_CELLS` do means that no edge is left."""

SHARP_QUANTILE: Final = 0.75
"""The sharpness of a picture is that of its sharper cells: people close by and motion blur others."""

BLURRED: Final = 0.62
"""Part of its usual sharpness below which a picture is out of focus."""

FAR_OUT: Final = 0.35
"""Part of its usual sharpness below which a picture out of focus shows nobody: BLIND and not only DEGRADED."""

LEAST_SHARPNESS: Final = 0.10
"""Sharpness below which any picture is out of focus."""

NOISY_LEVELS: Final = 25.0
"""Standard deviation of noise at which a picture is too noisy, grey levels."""

MEASURES: Final = 5
"""Seconds over which the median of sharpness and the least noise are taken: one measure a second."""

_SHARPER: Final = 20.0
_SOFTER: Final = 600.0


class Focus:
    """Sharpness and noise of one camera, measured once a second on two successive frames."""

    def __init__(self) -> None:
        self._usual: float | None = None
        self._count = 0.0
        self._sharp: deque[float] = deque(maxlen=MEASURES)
        self._noise: deque[float] = deque(maxlen=MEASURES)
        self._blurred, self._noisy = Held(2.0, 3.0), Held(2.0, 3.0)

    def update(
        self, t_s: float, fine: UInt8Array, before: UInt8Array, scene: BoolArray, *, trusted: bool
    ) -> list[Finding]:
        """Take in two successive frames as `reduced` gives them; only from `trusted` ones is learned.

        `scene`: cells that show the scene, (9, 16): what passes is not the lens's fault.
        """
        noise = noise_of(fine, before)
        self._noise.append(noise)
        # What moves all over the picture would pass for noise: the least of some seconds is the sensor's.
        sharp = sharpness_of(fine, min(self._noise))
        cells = sharp[np.isfinite(sharp) & scene]
        learn = trusted and len(cells) >= LEAST_CELLS
        if learn:
            self._count += (len(cells) - self._count) / _SHARPER
        if len(cells) >= LEAST_CELLS:
            self._sharp.append(float(np.quantile(cells, SHARP_QUANTILE)))
        elif self._count >= USUAL_CELLS <= int(scene.sum()):
            self._sharp.append(0.0)
        return [*self._focus(t_s, learn=learn), *self._grain(t_s)]

    def _focus(self, t_s: float, *, learn: bool) -> list[Finding]:
        full = len(self._sharp) == MEASURES
        now = float(np.median(self._sharp)) if self._sharp else 1.0
        usual = self._usual if self._usual is not None else now
        blurred = full and (now < BLURRED * usual or now < LEAST_SHARPNESS)
        if learn and full and not blurred:
            # A sharper picture is soon believed, a softer one slowly: a lens that loosens must not be learned.
            self._usual = usual + (now - usual) / (_SHARPER if now > usual else _SOFTER)
        if not self._blurred.update(t_s, blurred):
            return []
        reason = f"out of focus: {100.0 * now / usual:.0f} % as sharp as usual"
        state = CameraState.BLIND if now < FAR_OUT * usual or now < LEAST_SHARPNESS else CameraState.DEGRADED
        return [Finding(VitalCheck.DEFOCUSED, state, reason)]

    def _grain(self, t_s: float) -> list[Finding]:
        least = min(self._noise)
        if not self._noisy.update(t_s, len(self._noise) == MEASURES and least >= NOISY_LEVELS):
            return []
        return [Finding(VitalCheck.NOISY, CameraState.DEGRADED, f"too noisy: noise of {least:.0f} grey levels")]
