"""A look into any ONNX file: what goes in and comes out, what it says of itself, and all that forbids running it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from railwatch.core.errors import ModelError
from railwatch.core.provider import Provider
from railwatch.core.types import Size
from railwatch.perception.heads import HEADS
from railwatch.perception.manifest import known_entry
from railwatch.perception.model import ModelDescription, describe_model, fixed_size, input_of, read_model
from railwatch.perception.model_facts import MAX_CLASSES, OWN_PREFIX, REQUIRED, facts_from_metadata
from railwatch.perception.session import Port, Session, open_session

MAX_SHOWN: Final = 120
"""Most characters of a metadata text that are shown."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is. `description` is None when it cannot be run, and `faults` says why, all at once.

    `fits` names the heads, each with its number of classes, whose output has the shape of this one's: a hint for
    whoever describes the model, never a reason to run it. `missing` are the keys of our own metadata it lacks.
    """

    file: Path
    bytes: int
    sha256: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    metadata: Mapping[str, str]
    described_by: str
    description: ModelDescription | None
    faults: tuple[str, ...]
    fits: tuple[str, ...]
    missing: tuple[str, ...]


def inspect_model(path: Path) -> Inspection:
    """Look into an ONNX file. Raises ModelError when it cannot be read or is not a whole ONNX file."""
    content = read_model(path)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        session = open_session(content, Provider.CPU, threads=1, optimise=False)
    except ModelError as error:
        raise ModelError(f"model {path}: {error}") from None
    metadata = session.get_modelmeta().custom_metadata_map
    description: ModelDescription | None = None
    faults: tuple[str, ...] = ()
    try:
        description = describe_model(path)
    except ModelError as error:
        faults = _faults(session, path, sha256, str(error).removeprefix(f"model {path}: "))
    own = {key.removeprefix(OWN_PREFIX) for key in metadata if key.startswith(OWN_PREFIX)}
    return Inspection(
        file=path,
        bytes=len(content),
        sha256=sha256,
        inputs=tuple(map(_port, session.get_inputs())),
        outputs=tuple(map(_port, session.get_outputs())),
        metadata={key: text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..." for key, text in metadata.items()},
        described_by=_source(path, sha256, metadata) if description else "nothing",
        description=description,
        faults=faults,
        fits=() if description else tuple(_fits(session)),
        missing=() if description else tuple(OWN_PREFIX + key for key in sorted(REQUIRED - own)),
    )


def _source(path: Path, sha256: str, metadata: Mapping[str, str]) -> str:
    entry = known_entry(path, sha256)
    if entry is not None:
        return f"the manifest, as {entry.name}"
    own = any(key.startswith(OWN_PREFIX) for key in metadata)
    return "its own metadata railwatch.*" if own else "the metadata of its Ultralytics export"


def _faults(session: Session, path: Path, sha256: str, first: str) -> tuple[str, ...]:
    """Every reason against running the file: the one that `describe_model` gave, and what lies behind it."""
    found = [first]

    def note(check: Callable[[], object]) -> None:
        try:
            check()
        except ModelError as error:
            if str(error) not in found:
                found.append(str(error))

    def described() -> None:
        if known_entry(path, sha256) is None:
            facts_from_metadata(session.get_modelmeta().custom_metadata_map, path.stem, _size(session) or Size(32, 32))

    note(lambda: fixed_size(input_of(session)[0]))
    note(described)
    outputs = session.get_outputs()
    if len(outputs) != 1:
        note(lambda: _refuse(f"it must have one output, but has {len(outputs)}"))
    return tuple(found)


def _refuse(text: str) -> None:
    raise ModelError(text)


def _size(session: Session) -> Size | None:
    try:
        return fixed_size(input_of(session)[0])
    except ModelError:
        return None


def _fits(session: Session) -> list[str]:
    """Heads whose output has the shape of this model's, and with how many classes."""
    size, outputs = _size(session), session.get_outputs()
    if size is None or len(outputs) != 1 or len(outputs[0].shape) != 3:
        return []
    given = outputs[0].shape[1:]
    found = []
    for name, head in HEADS.items():
        for classes in range(1, MAX_CLASSES + 1):
            wanted = head.shape(size, classes)
            if all(want is None or want == have for want, have in zip(wanted, given, strict=True)):
                free = wanted == head.shape(size, classes + 1)
                found.append(f"{name} with any number of classes" if free else f"{name} with {classes} classes")
                break
    return found


def _port(port: Port) -> str:
    return f"{port.name} {port.type.removeprefix('tensor(').removesuffix(')')} ({', '.join(map(str, port.shape))})"
