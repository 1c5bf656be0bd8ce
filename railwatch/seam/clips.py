"""What the hub asks a worker for evidence, in the body of CUT_CLIP: begin a piece, fetch its files, forget it.

A clip may be larger than an attachment, so files come in chunks; times are those of the worker's own clock, which the
hub knows from its Observations. Names are opaque: neither end makes a path of them.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from railwatch.core.errors import WireError
from railwatch.seam.codec import as_mapping, number_of, text_of

CHUNK_BYTES: Final = 1024 * 1024
"""Most bytes of a file in one answer."""

MAX_FILES: Final = 4
_ID: Final = re.compile(r"[0-9a-f]{32}")
_ORDER_KEYS: Final = ("evidence_id", "camera_id", "index", "begin_s", "end_s", "message")


@dataclass(frozen=True, slots=True)
class ClipOrder:
    """Cut the clip of a camera from `begin_s` to `end_s`, and take pictures of its frame `index`.

    `message` is written into the annotated picture. Raises ValueError when a value is out of range.
    """

    evidence_id: str
    camera_id: str
    index: int
    begin_s: float
    end_s: float
    message: str

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.evidence_id):
            raise ValueError("evidence_id must be 32 hexadecimal digits")
        if not 0.0 <= self.end_s - self.begin_s <= 300.0:
            raise ValueError(f"a clip must last 0 to 300 s, but is from {self.begin_s} to {self.end_s}")


@dataclass(frozen=True, slots=True)
class ClipFile:
    """A file that a worker has made: `kind` is clip, raw or marked; `about` says more of it."""

    kind: str
    size: int
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClipState:
    """How far a piece is. `notes` say in words what is not as it was asked for."""

    done: bool
    files: tuple[ClipFile, ...] = ()
    notes: tuple[str, ...] = ()


def order_to_body(order: ClipOrder) -> dict[str, Any]:
    """The body that begins a piece."""
    return {"do": "begin", **asdict(order)}


def order_from_body(body: dict[str, Any]) -> ClipOrder:
    """Read `order_to_body`'s values; raises WireError for anything else."""
    data = as_mapping(body, ("do", *_ORDER_KEYS), "an order for a clip")
    if type(data["index"]) is not int:
        raise WireError(f"index must be a whole number, but is {data['index']!r}")
    try:
        return ClipOrder(
            text_of(data, "evidence_id"),
            text_of(data, "camera_id"),
            data["index"],
            number_of(data, "begin_s"),
            number_of(data, "end_s"),
            text_of(data, "message")[:500],
        )
    except ValueError as error:
        raise WireError(str(error)) from error


def state_to_body(state: ClipState) -> dict[str, Any]:
    """The body of the answer that tells how far a piece is."""
    return asdict(state)


def state_from_body(body: dict[str, Any]) -> ClipState:
    """Read `state_to_body`'s values; raises WireError for anything else."""
    data = as_mapping(body, ("done", "files", "notes"), "the state of a clip")
    files, notes = data["files"], data["notes"]
    if not (isinstance(files, list) and isinstance(notes, list) and len(files) <= MAX_FILES):
        raise WireError(f"files and notes must be lists, of at most {MAX_FILES} files")
    found = []
    for item in files:
        entry = as_mapping(item, ("kind", "size", "about"), "a file of evidence")
        if entry["kind"] not in ("clip", "raw", "marked") or type(entry["size"]) is not int or entry["size"] < 0:
            raise WireError(f"a file of evidence must be clip, raw or marked with a size, but is {item!r:.100}")
        about = entry["about"]
        if not isinstance(about, dict):
            raise WireError("about must be an object")
        found.append(ClipFile(entry["kind"], entry["size"], about))
    return ClipState(data["done"] is True, tuple(found), tuple(str(note)[:500] for note in notes[:20]))
