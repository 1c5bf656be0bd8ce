"""What the next Status says and when it is due. Pure: time is an argument, there is no socket here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from railwatch.core.alerts import (
    Action,
    Alert,
    AlertKind,
    CameraState,
    CameraStatus,
    Epoch,
    OpenIncident,
    SectionState,
    Severity,
    Status,
    TrainStatus,
)
from railwatch.messaging.wire import valid_nonce

STATUS_INTERVAL_S: Final = 1.0
STALE_S: Final = 2.0
"""A state that the hub has not confirmed for so long is UNKNOWN: a hub that hangs must not go on saying CLEAR."""

MAX_NONCES: Final = 256
"""Nonces echoed in one Status; one client has at most one of them."""

MAX_WAITING: Final = 4 * MAX_NONCES
_OCCUPYING: Final = frozenset({Action.OPENED, Action.UPDATED, Action.ESCALATED})


@dataclass(frozen=True, slots=True)
class StatusBody:
    """The part of a `Status` that the hub knows; the publisher adds identity, numbers and nonces."""

    sections: Mapping[str, SectionState]
    cameras: Mapping[str, CameraStatus] = field(default_factory=dict)
    trains: tuple[TrainStatus, ...] = ()
    open_incidents: tuple[OpenIncident, ...] = ()
    config_rev: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", MappingProxyType(dict(self.sections)))
        object.__setattr__(self, "cameras", MappingProxyType(dict(self.cameras)))


def occupies(alert: Alert) -> bool:
    """Whether an alert by itself says that its section is occupied.

    A reader says OCCUPIED on such an alert at once; the next Status after it decides. A NOTICE alone occupies nothing:
    somebody near the track is not on it; where the site judges the track itself a NOTICE, the Status says so at once.
    """
    serious = alert.severity >= Severity.WARNING
    return alert.kind is AlertKind.INTRUSION and alert.action in _OCCUPYING and serious


def blinded(body: StatusBody, reason: str) -> StatusBody:
    """The same site when nothing is known about it any more: every section UNKNOWN, every camera BLIND."""
    camera = CameraStatus(CameraState.BLIND, reason, None)
    return replace(
        body,
        sections=dict.fromkeys(body.sections, SectionState.UNKNOWN),
        cameras=dict.fromkeys(body.cameras, camera),
        trains=(),
    )


class NonceDesk:
    """Nonces waiting for an echo: the latest of each client, served in turn, so that none can starve the others.

    >>> desk = NonceDesk()
    >>> for nonce in ("a1", "a2"):
    ...     desk.put(b"anna", nonce)
    >>> desk.put(b"bert", "b1")
    >>> desk.take(10)
    ('a2', 'b1')
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, str] = {}

    def put(self, client: bytes, nonce: str) -> None:
        """Keep the nonce in the client's place in the queue; bad ones, and new clients when it is full, are dropped."""
        if valid_nonce(nonce) and (client in self._waiting or len(self._waiting) < MAX_WAITING):
            self._waiting[client] = nonce

    def take(self, count: int) -> tuple[str, ...]:
        """At most `count` nonces, those that have waited longest first; each is given once."""
        clients = list(self._waiting)[:count]
        return tuple(self._waiting.pop(client) for client in clients)


class Heartbeat:
    """The Status of one epoch: due at `interval_s`, at once when a section or camera changes, or the state gets old.

    Intervals follow the lease: with the default of 2.5 s, a Status every second and UNKNOWN after 2 s without news.
    """

    def __init__(self, site_id: str, epoch: Epoch, body: StatusBody, lease_s: float, now_s: float) -> None:
        self._site_id, self._epoch, self._lease_s = site_id, epoch, lease_s
        self.interval_s = min(STATUS_INTERVAL_S, 0.4 * lease_s)
        self.stale_s = min(STALE_S, 0.8 * lease_s)
        self.nonces = NonceDesk()
        self._body, self._body_s = body, now_s
        self._occupied: set[str] = set()
        self._seq_last = 0
        self._next_s = now_s
        self._told: object = None

    def set_body(self, body: StatusBody, now_s: float) -> None:
        """The hub's newest belief, which already knows of every alert published before it."""
        self._body, self._body_s = body, now_s
        self._occupied.clear()

    def alert_sent(self, seq: int, occupied_section: str | None) -> None:
        """An alert went out. Until the hub's next belief its section is OCCUPIED: a Status never takes it back."""
        self._seq_last = seq
        if occupied_section is not None:
            self._occupied.add(occupied_section)

    def wait_s(self, now_s: float) -> float:
        """Seconds until the next Status is due; 0 when it is."""
        if visible(self._current(now_s)) != self._told:
            return 0.0
        stale_at_s = self._body_s + self.stale_s
        due_s = min(self._next_s, stale_at_s) if stale_at_s > now_s else self._next_s
        return max(0.0, due_s - now_s)

    def take(self, now_s: float) -> Status:
        """The Status to send now; uses up the nonces it echoes."""
        body = self._current(now_s)
        self._told = visible(body)
        self._next_s = now_s + self.interval_s
        return self._status(body)

    def last(self) -> Status:
        """The Status with which the publisher says goodbye: nothing is known from here on."""
        return self._status(blinded(self._merged(), "publisher was closed"))

    def _current(self, now_s: float) -> StatusBody:
        if now_s - self._body_s >= self.stale_s:
            return blinded(self._merged(), f"the hub has not decided for {self.stale_s:g} s")
        return self._merged()

    def _merged(self) -> StatusBody:
        if not self._occupied:
            return self._body
        occupied = dict.fromkeys(self._occupied, SectionState.OCCUPIED)
        return replace(self._body, sections={**self._body.sections, **occupied})

    def _status(self, body: StatusBody) -> Status:
        return Status(
            site_id=self._site_id,
            epoch=self._epoch,
            seq_last=self._seq_last,
            nonces=self.nonces.take(MAX_NONCES),
            sections=body.sections,
            cameras=body.cameras,
            trains=body.trains,
            open_incidents=body.open_incidents,
            config_rev=body.config_rev,
            lease_s=self._lease_s,
        )


def visible(body: StatusBody) -> object:
    """What makes a Status go out at once when it changes; ages and nonces do not."""
    return dict(body.sections), {name: camera.state for name, camera in body.cameras.items()}
