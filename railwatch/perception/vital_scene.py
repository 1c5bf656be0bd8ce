"""Whether the camera still sees its scene: covered or sprayed, turned away, hidden.

What is lost is counted in cells. A cover takes all of them, leaves none of what was around, and has no detail of its
own: it is too near to be in focus. A train or a person close by leaves some of the scene at the edges, has detail,
moves, and is mostly found by the detector: cells under its box are left out of the count. What hides a scene from one
look to the next and stands still from then on has not come along the track either: it lies on the lens.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import Float32Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import BoolArray, Look, moving_cells
from railwatch.perception.vital_parts import Finding, Held
from railwatch.perception.vital_reference import Reference, Seen

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

LEAST_KNOWN: Final = 8
"""Cells that the scene is known by, not under a box; with fewer nothing is said."""

CHANGED_LEVELS: Final = 8.0
"""Change of its usual level by which a cell that is not known by its relief shows something else, grey levels."""

CHANGED_SHARE: Final = 0.6
"""Part of all cells that must show something else: where few are known, something may stand before just these."""

SUDDEN_MOVING: Final = 0.8
"""Part of the cells that change from one look to the next when the lens is covered at a stroke."""

SUDDEN_SHARE: Final = 0.7
"""Part of the scene that is lost at such a stroke: spray leaves a tenth, and what its soft edges do not hide."""

SUDDEN_LOSS: Final = 0.4
"""Part of the scene that is lost from one look to the next: a train needs more than one."""

LEARNED_SHARE: Final = 0.5
"""Part of the scene that may be lost while what is usual is learned: a train that passes is not."""

COVERED_S: Final = 1.2
"""A cover that is still must stay for so long."""

OBSTRUCTED_S: Final = 5.0
"""One that moves, and a scene that is another one but has detail: a train has passed, or stands, by then."""

EXPLAINED_S: Final = 30.0
"""What stands before the camera under a box, and hides the scene, may stay for so long."""

SMOOTH: Final = 0.5
"""Part of the picture's usual detail below which what is seen is smooth."""

AT_REST: Final = 0.3
"""Part of the cells that may move in what stands still before the camera."""

MOSTLY_MOVING: Final = 0.5
"""Part of the cells that move from which on the place of the camera is not judged: a train that fills the picture."""

MOVING_LEVELS: Final = 4.0
"""Mean change of a cell in a quarter of a second from which on it moves, grey levels."""

MOVING_WEIGHT: Final = 0.1
"""What a cell that moves counts for in what is usual: what passes is not the scene, but leaves always move."""

_MEMORY_S: Final = 30.0


class _Loss(NamedTuple):
    """What of the scene is lost: as by a `covered` lens, or `hidden` by anything that does not pass.

    `smooth`: what is there now has no detail; `any`: nothing may be learned.
    """

    covered: bool
    hidden: bool
    smooth: bool
    any: bool


class _View(NamedTuple):
    """One look at the scene: which cells are known and seen, which move, and whether it was lost at a `stroke`.

    `lit`: there is light enough for detail to say something.
    """

    look: Look
    seen: Seen
    moving: BoolArray
    stroke: bool
    lit: bool


