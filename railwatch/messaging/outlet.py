"""Publishes what is in the journal. docs/delivery.md tells what is guaranteed, and how it was tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypedDict, Unpack

from railwatch.core.alerts import Alert
from railwatch.core.errors import MessagingError
from railwatch.messaging.guard import Guard
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.journal import Journal
from railwatch.messaging.outgoing import Outgoing
from railwatch.messaging.publisher import Publisher
from railwatch.messaging.recent import Recent
from railwatch.messaging.records import Batch, Record
from railwatch.messaging.requests import (
    REPLAY_VERB,
    REPLAYED_VERB,
    Handler,
    Peer,
    ReplayHeader,
    ReplayRequest,
    decode_body,
    encode_body,
)
from railwatch.messaging.wire import encode_alert
from railwatch.messaging.writer import Ask, Entry, JournalWriter, OnTrouble

COMMIT_DEADLINE_S: Final = 0.1
"""An alert that is not on the disk by then goes out with `journaled` false."""


class PublisherOptions(TypedDict, total=False):
    """What `JournaledPublisher` hands on to `Publisher`."""

    bind: str
    request_bind: str | None
    lease_s: float
    guard: Guard | None


class _Held:
    """An alert that goes out when it is committed, or at its deadline with `journaled` false."""

    def __init__(self, alert: Alert, topic: bytes, section: str | None, due_s: float, writer: JournalWriter) -> None:
        self.alert, self.seq, self.topic, self.occupied_section = alert, alert.seq, topic, section
        self.entry = Entry(Record.alert(alert))
        self._due_s, self._writer = due_s, writer

    def payload_at(self, now_s: float) -> bytes | None:
        if self.entry.committed and self._writer.lasting:
            return self.entry.record.body
        if self._writer.behind or now_s >= self._due_s:
            return encode_alert(replace(self.alert, journaled=False))
        return None

    def wait_s(self, now_s: float) -> float:
        return max(0.0, self._due_s - now_s)


class JournaledPublisher(Publisher):
    """A `Publisher` whose alerts are in the journal before anybody hears of them, and who replays what was missed.

    An alert that the disk has not taken within 100 ms goes out with `journaled` false, and the journal catches up. Then
    `on_trouble("journal", reason)` is called, and `on_trouble("journal", None)` when everything is on the disk: the hub
    makes a SYSTEM alarm of it. It is called on other threads and must only pass it on.

    Args:
        journal: Its epoch is that of all alerts. It belongs to the publisher from here on, and is closed with it.
        on_trouble: Takes the name of a fault (`journal`, `journal-damage`, `journal-overfull`) and its reason.
        handlers: What to do with requests other than NONCE and REPLAY, by their verb.

    The other arguments and what is raised are those of `Publisher`.

    Example::

        journal = Journal.open("alerts.db")
        with JournaledPublisher(journal, site_id="yard", body=body, on_trouble=tell_hub) as publisher:
            publisher.publish(alert)
    """

    def __init__(
        self,
        journal: Journal,
        *,
        site_id: str,
        body: StatusBody,
        on_trouble: OnTrouble,
        handlers: Mapping[bytes, Handler] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
        **options: Unpack[PublisherOptions],
    ) -> None:
        self._recent = Recent(journal.epoch, (item.last for item in journal.restored()))
        self._writer = JournalWriter(journal, self._wake, self._answer, on_trouble, clock)
        try:
            super().__init__(
                site_id=site_id,
                epoch=journal.epoch,
                body=body,
                handlers={**handlers, REPLAY_VERB: self._replay},
                clock=clock,
                **options,
            )
        except BaseException:
            journal.close()
            raise
        self._writer.start()

    def record(self, record: Record, then: Callable[[], None] | None = None) -> None:
        """Write an acknowledgement, escalation or override; `then` is called on another thread once it is on the disk.

        What is answered in `then` was committed before. It does not happen while the disk takes nothing.

        Raises:
            MessagingError: The publisher was closed, or far too much waits for the disk already.
        """
        with self._changed:
            self._check_alive()
            if not self._writer.submit(Entry(record, then)):
                raise MessagingError("the journal has not taken anything for a long time: nothing more can be recorded")

    def close(self) -> None:
        """As `Publisher.close`; then write what the journal still owes, and close it.

        Raises:
            MessagingError: The sending thread had failed, or the disk did not take the last records.
        """
        try:
            super().close()
        finally:
            self._writer.close()

    def _outgoing(self, alert: Alert, topic: bytes, section: str | None) -> Outgoing:
        return _Held(alert, topic, section, self._clock() + COMMIT_DEADLINE_S, self._writer)

    def _accepted(self, item: Outgoing) -> None:
        """An alert has its place in the order: its place on the disk is the same."""
        if isinstance(item, _Held):
            self._writer.submit(item.entry)

    def _sent(self, item: Outgoing, payload: bytes) -> None:
        super()._sent(item, payload)
        if isinstance(item, _Held):
            if payload is not item.entry.record.body:
                self._writer.late(f"alert {item.seq} was not on the disk within {COMMIT_DEADLINE_S * 1000:g} ms")
            self._recent.sent(item.alert, payload)

    def _replay(self, peer: Peer, payload: bytes) -> None:
        """Answer from memory if all is there, else let the journal's thread read."""
        request = decode_body(payload, ReplayRequest)
        ask = Ask(peer, request, self._recent.open_incidents() if request.open else ())
        batch = self._recent.after(request.after)
        if batch is None:
            self._writer.ask(ask)
        else:
            self._answer(ask, batch)

    def _answer(self, ask: Ask, batch: Batch) -> None:
        found = ask.open_incidents
        header = ReplayHeader(ask.request.request, batch.known, batch.more, len(found), len(batch.alerts))
        self.reply(ask.peer, REPLAYED_VERB, encode_body(header), *found, *batch.alerts)
