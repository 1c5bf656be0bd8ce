"""The second look's process as its worker sees it: started, asked, and ended when it does not answer in time.

Over its standard input go one line of JSON, what it has to do, and then batches: a line of JSON with the number and the
side of the pictures, and their bytes. Over its standard output come lines of JSON: first who it is, or why it cannot
do it, then the answers to each batch. Nothing of it is believed that is not exactly right.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, Self

from railwatch.core.errors import RailwatchError
from railwatch.core.second_look import SecondLookSettings, is_taxon
from railwatch.core.types import UInt8Array

PROCESS_COMMAND: Final = (sys.executable, "-m", "railwatch.app.second_look_process")
READY_WITHIN_S: Final = 60.0
"""The process must have its model ready so soon."""

ANSWER_S: Final = 3.0
ANSWER_A_PICTURE_S: Final = 1.0
"""A batch must be answered within the first, and the second for each picture in it."""

MAX_LINE_BYTES: Final = 8 * 1024 * 1024
"""Longest line: the first one names all classes."""


_GROUP: Final = 0 if os.name == "posix" else -1
"""A group of its own: Ctrl-C is for who started it."""


class OutError(RailwatchError):
    """The second look is out, and why: it changes no alarm."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who the process is: its classes, the side in pixels of the pictures that it wants, below what it abstains."""

    classes: tuple[str, ...]
    side: int
    abstain_below: float


def order_line(settings: SecondLookSettings) -> bytes:
    """What the process has to do."""
    order = {"file": settings.file, "sha256": settings.sha256, "provider": settings.provider.value}
    return json.dumps(order).encode() + b"\n"


class Pipe:
    """A process of the second look; use as a context manager, from the thread that lives as long as it.

    Raises OutError when it cannot be started, does not get ready, dies, hangs or answers nonsense.
    """

    def __init__(
        self,
        settings: SecondLookSettings,
        command: Sequence[str] = PROCESS_COMMAND,
        answer_s: float = ANSWER_S,
        ready_s: float = READY_WITHIN_S,
    ) -> None:
        self._answer_s = answer_s
        self._late = False
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=_GROUP
            )
        except OSError as error:
            raise OutError(f"it cannot be started: {error}") from error
        self._order, self._ready_s = order_line(settings), ready_s

    def introduce(self) -> Introduction:
        """Tell it what it has to do; who it is. To be called once, before anything is asked."""
        self._introduction = _introduction(self._exchange([self._order], self._ready_s))
        return self._introduction

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, pictures: Sequence[UInt8Array]) -> list[tuple[str, float]]:
        """The class and its probability of each picture, (side, side, 3) uint8; of none at all: a sign of life."""
        head = json.dumps({"count": len(pictures), "side": self._introduction.side}).encode() + b"\n"
        within_s = self._answer_s + ANSWER_A_PICTURE_S * len(pictures)
        said = self._exchange([head, *(picture.tobytes() for picture in pictures)], within_s)
        return _answers(said, len(pictures), self._introduction.classes)

    def kill(self) -> None:
        """End the process at once, from any thread: whoever waits for an answer is told that it is out."""
        self._process.kill()

    def close(self) -> None:
        """End the process, and wait for its end."""
        self.kill()
        with contextlib.suppress(OSError):
            _stream(self._process.stdin).close()
        self._process.wait()
        _stream(self._process.stdout).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, parts: Sequence[bytes], within_s: float) -> Any:  # noqa: ANN401 - JSON
        """Send, and wait for a line; a process that is late is killed, which ends the waiting."""
        timer = threading.Timer(within_s, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            source = _stream(self._process.stdin)
            for part in parts:
                source.write(part)
            source.flush()
            line = _stream(self._process.stdout).readline(MAX_LINE_BYTES)
        except OSError:
            line = b""
        finally:
            timer.cancel()
        if self._late:
            raise OutError(f"it gave no answer within {within_s:g} s")
        if not line.endswith(b"\n"):
            raise OutError(self._how_it_ended())
        try:
            return json.loads(line)
        except (ValueError, RecursionError):
            raise OutError("it must answer in JSON, but does not") from None

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "its answer was cut off"
        return f"it was killed by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("the process is started with pipes")
    return stream


def _introduction(said: Any) -> Introduction:  # noqa: ANN401 - JSON
    match said:
        case {"error": str(reason)}:
            raise OutError(reason[:400])
        case {"classes": [*classes], "side": int(side), "abstain_below": float(below)} if all(map(is_taxon, classes)):
            return Introduction(tuple(classes), side, below)
    raise OutError("it must tell who it is, but told something else")


def _answers(said: Any, count: int, classes: Sequence[str]) -> list[tuple[str, float]]:  # noqa: ANN401 - JSON
    match said:
        case {"error": str(reason)}:
            raise OutError(reason[:400])
        case {"answers": [*answers]} if len(answers) == count:
            return [_answer(item, classes) for item in answers]
    raise OutError(f"it must answer for {count} pictures, but answered something else")


def _answer(item: Any, classes: Sequence[str]) -> tuple[str, float]:  # noqa: ANN401 - JSON
    match item:
        case [int(index), float(confidence)] if 0 <= index < len(classes) and 0.0 <= confidence <= 1.0:
            return classes[index], confidence
    raise OutError("it must answer with a class and a probability, but answered something else")
