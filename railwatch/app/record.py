"""Recordings of inputs: one JSON line for the site, then one for every input in the order the hub decided them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from railwatch.app.lines import LineFile
from railwatch.core.alerts import Epoch
from railwatch.core.errors import RecordError, WireError
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation
from railwatch.decision.inputs import Input, Stamped, Tick, WorkerLost
from railwatch.seam.codec import dumps, loads, observation_from_json, observation_to_json

RECORD_VERSION: Final = 1
SITE_VERSION: Final = 1
"""schema_version of the site file that a recording carries."""

MAX_LINE_BYTES: Final = 512 * 1024
"""Longest line of a recording: an Observation of 256 KiB and what stands around it."""


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What a replay needs beside the inputs. `site` is the configuration in the form of site.yaml."""

    epoch: Epoch
    model_sha256: str
    started_s: float
    site: dict[str, Any]


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
                }
            )
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def write(self, stamped: Stamped) -> None:
        """Append one input."""
        name, value = _input_to_json(stamped.input)
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
        return RecordHeader(Epoch.parse(str(data["epoch"])), model, float(started_s), site)
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
        return Stamped(received_s, data["received_at"], _input_from_json(data))
    except (WireError, ValueError) as error:
        raise RecordError(f"{path}, line {number}: {error}") from error


def _input_to_json(value: Input) -> tuple[str, Any]:
    match value:
        case Observation():
            return "observation", observation_to_json(value)
        case Tick():
            return "tick", {"now_s": value.now_s}
        case WorkerLost():
            return "worker_lost", {"camera_ids": list(value.camera_ids), "reason": value.reason}


def _input_from_json(data: dict[str, Any]) -> Input:
    match data:
        case {"observation": value}:
            return observation_from_json(value)
        case {"tick": {"now_s": int() | float() as now_s}}:
            return Tick(now_s)
        case {"worker_lost": {"camera_ids": [*names], "reason": str(reason)}} if all(isinstance(n, str) for n in names):
            return WorkerLost(tuple(names), reason)
        case _:
            raise WireError("an input must be an observation, a tick or a worker_lost")


def site_to_mapping(site: SiteSettings) -> dict[str, Any]:
    """A site in the form of site.yaml, without what must not leave the machine: sources, folders, sockets."""
    return {
        "schema_version": SITE_VERSION,
        "site_id": site.site_id,
        "severity_without_trains": site.severity_without_trains.value,
        "camera_timeout_s": site.camera_timeout_s,
        "cameras": [{"camera_id": c.camera_id, "source": "recorded", "required": c.required} for c in site.cameras],
        "sections": list(site.sections),
        "zones": [
            {
                "zone_id": zone.zone_id,
                "camera_id": zone.camera_id,
                "section_id": zone.section_id,
                "rail_track_id": zone.rail_track_id,
                "kind": zone.kind.value,
                "polygon": [list(point) for point in zone.polygon_norm],
            }
            for zone in site.zones
        ],
        "model": {"file": "recorded", "sha256": site.model.sha256, "confidence": site.model.confidence},
        "groups": {group: list(members) for group, members in site.groups.items()},
        "alarm_groups": list(site.alarm_groups),
        "tracker": asdict(site.tracker),
        "incidents": asdict(site.incidents),
    }
