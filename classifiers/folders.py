"""Where pictures lie: class folders, or a root with train/ and val/ as inaturalist_12K has it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifiers.errors import DataError
from classifiers.pictures import SUFFIXES

SEALED: Final = "val"
"""The folder beside train/ that is the test set of the course: only `classifiers evaluate` opens it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture file: its path relative to the root with forward slashes, and the index of its class."""

    path: str
    label: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a root.

    Attributes:
        root: the folder that paths are relative to.
        classes: names of the class folders, sorted.
        entries: every picture that may be split, sorted by path; pictures of a sealed folder are not among them.
        sealed: the folder of the sealed test set, or None where a test side has to be carved off.
        ignored: files in class folders that are no pictures by their names.
    """

    root: Path
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    sealed: Path | None
    ignored: tuple[str, ...]


def list_root(root: Path) -> Listing:
    """List a folder of class folders, or a root with train/ (and val/, which is named but not looked into).

    Raises DataError where it is missing, has fewer than two classes, or a class has no picture.
    """
    train, sealed = root / "train", root / SEALED
    if train.is_dir() and _folders(train):
        return _list(root, train, sealed if sealed.is_dir() else None)
    return _list(root, root, None)


def list_sealed(root: Path) -> Listing:
    """List the sealed folder of a root. Only evaluation calls this."""
    return _list(root, root / SEALED, None)


def list_classes(root: Path) -> Listing:
    """List a plain folder of class folders."""
    return _list(root, root, None)


def _list(root: Path, top: Path, sealed: Path | None) -> Listing:
    if not top.is_dir():
        raise DataError(f"{top} must be a folder of class folders, but there is no such folder")
    classes = _folders(top)
    if len(classes) < 2:
        found = f"only {classes[0]!r}" if classes else "none"
        raise DataError(f"{top} must have at least two class folders with pictures, but has {found}")
    entries: list[Entry] = []
    ignored: list[str] = []
    for label, name in enumerate(classes):
        paths = _files(root, top / name)
        pictures = [path for path in paths if Path(path).suffix.lower() in SUFFIXES]
        ignored += [path for path in paths if Path(path).suffix.lower() not in SUFFIXES]
        if not pictures:
            raise DataError(f"class {name!r} in {top} must have pictures, but has none: fill the folder or remove it")
        entries += [Entry(path, label) for path in pictures]
    return Listing(root, classes, tuple(entries), sealed, tuple(ignored))


def _folders(top: Path) -> tuple[str, ...]:
    try:
        names = [item.name for item in top.iterdir() if item.is_dir() and not item.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{top} must be a folder that can be listed, but: {error.strerror}") from error
    return tuple(sorted(names))


def _files(root: Path, folder: Path) -> list[str]:
    """Paths relative to the root, sorted; hidden files and folders are left out, links to folders not followed."""
    found: list[str] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [(Path(parent) / name).relative_to(root).as_posix() for name in names if not name.startswith(".")]
    return sorted(found)
