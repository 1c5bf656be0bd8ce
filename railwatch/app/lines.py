"""Files of lines that are on their way to the disk as soon as they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from railwatch.core.errors import RecordError


class LineFile:
    """A text file written line by line without a buffer; use as a context manager.

    Raises RecordError when the file cannot be opened or a line cannot be written whole (disk full).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise RecordError(f"{path} cannot be written: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: str) -> None:
        """Append one line, which brings its own line end."""
        data = line.encode()
        try:
            written = self._file.write(data)
        except OSError as error:
            raise RecordError(f"{self._path} cannot be written: {error.strerror}") from error
        if written != len(data):
            raise RecordError(f"{self._path} cannot be written: only {written} of {len(data)} bytes fit")
