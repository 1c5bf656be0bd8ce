"""Ctrl-C as something that is noted, and looked at where it is safe to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noted_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; a second one interrupts wherever the program is, as it does without this.

    The exception of an interrupt comes between any two instructions, also just after a lock was taken: then the lock
    stays taken, and a program with threads hangs at its end. Outside the main thread, or where Ctrl-C is somebody
    else's already, nothing is noted.

    >>> with noted_interrupt() as interrupted:
    ...     interrupted.is_set()
    False
    """
    noted = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield noted
        return

    def note(number: int, frame: FrameType | None) -> None:
        if noted.is_set():
            signal.default_int_handler(number, frame)
        noted.set()

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
