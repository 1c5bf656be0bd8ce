"""Whether evidence is as it was kept: every byte of it, nothing missing, nothing put in. Reads only; stdlib only."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from railwatch.core.errors import EvidenceError
from railwatch.evidence.links import (
    CHAIN_NAME,
    KEPT,
    MAX_CHAIN_BYTES,
    REMOVED,
    Chain,
    Link,
    checked_name,
    read_chain,
)
from railwatch.evidence.store import FILE_PATTERN, MANIFEST_NAME, MAX_MANIFEST_BYTES, SPARE_NAME

_LEFT_OVER: Final = re.compile(r"making-[0-9a-f]{32}")
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What the journal of alerts says was kept: name, SHA-256 of the manifest, number and hash of its line."""

    evidence_id: str
    manifest: str
    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found: pieces that are there and those let go, the last number and hash, faults, and other remarks."""

    kept: tuple[str, ...]
    removed: int
    last: int
    hash: str
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


def open_chain(folder: Path) -> Chain:
    """The chain of a folder. Raises EvidenceError when there is no folder of evidence."""
    try:
        path = folder / CHAIN_NAME
        size = path.stat().st_size
        if size > MAX_CHAIN_BYTES:
            raise EvidenceError(f"{path} must have at most {MAX_CHAIN_BYTES} bytes, but has {size}")
        return read_chain(path.read_bytes())
    except OSError as error:
        raise EvidenceError(
            f"{folder} must be a folder of evidence (state/evidence beside the site file), but: {error.strerror}"
        ) from error


def verify(folder: Path, witnessed: Iterable[Witnessed] = ()) -> Verdict:
    """Look at every line of the chain, every manifest and every file. Raises EvidenceError where there is no evidence.

    `witnessed` is what a journal of alerts remembers: with it, also a lost end of the chain shows.
    """
    chain = open_chain(folder)
    faults = [] if chain.fault is None else [f"the chain is damaged: {chain.fault}"]
    standing = chain.standing()
    for link in standing.values():
        faults += [f"{link.evidence_id}: {fault}" for fault in piece_faults(folder / link.evidence_id, link)]
    gone = {link.evidence_id for link in chain.links if link.kind == REMOVED}
    notes = []
    for path in sorted(folder.iterdir()):
        name = path.name
        if name in gone and name not in standing:
            notes.append(f"{name}: it was to be let go, and goes when a hub starts")
        elif _LEFT_OVER.fullmatch(name):
            notes.append(f"{name}: it was never finished, and goes when a hub starts")
        elif name not in standing and name not in (CHAIN_NAME, SPARE_NAME):
            faults.append(f"{name[:64]}: it is there, but the chain does not name it")
    faults += _unwitnessed(chain, witnessed)
    last = chain.links[-1].number if chain.links else 0
    return Verdict(tuple(standing), len(gone), last, chain.head, tuple(faults), tuple(notes))


def piece_faults(path: Path, link: Link) -> list[str]:
    """What is wrong with one piece: its manifest, its files, or what lies beside them; empty when nothing is."""
    try:
        content = _read(path / MANIFEST_NAME, MAX_MANIFEST_BYTES)
        if hashlib.sha256(content).hexdigest() != link.manifest:
            return ["its manifest is not as it was kept"]
        document = json.loads(content)
        if (document["evidence_id"], document["number"], document["previous"]) != (
            link.evidence_id,
            link.number,
            link.previous,
        ):
            return ["its manifest is that of another piece"]
        faults = [fault for entry in document["files"] if (fault := _file_fault(path, entry))]
        named = {entry["name"] for entry in document["files"]} | {MANIFEST_NAME}
        faults += [f"{other.name[:64]} was put in" for other in path.iterdir() if other.name not in named]
    except OSError as error:
        return [f"it is not there: {error.strerror}"]
    except (ValueError, KeyError, TypeError) as error:
        return [f"its manifest cannot be read: {error}"]
    return faults


def manifest_of(folder: Path, evidence_id: str) -> dict[str, Any]:
    """The manifest of one piece, checked against the chain. Raises EvidenceError."""
    checked_name(evidence_id)
    link = open_chain(folder).standing().get(evidence_id)
    if link is None:
        raise EvidenceError(
            f"evidence {evidence_id} must be one that `railwatch evidence list` shows, but is not there"
        )
    try:
        content = _read(folder / evidence_id / MANIFEST_NAME, MAX_MANIFEST_BYTES)
    except OSError as error:
        raise EvidenceError(f"evidence {evidence_id} must have a manifest, but: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != link.manifest:
        raise EvidenceError(f"evidence {evidence_id} must be as it was kept, but its manifest is not")
    document: dict[str, Any] = json.loads(content)
    return document


def _file_fault(path: Path, entry: dict[str, Any]) -> str | None:
    name = entry["name"]
    if not FILE_PATTERN.fullmatch(name):
        return f"its manifest names no file of evidence: {name[:64]!r}"
    digest, size = hashlib.sha256(), 0
    try:
        with (path / name).open("rb") as file:
            while piece := file.read(_PIECE):
                size += len(piece)
                digest.update(piece)
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    whole = size == entry["bytes"] and digest.hexdigest() == entry["sha256"]
    return None if whole else f"{name} is not as it was kept"


def _unwitnessed(chain: Chain, witnessed: Iterable[Witnessed]) -> list[str]:
    """What the journal remembers and the chain does not."""
    known = {link.number: link for link in chain.links if link.kind == KEPT}
    first = chain.links[0].number if chain.links else 0
    faults = []
    for seen in witnessed:
        if seen.number <= first:
            continue
        link = known.get(seen.number)
        if link is None or (link.evidence_id, link.manifest, link.digest) != (
            seen.evidence_id,
            seen.manifest,
            seen.hash,
        ):
            faults.append(f"{seen.evidence_id}: the journal says that it was kept, but the chain does not")
    return faults


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it must have at most {limit} bytes")
    return content
