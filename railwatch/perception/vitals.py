"""Is the picture alive and to be trusted: every check of one camera, and the state that follows from them.

It works on the times of the frames and on nothing else, so that a recording gives the same states again. Every frame is
compared with the one before; four times a second the light and the scene are looked at; once a second focus, noise and
place. What each threshold is and how it was measured: docs/vitals.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from railwatch.core.alerts import CameraState
from railwatch.core.types import Frame, Size, Track, UInt8Array
from railwatch.core.vital_checks import VitalCheck
from railwatch.perception.look import GRID, BoolArray, full_range, look_at, luma_of, points_of, reduced
from railwatch.perception.vital_focus import Focus
from railwatch.perception.vital_freeze import Freeze
from railwatch.perception.vital_light import light_of
from railwatch.perception.vital_parts import Finding, Held
from railwatch.perception.vital_scene import Scene
from railwatch.perception.vital_timing import FrameTiming

NOTHING_WRONG: Final = "frames arrive"

GLANCE_S: Final = 0.25
"""How often light and scene are looked at."""

INSPECT_S: Final = 1.0
"""How often focus, noise and place are."""

_ROUNDING_S: Final = 1e-6

LIGHT_S: Final = 1.0
"""A picture without light or signal must stay so for so long."""

BOX_MARGIN: Final = 0.03
"""What a box is widened by on every side, as a fraction of the frame: shadows, tails, arms."""

_LIGHT: Final = (VitalCheck.NO_SIGNAL, VitalCheck.BLACK, VitalCheck.WHITE, VitalCheck.DARK)
_TIMES: Final = frozenset({VitalCheck.FRAME_RATE, VitalCheck.CLOCK})
_SHUTS: Final = MappingProxyType(
    {check: frozenset(VitalCheck) - {*_LIGHT, *_TIMES} for check in _LIGHT}
    | {VitalCheck.COVERED: frozenset({VitalCheck.DEFOCUSED, VitalCheck.MOVED, VitalCheck.NOISY})}
)
"""What need not be said beside a finding: a black picture stands still, too, and is out of focus."""


class CameraVitals:
    """The vitals of one camera. `off`: checks that are not made; without MOVED the camera need not be fixed."""

    def __init__(self, off: Collection[VitalCheck] = ()) -> None:
        self.off = frozenset(off)
        self._freeze, self._scene, self._focus, self._timing = Freeze(), Scene(), Focus(), FrameTiming()
        self._light = Held(LIGHT_S, 1.0)
        self._said: dict[str, list[Finding]] = {}
        self._glance_s = self._inspect_s = float("-inf")
        self._fine: tuple[float, UInt8Array] | None = None

    def rearm(self) -> None:
        """Take the scene and its sharpness anew: zones were drawn anew, for the view that the camera has now."""
        self._scene.forget()
        self._focus.forget()

    @property
    def fixed(self) -> bool:
        """Whether the camera has stood still for long enough that its scene was taken as the reference."""
        return self._scene.reference.taken

    def observe(self, frame: Frame, tracks: Sequence[Track]) -> tuple[CameraState, str]:
        """The state of the camera with its next frame, and the reason in words; `tracks` are those of the frame."""
        luma, t_s = luma_of(frame.picture), frame.t_s
        self._said["timing"] = self._timing.update(t_s, frame.pts_s)
        self._said["freeze"] = self._freeze.update(t_s, points_of(luma))
        if self._fine is not None:
            (before_s, before), self._fine = self._fine, None
            fine = reduced(luma)
            if t_s - before_s <= INSPECT_S and fine.shape == before.shape:
                self._inspect(frame, fine, before)
        elif t_s - self._glance_s >= GLANCE_S - _ROUNDING_S:
            fine = reduced(luma)
            self._glance(frame, fine, tracks)
            if t_s - self._inspect_s >= INSPECT_S - _ROUNDING_S:
                # Decoders use their planes again: what is compared with the next frame is kept apart.
                self._fine, self._inspect_s = (t_s, fine.copy()), t_s
        return judged(finding for part in self._said.values() for finding in part if finding.check not in self.off)

    def _glance(self, frame: Frame, fine: UInt8Array, tracks: Sequence[Track]) -> None:
        """Light and scene, four times a second."""
        self._glance_s = frame.t_s
        look = look_at(fine, full_range=full_range(frame.picture))
        light = light_of(look, frame.picture.bgr)
        if self._light.update(frame.t_s, light is not None):
            self._said["light"] = self._said.get("light", []) if light is None else [light]
        else:
            self._said["light"] = []
        boxed = cells_under(tracks, frame.picture.size)
        trusted = light is None and not self._light.active and not self._said["freeze"]
        self._said["scene"] = self._scene.glance(frame.t_s, look, boxed, trusted=trusted, lit=light is None)

    def _inspect(self, frame: Frame, fine: UInt8Array, before: UInt8Array) -> None:
        """Focus, noise and place, once a second, on two successive frames."""
        trusted = not (self._said["light"] or self._said["scene"] or self._said["freeze"])
        look = look_at(fine, full_range=full_range(frame.picture))
        # In the dark there is no contrast that sharpness could be told by.
        dark, shown = bool(self._said["light"]), self._scene.shown(look)
        self._said["focus"] = [] if dark else self._focus.update(frame.t_s, fine, before, shown, trusted=trusted)
        # Only a fixed camera has a scene that it can be moved from.
        fixed = VitalCheck.MOVED not in self.off
        self._said["place"] = self._scene.inspect(frame.t_s, look, trusted=trusted) if fixed else []


def cells_under(tracks: Iterable[Track], size: Size) -> BoolArray:
    """Cells whose middle lies under the box of a track, widened by `BOX_MARGIN`, (9, 16)."""
    under = np.zeros((GRID.height, GRID.width), np.bool_)
    x, y = (np.arange(GRID.width) + 0.5) / GRID.width, (np.arange(GRID.height) + 0.5) / GRID.height
    for track in tracks:
        left, top, right, bottom = track.xyxy
        across = (x >= left / size.width - BOX_MARGIN) & (x <= right / size.width + BOX_MARGIN)
        down = (y >= top / size.height - BOX_MARGIN) & (y <= bottom / size.height + BOX_MARGIN)
        under |= down[:, None] & across[None, :]
    return under


def judged(findings: Iterable[Finding]) -> tuple[CameraState, str]:
    """The gravest state of all findings, and their reasons, the gravest first.

    >>> judged([])
    (<CameraState.NOMINAL: 'NOMINAL'>, 'frames arrive')
    """
    found = sorted(findings, key=lambda finding: finding.state is not CameraState.BLIND)
    blind = (finding.check for finding in found if finding.state is CameraState.BLIND)
    shut = {check for by in blind for check in _SHUTS.get(by, frozenset())}
    said = [finding for finding in found if finding.check not in shut]
    if not said:
        return CameraState.NOMINAL, NOTHING_WRONG
    return said[0].state, "; ".join(finding.reason for finding in said)
