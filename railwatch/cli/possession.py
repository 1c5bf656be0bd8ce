"""`railwatch possession`: workers hold a rail track, so that they raise no alarm but for a train."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

_ANSWER_S: Final = 15.0
_Connect = Annotated[str, typer.Option(help="Where the alerts are published.")]
_RequestConnect = Annotated[
    str | None, typer.Option(help="Where requests are taken; without it, the port after that of --connect.")
]
_Keys = Annotated[
    Path | None, typer.Option(help="Key file of role operator from `railwatch keys new`, for a site that asks for one.")
]

possession = typer.Typer(help="Possessions of rail tracks by workers.", no_args_is_help=True)


@possession.command()
def grant(
    track: Annotated[str, typer.Argument(help="The rail track.")],
    holder: Annotated[str, typer.Option(help="Who answers for the workers: a name.")],
    minutes: Annotated[float, typer.Option(min=0.1, max=720.0, help="How long it lasts; it ends by itself.")],
    connect: _Connect = "tcp://127.0.0.1:5556",
    request_connect: _RequestConnect = None,
    keys: _Keys = None,
) -> None:
    """Let workers hold a track from now on: people on it are a NOTICE, and an EMERGENCY when a train comes."""
    _ask(track, holder, 60.0 * minutes, connect, request_connect, keys)
    sys.stderr.write(f"{holder} holds {track} for {minutes:g} min\n")


@possession.command()
def end(
    track: Annotated[str, typer.Argument(help="The rail track.")],
    holder: Annotated[str, typer.Option(help="Who ends it: a name.")],
    connect: _Connect = "tcp://127.0.0.1:5556",
    request_connect: _RequestConnect = None,
    keys: _Keys = None,
) -> None:
    """End a possession now."""
    _ask(track, holder, 0.0, connect, request_connect, keys)
    sys.stderr.write(f"nobody holds {track} any more\n")


def _ask(track: str, holder: str, lasts_s: float, connect: str, request_connect: str | None, keys: Path | None) -> None:
    """Ask, and wait for the answer. Raises ConfigError for names out of bounds, MessagingError."""
    from railwatch.core.errors import ConfigError, MessagingError
    from railwatch.messaging.asking import new_name
    from railwatch.messaging.client import Client
    from railwatch.messaging.events import Answered
    from railwatch.messaging.keys import ClientKeys
    from railwatch.messaging.ordering import History
    from railwatch.messaging.requests import POSSESSION_VERB, PossessionRequest

    try:
        request = PossessionRequest(new_name(), track, holder, lasts_s)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    known = None if keys is None else ClientKeys.load(keys)
    with Client(connect, request_connect, keys=known, history=History.NOTHING) as client:
        name = client.ask(POSSESSION_VERB, request)
        for event in client.events(_ANSWER_S):
            if isinstance(event, Answered) and event.request == name:
                if event.accepted:
                    return
                raise MessagingError(f"the hub must grant the possession, but refuses it: {event.reason}")
    raise MessagingError(f"a hub must answer, but none did within {_ANSWER_S:g} s: is it running, is the key right?")
