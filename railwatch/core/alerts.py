"""What goes out to people: alerts and status. Standard library only, so that a client needs no numpy.

Times ending in ``_at`` are UTC in ISO 8601 and are for people; nothing is ever computed from them.
Times ending in ``_s`` are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import total_ordering
from types import MappingProxyType
from typing import Final

SCHEMA_VERSION: Final = 1
"""Version of the wire format of `Alert` and `Status`; a reader refuses another one."""

DEFAULT_LEASE_S: Final = 2.5
"""Seconds for which a reader may believe CLEAR, counted from the moment it sent the nonce."""


@total_ordering
class Severity(Enum):
    """How urgent an alert is: NOTICE < WARNING < EMERGENCY.

    >>> Severity.NOTICE < Severity.WARNING < Severity.EMERGENCY
    True
    """

    NOTICE = "NOTICE"
    WARNING = "WARNING"
    EMERGENCY = "EMERGENCY"

    @property
    def rank(self) -> int:
        """Position in the order, from 0 for NOTICE."""
        return _RANK[self.value]

    def __lt__(self, other: object) -> bool:
        """Compare by urgency, not by the letters."""
        if not isinstance(other, Severity):
            return NotImplemented
        return self.rank < other.rank


_RANK: Final[Mapping[str, int]] = MappingProxyType({"NOTICE": 0, "WARNING": 1, "EMERGENCY": 2})


class AlertKind(Enum):
    """What an alert is about: an intrusion, a camera that cannot be trusted, the system itself, or a test."""

    INTRUSION = "INTRUSION"
    BLINDNESS = "BLINDNESS"
    SYSTEM = "SYSTEM"
    TEST = "TEST"


class Action(Enum):
    """What happened to the incident that the alert tells of."""

    OPENED = "OPENED"
    UPDATED = "UPDATED"
    ESCALATED = "ESCALATED"
    DEESCALATED = "DEESCALATED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    CLOSED = "CLOSED"


@total_ordering
class AckLevel(Enum):
    """How far an alert has come: RECEIVED by a program < DISPLAYED to people < ACKNOWLEDGED by a person.

    >>> AckLevel.RECEIVED < AckLevel.DISPLAYED < AckLevel.ACKNOWLEDGED
    True
    """

    RECEIVED = "RECEIVED"
    DISPLAYED = "DISPLAYED"
    ACKNOWLEDGED = "ACKNOWLEDGED"

    @property
    def rank(self) -> int:
        """Position in the order, from 0 for RECEIVED."""
        return _ACK_RANK[self.value]

    def __lt__(self, other: object) -> bool:
        """Compare by how far it has come."""
        if not isinstance(other, AckLevel):
            return NotImplemented
        return self.rank < other.rank


_ACK_RANK: Final[Mapping[str, int]] = MappingProxyType({"RECEIVED": 0, "DISPLAYED": 1, "ACKNOWLEDGED": 2})


class SectionState(Enum):
    """State of a section of railway. UNKNOWN is never to be read as clear."""

    CLEAR = "CLEAR"
    OCCUPIED = "OCCUPIED"
    UNKNOWN = "UNKNOWN"


class CameraState(Enum):
    """Whether the picture of a camera is to be trusted."""

    NOMINAL = "NOMINAL"
    DEGRADED = "DEGRADED"
    BLIND = "BLIND"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One run of one hub: the journal's identity and how often a hub was started on it.

    Within an epoch `Alert.seq` counts 1, 2, 3 ... without a hole. As text it is ``"<journal_id>.<boot>"``.

    >>> Epoch.parse("4f1c.7")
    Epoch(journal_id='4f1c', boot=7)
    """

    journal_id: str
    boot: int

    def __post_init__(self) -> None:
        if not self.journal_id or "." in self.journal_id:
            raise ValueError(f"journal_id must be text without a dot, but is {self.journal_id!r}")
        if self.boot < 1:
            raise ValueError(f"boot must be 1 or more, but is {self.boot}")

    def __str__(self) -> str:
        return f"{self.journal_id}.{self.boot}"

    @classmethod
    def parse(cls, text: str) -> Epoch:
        """Read the text form; raises ValueError when it is not ``"<journal_id>.<boot>"``."""
        journal_id, dot, boot = text.partition(".")
        if not dot or not boot.isascii() or not boot.isdigit():
            raise ValueError(f"epoch must be '<journal_id>.<boot>', but is {text!r}")
        return cls(journal_id, int(boot))


@dataclass(frozen=True, slots=True)
class AlertObject:
    """One object an alert tells of. `confidence` is in [0, 1]; `taxon` is the second look's answer, if any."""

    track_id: int
    class_name: str
    group: str
    confidence: float
    taxon: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be in [0, 1], but is {self.confidence}")


