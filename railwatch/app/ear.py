"""The hub's own subscriber: it hears the alerts of self-tests where everybody hears alerts, at the published socket.

It has a key like any subscriber where the site has keys, and a context of its own: nothing of the publisher is shared.
It sends nothing, so that it does not count among those who listen.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final, Self

import zmq

from railwatch.core.alerts import Action, Alert, AlertKind
from railwatch.core.errors import WireError
from railwatch.messaging.endpoints import reachable
from railwatch.messaging.frames import receive
from railwatch.messaging.keys import ClientKeys
from railwatch.messaging.wire import MAX_MESSAGE_BYTES, decode_alert, subscriptions

WAIT_MS: Final = 200
KEY_NAME: Final = "hub-ear"
"""Name of its key, made anew at every start."""


class Ear:
    """Hears the alerts of one hub until it is closed. `on_test` is called on its thread with every TEST alert OPENED.

    Example::

        with Ear("tcp://127.0.0.1:5556", "yard", keys=None, on_test=lambda alert: inbox.post(...)): ...
    """

    def __init__(
        self, endpoint: str, site_id: str, keys: ClientKeys | None, on_test: Callable[[Alert], object]
    ) -> None:
        self._endpoint, self._topic = reachable(endpoint), subscriptions(site_id)[0]
        self._keys, self._on_test = keys, on_test
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="railwatch-ear", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Hear no more; idempotent."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        with zmq.Context() as context, context.socket(zmq.SUB) as hearing:
            hearing.setsockopt(zmq.LINGER, 0)
            hearing.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
            hearing.setsockopt(zmq.SUBSCRIBE, self._topic)
            if self._keys is not None:
                self._keys.apply(hearing)
            hearing.connect(self._endpoint)
            while not self._stop.is_set():
                if hearing.poll(WAIT_MS):
                    self._take(receive(hearing, most=2))

    def _take(self, frames: list[bytes] | None) -> None:
        if frames is None or len(frames) != 2 or b'"TEST"' not in frames[1]:
            return
        with contextlib.suppress(WireError):
            alert = decode_alert(frames[1])
            if alert.kind is AlertKind.TEST and alert.action is Action.OPENED:
                self._on_test(alert)
