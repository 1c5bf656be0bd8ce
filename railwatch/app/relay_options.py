"""Which output a relay has, as one line of JSON from the following process to the keeping one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from railwatch.relay.output import Output


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A program of the user's, started with these arguments and no shell."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GpioTarget:
    """A line of a GPIO chip of this machine."""

    chip: str
    line: int
    active_low: bool = False
    pulse: bool = False


@dataclass(frozen=True, slots=True)
class ModbusTarget:
    """A coil of a Modbus TCP device."""

    host: str
    port: int
    unit: int
    coil: int
    heartbeat_register: int | None = None


Target = CommandTarget | GpioTarget | ModbusTarget


def target_to_text(target: Target) -> str:
    """The target as one argument of a program.

    >>> target_to_text(CommandTarget(("horn",)))
    '{"kind": "CommandTarget", "argv": ["horn"]}'
    """
    return json.dumps({"kind": type(target).__name__, **asdict(target)})


def open_output(text: str) -> Output:
    """Open the output that a text stands for, de-energised. Raises InstallError, RelayError."""
    values = json.loads(text)
    kind = values.pop("kind")
    if kind == CommandTarget.__name__:
        from railwatch.relay.command import CommandOutput

        return CommandOutput(values["argv"])
    if kind == GpioTarget.__name__:
        from railwatch.relay.gpio import GpioOutput

        return GpioOutput(**values)
    from railwatch.relay.modbus import ModbusOutput

    return ModbusOutput(**values)
