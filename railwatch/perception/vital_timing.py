"""Whether frames come often enough, and whether the clock of the camera goes as the worker's does."""

from __future__ import annotations

from collections import deque
from typing import Final

from railwatch.core.alerts import CameraState
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.vital_parts import Finding, Held

LEAST_FPS: Final = 2.0
"""Frames a second below which three hits, the default on-delay, take more than a second."""

RATE_S: Final = 5.0
"""Seconds over which the rate is counted."""

LATE_S: Final = 1.0
"""Seconds by which frames may come later than the stamps of the camera say, against the earliest of the last minute."""

DRIFT: Final = 0.01
"""Part by which the camera's clock may go faster or slower, over a minute; a quartz is a hundred times better."""

JUMP_S: Final = 2.0
"""A stamp that is so far off the time that has passed belongs to a stream that has begun anew."""

_WINDOW_S: Final = 60.0
_STEP_S: Final = 1.0
_LEAST_WINDOW_S: Final = 30.0


class FrameTiming:
    """Rate of one camera's frames and the way of its clock."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._begun_s: float | None = None
        self._slow, self._late, self._off = Held(1.0, 3.0), Held(1.0, 3.0), Held(5.0, 10.0)
        self._stamps = _Stamps()

    def update(self, t_s: float, pts_s: float | None) -> list[Finding]:
        """Take in the times of the next frame, seconds."""
        self._stamps.update(t_s, pts_s)
        return [*self._rate(t_s), *self._clock(t_s)]

    def _rate(self, t_s: float) -> list[Finding]:
        begun_s = self._begun_s = t_s if self._begun_s is None else self._begun_s
        self._times.append(t_s)
        while self._times[0] <= t_s - RATE_S:
            self._times.popleft()
        rate = len(self._times) / RATE_S
        if not self._slow.update(t_s, t_s - begun_s >= RATE_S and rate < LEAST_FPS):
            return []
        reason = f"only {rate:.1f} frames a second are looked at"
        return [Finding(VitalCheck.FRAME_RATE, CameraState.DEGRADED, reason)]

    def _clock(self, t_s: float) -> list[Finding]:
        late_s, drift = self._stamps.late_s, self._stamps.drift
        late = self._late.update(t_s, late_s >= LATE_S)
        off = self._off.update(t_s, abs(drift) >= DRIFT)
        if late:
            reason = f"frames come {late_s:.1f} s later than the clock of the camera says"
            return [Finding(VitalCheck.CLOCK, CameraState.DEGRADED, reason)]
        if off:
            way = "slow" if drift > 0.0 else "fast"
            reason = f"the clock of the camera goes {100.0 * abs(drift):.1f} % {way}"
            return [Finding(VitalCheck.CLOCK, CameraState.DEGRADED, reason)]
        return []


class _Stamps:
    """The difference of the two clocks in each second of the last minute: the earliest frame of a second is true."""

    def __init__(self) -> None:
        self._earliest: deque[tuple[float, float]] = deque()
        self._last: tuple[float, float] | None = None
        self.late_s = self.drift = 0.0

    def update(self, t_s: float, pts_s: float | None) -> None:
        last, self._last = self._last, None if pts_s is None else (t_s, pts_s)
        if pts_s is None or (last is not None and _begins_anew(t_s - last[0], pts_s - last[1])):
            self._earliest.clear()
            self.late_s = self.drift = 0.0
        if pts_s is None:
            return
        behind_s = t_s - pts_s
        if not self._earliest or t_s - self._earliest[-1][0] >= _STEP_S:
            self._earliest.append((t_s, behind_s))
            while t_s - self._earliest[0][0] > _WINDOW_S:
                self._earliest.popleft()
        elif behind_s < self._earliest[-1][1]:
            self._earliest[-1] = (self._earliest[-1][0], behind_s)
        self.late_s = behind_s - min(value for _, value in self._earliest)
        span_s = self._earliest[-1][0] - self._earliest[0][0]
        if span_s >= _LEAST_WINDOW_S:
            self.drift = (_least(list(self._earliest)[-10:]) - _least(list(self._earliest)[:10])) / (
                span_s - 10.0 * _STEP_S
            )


def _begins_anew(passed_s: float, stamped_s: float) -> bool:
    """Whether a stream has begun anew between two frames, by the time that passed and by that on their stamps."""
    return stamped_s < 0.0 or abs(passed_s - stamped_s) > JUMP_S


def _least(values: list[tuple[float, float]]) -> float:
    return min(value for _, value in values)
