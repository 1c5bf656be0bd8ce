"""Recordings of inputs: one JSON line for the site, then one for every input in the order the hub decided them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from railwatch.app.lines import LineFile
from railwatch.app.record_inputs import input_from_json, input_to_json
from railwatch.core.alerts import Epoch, RestoredIncident
from railwatch.core.errors import ConfigError, RecordError, WireError
from railwatch.decision.inputs import Stamped
from railwatch.messaging.plain import from_plain, to_plain
from railwatch.seam.codec import dumps, loads

RECORD_VERSION: Final = 1
MAX_LINE_BYTES: Final = 512 * 1024
"""Longest line of a recording: an Observation of 256 KiB and what stands around it."""


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What a replay needs beside the inputs. `site` is the configuration in the form of site.yaml.

    `restored` are the incidents that were open already when the recording began.
    """

    epoch: Epoch
    model_sha256: str
    started_s: float
    site: dict[str, Any]
    restored: tuple[RestoredIncident, ...] = ()


class Recorder:
    """Writes a recording; use as a context manager. Every input is on its way to the disk before it is decided.

    Raises RecordError when the file cannot be opened or the disk refuses a line.
    """

    def __init__(self, path: Path, header: RecordHeader) -> None:
        with ExitStack() as undo:
            self._file = undo.enter_context(LineFile(path))
            self._write(
                {
                    "record_version": RECORD_VERSION,
                    "epoch": str(header.epoch),
                    "model_sha256": header.model_sha256,
                    "started_s": header.started_s,
                    "site": header.site,
                    "restored": to_plain(header.restored, tuple[RestoredIncident, ...], "restored"),
                }
            )
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def write(self, stamped: Stamped) -> None:
        """Append one input."""
        name, value = input_to_json(stamped.input)
        self._write({"received_s": stamped.received_s, "received_at": stamped.received_at, name: value})

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(dumps(value) + "\n")


def read_record(path: Path) -> tuple[RecordHeader, Iterator[Stamped]]:
    """The header of a recording, and its inputs one by one; raises RecordError with the number of a faulty line."""
    lines = _lines(path)
    first = next(lines, None)
    if first is None:
        raise RecordError(f"the recording {path} must begin with a header line, but is empty")
    return _header(path, first[1]), (_stamped(path, number, text) for number, text in lines)


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise RecordError(f"{path}, line {number}: a line must be at most {MAX_LINE_BYTES} bytes")
                if not line.endswith(b"\n"):
                    raise RecordError(f"{path}, line {number}: the recording is cut off in the middle of a line")
                yield number, line
    except OSError as error:
        raise RecordError(f"the recording {path} cannot be read: {error.strerror}") from error


def _header(path: Path, line: bytes) -> RecordHeader:
    try:
        data = loads(line)
        if not isinstance(data, dict) or data.get("record_version") != RECORD_VERSION:
            raise RecordError(f"{path}, line 1: must be the header of a railwatch recording, version {RECORD_VERSION}")
        site, started_s, model = data["site"], data["started_s"], data["model_sha256"]
        if not (isinstance(site, dict) and isinstance(started_s, int | float) and isinstance(model, str)):
            raise RecordError(f"{path}, line 1: site, started_s and model_sha256 have the wrong types")
        restored = from_plain(data["restored"], tuple[RestoredIncident, ...], "restored")
        return RecordHeader(Epoch.parse(str(data["epoch"])), model, float(started_s), site, restored)
    except KeyError as error:
        raise RecordError(f"{path}, line 1: the header lacks {error}") from error
    except (WireError, ValueError) as error:
        raise RecordError(f"{path}, line 1: {error}") from error


def _stamped(path: Path, number: int, line: bytes) -> Stamped:
    try:
        data = loads(line)
        if not isinstance(data, dict) or not isinstance(data.get("received_at"), str):
            raise RecordError(f"{path}, line {number}: must be an input with received_s and received_at")
        received_s = data.get("received_s")
        if not isinstance(received_s, int | float) or isinstance(received_s, bool):
            raise RecordError(f"{path}, line {number}: received_s must be a number, but is {received_s!r}")
        return Stamped(received_s, data["received_at"], input_from_json(data))
    except (ConfigError, WireError, ValueError) as error:
        raise RecordError(f"{path}, line {number}: {error}") from error
