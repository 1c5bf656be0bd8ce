"""What a client may believe of each section. Pure: the clock is an argument, there is no socket here.

The rules, which docs/wire.md states for every subscriber:

- A section is UNKNOWN until shown otherwise, and again when nothing shows it any more.
- A Status counts as fresh if it echoes one of our own nonces that we sent less than a lease ago. Its age runs from the
  moment of that sending, on our own clock: everything in it was said after that.
- CLEAR is believed from a fresh Status only, until the lease from the sending has passed.
- OCCUPIED is believed for a lease from its arrival: from an intrusion alert at once, from a fresh Status, and from any
  Status while a fresh one is still in force.
- A Status that is not fresh may be old. It takes CLEAR away where it says something else; it never gives it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from railwatch.core.alerts import DEFAULT_LEASE_S, Alert, SectionState, Status
from railwatch.messaging.events import SectionChanged
from railwatch.messaging.heartbeat import occupies

MAX_SECTIONS: Final = 4096
_MAX_NONCES: Final = 64


@dataclass(frozen=True, slots=True)
class _Held:
    """A state and the moment up to which it is believed, in seconds of the client's clock."""

    state: SectionState
    until_s: float


class Belief:
    """The three states of every section, as one client may believe them.

    Args:
        max_lease_s: The longest a lease may be, whatever a Status grants.

    >>> belief = Belief(max_lease_s=2.5)
    >>> belief.state("platform 1", now_s=0.0).value
    'UNKNOWN'
    """

    def __init__(self, max_lease_s: float = DEFAULT_LEASE_S) -> None:
        self._max_lease_s = self._lease_s = max_lease_s
        self._sent_s: OrderedDict[str, float] = OrderedDict()
        self._fresh_until_s = float("-inf")
        self._held: dict[str, _Held] = {}
        self._told: dict[str, SectionState] = {}

    @property
    def lease_s(self) -> float:
        """The lease in force, in seconds: that of the last Status, at most the client's own maximum."""
        return self._lease_s

    def nonce_sent(self, nonce: str, now_s: float) -> None:
        """Remember when a nonce was sent; the oldest are forgotten."""
        self._sent_s[nonce] = now_s
        if len(self._sent_s) > _MAX_NONCES:
            self._sent_s.popitem(last=False)

    def alert(self, alert: Alert, now_s: float) -> None:
        """Take in an alert: OCCUPIED at once if it says that somebody is there."""
        if occupies(alert) and (alert.section_id in self._held or len(self._held) < MAX_SECTIONS):
            self._held[alert.section_id] = _Held(SectionState.OCCUPIED, now_s + self._lease_s)

    def status(self, status: Status, now_s: float) -> float | None:
        """Take in a Status; its age in seconds if it is fresh, else None."""
        self._lease_s = min(status.lease_s, self._max_lease_s)
        sent_s = max((self._sent_s[nonce] for nonce in status.nonces if nonce in self._sent_s), default=None)
        fresh = sent_s is not None and 0.0 <= now_s - sent_s < self._lease_s
        if sent_s is None or not fresh:
            self._take_away(status, now_s)
            return None
        self._fresh_until_s = sent_s + self._lease_s
        until_s = {SectionState.CLEAR: self._fresh_until_s, SectionState.OCCUPIED: now_s + self._lease_s}
        self._held = {name: _Held(state, until_s.get(state, now_s)) for name, state in status.sections.items()}
        return now_s - sent_s

    def forget(self) -> None:
        """Believe nothing any more: another publisher speaks now."""
        self._held = dict.fromkeys(self._held, _Held(SectionState.UNKNOWN, float("-inf")))
        self._fresh_until_s = float("-inf")

    def state(self, section_id: str, now_s: float) -> SectionState:
        """What is believed of a section at this moment; UNKNOWN for one never heard of."""
        held = self._held.get(section_id)
        return held.state if held is not None and now_s < held.until_s else SectionState.UNKNOWN

    def clear_until_s(self, section_id: str) -> float:
        """Until when CLEAR is believed of a section, if nothing new comes; minus infinity for anything but CLEAR."""
        held = self._held.get(section_id)
        return held.until_s if held is not None and held.state is SectionState.CLEAR else float("-inf")

    def states(self, now_s: float) -> dict[str, SectionState]:
        """What is believed of every section heard of, in the order of their names."""
        return {name: self.state(name, now_s) for name in sorted(self._held)}

    def changes(self, now_s: float) -> list[SectionChanged]:
        """What has changed since this was last asked; sections that are gone become UNKNOWN and are forgotten."""
        states = self.states(now_s)
        gone = [name for name in self._told if name not in states]
        now = {**states, **dict.fromkeys(gone, SectionState.UNKNOWN)}
        changes = [
            SectionChanged(name, state, self._told.get(name))
            for name, state in now.items()
            if state is not self._told.get(name)
        ]
        self._told = states
        return changes

    def next_expiry_s(self, now_s: float) -> float | None:
        """When the next belief lapses, or None if there is nothing to lapse."""
        return min((held.until_s for held in self._held.values() if held.until_s > now_s), default=None)

    def _take_away(self, status: Status, now_s: float) -> None:
        in_force = now_s < self._fresh_until_s
        for name, state in status.sections.items():
            if name not in self._held and len(self._held) >= MAX_SECTIONS:
                continue
            if state is SectionState.OCCUPIED and in_force:
                self._held[name] = _Held(state, now_s + self._lease_s)
            elif state is SectionState.UNKNOWN:
                self._held[name] = _Held(state, now_s)
            else:
                self._held.setdefault(name, _Held(SectionState.UNKNOWN, now_s))
