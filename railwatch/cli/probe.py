"""`railwatch probe`: try the whole chain of a running hub now, from a camera's pictures to this subscriber."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from railwatch.core.alerts import SelfTest, Status
    from railwatch.messaging.client import Client

_STATUS_S: Final = 10.0


def probe(
    camera: Annotated[str | None, typer.Argument(help="The camera to try; without it, all of them.")] = None,
    connect: Annotated[str, typer.Option(help="Where the alerts are published.")] = "tcp://127.0.0.1:5556",
    request_connect: Annotated[
        str | None, typer.Option(help="Where requests are taken; without it, the port after that of --connect.")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Only this site.", show_default="any")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key file from `railwatch keys new`, for a site that asks for one.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, help="Longest wait for each camera, in seconds.")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="A JSON document for each camera.")] = False,
) -> None:
    """Put a person into copies of a camera's pictures, and see that the alert arrives here.

    The command ends with 0 when every camera has passed, with 1 when one has not.
    """
    from railwatch.messaging.client import Client
    from railwatch.messaging.keys import ClientKeys
    from railwatch.messaging.ordering import History

    known = None if keys is None else ClientKeys.load(keys)
    failed = False
    with Client(connect, request_connect, site_id=site, keys=known, history=History.NOTHING) as client:
        for name, result, arrived_s in _results(client, camera, connect, timeout):
            passed = result.misses == 0 and arrived_s is not None
            failed = failed or not passed
            _print(name, result, arrived_s, as_json=json, passed=passed)
    if failed:
        raise typer.Exit(1)


def _results(
    client: Client, camera: str | None, endpoint: str, timeout_s: float
) -> Iterator[tuple[str, SelfTest, float | None]]:
    """Of each camera what its self-test came to, and after how long its alert arrived here (None: it did not).

    Raises MessagingError when the hub does not answer, refuses, or does not end a self-test in time.
    """
    from railwatch.core.alerts import Action, AlertKind
    from railwatch.core.clock import elapsed_s
    from railwatch.core.errors import MessagingError
    from railwatch.messaging.events import AlertReceived, Answered, StatusReceived

    before = _tests(_first_status(client, endpoint))
    begun_s, request = elapsed_s(), client.probe(camera)
    waiting = {camera} if camera is not None else set(before)
    arrived: dict[str, float] = {}
    for event in client.events(timeout_s * max(1, len(waiting))):
        if isinstance(event, Answered) and event.request == request and not event.accepted:
            raise MessagingError(f"the hub must grant the self-test, but refuses it: {event.reason}")
        if isinstance(event, AlertReceived) and not event.replayed:
            alert = event.alert
            if alert.kind is AlertKind.TEST and alert.action is Action.OPENED and alert.camera_id:
                arrived.setdefault(alert.camera_id, elapsed_s() - begun_s)
        if isinstance(event, StatusReceived):
            tests = _tests(event.status)
            for name in sorted(name for name in waiting & set(tests) if tests[name].runs > before[name].runs):
                waiting.discard(name)
                yield name, tests[name], arrived.get(name)
            if not waiting:
                return
    left = ", ".join(sorted(waiting)) or "any camera"
    raise MessagingError(
        f"a self-test must end within {timeout_s:g} s, but that of {left} did not: a camera that is BLIND is not tried"
    )


def _tests(status: Status) -> dict[str, SelfTest]:
    """What the self-tests came to of every camera that is tried."""
    return {name: item.self_test for name, item in status.cameras.items() if item.self_test is not None}


def _first_status(client: Client, endpoint: str) -> Status:
    from railwatch.core.errors import MessagingError
    from railwatch.messaging.events import StatusReceived

    for event in client.events(_STATUS_S):
        if isinstance(event, StatusReceived) and event.age_s is not None:
            return event.status
    raise MessagingError(
        f"a hub must answer at {endpoint}, but none did within {_STATUS_S:g} s: is it running, is the key right?"
    )


def _print(name: str, result: SelfTest, arrived_s: float | None, *, as_json: bool, passed: bool) -> None:
    import json

    from railwatch.cli.listen_table import printable
    from railwatch.core.alerts import SelfTest
    from railwatch.messaging.plain import to_plain

    if as_json:
        document = {"camera_id": name, "passed": passed, "arrived_s": arrived_s, **to_plain(result, SelfTest, "")}
        sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
        return
    if passed:
        p50, p95 = (f"{value:.2f} s" if value is not None else "-" for value in (result.p50_s, result.p95_s))
        words = f"passed, the alert arrived {arrived_s:.1f} s after the request; frame to alert p50 {p50}, p95 {p95}"
    elif result.misses:
        words = f"failed, {result.misses} in a row: see why with `railwatch listen`"
    else:
        words = "passed at the hub, but the alert did not arrive here"
    sys.stdout.write(printable(f"{name}  {words}") + "\n")
