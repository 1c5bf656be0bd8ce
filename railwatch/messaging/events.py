"""What a client tells its user."""

from __future__ import annotations

from dataclasses import dataclass

from railwatch.core.alerts import Alert, Epoch, SectionState, Status
from railwatch.messaging.requests import Mark


@dataclass(frozen=True, slots=True)
class AlertReceived:
    """An alert, in order, each once. `payload` is what was on the wire, byte for byte.

    `replayed`: it was missed when it was sent, and fetched later. It tells what has been, not what is.
    """

    alert: Alert
    payload: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class AlertAhead:
    """An alert has arrived, but earlier ones are still being fetched: it will be handed over when its turn comes.

    For those who cannot wait, such as a siren; each alert is told ahead at most once.
    """

    alert: Alert


@dataclass(frozen=True, slots=True)
class OpenIncidents:
    """The last alert of every incident that is open, the worst first: told on meeting a hub, before what was missed.

    It says what is, where replayed alerts say what has been. The alerts themselves come in their turn as well.
    """

    site_id: str
    alerts: tuple[Alert, ...]


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
    """Alerts `first_missing` to `last_missing` (both included) were published and cannot be had any more."""

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


@dataclass(frozen=True, slots=True)
class HistoryLost:
    """The hub's journal does not reach back to where this client was: alerts after `after` may be missing unnamed."""

    site_id: str
    after: Mark


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of an acknowledgement: `accepted` when it is in the hub's journal, else `reason` says why not."""

    request: str
    accepted: bool
    reason: str


Event = (
    AlertReceived
    | AlertAhead
    | OpenIncidents
    | StatusReceived
    | SectionChanged
    | Gap
    | HistoryLost
    | Restarted
    | Answered
    | ProtocolFault
)
