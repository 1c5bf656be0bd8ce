"""Whether the camera still sees its scene: covered or sprayed, turned away, moved.

What is lost is counted in cells. A cover takes all of them, leaves none of what was around, and has no detail of its
own: it is too near to be in focus. A train or a person close by leaves some of the scene at the edges, has detail,
moves, and is mostly found by the detector: cells under its box are left out of the count.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import Float32Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import BoolArray, Look, look_of, moving_cells
from railwatch.perception.registration import edges_of, recognised, shift_between
from railwatch.perception.vital_parts import Finding, Held

DETAIL: Final = 2.0
"""Usual detail of a cell from which on losing it is noticed, grey levels."""

LEAST_DETAILED: Final = 22
"""Cells with that much detail, not under a box, that the loss is judged by; with fewer it is not."""

LOST_DETAIL: Final = 0.3
"""Part of its usual detail below which a cell has lost it."""

COVERED_SHARE: Final = 0.6
"""Part of the cells with detail that must have lost it."""

UNKNOWN_SHARE: Final = 0.9
"""Part of the scene's cells that must show something else, where the scene is known."""

GONE_SHARE: Final = 0.97
"""Part that is as good as all: something that stands before the camera leaves a little at the edges."""

LEAST_RELIEF: Final = 0.8
"""Detail of a cell from which on it can be recognised, grey levels."""

LEAST_KNOWN: Final = 6
"""Cells with so much, not under a box, that the scene is known by; with fewer nothing is said."""

COVERED_S: Final = 1.2
"""A cover that is still must stay for so long."""

OBSTRUCTED_S: Final = 5.0
"""One that moves, and a scene that is another one but has detail: a train has passed, or stands, by then."""

EXPLAINED_S: Final = 30.0
"""What stands before the camera under a box, and hides the scene, may stay for so long."""

MOVED_SHARE: Final = 0.015
"""Shift, as a fraction of the width, from which on the zones no longer lie where they were drawn."""

FAR_MOVED_SHARE: Final = 0.03
"""Shift from which on nothing can be said of the zones: BLIND and not only DEGRADED."""

BACK_SHARE: Final = 0.01
"""A camera that was moved is back within so much."""

SMOOTH: Final = 0.5
"""Part of the picture's usual detail below which what is seen is smooth."""

AT_REST: Final = 0.3
"""Part of the cells that may move in what stands still before the camera."""

MOSTLY_MOVING: Final = 0.5
"""Part of the cells that move from which on the place of the camera is not judged: a train that fills the picture."""

MOVING_LEVELS: Final = 4.0
"""Mean change of a cell in a quarter of a second from which on it moves, grey levels."""

STEADY_SHARE: Final = 0.004
"""Shift in a second up to which a camera stands still."""

STEADY_LOOKS: Final = 5
"""Seconds for which it must stand still before its scene is taken as the reference."""

_MEMORY_S: Final = 30.0
_FOLLOWING: Final = 0.1
_OFFSET_EVERY: Final = 10


class _Loss(NamedTuple):
    """What of the scene is lost: as by a `covered` lens, or `hidden` by anything that does not pass.

    `smooth`: what is there now has no detail; `any`: nothing may be learned.
    """

    covered: bool
    hidden: bool
    smooth: bool
    any: bool


