"""The folder of what survives a restart, and the lock by which only one hub uses it."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from railwatch.core.errors import ConfigError

LOCK_NAME: Final = "hub.lock"
REPORT_NAME: Final = "hub.json"
_MAX_REPORT: Final = 65536


@dataclass(frozen=True, slots=True)
class HubReport:
    """What a hub tells of itself in its state folder: who it is, where it publishes, and what the last reload gave.

    `reloads` counts the reloads that were tried; `reload_fault` says why the last one changed nothing.
    """

    pid: int
    site_id: str
    site_file: str
    bind: str
    request_bind: str
    config_rev: str
    reloads: int = 0
    reload_fault: str | None = None


class StateDir:
    """The state folder of one hub, made when it is missing, locked as long as the process lives.

    Raises ConfigError when it cannot be used, and when another hub uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"the state folder {path} must be one that can be written, but: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            report = read_report(path)
            who = f" (process {report.pid})" if report else ""
            raise ConfigError(
                f"the state folder {path} must belong to one hub, but another one uses it{who}: "
                "end that one, or name another folder with --state"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            (self.path / REPORT_NAME).unlink(missing_ok=True)
        os.close(self._lock)

    def report(self, report: HubReport) -> None:
        """Write the report in one step. A full disk is not this report's business."""
        part = self.path / (REPORT_NAME + ".part")
        with suppress(OSError):
            part.write_text(json.dumps(asdict(report)) + "\n", encoding="utf-8")
            part.replace(self.path / REPORT_NAME)


def hub_is_running(path: Path) -> bool:
    """Whether a hub holds the lock of the folder."""
    try:
        lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def read_report(path: Path) -> HubReport | None:
    """The report of the hub that uses the folder; None where there is none that can be read."""
    try:
        with (path / REPORT_NAME).open("rb") as file:
            return HubReport(**json.loads(file.read(_MAX_REPORT)))
    except (OSError, ValueError, TypeError):
        return None
