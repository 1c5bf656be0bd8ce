"""A small file that keeps how far a reader has come, so that it goes on there after its own restart."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

from railwatch.core.alerts import Epoch
from railwatch.core.errors import JournalError
from railwatch.messaging.plain import shown
from railwatch.messaging.requests import Mark

_VERSION: Final = 1


class Position:
    """The file at `path`. It is replaced as a whole and synced, so that it is always the old one or the new one.

    Example::

        Position("bridge.position").load()  # None at first
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(self) -> tuple[str, Mark] | None:
        """The site and the mark up to which everything is done; None if there is no file yet.

        Raises:
            JournalError: The file cannot be read, or is no such file.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise JournalError(f"position {self.path} must be a file that can be read, but: {error}") from error
        try:
            found = json.loads(text)
            site_id, mark = str(found["site_id"]), Mark(Epoch.parse(found["epoch"]), int(found["seq"]))
            version = found["version"]
        except (ValueError, KeyError, TypeError, AttributeError):
            version = None
        if version != _VERSION:
            raise JournalError(
                f"position {self.path} must be a file written by this version of railwatch, but holds {shown(text)}: "
                "remove it to begin anew, or name another file"
            )
        return site_id, mark

    def save(self, site_id: str, mark: Mark) -> None:
        """Replace the file. Raises JournalError when the disk does not take it: the old one stays."""
        document = {"version": _VERSION, "site_id": site_id, "epoch": str(mark.epoch), "seq": mark.seq}
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(json.dumps(document, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            self._sync_directory()
        except OSError as error:
            raise JournalError(f"position {self.path} must be a file that can be written, but: {error}") from error

    def _sync_directory(self) -> None:
        """The new name itself must reach the disk; where a directory cannot be opened (Windows), it does by itself."""
        with contextlib.suppress(PermissionError):
            handle = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
