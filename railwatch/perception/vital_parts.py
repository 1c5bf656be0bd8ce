"""What the checks of vitals share: a finding, and the hysteresis that a condition goes through before it is one."""

from __future__ import annotations

from typing import Final, NamedTuple

from railwatch.core.alerts import CameraState
from railwatch.core.vital_checks import VitalCheck

LONGEST_GAP_S: Final = 2.0
"""Frames further apart say nothing about the time between them: what had lasted until then begins anew."""


class Finding(NamedTuple):
    """Something is wrong with the picture: which check says so, how bad it is, and the sentence for people."""

    check: VitalCheck
    state: CameraState
    reason: str


class Held:
    """A condition with hysteresis: it counts after it has held for `on_s`, until it has been away for `off_s`.

    >>> held = Held(on_s=1.0, off_s=2.0)
    >>> [held.update(t_s, bad) for t_s, bad in ((0.0, True), (1.0, True), (2.0, False), (4.0, False))]
    [False, True, True, False]
    """

    def __init__(self, on_s: float, off_s: float) -> None:
        self._on_s, self._off_s = on_s, off_s
        self._changing_since_s: float | None = None
        self._last_s: float | None = None
        self.active = False

    def update(self, t_s: float, bad: bool) -> bool:
        """Take in whether it holds at `t_s`; returns whether it counts."""
        if self._last_s is not None and t_s - self._last_s > LONGEST_GAP_S:
            self._changing_since_s = None
        self._last_s = t_s
        if bad == self.active:
            self._changing_since_s = None
            return self.active
        if self._changing_since_s is None:
            self._changing_since_s = t_s
        if t_s - self._changing_since_s >= (self._off_s if self.active else self._on_s):
            self.active, self._changing_since_s = bad, None
        return self.active
