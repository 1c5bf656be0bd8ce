"""The hub's side of the world: alerts and Status through the journal, and what people send in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import zmq

from railwatch.app.ear import KEY_NAME, Ear
from railwatch.core.alerts import Alert, Epoch, RestoredIncident
from railwatch.core.errors import MessagingError
from railwatch.core.settings import SiteSettings
from railwatch.decision.inputs import Acknowledge, Consumers
from railwatch.evidence.links import Link
from railwatch.messaging.chain import Kind
from railwatch.messaging.guard import Guard
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.journal import Journal, JournalTroubleError
from railwatch.messaging.keys import KeyStore
from railwatch.messaging.moments import Moments
from railwatch.messaging.outlet import JournaledPublisher
from railwatch.messaging.records import Record
from railwatch.messaging.requests import (
    ACK_VERB,
    ACKED_VERB,
    NOTED_VERB,
    NOW_VERB,
    POSSESSION_VERB,
    PROBE_VERB,
    REFUSED_VERB,
    TRAIN_VERB,
    Acked,
    AckRequest,
    Noted,
    NowRequest,
    Peer,
    PossessionRequest,
    ProbeRequest,
    Refused,
    TrainRequest,
    decode_body,
    encode_body,
)
from railwatch.messaging.roles import Role

JOURNAL_NAME: Final = "journal.db"
HEARD_WITHIN_S: Final = 5.0
"""Who has sent a nonce within so many seconds is connected: clients send one a second."""


Wanted = AckRequest | ProbeRequest | TrainRequest | PossessionRequest
_READ: Final[Mapping[bytes, Callable[[bytes], Wanted]]] = MappingProxyType(
    {
        ACK_VERB: lambda payload: decode_body(payload, AckRequest),
        PROBE_VERB: lambda payload: decode_body(payload, ProbeRequest),
        TRAIN_VERB: lambda payload: decode_body(payload, TrainRequest),
        POSSESSION_VERB: lambda payload: decode_body(payload, PossessionRequest),
    }
)
"""What can be asked of a hub beside a replay, by the verb."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for, and whom to answer."""

    peer: Peer
    verb: bytes
    request: Wanted


def said_of(peer: Peer, request: AckRequest) -> Acknowledge:
    """An acknowledgement as an input of the decision."""
    return Acknowledge(request.incident_id, request.level, request.by, peer.user_id)


