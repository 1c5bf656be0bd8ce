"""Sends alerts and Status over ZeroMQ, from one thread that owns the sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType, TracebackType
from typing import Final, Self

import zmq

from railwatch.core.alerts import DEFAULT_LEASE_S, Alert, Epoch, Status
from railwatch.core.errors import MessagingError
from railwatch.messaging.desk import READS_A_TURN, RequestDesk, may_all
from railwatch.messaging.endpoints import DEFAULT_ENDPOINT, bind, bind_endpoint, next_port
from railwatch.messaging.frames import receive
from railwatch.messaging.guard import Domain, Guard
from railwatch.messaging.heartbeat import Heartbeat, StatusBody, occupies, visible
from railwatch.messaging.outgoing import Outgoing, Prompt
from railwatch.messaging.requests import MAX_REQUEST_BYTES, Handler, Peer
from railwatch.messaging.wire import (
    alert_topic,
    encode_alert,
    encode_status,
    status_topic,
    subscriptions,
)

INBOX_LIMIT: Final = 1024
INBOX_TIMEOUT_S: Final = 1.0
LINGER_MS: Final = 1000
SEND_LIMIT: Final = 1000
"""Messages kept for a subscriber that does not read; beyond it, that subscriber loses messages and sees the gap."""

ANSWER_LIMIT: Final = 8
"""Answers kept for one who asks and does not read; beyond it they are dropped."""

_MAX_SUBSCRIPTION_BYTES: Final = 1024
_LONGEST_WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Decided:
    """What the hub believes, and when it decided so: waiting for a thread that was held up does not make it younger."""

    body: StatusBody
    at_s: float


class Publisher:
    """Publishes the alerts of one epoch and, every second and at every change, the Status.

    Call `publish` for each alert in order and then `set_status` with the state that follows from it; call `set_status`
    at least every second, also when nothing changed: it is how the publisher knows that the hub still decides.
    After 2 s without (0.8 of a lease under 2.5 s) it says UNKNOWN for every section. Both may be called from any
    thread and never wait for a subscriber.

    Args:
        site_id: Name of the site, part of every topic.
        epoch: The epoch of all alerts; their seq must count from 1 without a hole.
        body: The state to begin with; sections not yet observed are UNKNOWN.
        bind: TCP endpoint for alerts and Status, of loopback without a guard. Port 0 or * takes a free one.
        request_bind: Where clients send nonces; None takes the port after that of `bind`.
        lease_s: Seconds for which a reader may believe CLEAR after it sent the nonce that is echoed.
        guard: Lets in only who has a key; without one, only loopback endpoints can be bound. It outlives the publisher.
        handlers: What to do with requests, by their verb; NONCE is answered here, what has no handler is refused. They
            are called on the sending thread and must return at once; `reply` answers, from any thread.
        clock: Monotonic seconds.

    Raises:
        MessagingError: An endpoint cannot be bound; the message says why and what to do.
    """

    def __init__(  # noqa: PLR0913 - all by name
        self,
        *,
        site_id: str,
        epoch: Epoch,
        body: StatusBody,
        bind: str = DEFAULT_ENDPOINT,
        request_bind: str | None = None,
        lease_s: float = DEFAULT_LEASE_S,
        guard: Guard | None = None,
        handlers: Mapping[bytes, Handler] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site_id, self._epoch, self._guard, self._clock = site_id, epoch, guard, clock
        self._heartbeat = Heartbeat(site_id, epoch, body, lease_s, clock())
        encode_status(self._probe(body))  # refuse now what could not be sent later
        self._changed = threading.Condition()
        self._desk = RequestDesk(self._heartbeat.nonces.put, handlers, may_all if guard is None else guard.may, clock)
        self._inbox: deque[Outgoing | _Decided] = deque()
        self._seq_last = self._subscribers = 0
        self._visible = visible(body)
        self._alert_is_last = self._closing = False
        self._failure: BaseException | None = None
        self._open(bind, request_bind)
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        # From here on only the thread touches the ZeroMQ sockets.
        self._thread = threading.Thread(target=self._run, name="railwatch-publisher", daemon=True)
        self._thread.start()

    @property
    def epoch(self) -> Epoch:
        """The epoch of all alerts."""
        return self._epoch

    @property
    def endpoint(self) -> str:
        """Where alerts and Status are published, with the real port."""
        return self._endpoint

    @property
    def request_endpoint(self) -> str:
        """Where nonces are taken, with the real port."""
        return self._request_endpoint

    @property
    def subscribers(self) -> int:
        """Subscriptions to alerts of this site that are held now; one a client, if it subscribes once."""
        return self._subscribers

    def publish(self, alert: Alert) -> None:
        """Send an alert to everybody who is subscribed; returns once it is on its way to the sending thread.

        Raises:
            ValueError: Site or epoch are not this publisher's, or seq is not the last one plus 1.
            WireError: The alert breaks the wire format.
            MessagingError: The publisher was closed or its thread failed.
        """
        if (alert.site_id, alert.epoch) != (self._site_id, self._epoch):
            raise ValueError(
                f"alerts must be of {self._site_id!r} {self._epoch}, but one is of {alert.site_id!r} {alert.epoch}"
            )
        section = alert.section_id if occupies(alert) else None
        outgoing = self._outgoing(alert, alert_topic(alert.site_id, alert.section_id), section)
        with self._changed:
            if alert.seq != self._seq_last + 1:
                raise ValueError(f"seq must be {self._seq_last + 1}, but is {alert.seq}")
            self._put(outgoing)
            self._accepted(outgoing)
            self._seq_last, self._alert_is_last = alert.seq, True
            self._wake()

    def set_status(self, body: StatusBody) -> None:
        """Give the state after all alerts published so far; it goes out at once if a section or camera changed.

        Raises:
            WireError: The state breaks the wire format (looked at when a section or camera changed).
            MessagingError: The publisher was closed or its thread failed.
        """
        decided = _Decided(body, self._clock())
        with self._changed:
            urgent = self._alert_is_last or visible(body) != self._visible
            if urgent:
                encode_status(self._probe(body))
            if self._inbox and isinstance(self._inbox[-1], _Decided):
                self._check_alive()
                self._inbox[-1] = decided
            else:
                self._put(decided)
            self._alert_is_last, self._visible = False, visible(body)
            if urgent:  # else it is early enough when the next Status is due
                self._wake()

    def reply(self, peer: Peer, verb: bytes, *payloads: bytes) -> None:
        """Answer a request, from any thread; whoever asked and is gone does not get it."""
        self._desk.reply(peer, verb, payloads)
        self._wake()

    def heard(self, within_s: float) -> frozenset[str | None]:
        """Names of the keys under which somebody has sent a nonce within so many seconds; None: without a key."""
        return self._desk.heard(within_s)

    def wait_subscribers(self, count: int, timeout_s: float) -> bool:
        """Wait until `count` subscribers are there; whether they are.

        A subscriber counts once its subscription arrived here: what is published from then on reaches it.

        Raises:
            MessagingError: The publisher was closed or its thread failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._subscribers >= count or self._ended, timeout_s)
            self._check_alive()
            return self._subscribers >= count

    def close(self) -> None:
        """Send what is waiting and a last Status with every section UNKNOWN, then end, within about 2 s; idempotent.

        Raises:
            MessagingError: The sending thread had failed, so that something was not sent.
        """
        with self._changed:
            self._closing = True
        self._wake()
        self._thread.join(timeout=5 * LINGER_MS / 1000)
        if self._thread.is_alive():
            raise MessagingError(f"the publisher did not end within {5 * LINGER_MS / 1000:g} s: it hangs")
        if self._failure is not None:
            raise MessagingError(f"the publisher failed: {self._failure}") from self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # An error that is already on its way out is the one to tell.
        with contextlib.suppress(MessagingError) if error is not None else contextlib.nullcontext():
            self.close()

    @property
    def _ended(self) -> bool:
        return self._closing or self._failure is not None

    def _probe(self, body: StatusBody) -> Status:
        """The body as it would go out, to refuse in the caller what the thread could not send."""
        return Status(
            site_id=self._site_id,
            epoch=self._epoch,
            seq_last=0,
            nonces=(),
            sections=body.sections,
            cameras=body.cameras,
            trains=body.trains,
            open_incidents=body.open_incidents,
            config_rev=body.config_rev,
        )

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise MessagingError(f"the publisher failed, nothing goes out any more: {self._failure}") from self._failure
        if self._closing:
            raise MessagingError("the publisher was closed, nothing goes out any more")

    def _outgoing(self, alert: Alert, topic: bytes, section: str | None) -> Outgoing:
        """The alert ready to send. Raises WireError."""
        return Prompt(alert.seq, topic, encode_alert(alert), section)

    def _accepted(self, item: Outgoing) -> None:
        """An alert has its place in the order; the lock is held."""

    def _sent(self, item: Outgoing, payload: bytes) -> None:  # noqa: ARG002 - for those who keep what went out
        """An alert went out."""
        self._heartbeat.alert_sent(item.seq, item.occupied_section)

    def _put(self, item: Outgoing | _Decided) -> None:
        """Hand over to the thread; the lock is held."""
        self._changed.wait_for(lambda: len(self._inbox) < INBOX_LIMIT or self._ended, INBOX_TIMEOUT_S)
        self._check_alive()
        if len(self._inbox) >= INBOX_LIMIT:
            raise MessagingError(f"the publisher has not taken anything for {INBOX_TIMEOUT_S:g} s: it hangs")
        self._inbox.append(item)

    def _wake(self) -> None:
        # A full pipe wakes as well as one more byte; a closed one has nobody to wake.
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_out.send(b"\0")

    def _open(self, endpoint: str, request_endpoint: str | None) -> None:
        endpoint = bind_endpoint("bind", endpoint, keys=self._guard is not None)
        if request_endpoint is not None:
            request_endpoint = bind_endpoint("request_bind", request_endpoint, keys=self._guard is not None)
        else:
            request_endpoint = next_port("bind", endpoint)
        self._context = zmq.Context() if self._guard is None else self._guard.context
        self._sockets: list[zmq.Socket[bytes]] = []
        try:
            self._alerts = self._socket(zmq.XPUB, Domain.ALERTS, _MAX_SUBSCRIPTION_BYTES)
            self._alerts.setsockopt(zmq.SNDHWM, SEND_LIMIT)
            self._alerts.setsockopt(zmq.XPUB_VERBOSER, 1)  # also the second subscriber to the same topic is seen
            self._requests = self._socket(zmq.ROUTER, Domain.REQUESTS, MAX_REQUEST_BYTES)
            self._requests.setsockopt(zmq.SNDHWM, ANSWER_LIMIT)
            self._endpoint = bind(self._alerts, "bind", endpoint)
            self._request_endpoint = bind(self._requests, "request_bind", request_endpoint)
        except BaseException:
            self._close_sockets(linger_ms=0)
            raise

    def _close_sockets(self, linger_ms: int) -> None:
        if self._guard is None:
            self._context.destroy(linger=linger_ms)
        for made in self._sockets:
            made.close(linger=linger_ms)

    def _socket(self, kind: int, domain: Domain, largest: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        self._sockets.append(made)
        made.setsockopt(zmq.LINGER, LINGER_MS)
        made.setsockopt(zmq.MAXMSGSIZE, largest)
        made.setsockopt(zmq.HANDSHAKE_IVL, 2000)
        made.setsockopt(zmq.TCP_KEEPALIVE, 1)
        made.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
        if self._guard is not None:
            self._guard.protect(made, domain)
        return made

    def _run(self) -> None:
        try:
            self._serve()
        except BaseException as error:  # noqa: BLE001 - whatever it is, publish() must raise it
            self._failure = error
        finally:
            with self._changed:
                self._changed.notify_all()
            self._close_sockets(LINGER_MS)
            self._wake_in.close()
            self._wake_out.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        for source in (self._alerts, self._requests, self._wake_in):
            poller.register(source, zmq.POLLIN)
        while True:
            closing, held_s = self._send_waiting()
            self._desk.send(self._requests)
            if closing:
                self._send_status(self._heartbeat.last())
                return
            if self._heartbeat.wait_s(self._clock()) == 0.0:
                self._send_status(self._heartbeat.take(self._clock()))
            wait_s = min(self._heartbeat.wait_s(self._clock()), held_s, _LONGEST_WAIT_S)
            ready = dict(poller.poll(ceil(wait_s * 1000)))
            if self._wake_in.fileno() in ready:
                self._wake_in.recv(4096)
            if self._requests in ready:
                self._desk.read(self._requests)
            if self._alerts in ready:
                self._read_subscriptions()

    def _send_waiting(self) -> tuple[bool, float]:
        """Send what need not wait, in order; whether all is done and the publisher closing, and how long to wait."""
        while True:
            with self._changed:
                if not self._inbox:
                    return self._closing, _LONGEST_WAIT_S
                item = self._inbox[0]
                now_s = self._clock()
                payload = None if isinstance(item, _Decided) else item.payload_at(now_s)
                if payload is None and not isinstance(item, _Decided):
                    return False, item.wait_s(now_s)
                self._inbox.popleft()
                self._changed.notify_all()
            if isinstance(item, _Decided):
                self._heartbeat.set_body(item.body, item.at_s)
            elif payload is not None:
                self._alerts.send_multipart([item.topic, payload])
                self._sent(item, payload)

    def _send_status(self, status: Status) -> None:
        self._alerts.send_multipart([status_topic(self._site_id), encode_status(status)])

    def _read_subscriptions(self) -> None:
        ours = subscriptions(self._site_id)[0]
        change = 0
        for _ in range(READS_A_TURN):
            frames = receive(self._alerts, most=1)
            if frames is None:
                break
            kind, topic = frames[0][:1], frames[0][1:]
            if ours.startswith(topic) or topic.startswith(ours):
                change += {b"\x01": 1, b"\x00": -1}.get(kind, 0)
        with self._changed:
            self._subscribers = max(0, self._subscribers + change)
            self._changed.notify_all()
