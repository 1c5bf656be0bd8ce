"""The second look in `railwatch watch`: a recording is in no hurry, so it gives the same answers each time."""

from __future__ import annotations

from typing import Final, Self

from railwatch.app.decider import Decider
from railwatch.app.second_look import SecondLook
from railwatch.app.second_look_check import second_look_faults
from railwatch.app.second_look_pipe import ANSWER_S, READY_WITHIN_S
from railwatch.core.errors import ConfigError
from railwatch.core.second_look import FAULT, SecondLookSettings
from railwatch.core.types import Frame, Observation
from railwatch.decision.inputs import SystemFault

_WAIT_S: Final = 3 * ANSWER_S
"""Longest wait for the answers of one frame; a process that is out is not waited for at all."""


class WatchedAgain:
    """The second look of one run; use as a context manager. `settings` None: there is none, and nothing is done.

    `wait`: answers are waited for and count from their own frame on, however slow the machine is; else they count when
    they come. Raises ConfigError for a classifier that must not be used.
    """

    def __init__(self, settings: SecondLookSettings | None, *, wait: bool) -> None:
        faults = second_look_faults(settings)
        if faults:
            raise ConfigError(f"second_look must be usable, but is not: {'; '.join(fault.text for fault in faults)}")
        self._wait, self._told = wait, False
        self._second = None if settings is None else SecondLook(settings, _nobody_waits)
        if wait and self._second is not None:
            self._second.settle(READY_WITHIN_S)

    def look(self, frame: Frame, seen: Observation, decider: Decider) -> None:
        """Look again at a frame that has been decided, and decide what has been answered."""
        second, now_s = self._second, decider.state.now_s
        if second is None:
            return
        second.look(frame, seen)
        if self._wait:
            second.settle(_WAIT_S)
        for said in second.take():
            decider.feed(said, now_s)
        if (second.trouble is not None) != self._told:
            self._told = not self._told
            decider.feed(SystemFault(f"{FAULT}-watch", second.trouble), now_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._second is not None:
            self._second.close()


def _nobody_waits() -> None:
    """The next frame takes what has come."""
