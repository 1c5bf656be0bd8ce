"""The process of the second look: `python -m railwatch.app.second_look_process`. It classifies what a worker sends.

It runs below everything else (nice), with one thread, so that it takes no time from who detects. Whatever happens to it
changes no alarm: it may be killed at any time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

from railwatch.app.parent import die_with_parent
from railwatch.app.second_look_pipe import MAX_LINE_BYTES
from railwatch.core.errors import RailwatchError
from railwatch.core.provider import Provider
from railwatch.perception.second_look import MOST_SIDE, Classifier, open_classifier

NICENESS: Final = 10


def main() -> int:
    """Serve until standard input ends; returns the exit code."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)  # what a library prints must not be taken for an answer
        try:
            _serve(sys.stdin.buffer, sink)
        except RailwatchError as error:
            _say(sink, {"error": " ".join(str(error).split())})
            return error.exit_code
        except BrokenPipeError:
            return 0
    return 0


def _serve(source: IO[bytes], sink: IO[bytes]) -> None:
    order = json.loads(source.readline(MAX_LINE_BYTES))
    classifier = open_classifier(Path(order["file"]), Provider(order["provider"]), order["sha256"])
    facts = classifier.facts
    side = min(facts.side, MOST_SIDE)
    _say(sink, {"classes": facts.classes, "side": side, "abstain_below": facts.abstain_below})
    while head := source.readline(MAX_LINE_BYTES):
        count = int(json.loads(head)["count"])
        _say(sink, {"answers": _answers(classifier, source.read(count * side * side * 3), count, side)})


def _answers(classifier: Classifier, content: bytes, count: int, side: int) -> list[tuple[int, float]]:
    if not count:
        return []
    return classifier.classify(np.frombuffer(content, np.uint8).reshape(count, side, side, 3))


def _say(sink: IO[bytes], value: dict[str, Any]) -> None:
    sink.write(json.dumps(value).encode() + b"\n")
    sink.flush()


if __name__ == "__main__":
    raise SystemExit(main())