class Scene:
    """What one camera usually sees. `glance` is for four looks a second, `inspect` for one."""

    def __init__(self) -> None:
        self._covered, self._hidden = Held(COVERED_S, 1.0), Held(OBSTRUCTED_S, 1.0)
        self._boxed = Held(EXPLAINED_S, 1.0)
        self.forget()

    def forget(self) -> None:
        """Take the scene anew: the camera is armed for another view."""
        self._usual: Float32Array | None = None
        self._level = np.zeros(0, np.float32)
        self._usual_s, self._glance_s = 0.0, 0.0
        self._last: Look | None = None
        self._at_rest, self._stroke, self._lost = True, False, 0.0
        self.reference = Reference()

    def glance(self, t_s: float, look: Look, explained: BoolArray, *, trusted: bool, lit: bool = True) -> list[Finding]:
        """Whether the scene is covered.

        `explained`: cells under boxes of objects, (9, 16); nothing is learned from a look that is not `trusted`. One
        that is not `lit` has lost its detail to the dark: it is judged by what is recognised alone.
        """
        view = self._view(look, explained, lit=lit)
        loss = self._loss(view, explained)
        covered = self._covered.update(t_s, loss.covered)
        hidden = self._hidden.update(t_s, loss.hidden)
        boxed = self._boxed.update(t_s, bool(explained.any()) and self._loss(view, explained & False).covered)
        if trusted and not loss.any:
            self._learn(max(0.0, t_s - self._glance_s), view, explained)
        self._glance_s = t_s
        if (covered or hidden) and loss.smooth:
            return [Finding(VitalCheck.COVERED, CameraState.BLIND, "the lens is covered, sprayed or far out of focus")]
        if covered:
            reason = "the scene was lost at a stroke: the lens is covered or sprayed, or the camera turned away"
            return [Finding(VitalCheck.COVERED, CameraState.BLIND, reason)]
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

    def _view(self, look: Look, explained: BoolArray, *, lit: bool) -> _View:
        """Compare a look with the one before and with the scene."""
        last, self._last = self._last, look
        moving = np.zeros_like(explained) if last is None else moving_cells(look, last, MOVING_LEVELS)
        share, seen = float(moving.mean()), self.reference.seen(look)
        self._at_rest = share < MOSTLY_MOVING
        before, (self._lost, changed) = self._lost, self._lost_share(look, seen, explained)
        begins = share >= SUDDEN_MOVING and self._lost - before >= SUDDEN_LOSS
        self._stroke = (begins or (self._stroke and share < AT_REST)) and self._lost >= SUDDEN_SHARE and changed
        return _View(look, seen, moving, self._stroke, lit)

    def _lost_share(self, look: Look, seen: Seen, explained: BoolArray) -> tuple[float, bool]:
        """Part of the known scene that shows something else, 0 to 1, and whether most of the whole picture does."""
        known = seen.known & ~explained
        count, lost = int(known.sum()), known & ~seen.same
        if self._usual is None or count < LEAST_KNOWN:
            return 0.0, False
        other = ~known & ~explained & (np.abs(look.level - self._level) >= CHANGED_LEVELS)
        changed = int((lost | other).sum()) >= CHANGED_SHARE * int((~explained).sum())
        return int(lost.sum()) / count, changed

    def _loss(self, view: _View, explained: BoolArray) -> _Loss:
        """What of the scene is lost in the cells that are not explained."""
        look, moving = view.look, view.moving
        if self._usual is None:
            return _Loss(covered=False, hidden=False, smooth=False, any=False)
        share, changed = self._lost_share(look, view.seen, explained)
        unknown = share >= UNKNOWN_SHARE and changed
        smooth = float(look.detail.mean()) < SMOOTH * float(self._usual.mean())
        at_rest = float(moving.mean()) < AT_REST
        detailed = (self._usual >= DETAIL) & ~explained
        count, lost = int(detailed.sum()), detailed & (look.detail < LOST_DETAIL * self._usual)
        enough = view.lit and count >= LEAST_DETAILED
        still = enough and int((lost & ~moving).sum()) >= COVERED_SHARE * count
        anyhow = enough and int(lost.sum()) >= COVERED_SHARE * count
        elsewhere = (unknown or view.stroke) and not anyhow and self.reference.elsewhere(look)
        hides = unknown and not elsewhere
        return _Loss(
            covered=still or (view.stroke and not elsewhere) or (hides and at_rest and smooth),
            hidden=anyhow or (hides and (smooth or at_rest)),
            smooth=smooth or anyhow,
            any=anyhow or view.stroke or share >= LEARNED_SHARE,
        )

    def _learn(self, since_s: float, view: _View, explained: BoolArray) -> None:
        """Follow what is usual: slowly where something moves, not at all under a box."""
        look = view.look
        if self._usual is None:
            self._usual, self._level = look.detail, look.level
            return
        self._usual_s = min(_MEMORY_S, self._usual_s + since_s)
        weight = np.where(view.moving, np.float32(MOVING_WEIGHT), np.float32(1.0)) * ~explained
        weight *= np.float32(since_s / (since_s + self._usual_s + 0.25))
        self._usual = self._usual + weight * (look.detail - self._usual)
        self._level = self._level + weight * (look.level - self._level)
        self.reference.learn(since_s, view.seen, ~explained)