@dataclass(frozen=True, slots=True)
class Alert:
    """One numbered message about one incident.

    `margin_s` is train arrival minus time to clear, in seconds (negative: too late), or None without a train.
    `section_id` is "" for what concerns the whole site, as most SYSTEM alerts do.
    `camera_id` and `zone_id` name where the worst object is, None where no single one applies; `camera_ids` are all
    cameras that have seen somebody since the incident opened.
    `addressed_to` are the groups that have been told so far, the one to which it escalated last at the end. `level` is
    how far the incident has come since it last worsened (None: nobody has even received it), by whom (`by`) and with
    which key (`key_name`, None without keys). `fault` names what is wrong in a SYSTEM alert.
    `captured_at` is when the deciding frame was taken, `published_at` when the hub decided: for people only.
    `journaled` is False when the alert went out before, or without, its commit to the journal.
    """

    site_id: str
    epoch: Epoch
    seq: int
    alert_id: str
    kind: AlertKind
    action: Action
    severity: Severity
    incident_id: str
    section_id: str
    camera_id: str | None
    zone_id: str | None
    objects: tuple[AlertObject, ...]
    why: str
    margin_s: float | None
    captured_at: str
    published_at: str
    config_rev: str
    model_sha256: str
    camera_ids: tuple[str, ...] = ()
    addressed_to: tuple[str, ...] = ()
    level: AckLevel | None = None
    by: str | None = None
    key_name: str | None = None
    fault: str | None = None
    evidence: str | None = None
    journaled: bool = False
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.seq < 1:
            raise ValueError(f"seq must be 1 or more, but is {self.seq}")
        if self.margin_s is not None and not math.isfinite(self.margin_s):
            raise ValueError(f"margin_s must be finite or None, but is {self.margin_s}")


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the self-tests of a camera have come to since the hub's start: how many there were, misses in a row.

    `passed_age_s`: seconds since the last one that was passed, None if none was. `p50_s`, `p95_s`: percentiles of the
    time from the deciding frame to the arrival of its alert at a subscriber, of the last 100 that were passed.
    """

    runs: int
    misses: int
    passed_age_s: float | None
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """What the hub believes of one camera: state, the reason in words, and the age of its last frame (seconds).

    `self_test` is None for a camera that self-tests make no sense of: no track zone, or only animals count.
    """

    state: CameraState
    reason: str
    frame_age_s: float | None
    self_test: SelfTest | None = None


@dataclass(frozen=True, slots=True)
class TrainStatus:
    """The hub's belief about the next train on one rail track; times in seconds, None where not known."""

    rail_track_id: str
    eta_s: float | None
    source: str
    age_s: float | None


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that is open now, as a Status carries it.

    `level` is how far it has come since it last worsened, None if nobody has received it; `by` is who brought it
    there; `addressed_to` are the groups told so far; `fault` names what is wrong in a SYSTEM incident.
    """

    incident_id: str
    section_id: str
    kind: AlertKind
    severity: Severity
    opened_at: str
    level: AckLevel | None = None
    by: str | None = None
    addressed_to: tuple[str, ...] = ()
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class RestoredIncident:
    """An incident that was open when the hub ended, as its journal remembers it.

    `last` is its last alert, `opened_at` the `published_at` of the first. `level`, `by` and `key_name` are the highest
    acknowledgement known: that of `last`, or of one that was recorded after it (a worsening is always told by an alert,
    so that none recorded before `last` counts beyond what `last` says).
    """

    last: Alert
    opened_at: str
    level: AckLevel | None = None
    by: str | None = None
    key_name: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the site, sent every second. A reader believes CLEAR only if `nonces` holds its own nonce."""

    site_id: str
    epoch: Epoch
    seq_last: int
    nonces: tuple[str, ...]
    sections: Mapping[str, SectionState]
    cameras: Mapping[str, CameraStatus]
    trains: tuple[TrainStatus, ...]
    open_incidents: tuple[OpenIncident, ...]
    config_rev: str
    lease_s: float = DEFAULT_LEASE_S
    schema_version: int = field(default=SCHEMA_VERSION)

    def __post_init__(self) -> None:
        if self.seq_last < 0:
            raise ValueError(f"seq_last must be 0 or more, but is {self.seq_last}")
        if not (math.isfinite(self.lease_s) and self.lease_s > 0.0):
            raise ValueError(f"lease_s must be positive and finite, but is {self.lease_s}")
        object.__setattr__(self, "sections", MappingProxyType(dict(self.sections)))
        object.__setattr__(self, "cameras", MappingProxyType(dict(self.cameras)))
