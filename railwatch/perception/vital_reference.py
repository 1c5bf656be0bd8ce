"""The scene of a camera at arming: which of its cells are known, and how far the picture has moved against it."""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import Float32Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import GRID, BoolArray, Look, look_of
from railwatch.perception.registration import edges_of, recognised, shift_between
from railwatch.perception.vital_parts import Finding, Held

KNOWN_SHARE: Final = 0.8
"""Part of its looks in which a cell must have been recognised for the scene to be known by it."""

KNOWN_S: Final = 5.0
"""Looks of so long must have been taken before any cell is known."""

MOVED_SHARE: Final = 0.015
"""Shift, as a fraction of the width, from which on the zones no longer lie where they were drawn."""

FAR_MOVED_SHARE: Final = 0.03
"""Shift from which on nothing can be said of the zones: BLIND and not only DEGRADED."""

BACK_SHARE: Final = 0.01
"""A camera that was moved is back within so much."""

STEADY_SHARE: Final = 0.004
"""Shift in a second up to which a camera stands still."""

STEADY_LOOKS: Final = 5
"""Seconds for which it must stand still before its scene is taken as the reference."""

_MEMORY_S: Final = 30.0
_FOLLOWING: Final = 0.1
_OFFSET_EVERY: Final = 10


class Seen(NamedTuple):
    """Of each cell, (9, 16): whether the scene is `known` by it, and whether it shows the `same` as the reference."""

    known: BoolArray
    same: BoolArray


class Reference:
    """The scene at arming, taken once the camera stands still, and what has become of it by light and season."""

    def __init__(self) -> None:
        self._moved, self._far = Held(0.0, 2.0), Held(0.0, 2.0)
        self._distances: deque[float] = deque(maxlen=STEADY_LOOKS)
        self._steady: list[Float32Array] = []
        self._before: Float32Array | None = None
        self._armed: Float32Array | None = None
        self._running: Float32Array | None = None
        self._scene: Look | None = None
        self._offset, self._followed = 0.0, 0
        self._recognised, self._known_s = np.zeros((GRID.height, GRID.width), np.float32), 0.0

    @property
    def taken(self) -> bool:
        """Whether the camera has stood still for long enough."""
        return self._armed is not None

    def seen(self, look: Look) -> Seen:
        """Compare a look with the scene; no cell is known where there is no reference, or the camera was moved."""
        if self._scene is None or self._moved.active:
            nothing = np.zeros(look.level.shape, np.bool_)
            return Seen(nothing, nothing)
        known = (self._recognised >= KNOWN_SHARE) & (self._known_s >= KNOWN_S)
        return Seen(known, recognised(self._scene, look))

    def learn(self, since_s: float, seen: Seen, cells: BoolArray) -> None:
        """Count how often each of the `cells` is recognised: bare ground and leaves often are not."""
        if self._scene is None or self._moved.active:
            return
        self._known_s = min(_MEMORY_S, self._known_s + since_s)
        weight = np.float32(since_s / (since_s + self._known_s)) * cells.astype(np.float32)
        self._recognised += weight * (seen.same.astype(np.float32) - self._recognised)

    def elsewhere(self, look: Look) -> bool:
        """Whether the scene is found again, but not where it was: the camera was moved, it is not covered."""
        if self._running is None:
            return False
        shift = shift_between(edges_of(self._running), edges_of(look.small))
        return shift is not None and shift.distance >= BACK_SHARE

    def shown(self, look: Look) -> BoolArray:
        """Cells but for those that the scene is known by and that show something else, (9, 16)."""
        seen = self.seen(look)
        return np.asarray(~seen.known | seen.same)

    def inspect(self, t_s: float, look: Look, *, trusted: bool, at_rest: bool) -> list[Finding]:
        """Take in one look a second; finds a camera that was moved."""
        edges = edges_of(look.small)
        if self._armed is None or self._running is None:
            if trusted:
                self._settle(look, edges)
            return []
        distance = self._distance(edges) if at_rest else None
        if distance is not None:
            self._distances.append(distance)
            if trusted and distance < MOVED_SHARE:
                self._follow(look)
        return self._judge(t_s)

    def _settle(self, look: Look, edges: Float32Array) -> None:
        """Take the reference when the camera has stood still for long enough; one that pans or is carried does not."""
        shift = None if self._before is None else shift_between(self._before, edges)
        self._before = edges
        if shift is None or shift.distance > STEADY_SHARE or not shift.blocks:
            self._steady = []
            return
        self._steady.append(look.small)
        if len(self._steady) == STEADY_LOOKS:
            self._running = np.mean(self._steady, axis=0).astype(np.float32)
            self._armed, self._scene = edges_of(self._running), look_of(self._running)
            self._steady = []

    def _distance(self, edges: Float32Array) -> float | None:
        """Shift against the scene at arming and, where it lies off that, against what has become of it: the greater.

        Where the scene at arming is not recognised any more, against what has become of it.
        """
        if self._armed is None or self._running is None:
            return None
        armed = shift_between(self._armed, edges)
        if armed is not None and armed.distance < STEADY_SHARE:
            return armed.distance
        running = shift_between(edges_of(self._running), edges)
        if armed is None:
            return None if running is None else running.distance + self._offset
        return armed.distance if running is None else max(armed.distance, running.distance)

    def _follow(self, look: Look) -> None:
        """The scene changes with the light: what it has become, and how far that lies from the scene at arming."""
        if self._running is None or self._armed is None:
            return
        self._running += np.float32(_FOLLOWING) * (look.small - self._running)
        self._scene = look_of(self._running)
        self._followed += 1
        if self._followed % _OFFSET_EVERY == 0:
            shift = shift_between(self._armed, edges_of(self._running))
            self._offset = self._offset if shift is None else shift.distance

    def _judge(self, t_s: float) -> list[Finding]:
        if len(self._distances) < self._distances.maxlen:  # type: ignore[operator]
            return []
        distance = float(np.median(self._distances))
        least = BACK_SHARE if self._moved.active else MOVED_SHARE
        far = self._far.update(t_s, distance >= FAR_MOVED_SHARE)
        if not self._moved.update(t_s, distance >= least):
            return []
        state = CameraState.BLIND if far else CameraState.DEGRADED
        reason = f"the camera was moved: the picture is shifted by {100.0 * distance:.1f} % of its width"
        return [Finding(VitalCheck.MOVED, state, reason)]
