"""`railwatch listen`: alerts and section states as a live table or as JSON lines."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from railwatch.messaging.client import Client
    from railwatch.messaging.events import Event

_REFRESH_S: Final = 0.25


def listen(
    connect: Annotated[str, typer.Option(help="Where the alerts are published.")] = "tcp://127.0.0.1:5556",
    request_connect: Annotated[
        str | None, typer.Option(help="Where nonces are taken; without it, the port after that of --connect.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key file from `railwatch keys new`, for a site that asks for one.")
    ] = None,
    position: Annotated[
        Path | None, typer.Option(help="File that keeps how far it has come: started anew, it goes on there.")
    ] = None,
    ack: Annotated[
        str | None, typer.Option(help="Tell the hub of every incident that it was received, or displayed.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="With --ack, the name of this program or place.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document a line instead of a table.")] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many alerts.")] = None,
    for_s: Annotated[float | None, typer.Option("--for", min=0.0, help="End after so many seconds.")] = None,
) -> None:
    """Show alerts and section states as they arrive. It may be started before anything is published.

    With --json an alert is the line that was on the wire; everything else is {"event": ..., ...}.
    """
    from railwatch.messaging.client import PATIENCE_S, Client
    from railwatch.messaging.keys import ClientKeys

    known = None if keys is None else ClientKeys.load(keys)
    # Whoever keeps a position wants everything, however long it takes.
    patience_s = PATIENCE_S if position is None else inf
    with (
        Client(connect, request_connect, keys=known, position=position, patience_s=patience_s) as client,
        _signals(client.stop) as received,
    ):
        answer = _receipts(client, ack, by)
        try:
            if sys.stdout.isatty() and not json:
                _live(client, connect, count, for_s, answer)
            else:
                write = _write_json if json else _write_text
                _follow(client, for_s, count, lambda event: (write(event), answer(event)))
        except BrokenPipeError:
            # The reader has gone (`| head`): what Python still holds for it must not fail a second time at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if signal.SIGINT in received:
        raise typer.Exit(130)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end the loop between two lines, so that none is cut; gives the signals received."""
    received: list[int] = []

    def note(number: int, _: object) -> None:
        received.append(number)
        stop()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _receipts(client: Client, level: str | None, by: str | None) -> Callable[[Event], object]:
    """What answers the hub for this program after each event. Raises ConfigError for half of the options."""
    from railwatch.core.alerts import AckLevel
    from railwatch.core.errors import ConfigError
    from railwatch.messaging.receipts import Receipts

    if level is None and by is None:
        return lambda _: None
    if level not in ("received", "displayed") or not by:
        raise ConfigError(
            f"--ack received or --ack displayed, and --by NAME, must be given together, but are {level!r} and {by!r}"
        )
    return Receipts(client.acknowledge, AckLevel(level.upper()), by).take


def _follow(client: Client, for_s: float | None, count: int | None, write: Callable[[Event], object]) -> None:
    from railwatch.messaging.events import AlertReceived

    left = count
    for event in client.events(for_s):
        write(event)
        if isinstance(event, AlertReceived):
            client.done(event)
        if left is not None and isinstance(event, AlertReceived):
            left -= 1
            if left == 0:
                return


def _write_json(event: Event) -> None:
    from railwatch.cli.listen_lines import line_of

    line = line_of(event)
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _write_text(event: Event) -> None:
    from railwatch.cli.listen_table import text_of

    text = text_of(event)
    if text is not None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _live(
    client: Client, endpoint: str, count: int | None, for_s: float | None, answer: Callable[[Event], object]
) -> None:
    """The table in a terminal, drawn four times a second also while nothing arrives: ages and leases run on."""
    from rich.live import Live

    from railwatch.cli.listen_table import Board
    from railwatch.messaging.events import AlertReceived

    board, left = Board(endpoint), count
    end_s = float("inf") if for_s is None else time.monotonic() + for_s
    drawn_s = time.monotonic()
    with Live(board.table({}), auto_refresh=False) as live:
        while not client.stopped and left != 0 and time.monotonic() < end_s:
            for event in client.poll(min(_REFRESH_S, max(0.0, end_s - time.monotonic()))):
                board.take(event)
                if isinstance(event, AlertReceived):
                    client.done(event)
                answer(event)
                if left is not None and isinstance(event, AlertReceived):
                    left -= 1
            if time.monotonic() - drawn_s >= _REFRESH_S:
                drawn_s = time.monotonic()
                live.update(board.table(client.states()), refresh=True)
        live.update(board.table(client.states()), refresh=True)
