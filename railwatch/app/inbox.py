"""What other threads have for the deciding thread, in the order in which it came; and how they wake it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

LIMIT: Final = 4096


class Inbox:
    """A bounded queue with a socket that becomes readable when something was put in: a loop can wait for both.

    >>> inbox = Inbox()
    >>> inbox.post(lambda: None)
    True
    >>> len(inbox.take())
    1
    >>> inbox.close()
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._wake_out, self.socket = socket.socketpair()
        self._wake_out.setblocking(False)
        self.socket.setblocking(False)

    def post(self, action: Callable[[], None]) -> bool:
        """Have the deciding thread call `action`; False when LIMIT of them are waiting already. From any thread."""
        with self._lock:
            if len(self._waiting) >= LIMIT:
                return False
            self._waiting.append(action)
        self.wake()
        return True

    def wake(self) -> None:
        """Make the deciding thread turn; from any thread or signal handler."""
        try:
            self._wake_out.send(b"\0")
        except OSError:
            return  # a full pipe wakes as well; a closed one has nobody to wake

    def take(self) -> list[Callable[[], None]]:
        """All that waits, in order."""
        with contextlib.suppress(OSError):
            self.socket.recv(4096)
        with self._lock:
            waiting = list(self._waiting)
            self._waiting.clear()
        return waiting

    def close(self) -> None:
        """Close the sockets; idempotent."""
        self._wake_out.close()
        self.socket.close()
