"""Frozen pictures. A camera that repeats frames honestly, as smart codecs do in a still scene, is not accused."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import UInt8Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import same_cells
from railwatch.perception.vital_parts import LONGEST_GAP_S, Finding, Held

STILL_SHARE: Final = 0.9
"""Part of the cells that must be as in the frame before: a clock that the camera writes into a dead picture goes on."""

FROZEN_S: Final = 2.0
"""So long may the picture of a camera stay the same that does not repeat frames."""

LEARNING_S: Final = 10.0
"""What a camera does is learned for so long before it is judged by `FROZEN_S`."""

LONGEST_HONEST_S: Final = 10.0
"""So long may any picture stay the same: nobody could tell it from a dead one. What ends sooner is learned."""

REPEATS_OFTEN: Final = 0.2
"""Part of the frames that repeat the one before, from which on a camera is one that repeats frames."""

HONEST_RUNS: Final = 5
"""Repetitions that must have ended by themselves before their longest counts as what the camera does."""

ROOM: Final = 3.0
"""A repetition so many times as long as the longest honest one is a freeze."""

LEAST_RUN_S: Final = 0.3
"""Shorter repetitions say nothing about what the camera does."""

REFRESH_LEVELS: Final = 1.5
"""Mean change of a key frame that only draws the same picture anew, grey levels."""

REFRESH_SHARE: Final = 0.1
"""Part of the frames of a repetition that may be such."""

ALIVE_S: Final = 1.0
"""A picture that was frozen must change for so long before it is believed again."""

_MEMORY_S: Final = 60.0


class Freeze:
    """Whether the picture of one camera stands still, from the picked points of every frame."""

    def __init__(self) -> None:
        self._before: UInt8Array | None = None
        self._begun_s: float | None = None
        self._last_s = 0.0
        self._run_s: float | None = None
        self._frames = self._refreshes = 0
        self._same_s = self._all_s = 0.0
        self._longest_s, self._runs = 0.0, 0
        self._held = Held(0.0, ALIVE_S)

    def update(self, t_s: float, points: UInt8Array) -> list[Finding]:
        """Take in the next frame."""
        before, self._before = self._before, points
        if before is None or t_s - self._last_s > LONGEST_GAP_S:
            self._begun_s = t_s if self._begun_s is None else self._begun_s
            self._last_s, self._run_s = t_s, None
            return []
        since_s, self._last_s = t_s - self._last_s, t_s
        still = float(np.mean(same_cells(points, before))) >= STILL_SHARE
        if still or self._is_refresh(points, before):
            self._go_on(t_s, since_s, still=still)
        else:
            self._end(t_s, since_s)
        lasts_s = 0.0 if self._run_s is None else t_s - self._run_s
        if not self._held.update(t_s, lasts_s >= self.allowed_s):
            return []
        words = f"for {lasts_s:.0f} s" if self._run_s is not None else "at times"
        return [Finding(VitalCheck.FROZEN, CameraState.BLIND, f"the picture stands still {words}")]

    @property
    def allowed_s(self) -> float:
        """How long the picture may stay the same, given what this camera is known to do."""
        known_s = self._last_s - (self._begun_s or 0.0)
        often = self._same_s >= REPEATS_OFTEN * self._all_s > 0.0
        if known_s < LEARNING_S or (often and self._runs < HONEST_RUNS):
            return LONGEST_HONEST_S
        return min(LONGEST_HONEST_S, max(FROZEN_S, ROOM * self._longest_s)) if often else FROZEN_S

    def _is_refresh(self, points: UInt8Array, before: UInt8Array) -> bool:
        if self._run_s is None or self._refreshes + 1 > REFRESH_SHARE * (self._frames + 1):
            return False
        return bool(cv2.norm(points, before, cv2.NORM_L1) <= REFRESH_LEVELS * points.size)

    def _go_on(self, t_s: float, since_s: float, *, still: bool) -> None:
        if self._run_s is None:
            self._run_s, self._frames, self._refreshes = t_s - since_s, 0, 0
        self._frames += 1
        self._refreshes += not still

    def _end(self, t_s: float, since_s: float) -> None:
        """The picture has changed: what ended in time was honest, and is learned."""
        lasted_s = 0.0 if self._run_s is None else t_s - since_s - self._run_s
        if lasted_s < LONGEST_HONEST_S:
            kept = max(0.0, 1.0 - (lasted_s + since_s) / _MEMORY_S)
            self._same_s = kept * self._same_s + lasted_s
            self._all_s = kept * self._all_s + lasted_s + since_s
            if lasted_s >= LEAST_RUN_S:
                self._runs += 1
                self._longest_s = max(self._longest_s, lasted_s)
        self._run_s = None
