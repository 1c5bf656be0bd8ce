"""Recording the inputs of a running hub: a disk that is full or hangs ends the recording, never the alarm."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

from railwatch.app.record import Recorder, RecordHeader
from railwatch.core.errors import RecordError
from railwatch.decision.inputs import Stamped

LIMIT: Final = 20_000
"""Inputs that may wait for the disk: a minute of 16 cameras."""

FAULT: Final = "record"
_END_WITHIN_S: Final = 5.0


class ThreadedRecorder:
    """A `Recorder` in a thread of its own; use as a context manager.

    Inputs are written in the order of `write`, without a hole; the first that cannot be written is the last, and
    `on_trouble("record", reason)` is called, maybe on another thread. Raises RecordError when the file cannot be made.
    """

    def __init__(self, path: Path, header: RecordHeader, on_trouble: Callable[[str, str | None], None]) -> None:
        self._recorder = Recorder(path, header)
        self._on_trouble = on_trouble
        self._waiting: queue.Queue[Stamped | None] = queue.Queue(LIMIT)
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="record-inputs", daemon=True)
        self._thread.start()

    def write(self, stamped: Stamped) -> None:
        """Append one input; never waits."""
        if self._failed:
            return
        try:
            self._waiting.put_nowait(stamped)
        except queue.Full:
            self._fail(f"the disk has not taken {LIMIT} inputs: the recording ends before them")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._failed:
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=_END_WITHIN_S)
            self._thread.join(_END_WITHIN_S)
        if not self._thread.is_alive():
            self._recorder.__exit__()

    def _run(self) -> None:
        try:
            while (stamped := self._waiting.get()) is not None and not self._failed:
                self._recorder.write(stamped)
        except RecordError as error:
            self._fail(str(error))

    def _fail(self, reason: str) -> None:
        if not self._failed:
            self._failed = True
            self._on_trouble(FAULT, reason)