class Scene:
    """What one camera usually sees. `glance` is for four looks a second, `inspect` for one."""

    def __init__(self) -> None:
        self._covered, self._hidden = Held(COVERED_S, 1.0), Held(OBSTRUCTED_S, 1.0)
        self._boxed = Held(EXPLAINED_S, 1.0)
        self.forget()

    def forget(self) -> None:
        """Take the scene anew: the camera is armed for another view."""
        self._usual: Float32Array | None = None
        self._usual_s, self._glance_s = 0.0, 0.0
        self._last: Look | None = None
        self._at_rest = True
        self.reference = Reference()

    def glance(self, t_s: float, look: Look, explained: BoolArray, *, trusted: bool) -> list[Finding]:
        """Whether the scene is covered.

        `explained`: cells under boxes of objects, (9, 16); nothing is learned from a look that is not `trusted`.
        """
        last, self._last = self._last, look
        moving = np.zeros_like(explained) if last is None else moving_cells(look, last, MOVING_LEVELS)
        self._at_rest = float(moving.mean()) < MOSTLY_MOVING
        loss = self._loss(look, explained, moving)
        covered = self._covered.update(t_s, loss.covered)
        hidden = self._hidden.update(t_s, loss.hidden)
        boxed = self._boxed.update(t_s, bool(explained.any()) and self._loss(look, explained & False, moving).covered)
        if trusted and not loss.any:
            self._learn(t_s, look)
        self._glance_s = t_s
        if covered or (hidden and loss.smooth):
            return [Finding(VitalCheck.COVERED, CameraState.BLIND, "the lens is covered, sprayed or far out of focus")]
        if hidden or boxed:
            reason = "nothing of the scene is seen: turned away, or something large stands before the camera"
            return [Finding(VitalCheck.COVERED, CameraState.BLIND, reason)]
        return []

    def inspect(self, t_s: float, look: Look, *, trusted: bool) -> list[Finding]:
        """Whether the camera was moved; while most of the picture moves, nothing can be said."""
        return self.reference.inspect(t_s, look, trusted=trusted, at_rest=self._at_rest)

    def shown(self, look: Look) -> BoolArray:
        """Cells that show the scene as it is known, (9, 16); all where it is not known."""
        return self.reference.shown(look)

    def _loss(self, look: Look, explained: BoolArray, moving: BoolArray) -> _Loss:
        """What of the scene is lost in the cells that are not explained."""
        share = self.reference.unknown(look, explained)
        unknown = share >= UNKNOWN_SHARE
        if self._usual is None:
            return _Loss(covered=False, hidden=False, smooth=False, any=unknown)
        smooth = float(look.detail.mean()) < SMOOTH * float(self._usual.mean())
        at_rest = float(moving.mean()) < AT_REST
        detailed = (self._usual >= DETAIL) & ~explained
        count, lost = int(detailed.sum()), detailed & (look.detail < LOST_DETAIL * self._usual)
        enough = count >= LEAST_DETAILED
        still = enough and int((lost & ~moving).sum()) >= COVERED_SHARE * count
        anyhow = enough and int(lost.sum()) >= COVERED_SHARE * count
        return _Loss(
            covered=still or (unknown and at_rest and (smooth or share >= GONE_SHARE)),
            hidden=anyhow or (unknown and (smooth or at_rest)),
            smooth=smooth or anyhow,
            any=still or anyhow or unknown,
        )

    def _learn(self, t_s: float, look: Look) -> None:
        since_s = max(0.0, t_s - self._glance_s)
        if self._usual is None:
            self._usual = look.detail
        else:
            self._usual_s = min(_MEMORY_S, self._usual_s + since_s)
            self._usual += np.float32(since_s / (since_s + self._usual_s + 0.25)) * (look.detail - self._usual)


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

    @property
    def taken(self) -> bool:
        """Whether the camera has stood still for long enough."""
        return self._armed is not None

    def unknown(self, look: Look, explained: BoolArray) -> float:
        """Part of the scene that is not recognised, 0 to 1; 0 where there is no reference, or too little to say."""
        if self._scene is None or self._moved.active:
            return 0.0
        known = (self._scene.detail >= LEAST_RELIEF) & ~explained
        count = int(known.sum())
        if count < LEAST_KNOWN:
            return 0.0
        return 1.0 - int((recognised(self._scene, look) & known).sum()) / count

    def shown(self, look: Look) -> BoolArray:
        """Cells that show the scene, (9, 16); all where there is no reference or the camera was moved."""
        if self._scene is None or self._moved.active:
            return np.ones(look.level.shape, np.bool_)
        return recognised(self._scene, look)

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
            if trusted and distance < STEADY_SHARE:
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
        """Shift against the scene at arming; where that is not recognised any more, against what has become of it."""
        if self._armed is None or self._running is None:
            return None
        shift = shift_between(self._armed, edges)
        if shift is not None:
            return shift.distance
        shift = shift_between(edges_of(self._running), edges)
        return None if shift is None else shift.distance + self._offset

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
