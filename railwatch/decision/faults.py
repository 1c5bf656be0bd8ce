"""What is wrong with the system itself, and the incidents that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from railwatch.core.alerts import Action, AlertKind, Severity
from railwatch.core.second_look import FAULT
from railwatch.decision.incidents import Incident
from railwatch.decision.inputs import SystemFault

CONFIRM_S: Final = 10.0
"""A fault of an earlier run of the hub that nobody reports again within so many seconds of the start is over."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults by name, with their reasons. `unconfirmed` are those of an earlier run, in doubt until `confirm_by_s`."""

    reasons: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unconfirmed: frozenset[str] = frozenset()
    confirm_by_s: float = 0.0

    def reported(self, told: SystemFault) -> Faults:
        """The faults after one more report."""
        reasons = {name: reason for name, reason in self.reasons.items() if name != told.name}
        if told.reason is not None:
            reasons[told.name] = told.reason
        return replace(self, reasons=MappingProxyType(reasons), unconfirmed=self.unconfirmed - {told.name})

    def at(self, now_s: float) -> Faults:
        """The faults at a time: those in doubt for too long are gone."""
        if not self.unconfirmed or now_s < self.confirm_by_s:
            return self
        reasons = {name: reason for name, reason in self.reasons.items() if name not in self.unconfirmed}
        return replace(self, reasons=MappingProxyType(reasons), unconfirmed=frozenset())


def next_fault(
    incident: Incident | None, fault: str, reason: str | None, now_s: float, update_interval_s: float
) -> tuple[Incident | None, Action | None]:
    """The SYSTEM incident of one fault, a WARNING, or a NOTICE of what is not needed.

    Another reason is told, but not more often than the interval. It is asked of faults that are there (`reason`) or
    whose incident is still open.
    """
    if reason is None:
        return None, Action.CLOSED
    if incident is None:
        severity = Severity.NOTICE if fault.startswith(FAULT) else Severity.WARNING
        opened = Incident(AlertKind.SYSTEM, severity, fault=fault, words=reason, told_s=now_s)
        return opened, Action.OPENED
    if reason == incident.words or now_s - incident.told_s < update_interval_s:
        return incident, None
    return replace(incident, words=reason, told_s=now_s), Action.UPDATED
