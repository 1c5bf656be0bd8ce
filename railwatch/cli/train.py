"""`railwatch train`: tell a running hub of trains, one report from options or many from standard input."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import Queue

    from railwatch.messaging.client import Client
    from railwatch.messaging.requests import TrainRequest

_ANSWER_S: Final = 15.0
MAX_LINE: Final = 4096
MAX_LINES: Final = 4096
"""Lines that are read ahead while the hub does not answer."""


def train(
    track: Annotated[str | None, typer.Option(help="The rail track that the report is of.")] = None,
    direction: Annotated[str, typer.Option(help="From where trains come on it.")] = "any",
    source: Annotated[
        str | None, typer.Option(help="Name of the source, as in train_sources; with --keys, that of the key.")
    ] = None,
    eta: Annotated[float | None, typer.Option(min=0.0, help="Seconds until the train is there.")] = None,
    distance: Annotated[float | None, typer.Option(min=0.0, help="Metres to the train.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.0, help="Its speed in m/s.")] = None,
    occupied: Annotated[
        bool, typer.Option("--occupied", help="An axle counter or track circuit says that a train is there.")
    ] = False,
    barrier: Annotated[str | None, typer.Option(help="Of the level crossing: up or down.")] = None,
    signal: Annotated[str | None, typer.Option(help="What the signal shows: stop or proceed.")] = None,
    vouch: Annotated[bool, typer.Option("--vouch", help="Vouch that nothing else comes (authoritative).")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Send a report for every JSON line on standard input.")
    ] = False,
    connect: Annotated[str, typer.Option(help="Where the alerts are published.")] = "tcp://127.0.0.1:5556",
    request_connect: Annotated[
        str | None, typer.Option(help="Where requests are taken; without it, the port after that of --connect.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key file of role feed from `railwatch keys new`, for a site that asks for one.")
    ] = None,
) -> None:
    """Report where the next train is: what the hub believes of it is told in docs/risk.md.

    The command ends with 0 when the hub has taken everything in.
    """
    from railwatch.core.errors import ConfigError
    from railwatch.messaging.client import Client
    from railwatch.messaging.keys import ClientKeys
    from railwatch.messaging.ordering import History

    known = None if keys is None else ClientKeys.load(keys)
    name = source or (known.name if known is not None else None)
    if name is None:
        raise ConfigError("--source must name the source of trains where there is no key, but is not given")
    if follow == (track is not None):
        raise ConfigError("--track or --follow must be given, and not both")
    values = {"rail_track_id": track, "direction": direction, "eta_s": eta, "distance_m": distance, "speed_mps": speed}
    values |= {"occupied": occupied or None, "barrier": barrier, "signal": signal, "authoritative": vouch}
    lines = _lines() if follow else iter([(values, 0.0)])
    with Client(connect, request_connect, keys=known, history=History.NOTHING) as client:
        refused = sum(not _sent(client, _request(name, line, waited_s)) for line, waited_s in lines)
    if refused:
        raise typer.Exit(5)


def _lines() -> Iterator[tuple[dict[str, Any], float]]:
    """Every line of standard input as a report, and the seconds that it waited here. Raises ConfigError for no report.

    Lines are read at once, whatever the hub is doing: one that waited for those before it is as old as that.
    """
    import json
    from queue import Queue

    from railwatch.core.clock import elapsed_s
    from railwatch.core.errors import ConfigError

    waiting: Queue[tuple[float, str]] = Queue(MAX_LINES)
    threading.Thread(target=_read, args=(waiting,), name="read-lines", daemon=True).start()
    number = 0
    while True:
        read_s, line = waiting.get()
        if not line:
            return
        number += 1
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"line {number} must be one JSON object, but is not: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"line {number} must be one JSON object, but is {type(values).__name__}")
        yield values, elapsed_s() - read_s


def _read(waiting: Queue[tuple[float, str]]) -> None:
    """Note of every line when it came; an empty one is the end."""
    from railwatch.core.clock import elapsed_s

    try:
        while line := sys.stdin.readline(MAX_LINE):
            waiting.put((elapsed_s(), line))
    except UnicodeDecodeError:
        waiting.put((elapsed_s(), "bytes that are no UTF-8\n"))
    waiting.put((elapsed_s(), ""))


def _request(name: str, values: dict[str, Any], waited_s: float) -> TrainRequest:
    """A report with a number that grows. Raises ConfigError for keys and values that it cannot have."""
    from dataclasses import replace

    from railwatch.core.errors import ConfigError
    from railwatch.messaging.asking import new_name
    from railwatch.messaging.requests import Aspect, Barrier, TrainRequest

    try:
        given = {"direction": "any", "age_s": 0.0, "seq": time.time_ns() // 1_000_000, **values}
        for key, kind in (("barrier", Barrier), ("signal", Aspect)):
            if given.get(key) is not None:
                given[key] = kind(str(given[key]).upper())
        report = TrainRequest(request=new_name(), source=name, **given)
        return replace(report, age_s=report.age_s + waited_s)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"a report must be one that docs/wire.md describes: {error}") from None


def _sent(client: Client, request: TrainRequest) -> bool:
    """Send and wait for the answer; a refusal is told. Raises MessagingError when none comes."""
    from railwatch.core.errors import MessagingError
    from railwatch.messaging.events import Answered
    from railwatch.messaging.requests import TRAIN_VERB

    name = client.ask(TRAIN_VERB, request)
    for event in client.events(_ANSWER_S):
        if isinstance(event, Answered) and event.request == name:
            if not event.accepted:
                sys.stderr.write(f"railwatch: refused: {event.reason}\n")
            return event.accepted
    raise MessagingError(f"a hub must answer, but none did within {_ANSWER_S:g} s: is it running, is the key right?")
