"""The two sockets of a client, made anew when nothing is heard through them.

libzmq connects again by itself when a connection ends, but not after bytes that break the protocol or its encryption:
then the socket stays deaf for ever. A reader must not depend on nobody ever flipping a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import zmq

from railwatch.messaging.keys import ClientKeys
from railwatch.messaging.wire import MAX_MESSAGE_BYTES

RECEIVE_LIMIT: Final = 10_000
"""Messages kept while the user of the client is busy; beyond it they are lost, and told as a gap."""

_SEND_LIMIT: Final = 4

DEAF_S: Final = 4.0
"""A hub is heard every second; a socket through which nothing came for so long is made anew."""


class Link:
    """SUB for alerts and Status, DEALER for requests. Use it from one thread.

    Args:
        alerts: Endpoint of alerts and Status.
        requests: Endpoint of requests.
        prefixes: Topics to subscribe to.
        keys: Of this client, if the hub asks for keys.
        now_s: The monotonic clock now.
    """

    def __init__(
        self, alerts: str, requests: str, prefixes: Sequence[bytes], keys: ClientKeys | None, now_s: float
    ) -> None:
        self._ends, self._prefixes, self._keys = (alerts, requests), prefixes, keys
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._heard_s = self._echoed_s = now_s
        self.alerts, self.requests = self._make_alerts(), self._make_requests()

    def heard(self, now_s: float) -> None:
        """Something came from the hub."""
        self._heard_s = now_s

    def echoed(self, now_s: float) -> None:
        """The hub has heard us."""
        self._echoed_s = now_s

    def wait(self, timeout_ms: int) -> None:
        """Wait until something is there to be read."""
        poller = zmq.Poller()
        poller.register(self.alerts, zmq.POLLIN)
        poller.register(self.requests, zmq.POLLIN)
        poller.poll(timeout_ms)

    def renew_if_deaf(self, now_s: float) -> None:
        """Make anew what has been silent for too long. Call it only when nothing is there to be read."""
        if now_s - self._heard_s > DEAF_S:
            self.alerts.close(linger=0)
            self.alerts, self._heard_s = self._make_alerts(), now_s
        if now_s - self._echoed_s > DEAF_S:
            self.requests.close(linger=0)
            self.requests, self._echoed_s = self._make_requests(), now_s

    def close(self) -> None:
        """Close both; idempotent."""
        self._context.destroy(linger=0)

    def _make_alerts(self) -> zmq.Socket[bytes]:
        made = self._socket(zmq.SUB)
        for prefix in self._prefixes:
            made.subscribe(prefix)
        made.connect(self._ends[0])
        return made

    def _make_requests(self) -> zmq.Socket[bytes]:
        made = self._socket(zmq.DEALER)
        made.connect(self._ends[1])
        return made

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        made.setsockopt(zmq.RCVHWM, RECEIVE_LIMIT)
        made.setsockopt(zmq.SNDHWM, _SEND_LIMIT)
        # Not IMMEDIATE: libzmq 4.3.5 then aborts the process (fq.cpp, "!_more") if the hub dies between two frames of
        # an answer. So a few old nonces wait for a hub that is to come.
        made.setsockopt(zmq.RECONNECT_IVL, 100)
        made.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        # What died without a word (cable, sleep) is given up after 6 s and made anew.
        made.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        made.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
        if self._keys is not None:
            self._keys.apply(made)
        return made
