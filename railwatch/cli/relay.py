"""`railwatch relay`: an output that falls unless the track is known to be clear."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from railwatch.app.relay import RelayState
    from railwatch.app.relay_options import Target


def relay(
    command: Annotated[
        list[str] | None, typer.Argument(help="A program that drives the relay, and its arguments, after --.")
    ] = None,
    section: Annotated[
        list[str] | None, typer.Option(help="A section that must be CLEAR; may be given several times.")
    ] = None,
    connect: Annotated[str, typer.Option(help="Where the alerts are published.")] = "tcp://127.0.0.1:5556",
    request_connect: Annotated[
        str | None, typer.Option(help="Where nonces are taken; without it, the port after that of --connect.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key file from `railwatch keys new`, for a site that asks for one.")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Only this site.", show_default="any")] = None,
    gpio: Annotated[str | None, typer.Option(help="GPIO chip, as in /dev/gpiochip0.")] = None,
    line: Annotated[int | None, typer.Option(min=0, help="Line of the GPIO chip.")] = None,
    active_low: Annotated[bool, typer.Option("--active-low", help="Energised is the low level.")] = False,
    pulse: Annotated[
        bool, typer.Option("--pulse", help="Energised is a change of level ten times a second, for a watchdog relay.")
    ] = False,
    modbus: Annotated[str | None, typer.Option(help="HOST or HOST:PORT of a Modbus TCP device.")] = None,
    coil: Annotated[int, typer.Option(min=0, max=65535, help="Address of the coil, from 0.")] = 0,
    unit: Annotated[int, typer.Option(min=0, max=247, help="Unit of the Modbus device.")] = 1,
    heartbeat_register: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Holding register that counts on, for the device's watchdog.")
    ] = None,
    settle: Annotated[
        float, typer.Option(min=0.0, max=3600.0, help="Seconds for which all must be CLEAR before it is energised.")
    ] = 1.0,
) -> None:
    """Hold an output energised only while every section is CLEAR on a fresh echo; de-energised is the alarm.

    One output must be named: --gpio with --line, --modbus, or a program after --.
    """
    from railwatch.app.relay import KeeperProcess, follow
    from railwatch.core.errors import ConfigError
    from railwatch.messaging.client import Client
    from railwatch.messaging.keys import ClientKeys
    from railwatch.messaging.ordering import History

    target = _target(command or [], (gpio, line, active_low, pulse), (modbus, unit, coil, heartbeat_register))
    if not section:
        raise ConfigError("--section must name at least one section, but none is given: nothing would ever be CLEAR")
    known = None if keys is None else ClientKeys.load(keys)
    with (
        Client(connect, request_connect, keys=known, site_id=site, history=History.NOTHING) as client,
        KeeperProcess(target) as keeper,
    ):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: client.stop())
        follow(client, tuple(section), keeper, settle, _tell)


def _tell(state: RelayState) -> None:
    sys.stdout.write(f"{'energised' if state.energised else 'DE-ENERGISED'}: {state.reason}\n")
    sys.stdout.flush()


def _target(
    command: list[str],
    gpio: tuple[str | None, int | None, bool, bool],
    modbus: tuple[str | None, int, int, int | None],
) -> Target:
    """The one output that the options name. Raises ConfigError for none, several, or half of one."""
    from railwatch.app.relay_options import CommandTarget, GpioTarget, ModbusTarget
    from railwatch.core.errors import ConfigError

    named = [name for name, given in (("--gpio", gpio[0]), ("--modbus", modbus[0]), ("a program", command)) if given]
    if len(named) != 1:
        raise ConfigError(
            "one output must be named, --gpio with --line, --modbus, or a program after --, but "
            f"{'none' if not named else ' and '.join(named)} is given"
        )
    if (gpio[0] is None) != (gpio[1] is None):
        raise ConfigError("--gpio and --line must be given together, but only one is")
    if gpio[0] is not None and gpio[1] is not None:
        return GpioTarget(gpio[0], gpio[1], gpio[2], gpio[3])
    if modbus[0] is not None:
        host, port = _host_and_port(modbus[0])
        return ModbusTarget(host, port, *modbus[1:])
    return CommandTarget(tuple(command))


def _host_and_port(text: str) -> tuple[str, int]:
    from railwatch.core.errors import ConfigError

    host, colon, port = text.rpartition(":")
    if not colon:
        return text, 502
    if not (host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigError(f"--modbus must be HOST or HOST:PORT, but is {text!r}")
    return host, int(port)
