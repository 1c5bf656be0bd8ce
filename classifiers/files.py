"""Files that are whole or not there: written beside their place, flushed to the disk, then moved into it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from classifiers.errors import ClassifierError, OutputError


@contextmanager
def writing(what: Path) -> Iterator[None]:
    """Errors of the operating system inside become an OutputError that names the file and the remedy."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{what} must be writable, but cannot be written: {error.strerror or error}") from error


def write_with(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file through `write` so that at `path` there is the old content or all of the new. Raises OutputError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    write_with(path, lambda file: file.write(content))


def write_json(path: Path, value: object, indent: int | None = 2) -> None:
    """Write plain values as JSON, atomically."""
    write_bytes(path, (json.dumps(value, indent=indent, allow_nan=False) + "\n").encode())


def read_json(path: Path, error: type[ClassifierError], max_bytes: int = 256 * 1024 * 1024) -> dict[str, Any]:
    """Read a map from a JSON file; raises `error` where that is not what it holds."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= max_bytes else b""
    except OSError as reason:
        raise error(f"{path} must be readable, but is not: {reason.strerror or reason}") from reason
    if size > max_bytes:
        raise error(f"{path} must have at most {max_bytes} bytes, but has {size}")
    try:
        value = json.loads(content)
    except ValueError as reason:
        raise error(f"{path} must be a JSON file, but is not: {reason}") from reason
    if not isinstance(value, dict):
        raise error(f"{path} must hold a map, but holds {type(value).__name__}")
    return value