class Outward:
    """Journal, keys and publisher of one hub; use as a context manager.

    Building it opens the journal, which begins a new epoch; `open` publishes. `on_asked` and `on_trouble` are called
    from other threads and must only pass on what they are given. Raises JournalError, KeysError.
    """

    def __init__(
        self,
        site: SiteSettings,
        folder: Path,
        on_asked: Callable[[Asked], bool],
        on_trouble: Callable[[str, str | None], None],
    ) -> None:
        self._site, self._on_asked, self._on_trouble = site, on_asked, on_trouble
        self._stack = ExitStack()
        self._journal = Journal.open(folder / JOURNAL_NAME)
        self._publisher: JournaledPublisher | None = None
        self._heard: frozenset[str | None] | None = None
        self.guard: Guard | None = None
        self.moments = Moments()
        try:
            self.restored = self._restored()
            keys: str | None = getattr(site.messaging, "keys", None)
            if keys is not None:
                context = self._stack.enter_context(zmq.Context())
                self.guard = self._stack.enter_context(Guard(context, KeyStore(Path(keys)), on_trouble=on_trouble))
        except BaseException:
            self._journal.close()
            self._stack.close()
            raise

    @property
    def epoch(self) -> Epoch:
        """The epoch of all alerts of this run."""
        return self._journal.epoch

    @property
    def endpoint(self) -> str:
        """Where alerts and Status are published."""
        return self._open.endpoint

    @property
    def request_endpoint(self) -> str:
        """Where requests are taken."""
        return self._open.request_endpoint

    def open(self, body: StatusBody) -> None:
        """Publish from now on, beginning with `body`. Raises MessagingError when an endpoint cannot be bound."""
        messaging = self._site.messaging
        self._publisher = self._stack.enter_context(
            JournaledPublisher(
                self._journal,
                site_id=self._site.site_id,
                body=body,
                on_trouble=self._on_trouble,
                handlers={NOW_VERB: self._note, **{verb: partial(self._take, verb) for verb in _READ}},
                bind=messaging.bind,
                request_bind=messaging.request_bind,
                lease_s=messaging.lease_s,
                guard=self.guard,
            )
        )

    def ear(self, on_test: Callable[[Alert], object]) -> Ear:
        """A subscriber of these alerts on this machine; it must be closed before this is."""
        keys = None if self.guard is None else self.guard.admit(KEY_NAME, Role.SUBSCRIBER)
        return Ear(self.endpoint, self._site.site_id, keys, on_test)

    def publish(self, alert: Alert) -> None:
        """Publish an alert, once it is in the journal."""
        self._open.publish(alert)

    def set_status(self, body: StatusBody) -> None:
        """Give the state that follows from all alerts so far."""
        self._open.set_status(body)

    def consumers(self) -> Consumers | None:
        """Who listens now; None while that is as it was when it was asked before."""
        heard = self._open.heard(HEARD_WITHIN_S)
        if heard == self._heard:
            return None
        self._heard = heard
        return Consumers(tuple(sorted(name or "" for name in heard)))

    def forget_consumers(self) -> None:
        """Tell who listens anew the next time."""
        self._heard = None

    def may(self, asked: Asked) -> bool:
        """Whether whoever asks may: without keys everybody on this machine may."""
        return self.guard is None or self.guard.may(asked.peer.user_id, asked.verb)

    def grant(self, asked: Asked) -> None:
        """Answer that a request is granted."""
        self._open.reply(asked.peer, ACKED_VERB, encode_body(Acked(asked.request.request)))

    def accept(self, peer: Peer, request: AckRequest) -> None:
        """Answer an acknowledgement once it is in the journal."""
        publisher = self._open
        record = Record.acknowledgement(request.incident_id, request.level, request.by, peer.user_id)
        publisher.record(record, lambda: publisher.reply(peer, ACKED_VERB, encode_body(Acked(request.request))))

    def note_evidence(self, alert: Alert, link: Link) -> None:
        """Have the journal remember what was kept, so that a lost end of the chain of evidence shows; any thread."""
        body = {"evidence": link.evidence_id, "manifest": link.manifest, "number": link.number, "hash": link.digest}
        with contextlib.suppress(MessagingError):  # a journal that takes nothing is an alarm already
            self._open.record(Record.note(Kind.EVIDENCE, body, alert.incident_id))

    def refuse(self, asked: Asked, reason: str) -> None:
        """Answer a request that is not granted."""
        self._open.reply(asked.peer, REFUSED_VERB, encode_body(Refused(asked.request.request, reason)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._publisher is None:
            self._journal.close()
        self._stack.close()

    @property
    def _open(self) -> JournaledPublisher:
        if self._publisher is None:
            raise AssertionError("nothing is published before `open`")
        return self._publisher

    def _restored(self) -> tuple[RestoredIncident, ...]:
        try:
            return self._journal.restored()
        except JournalTroubleError as error:
            self._on_trouble("journal-reading", f"incidents that were open before cannot be read: {error}")
            return ()

    def _note(self, peer: Peer, payload: bytes) -> None:
        asked = decode_body(payload, NowRequest)
        self._open.reply(peer, NOTED_VERB, encode_body(Noted(asked.request, self.moments.now())))

    def _take(self, verb: bytes, peer: Peer, payload: bytes) -> None:
        asked = Asked(peer, verb, _READ[verb](payload))
        if not self._on_asked(asked):
            self.refuse(asked, "the hub is busy: ask again")
