"""A worker process as the hub sees it: started, handed its keys, listened to, ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Final

from railwatch.core.errors import InstallError
from railwatch.seam.handover import Handover, encode_handover

WORKER_COMMAND: Final = (sys.executable, "-m", "railwatch.app.worker")
MAX_LINE: Final = 500
END_WITHIN_S: Final = 5.0
LINES_A_SECOND: Final = 20
"""Lines of a worker that are passed on in a second; what is more is counted."""


class WorkerProcess:
    """A started worker. `say` gets its lines of stderr, from another thread; `wake` is called when it ends.

    Start it from the thread that lives as long as the hub: where the system can, the worker dies with that thread.
    Raises InstallError when it cannot be started at all.
    """

    def __init__(
        self,
        handover: Handover,
        say: Callable[[str], None],
        wake: Callable[[], None],
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._name, self._say, self._wake = handover.worker_group, say, wake
        self._last_words = ""
        try:
            # A group of its own: Ctrl-C in a terminal is for the hub, which ends its workers in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                list(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0
            )
        except OSError as error:
            raise InstallError(f"a worker must be startable as {' '.join(command)}, but is not: {error}") from error
        with contextlib.suppress(OSError):  # one that is dead already is noticed by its exit code
            self._stdin().write(encode_handover(handover))
            self._stdin().flush()
        self._listener = threading.Thread(target=self._listen, name=f"hear-{self._name}", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ended(self) -> str | None:
        """How it ended, with its last words; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        self._listener.join(0.5)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"worker {self._name} {how}{': ' + self._last_words if self._last_words else ''}"

    def kill(self) -> None:
        """End it at once, also when it hangs or is stopped."""
        with contextlib.suppress(OSError):
            self._process.kill()
        self.release()

    def release(self) -> None:
        """Close its standard input, which tells it that the hub has no more use for it."""
        with contextlib.suppress(OSError):
            self._stdin().close()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end, and kill it when it does not end in time."""
        self.release()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()
        self._process.wait()
        self._listener.join(1.0)

    def _stdin(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise AssertionError("a worker is started with a pipe")
        return self._process.stdin

    def _listen(self) -> None:
        stream = self._process.stderr
        if stream is None:
            raise AssertionError("a worker is started with a pipe")
        second, told = 0, 0
        with stream:
            while line := stream.readline(MAX_LINE):
                text = line.decode(errors="replace").strip()
                if not text:
                    continue
                self._last_words = text.removeprefix("railwatch: ")
                now = int(time.monotonic())
                second, told = (now, 1) if now != second else (second, told + 1)
                if told <= LINES_A_SECOND:
                    self._say(f"worker {self._name}: {text}")
        self._wake()


class Endings:
    """Workers that were told to end: killed when they do not, and waited for, so that no dead process stays behind."""

    def __init__(self) -> None:
        self._ending: list[tuple[WorkerProcess, float]] = []

    def add(self, process: WorkerProcess, now_s: float) -> None:
        """It was told to end at `now_s` (seconds)."""
        self._ending.append((process, now_s + END_WITHIN_S))

    def tend(self, now_s: float) -> None:
        """Forget those that have ended, kill those that are late."""
        for process, deadline_s in list(self._ending):
            if process.ended() is not None:
                self._ending.remove((process, deadline_s))
            elif now_s >= deadline_s:
                process.kill()

    def close(self) -> None:
        """End all that are left, at once."""
        for process, _ in self._ending:
            process.kill()
            process.wait(1.0)
        self._ending.clear()
