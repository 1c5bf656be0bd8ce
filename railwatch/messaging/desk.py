"""The request socket of a hub: who asks what, and what goes back to whom."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import zmq

from railwatch.core.errors import WireError
from railwatch.messaging.frames import receive_signed
from railwatch.messaging.plain import shown
from railwatch.messaging.requests import REFUSED_VERB, Handler, Peer, Refused, encode_body, request_of
from railwatch.messaging.wire import NONCE_VERB

READS_A_TURN: Final = 64
"""Requests taken before alerts are looked at again, however many clients ask."""

MAX_ANSWERS: Final = 4096
"""Answers that may wait to be sent; beyond it the newest are dropped, and whoever asked asks again."""

_MAX_CONSUMERS: Final = 1024


class RequestDesk:
    """Reads requests and sends answers; only `reply` may be called from other threads than the one with the sockets.

    Args:
        on_nonce: Takes identity and nonce.
        handlers: What to do with each other verb; one that is not here is refused.
        may: Whether the holder of a key may make a request of this verb.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        on_nonce: Callable[[bytes, str], None],
        handlers: Mapping[bytes, Handler],
        may: Callable[[str | None, bytes], bool],
        clock: Callable[[], float],
    ) -> None:
        self._on_nonce, self._handlers, self._may, self._clock = on_nonce, dict(handlers), may, clock
        self._answers: deque[list[bytes]] = deque()
        self._heard_s: OrderedDict[str | None, float] = OrderedDict()

    def read(self, source: zmq.Socket[bytes]) -> None:
        """Take requests, some at a time: alerts go first however many clients ask."""
        for _ in range(READS_A_TURN):
            received = receive_signed(source, most=3)
            if received is None:
                return
            frames, user_id = received
            if len(frames) == 3:
                self._take(Peer(frames[0], user_id), frames[1], frames[2])

    def reply(self, peer: Peer, verb: bytes, payloads: Sequence[bytes]) -> None:
        """Leave an answer; whoever asked and is gone, or reads nothing, does not get it."""
        if len(self._answers) < MAX_ANSWERS:
            self._answers.append([peer.identity, verb, *payloads])

    def send(self, sink: zmq.Socket[bytes]) -> None:
        """Send the answers that are waiting."""
        while self._answers:
            # A ROUTER drops what its peer has no room for: nobody who does not read stops the others.
            sink.send_multipart(self._answers.popleft())

    def heard(self, within_s: float) -> frozenset[str | None]:
        """Names of keys from which a nonce has come within so many seconds (None: from somebody without one)."""
        since_s = self._clock() - within_s
        return frozenset(name for name, at_s in list(self._heard_s.items()) if at_s >= since_s)

    def _take(self, peer: Peer, verb: bytes, payload: bytes) -> None:
        may = self._may(peer.user_id, verb)
        if verb == NONCE_VERB and may:
            self._on_nonce(peer.identity, payload.decode("ascii", errors="replace"))
            self._heard_s[peer.user_id] = self._clock()
            if len(self._heard_s) > _MAX_CONSUMERS:
                self._heard_s.popitem(last=False)
            return
        try:
            handler = self._handlers.get(verb, _unknown(verb)) if may else _not_allowed(peer, verb)
            handler(peer, payload)
        except WireError as error:
            self._refuse(peer, payload, str(error))
        except Exception as error:  # noqa: BLE001 - a mistake in a handler must not keep alerts from going out
            self._refuse(peer, payload, f"the hub failed over it ({error!r})")

    def _refuse(self, peer: Peer, payload: bytes, reason: str) -> None:
        self.reply(peer, REFUSED_VERB, [encode_body(Refused(request_of(payload), reason))])


def may_all(_user_id: str | None, _verb: bytes) -> bool:
    """Without keys everybody on this machine may do everything."""
    return True


def _not_allowed(peer: Peer, verb: bytes) -> Handler:
    def refuse(*_: object) -> None:
        raise WireError(f"a key for {shown(verb)} must have another role than {shown(peer.user_id)} has")

    return refuse


def _unknown(verb: bytes) -> Handler:
    def refuse(*_: object) -> None:
        raise WireError(f"this hub answers no {shown(verb)}")

    return refuse
