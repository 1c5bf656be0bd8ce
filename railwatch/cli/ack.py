"""`railwatch ack`: a person acknowledges an incident, or looks which are open."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from railwatch.core.alerts import AckLevel, OpenIncident
    from railwatch.messaging.client import Client

_STATUS_S: Final = 10.0
_ANSWER_S: Final = 15.0


def ack(
    incident: Annotated[
        str | None, typer.Argument(help="The incident, or enough of the end of its name that only one fits.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who acknowledges: the name of a person.")] = None,
    level: Annotated[str, typer.Option(help="acknowledged, or for a program displayed or received.")] = "acknowledged",
    list_: Annotated[
        bool, typer.Option("--list", help="Tell which incidents are open, and how far they have come.")
    ] = False,
    connect: Annotated[str, typer.Option(help="Where the alerts are published.")] = "tcp://127.0.0.1:5556",
    request_connect: Annotated[
        str | None, typer.Option(help="Where requests are taken; without it, the port after that of --connect.")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Only this site.", show_default="any")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key file from `railwatch keys new`, for a site that asks for one.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --list, a JSON document for each incident.")] = False,
) -> None:
    """Acknowledge an incident by name: it stays open, and is not handed on to the next group.

    The command ends with 0 when the acknowledgement is in the hub's journal.
    """
    from railwatch.core.errors import ConfigError
    from railwatch.messaging.client import Client
    from railwatch.messaging.keys import ClientKeys
    from railwatch.messaging.ordering import History

    if list_ == (incident is not None):
        raise ConfigError("an incident or --list must be given, and not both")
    wanted = _level(level)
    known = None if keys is None else ClientKeys.load(keys)
    with Client(connect, request_connect, site_id=site, keys=known, history=History.NOTHING) as client:
        found = _open_incidents(client, connect)
        if incident is None:
            _print(found, as_json=json)
            return
        if not by:
            raise ConfigError("--by must name the person who acknowledges, but is not given")
        name = _named(incident, found)
        _acknowledge(client, name, wanted, by)
    sys.stderr.write(f"{name}: {wanted.value} by {by}\n")


def _level(text: str) -> AckLevel:
    from railwatch.core.alerts import AckLevel
    from railwatch.core.errors import ConfigError

    try:
        return AckLevel(text.upper())
    except ValueError:
        allowed = ", ".join(level.value.lower() for level in AckLevel)
        raise ConfigError(f"--level must be one of {allowed}, but is {text!r}") from None


def _open_incidents(client: Client, endpoint: str) -> tuple[OpenIncident, ...]:
    """The open incidents of a Status that is fresh. Raises MessagingError when none comes."""
    from railwatch.core.errors import MessagingError
    from railwatch.messaging.events import StatusReceived

    for event in client.events(_STATUS_S):
        if isinstance(event, StatusReceived) and event.age_s is not None:
            return event.status.open_incidents
    raise MessagingError(
        f"a hub must answer at {endpoint}, but none did within {_STATUS_S:g} s: is it running, is the key right?"
    )


def _named(text: str, found: tuple[OpenIncident, ...]) -> str:
    """The one open incident whose name is, or ends with, `text`. Raises MessagingError for none or several."""
    from railwatch.core.errors import MessagingError

    names = [incident.incident_id for incident in found]
    fitting = [name for name in names if name == text] or [name for name in names if name.endswith(text)]
    if len(fitting) == 1:
        return fitting[0]
    which = f"{', '.join(fitting)} all end so" if fitting else f"open are {', '.join(names) or 'none'}"
    raise MessagingError(f"an incident that is open must be named, but {text!r} is given: {which}")


def _acknowledge(client: Client, incident_id: str, level: AckLevel, by: str) -> None:
    """Acknowledge and wait for the answer. Raises ConfigError for a name that is too long, MessagingError."""
    from railwatch.core.errors import ConfigError, MessagingError
    from railwatch.messaging.events import Answered

    try:
        request = client.acknowledge(incident_id, level, by)
    except ValueError as error:
        raise ConfigError(f"--by must be a name: {error}") from error
    for event in client.events(_ANSWER_S):
        if isinstance(event, Answered) and event.request == request:
            if event.accepted:
                return
            raise MessagingError(f"the hub must accept the acknowledgement, but refuses it: {event.reason}")
    raise MessagingError(f"the hub must answer, but did not within {_ANSWER_S:g} s: the acknowledgement may not count")


def _print(found: tuple[OpenIncident, ...], *, as_json: bool) -> None:
    from railwatch.cli.listen_table import printable

    for incident in found:
        if as_json:
            sys.stdout.write(_document(incident) + "\n")
            continue
        level = incident.level.value if incident.level is not None else "not received"
        words = [
            incident.incident_id,
            incident.severity.value,
            incident.kind.value,
            incident.section_id or "whole site",
        ]
        words += [incident.fault] if incident.fault else []
        words += [f"{level} by {incident.by}" if incident.by else level, f"since {incident.opened_at}"]
        words += [f"told to {', '.join(incident.addressed_to)}"] if incident.addressed_to else []
        sys.stdout.write(printable("  ".join(words)) + "\n")
    if not found and not as_json:
        sys.stderr.write("no incident is open\n")


def _document(incident: OpenIncident) -> str:
    import json

    from railwatch.core.alerts import OpenIncident
    from railwatch.messaging.plain import to_plain

    return json.dumps(to_plain(incident, OpenIncident, ""), ensure_ascii=False, separators=(",", ":"))
