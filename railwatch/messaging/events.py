"""What a client tells its user."""

from __future__ import annotations

from dataclasses import dataclass

from railwatch.core.alerts import Alert, Epoch, SectionState, Status


@dataclass(frozen=True, slots=True)
class AlertReceived:
    """An alert, in order, each once. `payload` is what was on the wire, byte for byte."""

    alert: Alert
    payload: bytes


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """A Status. `age_s` counts from the sending of our newest nonce in it; None if it holds none that is fresh."""

    status: Status
    age_s: float | None


@dataclass(frozen=True, slots=True)
class SectionChanged:
    """A section is now `state` for this client; `previous` is None when it is heard of for the first time."""

    section_id: str
    state: SectionState
    previous: SectionState | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Alerts `first_missing` to `last_missing` (both included) were published and have not arrived."""

    epoch: Epoch
    first_missing: int
    last_missing: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The numbering of alerts began anew: the publisher was started again. The epochs may be equal (no journal)."""

    previous: Epoch
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class ProtocolFault:
    """A message was refused; `suppressed` counts those refused before and not told of (one a second is told)."""

    reason: str
    suppressed: int


Event = AlertReceived | StatusReceived | SectionChanged | Gap | Restarted | ProtocolFault
