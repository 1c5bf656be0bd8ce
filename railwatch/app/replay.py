"""Recorded inputs to alerts: no camera, no detector, no clock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from railwatch.app.decider import Decider
from railwatch.app.record import read_record
from railwatch.config import load_site, site_from_mapping
from railwatch.core.alerts import Alert
from railwatch.core.errors import RecordError
from railwatch.core.settings import SiteSettings
from railwatch.decision.step import DecisionState, start


def replay_file(path: Path, config: Path | None, on_alert: Callable[[Alert, float], None]) -> tuple[DecisionState, int]:
    """Decide every input of a recording again; `on_alert` gets each alert and the time (seconds) of its input.

    With `config` the recorded inputs are judged by another site file; without it by the one in the recording, which
    gives the same alerts byte for byte. Returns the last state and the number of inputs. Raises RecordError,
    ConfigError.
    """
    header, inputs = read_record(path)
    site: SiteSettings = site_from_mapping(header.site, path.parent) if config is None else load_site(config)
    state = start(site, header.epoch, header.model_sha256, header.started_s, header.restored)
    decider = Decider(state, _no_clock, on_alert, lambda _status: None)
    count = 0
    for count, stamped in enumerate(inputs, start=1):
        try:
            decider.decide(stamped)
        except ValueError as error:
            raise RecordError(f"{path}, line {count + 1}: {error}; does the site file fit the recording?") from error
    return decider.state, count


def _no_clock() -> str:
    raise AssertionError("a replay reads no clock: every input brings its own times")
