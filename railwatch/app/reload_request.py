"""Asking the hub that runs on this machine to read its site file anew, and waiting for what comes of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Final

from railwatch.app.state_dir import HubReport, hub_is_running, read_report
from railwatch.config import load_site
from railwatch.core.errors import ConfigError

_LOOK_S: Final = 0.1


def request_reload(site_file: Path, state: Path | None, timeout_s: float) -> str:
    """The `config_rev` with which the hub runs afterwards.

    Raises ConfigError when the file is faulty, no hub runs, it runs another file, it does not take the file over, or
    gives no answer within `timeout_s` seconds.
    """
    load_site(site_file)  # its faults are told here at once, whatever the hub does
    folder = state or site_file.parent / "state"
    before = read_report(folder)
    if before is None or not hub_is_running(folder):
        raise ConfigError(f"a hub must run with the state folder {folder}, but none does: see `railwatch run`")
    if Path(before.site_file) != site_file.absolute():
        raise ConfigError(f"the hub of {folder} must run {site_file}, but runs {before.site_file}")
    os.kill(before.pid, signal.SIGHUP)
    after = _next_report(folder, before, timeout_s)
    if after.reload_fault is not None:
        raise ConfigError(f"the hub goes on with {after.config_rev}: {after.reload_fault}")
    return after.config_rev


def _next_report(folder: Path, before: HubReport, timeout_s: float) -> HubReport:
    deadline_s = time.monotonic() + timeout_s
    never = threading.Event()
    while time.monotonic() < deadline_s:
        report = read_report(folder)
        if report is not None and report.reloads > before.reloads:
            return report
        never.wait(_LOOK_S)
    raise ConfigError(f"the hub must answer within {timeout_s:g} s, but has not: what it says stands in its log")
