"""What every picture of a listing is: its content hash, size and look, or why it cannot be used. Kept between runs."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from classifiers.errors import ClassifierError, DataError
from classifiers.files import read_json, write_json
from classifiers.folders import Entry
from classifiers.likeness import Look, look
from classifiers.pictures import decode, read_bytes, stored_size

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""

_VERSION = 1
_T = TypeVar("_T")
_S = TypeVar("_S")


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture: path and label as listed, SHA-256 of the file, width and height in pixels, and its look."""

    path: str
    label: int
    sha256: str
    size: tuple[int, int]
    look: Look


@dataclass(frozen=True, slots=True)
class Survey:
    """All pictures of a listing: those that can be used, and those that cannot with the reason (path, reason)."""

    seen: tuple[Seen, ...]
    bad: tuple[tuple[str, str], ...]


def cache_folder(given: Path | None = None) -> Path:
    """The folder of caches: the one given, $CLASSIFIERS_CACHE, or `classifiers` in the user's cache folder."""
    if given is not None:
        return given
    if named := os.environ.get("CLASSIFIERS_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "classifiers"


def survey(root: Path, entries: Sequence[Entry], cache: Path | None = None, progress: Progress | None = None) -> Survey:
    """Look at every picture of `entries` under `root`, or remember it where no file has changed since.

    A file counts as unchanged while its length and time of change are what they were.
    """
    remembered = cache_folder(cache) / f"survey-{_key(root, entries)}.json"
    if remembered.is_file():
        try:
            return _from_plain(read_json(remembered, DataError))
        except (ClassifierError, KeyError, TypeError, ValueError):
            remembered.unlink(missing_ok=True)  # damaged: look again
    seen: list[Seen] = []
    bad: list[tuple[str, str]] = []
    for outcome in in_parallel(lambda entry: _look_at(root, entry), entries, progress):
        if isinstance(outcome, Seen):
            seen.append(outcome)
        else:
            bad.append(outcome)
    result = Survey(tuple(seen), tuple(bad))
    write_json(remembered, _to_plain(result), indent=None)
    return result


def in_parallel(work: Callable[[_S], _T], items: Sequence[_S], progress: Progress | None = None) -> Iterator[_T]:
    """`work` of every item in order, on as many threads as there are cores (decoding leaves the interpreter free)."""
    threads = min(32, os.cpu_count() or 1)
    # A bomb is refused by its header: Pillow's own warning about it would only say so twice.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        for start in range(0, len(items), 1024):
            part = items[start : start + 1024]
            for number, outcome in enumerate(pool.map(work, part), start=start + 1):
                yield outcome
                if progress is not None:
                    progress(number, len(items))


def _look_at(root: Path, entry: Entry) -> Seen | tuple[str, str]:
    path = root / entry.path
    try:
        content = read_bytes(path)
        picture = decode(path, content, least_side=64)
        size = stored_size(path, content)
    except DataError as error:
        return entry.path, str(error)
    return Seen(entry.path, entry.label, hashlib.sha256(content).hexdigest(), size, look(picture))


def _key(root: Path, entries: Iterable[Entry]) -> str:
    digest = hashlib.sha256(f"{_VERSION} {root.resolve()}".encode())
    for entry in entries:
        try:
            found = (root / entry.path).stat()
            digest.update(f"\n{entry.path}\0{entry.label}\0{found.st_size}\0{found.st_mtime_ns}".encode())
        except OSError:
            digest.update(f"\n{entry.path}\0{entry.label}\0missing".encode())
    return digest.hexdigest()[:32]


def _to_plain(found: Survey) -> dict[str, Any]:
    rows = [
        [s.path, s.label, s.sha256, *s.size, s.look.bits, s.look.mirrored, s.look.colours.hex(), s.look.flat]
        for s in found.seen
    ]
    return {"seen": rows, "bad": [list(pair) for pair in found.bad]}


def _from_plain(value: dict[str, Any]) -> Survey:
    seen = tuple(
        Seen(path, label, sha, (width, height), Look(bits, mirrored, bytes.fromhex(colours), flat))
        for path, label, sha, width, height, bits, mirrored, colours, flat in value["seen"]
    )
    return Survey(seen, tuple((path, reason) for path, reason in value["bad"]))
