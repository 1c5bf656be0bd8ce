"""An output that is a program of the user's: it reads a line a beat, and its silence towards the relay is the alarm."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import IO, Final

from railwatch.core.errors import RelayError

CLEAR_LINE: Final = b"CLEAR\n"
ALARM_LINE: Final = b"ALARM\n"
UNREAD_S: Final = 1.0
"""A program that leaves a line unread for so long does not follow: it is ended, and started anew."""

RESTART_S: Final = 1.0
MAX_RESTART_S: Final = 30.0
_END_S: Final = 0.5


class CommandOutput:
    """Starts `argv` (no shell) and writes CLEAR or ALARM to its standard input at every beat.

    The program must hold its relay only while CLEAR keeps coming: on ALARM, on silence of a second, and at the end of
    its input it must let the relay fall. One that ends is started again, after 1 s, 2 s, 4 s ... 30 s.

    Raises:
        RelayError: The program cannot be started at all.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)
        self._pause_s, self._next_s = RESTART_S, 0.0
        self._read_s = 0.0
        self._process = self._start()

    def set(self, energised: bool) -> None:
        """Write one line. Raises RelayError when the program has ended or does not read."""
        now_s = time.monotonic()
        if self._process.poll() is not None:
            self._again(now_s)
        pipe = self._input()
        if _unread(pipe) == 0:
            self._read_s = now_s
        elif now_s - self._read_s > UNREAD_S:
            self.drop()
            raise RelayError(
                f"the relay command must read its input, but left it unread for {UNREAD_S:g} s: {self._name}"
            )
        try:
            os.write(pipe.fileno(), CLEAR_LINE if energised else ALARM_LINE)
        except OSError as error:
            self.drop()
            raise RelayError(f"the relay command cannot be written to ({error.strerror}): {self._name}") from error

    def drop(self) -> None:
        """Kill the program: at the end of its input its relay falls."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """Say ALARM, end its input, and end it if it does not do so itself."""
        pipe = self._input()
        with contextlib.suppress(OSError):
            os.write(pipe.fileno(), ALARM_LINE)
        with contextlib.suppress(OSError):
            pipe.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _name(self) -> str:
        return self._argv[0]

    def _input(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise AssertionError("the program was started with a pipe")
        return self._process.stdin

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own program, without a shell
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0
            )
        except OSError as error:
            raise RelayError(
                f"the relay command must be a program that starts, but {self._name}: {error.strerror}"
            ) from error
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        self._started_s = self._read_s = time.monotonic()
        return process

    def _again(self, now_s: float) -> None:
        """Start the program again, once its pause is over. Raises RelayError until then."""
        code = self._process.returncode
        if self._next_s == 0.0:
            self._input().close()
            self._next_s = now_s + self._pause_s
        if now_s < self._next_s:
            raise RelayError(f"the relay command ended with code {code} and is started again: {self._name}")
        ran_long = now_s - self._started_s > 2.0 * MAX_RESTART_S
        self._pause_s = RESTART_S if ran_long else min(2.0 * self._pause_s, MAX_RESTART_S)
        self._next_s = 0.0
        self._process = self._start()


def _unread(pipe: IO[bytes]) -> int:
    """Bytes that were written to a pipe and not yet read."""
    count = fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"\0\0\0\0")
    return int.from_bytes(count, "little")
