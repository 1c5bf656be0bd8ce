"""Holds an output for as long as it is told to, and not a moment longer.

The keeper is a process of its own. The process that follows the hub writes, at every beat, until when the output may
be energised; when it dies, hangs or is frozen, nothing new comes and the time runs out. When the keeper itself hangs, a
thread of it drops the output and ends the process; when the keeper is frozen, its parent kills it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable
from math import isfinite
from typing import Final

from railwatch.core.errors import RelayError
from railwatch.relay.output import Output

BEAT_S: Final = 0.1
"""The output is set anew so often."""

MAX_HOLD_S: Final = 1.0
"""The longest that one word of the parent may hold the output, whatever it says."""

STALL_S: Final = 2.0
"""A beat that takes longer hangs."""

STALLED: Final = 70
"""Exit code of a keeper whose output hung."""

_CHECKS: Final = 4
_MOST_BYTES: Final = 65536


class Keeper:
    """What the output must be now. `clock` is in seconds and the same for parent and keeper: it outlives a freeze."""

    def __init__(self, output: Output, clock: Callable[[], float]) -> None:
        self._output, self._clock = output, clock
        self._until_s = float("-inf")
        self._rest = b""

    def hear(self, data: bytes) -> None:
        """Take in what the parent wrote: lines, each a time until which the output may be energised. The last counts.

        A line that is no number says nothing that could be trusted: the output falls.
        """
        *lines, self._rest = (self._rest + data)[-_MOST_BYTES:].split(b"\n")
        if lines:
            try:
                until_s = float(lines[-1])
            except ValueError:
                until_s = float("-inf")
            longest_s = self._clock() + MAX_HOLD_S
            self._until_s = min(until_s, longest_s) if isfinite(until_s) else float("-inf")

    def wait_s(self) -> float:
        """Seconds until the next beat: early when the time to hold runs out before it."""
        left_s = self._until_s - self._clock()
        return min(BEAT_S, left_s) if left_s > 0.0 else BEAT_S

    def beat(self) -> str:
        """Set the output to what it must be now; gives the line that reports it."""
        wanted = self._clock() < self._until_s
        try:
            self._output.set(wanted)
        except RelayError as error:
            return f"! {' '.join(str(error).split())}"
        return "1" if wanted else "0"


class StallWatch:
    """Calls `on_stall` from a thread of its own when `alive` has not been called for about `limit_s`.

    It counts its own looks instead of time: after the whole process was frozen it does not take that for a stall.
    """

    def __init__(self, limit_s: float, on_stall: Callable[[], None]) -> None:
        self._interval_s, self._on_stall = limit_s / _CHECKS, on_stall
        self._beats = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="railwatch-relay-watch", daemon=True)
        self._thread.start()

    def alive(self) -> None:
        """Say that the loop still turns."""
        self._beats += 1

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        seen, silent = self._beats, 0
        while not self._ended.wait(self._interval_s):
            silent = silent + 1 if self._beats == seen else 0
            seen = self._beats
            if silent >= _CHECKS:
                self._on_stall()
                return


def serve(
    output: Output, commands: int, reports: int, clock: Callable[[], float], on_stall: Callable[[], None]
) -> None:
    """Keep `output` until the file descriptor `commands` ends; a line a beat goes to `reports`, which may be full."""
    keeper, watch = Keeper(output, clock), StallWatch(STALL_S, on_stall)
    os.set_blocking(commands, False)
    os.set_blocking(reports, False)
    poller = select.poll()
    poller.register(commands, select.POLLIN | select.POLLHUP)
    try:
        while True:
            if poller.poll(keeper.wait_s() * 1000.0):
                data = os.read(commands, _MOST_BYTES)
                if not data:
                    return
                keeper.hear(data)
            line = keeper.beat()
            watch.alive()
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                os.write(reports, f"{line}\n".encode())
    finally:
        output.close()
        watch.stop()
