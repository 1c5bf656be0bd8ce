"""`railwatch bridge`: alerts on to MQTT, webhooks, mail and chat."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer


def bridge(
    bridge_file: Annotated[Path, typer.Argument(metavar="BRIDGES.YAML", help="The sinks.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Check the file and the secrets it names, and stop.")] = False,
) -> None:
    """Hand alerts on to MQTT brokers, webhooks and Apprise, each from where it stopped the last time."""
    from railwatch.app.bridges import run_bridges
    from railwatch.bridge_config import load_bridges

    settings = load_bridges(bridge_file)
    if check:
        names = ", ".join(sink.name for sink in settings.sinks)
        sys.stdout.write(f"{bridge_file} has no faults. sinks: {names}\n")
        return
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    run_bridges(settings, _say, stopping)


def _say(text: str) -> None:
    safe = "".join(each if each.isprintable() else "?" for each in text)
    sys.stderr.write(f"{safe}\n")
    sys.stderr.flush()
