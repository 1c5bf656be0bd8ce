"""`railwatch relay`: an output that is energised only while sections are CLEAR on a fresh echo of our own nonce.

Two processes watch each other. This one follows the hub and writes at every beat until when the output may be energised
(`railwatch.app.relay_keeper` holds it); it kills a keeper that says nothing, for that one may be frozen with the output
energised. Whatever ends, hangs or freezes, the time runs out, and the output falls.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Final, Self

from railwatch.app.relay_options import Target, target_to_text
from railwatch.core.alerts import SectionState
from railwatch.core.clock import elapsed_s
from railwatch.core.errors import ConfigError, InstallError, RelayError
from railwatch.messaging.client import Client
from railwatch.relay.keeper import BEAT_S, MAX_HOLD_S

SILENT_S: Final = 1.0
"""A keeper that has said nothing for so long is killed; it may be frozen with the output energised."""

OPENING_S: Final = 10.0
RESTART_S: Final = 1.0
_END_S: Final = 2.0
_NEVER_S: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class RelayState:
    """What the output does, and why: for people, told when it changes."""

    energised: bool
    reason: str


class Settling:
    """Lets a state count only when it has held for `settle_s`, so that an output does not chatter.

    >>> settling = Settling(1.0)
    >>> settling.until_s(5.0, now_s=0.0), settling.until_s(5.0, now_s=1.0)
    (-inf, 5.0)
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since_s: float | None = None

    def begin_anew(self) -> None:
        """What held until now does not count."""
        self._since_s = None

    def until_s(self, clear_until_s: float, now_s: float) -> float:
        """`clear_until_s` once it has been in the future for the time of settling, else minus infinity."""
        if clear_until_s <= now_s:
            self._since_s = None
            return _NEVER_S
        if self._since_s is None:
            self._since_s = now_s
        return clear_until_s if now_s - self._since_s >= self._settle_s else _NEVER_S


class KeeperProcess:
    """The keeper of one output, started again whenever it ends or falls silent.

    Raises:
        RelayError: The output cannot be had at all.
        InstallError: A library for it is missing.
    """

    def __init__(self, target: Target, clock: Callable[[], float] = elapsed_s) -> None:
        self._target, self._clock = target, clock
        self.report = "0"
        self._rest = b""
        self._process = self._start()
        self._await_opening()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def beat(self, until_s: float) -> None:
        """Say until when the output may be energised, on the clock; look at what the keeper reports."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(_pipe(self._process.stdin).fileno(), f"{until_s:.3f}\n".encode())
        now_s = self._clock()
        self._read(now_s)
        ended = self._process.poll()
        if ended is None and now_s - self._heard_s <= SILENT_S:
            return
        if ended is None:
            self._end(f"! the keeper of the output said nothing for {SILENT_S:g} s and was ended")
        elif not self.report.startswith("?"):
            self.report = f"! the keeper of the output ended with code {ended}"
        if now_s - self._started_s >= RESTART_S:
            self._close_pipes()
            self._process = self._start()

    @property
    def faulty(self) -> bool:
        """Whether the keeper or its output is out of order now."""
        return self.report.startswith(("!", "?"))

    def close(self) -> None:
        """End the keeper: it de-energises first. One that does not end is killed."""
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._end("! the keeper of the output had to be killed")
        _pipe(self._process.stdout).close()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "railwatch.app.relay_keeper", target_to_text(self._target)]
        process = subprocess.Popen(  # noqa: S603 - this very program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        os.set_blocking(_pipe(process.stdin).fileno(), False)
        os.set_blocking(_pipe(process.stdout).fileno(), False)
        self._started_s = self._clock()
        self._heard_s = self._started_s + OPENING_S
        return process

    def _await_opening(self) -> None:
        """Wait for the first report. A device that is wrong from the start is told at once, not tried for ever."""
        process = self._process
        os.set_blocking(_pipe(process.stdout).fileno(), True)
        first = _pipe(process.stdout).readline().decode(errors="replace").strip()
        os.set_blocking(_pipe(process.stdout).fileno(), False)
        if first.startswith("?") or not first:
            process.wait()
            self._close_pipes()
            _, code, reason = f"{first}  ".split(" ", 2)
            wrong = InstallError if code == str(InstallError.exit_code) else RelayError
            raise wrong(reason.strip() or "the keeper of the output ended before it had opened it")
        self._heard_s, self.report = self._clock(), first

    def _read(self, now_s: float) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(_pipe(self._process.stdout).fileno(), 65536)
            *lines, self._rest = (self._rest + data).split(b"\n")
            if lines:
                self._heard_s, self.report = now_s, lines[-1].decode(errors="replace")

    def _end(self, report: str) -> None:
        self._process.kill()
        self._process.wait()
        self.report = report

    def _close_pipes(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            _pipe(pipe).close()
        self._rest = b""


def follow(
    client: Client,
    sections: tuple[str, ...],
    keeper: KeeperProcess,
    settle_s: float,
    on_change: Callable[[RelayState], None],
) -> None:
    """Hold the output while every one of `sections` is CLEAR for `client`, until the client is stopped.

    `on_change` is told what the output does, whenever that changes. Raises MessagingError when the client fails: the
    output falls with this process.
    """
    if not sections:
        raise ConfigError("--section must name at least one section, but none is given: nothing would ever be clear")
    settling, told = Settling(settle_s), None
    next_s = held_s = _NEVER_S
    while not client.stopped:
        client.poll(max(0.0, min(BEAT_S, next_s - elapsed_s())))
        now_s = elapsed_s()
        if keeper.faulty:  # an output that failed is trusted again after a time of settling
            settling.begin_anew()
        until_s = settling.until_s(min(client.clear_until_s(name) for name in sections), now_s)
        if now_s >= next_s or until_s < held_s:  # bad news waits for no beat
            held_s = min(until_s, now_s + MAX_HOLD_S)
            keeper.beat(held_s)
            next_s = now_s + BEAT_S
        state = _state(client, sections, keeper)
        if state != told:
            told = state
            on_change(state)


def _state(client: Client, sections: tuple[str, ...], keeper: KeeperProcess) -> RelayState:
    if keeper.faulty:
        return RelayState(energised=False, reason=keeper.report.lstrip("!? 0123456789"))
    states = {name: client.state(name) for name in sections}
    if keeper.report == "1":
        return RelayState(energised=True, reason="clear")
    dark = [f"{name} {state.value}" for name, state in states.items() if state is not SectionState.CLEAR]
    return RelayState(energised=False, reason=", ".join(dark) or "clear, settling")


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("the keeper was started with pipes")
    return pipe
