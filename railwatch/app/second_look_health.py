"""What the hub knows of the second looks of its workers: told when one is out, and when it is well again."""

from __future__ import annotations

from collections.abc import Callable, Collection

from railwatch.core.second_look import FAULT


class SecondLookHealth:
    """By worker group; `trouble(name, reason)` is called for every change (None: it is over)."""

    def __init__(self, trouble: Callable[[str, str | None], None]) -> None:
        self._trouble = trouble
        self._told: dict[str, str] = {}

    def heard(self, group: str, reason: str | None) -> None:
        """The worker of a group says how it is."""
        if reason == self._told.get(group):
            return
        if reason is None:
            del self._told[group]
        else:
            self._told[group] = reason
        self._trouble(f"{FAULT}-{group}", reason)

    def tend(self, groups: Collection[str]) -> None:
        """Only these groups have a second look: what is not there any more is not out either."""
        for name in [name for name in self._told if name not in groups]:
            self.heard(name, None)
