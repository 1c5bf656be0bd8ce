"""Evidence on the disk: written whole or not at all, chained by hashes, let go before it fills the disk.

Every piece is a folder of an opaque name with a manifest. It is made under another name, synced, moved into place, and
only then told of in the chain; so a power cut leaves nothing that looks whole and is not. Standard library only: the
hub uses it. One process at a time writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from railwatch.core.clock import utc_now
from railwatch.core.errors import EvidenceError
from railwatch.evidence.links import (
    BEGUN,
    CHAIN_NAME,
    KEPT,
    MAX_LINE,
    NAME_PATTERN,
    REMOVED,
    Chain,
    Link,
    checked_name,
    folded,
    next_link,
    read_chain,
)

MANIFEST_NAME: Final = "manifest.json"
MANIFEST_VERSION: Final = 1
FILE_PATTERN: Final = re.compile(r"[a-z][a-z0-9-]{0,39}\.(mp4|jpg)")
MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
SPARE_NAME: Final = "spare"
SPARE_BYTES: Final = 64 * 1024
"""Given up when the disk is full, so that what is let go can still be written down."""
FOLD_BYTES: Final = 4 * 1024 * 1024
"""A longer chain lets go of lines about what is not there any more."""

_MAKING: Final = "making-"
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be kept: for how long, how much of it (bytes), and how much of the disk must stay free (bytes)."""

    keep_s: float
    max_bytes: int
    min_free_bytes: int


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file of a piece: its name within the folder, what it holds, and what the manifest says of it."""

    name: str
    content: bytes
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not FILE_PATTERN.fullmatch(self.name):
            raise ValueError(f"a file of evidence must have a plain name, but has {self.name!r}")


class EvidenceStore:
    """The folder of evidence of one site, made when it is missing. Not for two threads.

    `free_bytes` tells what the disk has left, `wall_s` the time (Unix) by which age counts; tests give others.
    Raises EvidenceError when the folder cannot be used. `fault` says what was found wrong with the chain on opening.

    Example::

        store = EvidenceStore(Path("state/evidence"), Limits(30 * 86400, 10 << 30, 2 << 30))
        store.keep("0" * 32, [EvidenceFile("clip-1.mp4", clip)], {"incident_id": "x"})
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        free_bytes: Callable[[], int] | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.limits, self.fold_bytes = folder, limits, FOLD_BYTES
        self._free_bytes = free_bytes or (lambda: shutil.disk_usage(folder).free)
        self._wall_s = wall_s
        with _told(f"the folder of evidence {folder} must be one that can be written"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            chain = self._read()
            self.fault = chain.fault if chain.fault and not chain.torn else None
            if self.fault is not None:  # set aside for people to look at; a new one begins
                (folder / CHAIN_NAME).rename(folder / f"chain-damaged-{utc_now()}.jsonl")
                chain = Chain((), None, 0)
            self._links = list(chain.links[-1:])
            self._handle = _opened(folder / CHAIN_NAME)
            if chain.torn:
                os.ftruncate(self._handle, chain.good_bytes)  # a line that was never finished was never told of
            self._standing = chain.standing()
            if not self._links:
                self._append(BEGUN)
            self._mend()
            self._strays = self._unnamed()
            self._reserve()

    @property
    def size(self) -> int:
        """Bytes of the disk that all of it takes, the next line of the chain among them."""
        pieces = sum(link.size for link in self._standing.values()) + sum(self._strays.values())
        return pieces + _blocks(os.fstat(self._handle).st_size + MAX_LINE) + SPARE_BYTES

    def keep(self, evidence_id: str, files: Sequence[EvidenceFile], about: Mapping[str, Any]) -> Link:
        """Keep a piece of evidence; what it was given in the chain. `about` becomes part of the manifest.

        Raises EvidenceError when there is no room for it, it cannot be written, or its name is taken.
        """
        final = self.folder / checked_name(evidence_id)
        if evidence_id in self._standing or final.exists():
            raise EvidenceError(f"evidence {evidence_id} must be new, but is there already")
        manifest = self._manifest(evidence_id, files, about)
        size = _taken(len(manifest)) + sum(_taken(len(file.content)) for file in files) + _BLOCK
        self.make_room(size)
        # What is let go is written into the chain, so the manifest is made behind it.
        manifest = self._manifest(evidence_id, files, about)
        with _told(f"evidence {evidence_id} cannot be written"):
            making = self.folder / f"{_MAKING}{evidence_id}"
            try:
                self._write(making, files, manifest)
                making.rename(final)
                _sync(self.folder)
            except BaseException:
                shutil.rmtree(making, ignore_errors=True)
                raise
            return self._tell_kept(evidence_id, manifest, size)

    def make_room(self, need: int) -> None:
        """Let go of what is too old, and of the oldest until `need` bytes more fit the limits. Raises EvidenceError.

        What lies here and is in no chain any more (one that was damaged) goes first.
        """
        limits, now_s = self.limits, self._wall_s()
        self._fold()
        while self._strays or self._standing:
            link = None if self._strays else next(iter(self._standing.values()))
            if link is not None and now_s - _unix_s(link.at) > limits.keep_s:
                self._let_go(link, "age")
            elif self.size + need > limits.max_bytes:
                self._let_go(link, "size")
            elif self._free_bytes() - need < limits.min_free_bytes:
                self._let_go(link, "disk")
            else:
                break
        if need > 0 and (self.size + need > limits.max_bytes or self._free_bytes() - need < limits.min_free_bytes):
            most, free, rest = limits.max_bytes / 1e6, self._free_bytes() / 1e6, limits.min_free_bytes / 1e6
            raise EvidenceError(
                f"evidence must find room for {need / 1e6:.1f} MB, but all of it may take {most:.1f} MB, and the disk "
                f"has {free:.1f} MB left, of which {rest:.1f} MB must stay free: free some, or change "
                "evidence.max_gib or evidence.min_free_gib"
            )

    def close(self) -> None:
        """Let go of the chain's file; idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _manifest(self, evidence_id: str, files: Sequence[EvidenceFile], about: Mapping[str, Any]) -> bytes:
        last = self._links[-1]
        document = {
            "manifest_version": MANIFEST_VERSION,
            "evidence_id": evidence_id,
            "number": last.number + 1,
            "previous": last.seal,
            "files": [
                {"name": f.name, "bytes": len(f.content), "sha256": hashlib.sha256(f.content).hexdigest(), **f.about}
                for f in files
            ],
            **about,
        }
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if len(text) > MAX_MANIFEST_BYTES:
            raise EvidenceError(f"a manifest must have at most {MAX_MANIFEST_BYTES} bytes, but has {len(text)}")
        return text

    def _write(self, making: Path, files: Sequence[EvidenceFile], manifest: bytes) -> None:
        making.mkdir(mode=0o700)
        for name, content in (*((file.name, file.content) for file in files), (MANIFEST_NAME, manifest)):
            with open(making / name, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync(making)

    def _tell_kept(self, evidence_id: str, manifest: bytes, size: int) -> Link:
        digest = hashlib.sha256(manifest).hexdigest()
        link = self._append(KEPT, evidence_id=evidence_id, manifest=digest, size=size)
        self._standing[evidence_id] = link
        return link

    def _let_go(self, link: Link | None, why: str) -> None:
        """The chain says so first: what is gone without a word there is missed by `verify`. None: the first stray."""
        if link is None:
            name = next(iter(self._strays))
            del self._strays[name]
            _remove(self.folder / name)
            return
        with _told(f"evidence {link.evidence_id} cannot be let go"):
            self._append(REMOVED, evidence_id=link.evidence_id, manifest=link.manifest, size=link.size, why=why)
            del self._standing[link.evidence_id]
            _remove(self.folder / link.evidence_id)

    def _append(self, kind: str, **values: object) -> Link:
        link = next_link(self._links, kind, utc_now(), **values)
        line, before = link.line(), os.fstat(self._handle).st_size
        try:
            self._append_line(line, before)
        except OSError:
            (self.folder / SPARE_NAME).unlink(missing_ok=True)
            self._append_line(line, before)
        self._links = [link]
        return link

    def _append_line(self, line: bytes, before: int) -> None:
        try:
            _write_all(self._handle, line)
            os.fsync(self._handle)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, before)
            raise

    def _fold(self) -> None:
        """Let go of old lines when there are many, so that the chain does not grow for ever."""
        if os.fstat(self._handle).st_size <= self.fold_bytes:
            return
        lines = b"".join(link.line() for link in folded(self._read(), utc_now()))
        if len(lines) > self.fold_bytes // 2:
            return  # next to nothing would be won
        with _told("the chain of evidence cannot be written anew"):
            part = self.folder / f"{_MAKING}chain"
            with open(part, "wb", opener=_private) as file:
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.folder / CHAIN_NAME)
            _sync(self.folder)
            os.close(self._handle)
            self._handle = _opened(self.folder / CHAIN_NAME)

    def _unnamed(self) -> dict[str, int]:
        """What lies here and the chain does not name, the oldest first, with what it takes."""
        known = {CHAIN_NAME, SPARE_NAME, *self._standing}
        found = sorted((p for p in self.folder.iterdir() if p.name not in known), key=lambda p: p.stat().st_mtime)
        return {p.name: sum(_blocks(f.stat().st_size) for f in (p, *p.rglob("*"))) for p in found}

    def _read(self) -> Chain:
        path = self.folder / CHAIN_NAME
        return read_chain(path.read_bytes() if path.exists() else b"")

    def _mend(self) -> None:
        """Take away what a killed process left half made, and take in what it had not come to tell of."""
        for path in self.folder.iterdir():
            if path.name.startswith(_MAKING):
                _delete(path)
            elif NAME_PATTERN.fullmatch(path.name) and path.name not in self._standing:
                self._adopt(path)

    def _adopt(self, path: Path) -> None:
        """A folder that the chain does not name: the last one, killed before its line; or one that was to go."""
        manifest = _manifest_of(path)
        last = self._links[-1]
        if manifest is None:
            return
        content, document = manifest
        if (document.get("number"), document.get("previous")) == (last.number + 1, last.seal):
            size = sum(_taken(file.stat().st_size) for file in path.iterdir()) + _BLOCK
            self._tell_kept(path.name, content, size)
        elif any(link.kind == REMOVED and link.evidence_id == path.name for link in self._read().links):
            _remove(path)

    def _reserve(self) -> None:
        path = self.folder / SPARE_NAME
        if not path.exists() and self._free_bytes() > 2 * SPARE_BYTES:
            with contextlib.suppress(OSError):
                path.write_bytes(bytes(SPARE_BYTES))


def _manifest_of(path: Path) -> tuple[bytes, dict[str, Any]] | None:
    try:
        content = (path / MANIFEST_NAME).read_bytes()
        document = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return None
    return (content, document) if isinstance(document, dict) else None


def _remove(path: Path) -> None:
    """First under another name: a removal that is cut off leaves nothing that looks like a piece."""
    if path.exists():
        _delete(path.rename(path.with_name(f"{_MAKING}{path.name}")))


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _unix_s(at: str) -> float:
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(at).astimezone(UTC).timestamp()
    return float("inf")


def _write_all(handle: int, content: bytes) -> None:
    if os.write(handle, content) != len(content):
        raise OSError("a line could not be written whole")


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read."""
    return os.open(path, flags, 0o600)


def _blocks(size: int) -> int:
    """What a file takes on the disk: whole blocks."""
    return -(-size // _BLOCK) * _BLOCK


def _taken(size: int) -> int:
    """The most that a file takes: whole blocks, and one for the list of its pieces where it lies scattered."""
    return _blocks(size) + _BLOCK


def _sync(folder: Path) -> None:
    """What was made or moved in a folder stays after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _told(message: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EvidenceError(f"{message}, but: {error.strerror or error}") from error
