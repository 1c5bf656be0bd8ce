"""Receives alerts and section states. Needs pyzmq and nothing else; docs/wire.md tells what happens on the wire."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import zmq

from railwatch.core.alerts import DEFAULT_LEASE_S, AckLevel, SectionState
from railwatch.core.clock import elapsed_s
from railwatch.core.errors import WireError
from railwatch.messaging.asking import Asking, Questions, new_name
from railwatch.messaging.belief import Belief
from railwatch.messaging.endpoints import DEFAULT_ENDPOINT, connect_endpoint, next_port
from railwatch.messaging.events import (
    AlertAhead,
    AlertReceived,
    Event,
    ProtocolFault,
    Restarted,
    SectionChanged,
    StatusReceived,
)
from railwatch.messaging.frames import receive
from railwatch.messaging.keys import ClientKeys
from railwatch.messaging.link import Link
from railwatch.messaging.ordering import History, Ordering
from railwatch.messaging.plain import shown
from railwatch.messaging.position import Position
from railwatch.messaging.requests import (
    ACK_VERB,
    ACKED_VERB,
    MAX_BATCH_ALERTS,
    NOTED_VERB,
    PROBE_VERB,
    REFUSED_VERB,
    REPLAY_VERB,
    REPLAYED_VERB,
    Acked,
    AckRequest,
    Mark,
    Noted,
    ProbeRequest,
    Refused,
    decode_body,
    decode_replayed,
    encode_body,
)
from railwatch.messaging.wire import (
    NONCE_VERB,
    decode_alert,
    decode_status,
    parse_topic,
    subscriptions,
)

NONCE_INTERVAL_S: Final = 1.0
RETRY_S: Final = 0.1
PATIENCE_S: Final = 5.0
ACK_TIMEOUT_S: Final = 10.0
FAULT_INTERVAL_S: Final = 1.0
_STOP_CHECK_S: Final = 0.2
_READY_A_POLL: Final = 64


class Client:
    """Follows one publisher, whether it is already there, comes later, or comes back.

    Use it from one thread; `stop` may be called from any. Every section is UNKNOWN until this client itself has made
    sure (the rules are in `railwatch.messaging.belief`), and `state` is true at the moment it is asked.

    Args:
        connect: Endpoint of alerts and Status.
        request_connect: Endpoint for nonces; None takes the port after that of `connect`.
        site_id: Only this site; None takes any.
        sections: Only alerts and states of these sections are handed over; None hands over all. All alerts are received
            in any case, for only so a missing one can be noticed.
        max_lease_s: The longest that CLEAR may be believed without a new proof, whatever the publisher grants.
        keys: Of this client, for a publisher that asks for keys; only the publisher they were made for is listened to.
        history: What is wanted of the past by a client that keeps no position, or finds no file of it yet.
        position: File that keeps how far this client has come (see `done`).
        patience_s: What is missing and does not come within so many seconds, while the publisher is heard, is told as a
            gap, and later alerts are handed over. Infinite for those who must have everything.
        clock: Monotonic seconds.

    Raises:
        MessagingError: An endpoint is not ``tcp://HOST:PORT`` or its host is not known.
        JournalError: The position file cannot be read.

    Example::

        with Client("tcp://127.0.0.1:5556") as client:
            for event in client.events():
                if isinstance(event, AlertReceived):
                    print(event.alert.severity.value, event.alert.why)
    """

    def __init__(  # noqa: PLR0913 - named, each with a default
        self,
        connect: str = DEFAULT_ENDPOINT,
        request_connect: str | None = None,
        *,
        site_id: str | None = None,
        sections: Collection[str] | None = None,
        max_lease_s: float = DEFAULT_LEASE_S,
        keys: ClientKeys | None = None,
        history: History = History.EPOCH,
        position: str | Path | None = None,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = elapsed_s,
    ) -> None:
        alerts = connect_endpoint("connect", connect)
        requests = connect_endpoint("request_connect", request_connect or next_port("connect", connect))
        self._site_id, self._clock = site_id, clock
        self._sections = None if sections is None else frozenset(sections)
        self._belief, self._questions = Belief(max_lease_s), Questions(ACK_TIMEOUT_S)
        self._position = None if position is None else Position(position)
        self._done = None if self._position is None else self._position.load()
        self._ordering = Ordering(self._done, history, patience_s, lambda: secrets.token_urlsafe(16))
        self._ready: deque[Event] = deque()
        self._next_nonce_s = self._next_ask_s = float("-inf")
        self._next_fault_s, self._suppressed = float("-inf"), 0
        self._stopped = False
        self._link = Link(alerts, requests, subscriptions(site_id), keys, clock())

    def poll(self, timeout_s: float) -> list[Event]:
        """What happened: the events of one message, or of time gone by; empty when `timeout_s` seconds passed."""
        deadline_s = self._clock() + timeout_s
        while not self._stopped:
            # What lapsed is told before what waited: after a freeze, UNKNOWN comes before the old messages.
            events = self._changes() or [*self._read(), *self._next_ready()]
            self._send_what_is_due()
            now_s = self._clock()
            if events or now_s >= deadline_s:
                return events
            expiry_s = self._belief.next_expiry_s(now_s) or deadline_s
            due_s = min(deadline_s, self._next_nonce_s, expiry_s, max(self._due_s(), self._next_ask_s))
            wait_s = min(max(0.0, due_s - now_s), _STOP_CHECK_S)
            if not self._ready:
                self._link.renew_if_deaf(now_s)
                self._link.wait(int(wait_s * 1000) + 1)
        return []

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """Events as they come, until `stop` is called or `timeout_s` seconds have passed since the start.

        A change to CLEAR that lapsed while earlier events were being handled is left out.
        """
        deadline_s = float("inf") if timeout_s is None else self._clock() + timeout_s
        while not self._stopped:
            left_s = deadline_s - self._clock()
            if left_s <= 0.0:
                return
            for event in self.poll(min(left_s, NONCE_INTERVAL_S)):
                if self._still_true(event):
                    yield event

    def run(self, on_event: Callable[[Event], object], timeout_s: float | None = None) -> None:
        """Call `on_event` for every event, until `stop` is called or `timeout_s` seconds have passed."""
        for event in self.events(timeout_s):
            on_event(event)

    def done(self, event: AlertReceived) -> None:
        """Note in the position file that this alert, and all before it, need not be handed over again.

        Call it when what the alert was for has happened: a client that is started anew with the same file goes on
        behind it. Without a position file it does nothing. It waits for the disk; of many, the last is enough.

        Raises:
            JournalError: The disk does not take it.
        """
        self._save(event.alert.site_id, Mark(event.alert.epoch, event.alert.seq))

    def acknowledge(self, incident_id: str, level: AckLevel, by: str) -> str:
        """Tell the hub how far an incident has come, and who says so; `Answered` follows under the name returned.

        It is repeated until it is answered; after 10 s without an answer it is given up.

        Raises:
            ValueError: A text is empty or longer than 200 characters.
        """
        return self.ask(ACK_VERB, AckRequest(new_name(), incident_id, level, by))

    def probe(self, camera_id: str | None = None) -> str:
        """Ask for a self-test of a camera, or of all; `Answered` follows, then TEST alerts and a Status that tells.

        It is repeated and given up as `acknowledge` is.
        """
        return self.ask(PROBE_VERB, ProbeRequest(new_name(), camera_id))

    def ask(self, verb: bytes, body: Asking) -> str:
        """Send a request until it is answered; `Answered` follows under the name returned."""
        return self._questions.add(verb, body, self._clock())

    def state(self, section_id: str) -> SectionState:
        """What may be believed of a section now."""
        return self._belief.state(section_id, self._clock())

    def clear_until_s(self, section_id: str) -> float:
        """Until when CLEAR may be believed of a section, on this client's clock; minus infinity if it is not CLEAR."""
        return self._belief.clear_until_s(section_id)

    def states(self) -> dict[str, SectionState]:
        """What may be believed now of every section heard of."""
        found = self._belief.states(self._clock())
        return {name: state for name, state in found.items() if self._wanted(name)}

    @property
    def stopped(self) -> bool:
        """Whether `stop` or `close` was called."""
        return self._stopped

    def stop(self) -> None:
        """End `events` and `run` within 0.2 s; may be called from another thread or a signal handler."""
        self._stopped = True

    def close(self) -> None:
        """Close the sockets; idempotent."""
        self._stopped = True
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _wanted(self, section_id: str) -> bool:
        return self._sections is None or section_id in self._sections

    def _still_true(self, event: Event) -> bool:
        if isinstance(event, SectionChanged) and event.state is SectionState.CLEAR:
            return self.state(event.section_id) is SectionState.CLEAR
        return True

    def _changes(self) -> list[Event]:
        return [change for change in self._belief.changes(self._clock()) if self._wanted(change.section_id)]

    def _next_ready(self) -> list[Event]:
        """What was fetched, some at a time: a lease that runs out meanwhile is told in between."""
        return [self._ready.popleft() for _ in range(min(len(self._ready), _READY_A_POLL))]

    def _due_s(self) -> float:
        return min(self._ordering.due_s(), self._questions.due_s())

    def _send_what_is_due(self) -> None:
        now_s = self._clock()
        if now_s >= self._next_nonce_s:
            nonce = secrets.token_urlsafe(16)
            if self._send(NONCE_VERB, nonce.encode()):
                self._belief.nonce_sent(nonce, now_s)
                self._next_nonce_s = now_s + min(NONCE_INTERVAL_S, 0.4 * self._belief.lease_s)
            else:
                self._next_nonce_s = now_s + RETRY_S
        self._ready.extend(event for event in self._ordering.tick(now_s) if self._is_wanted(event))
        if now_s < self._next_ask_s:
            return
        request = self._ordering.request(now_s)
        if request is not None and self._sent_or_later(REPLAY_VERB, encode_body(request)):
            self._ordering.asked(request, now_s)
        for verb, payload in self._questions.due(now_s):
            self._sent_or_later(verb, payload)
        self._ready.extend(self._questions.lapsed(now_s))

    def _sent_or_later(self, verb: bytes, payload: bytes) -> bool:
        sent = self._send(verb, payload)
        self._next_ask_s = self._next_ask_s if sent else self._clock() + RETRY_S
        return sent

    def _send(self, verb: bytes, payload: bytes) -> bool:
        """Whether it is on its way; it is not when nobody is there yet, or not reading."""
        try:
            self._link.requests.send_multipart([verb, payload], zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _read(self) -> list[Event]:
        """The events of the next messages, if there are any; one that is not right is a fault, never an error."""
        told = self._taken(receive(self._link.alerts, most=2), self._take)
        if not self._ready:  # what was fetched before is handed over before more is taken in
            told += self._taken(receive(self._link.requests, most=2 * MAX_BATCH_ALERTS + 2), self._take_answer)
        return told

    def _taken(self, frames: list[bytes] | None, take: Callable[[list[bytes]], list[Event]]) -> list[Event]:
        if frames is None:
            return []
        try:
            events = take(frames)
        except WireError as error:
            return self._fault(str(error))
        events = [event for event in events if self._is_wanted(event)]
        if not self._ready and len(events) <= _READY_A_POLL:
            return events + self._changes()
        at_once = [event for event in events if isinstance(event, StatusReceived | AlertAhead)]
        self._ready.extend(event for event in events if not isinstance(event, StatusReceived | AlertAhead))
        return at_once + self._changes()

    def _take(self, frames: list[bytes]) -> list[Event]:
        self._link.heard(self._clock())
        if len(frames) != 2:
            raise WireError(f"a message must have a topic and a payload, but the one on {shown(frames[0])} has not")
        topic = parse_topic(frames[0])
        if self._site_id is not None and topic.site_id != self._site_id:
            return []  # a prefix of topics also lets the sites through whose names begin alike
        if topic.section_id is None:
            return self._take_status(topic.site_id, frames[1])
        return self._take_alert((topic.site_id, topic.section_id), frames[1])

    def _take_alert(self, named: tuple[str, str], payload: bytes) -> list[Event]:
        alert = decode_alert(payload)
        if named != (alert.site_id, alert.section_id):
            raise WireError(f"the topic names {named}, but the alert is of {(alert.site_id, alert.section_id)}")
        now_s = self._clock()
        is_new, told = self._ordering.alert(alert, payload, now_s)
        self._forget_if_restarted(told)
        if is_new:
            self._belief.alert(alert, now_s)
        self._begin_position(alert.site_id)
        return told

    def _take_status(self, site_id: str, payload: bytes) -> list[Event]:
        status = decode_status(payload)
        if site_id != status.site_id:
            raise WireError(f"the topic names site {site_id!r}, but the Status is of {status.site_id!r}")
        told = self._ordering.status(status.site_id, status.epoch, status.seq_last, self._clock())
        self._forget_if_restarted(told)
        age_s = self._belief.status(status, self._clock())
        if age_s is not None:
            self._link.echoed(self._clock())
        self._next_nonce_s = float("-inf")
        self._begin_position(site_id)
        return [*told, StatusReceived(status, age_s)]

    def _take_answer(self, frames: list[bytes]) -> list[Event]:
        """An answer on the request socket."""
        verb, *payloads = frames
        if not payloads:
            raise WireError(f"an answer must have a verb and a payload, but {shown(verb)} has none")
        if verb == REPLAYED_VERB:
            return self._ordering.replayed(decode_replayed(payloads), self._clock())
        if verb == ACKED_VERB:
            return [*self._questions.answered(decode_body(payloads[0], Acked).request, accepted=True)]
        if verb == REFUSED_VERB:
            refused = decode_body(payloads[0], Refused)
            answered = self._questions.answered(refused.request, accepted=False, reason=refused.reason)
            return [*answered, *self._ordering.refused(refused.request, self._clock())]
        if verb == NOTED_VERB:
            noted = decode_body(payloads[0], Noted)
            self._questions.noted(noted.request, noted.moment, self._clock())
            return []
        raise WireError(f"an answer must be REPLAYED, ACKED, NOTED or REFUSED, but is {shown(verb)}")

    def _is_wanted(self, event: Event) -> bool:
        return not isinstance(event, AlertReceived | AlertAhead) or self._wanted(event.alert.section_id)

    def _begin_position(self, site_id: str) -> None:
        """The first position of all is where this client began: what is sent while it is away is then not lost."""
        if self._position is not None and self._done is None and (at := self._ordering.began_at) is not None:
            self._save(site_id, at)

    def _save(self, site_id: str, mark: Mark) -> None:
        if self._position is None:
            return
        done = self._done[1] if self._done is not None and self._done[0] == site_id else None
        if done is None or done.epoch != mark.epoch or done.seq < mark.seq:
            self._position.save(site_id, mark)
            self._done = (site_id, mark)

    def _forget_if_restarted(self, told: Sequence[Event]) -> None:
        if any(isinstance(event, Restarted) for event in told):
            self._belief.forget()

    def _fault(self, reason: str) -> list[Event]:
        now_s = self._clock()
        if now_s < self._next_fault_s:
            self._suppressed += 1
            return []
        fault = ProtocolFault(reason, self._suppressed)
        self._next_fault_s, self._suppressed = now_s + FAULT_INTERVAL_S, 0
        return [fault]
