"""The `railwatch` command: a row a command, and one place where errors become one line and an exit code."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import typer

from railwatch.core.errors import InstallError, RailwatchError

COMMANDS: Final = (
    "run",
    "reload",
    "watch",
    "detect",
    "listen",
    "probe",
    "ack",
    "train",
    "relay",
    "replay",
    "explain",
    "check",
    "doctor",
    "bench",
    "bridge",
    "possession",
    "zones",
    "cameras",
    "journal",
    "evidence",
    "models",
    "keys",
)
"""Each names a module of this package and in it the function, or the group of commands. A new one is one file and one
row here."""


def build_app() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="railwatch",
        help="Watch railway tracks: find people and animals on them and tell whoever can stop the train.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    for name in COMMANDS:
        module = importlib.import_module(f"railwatch.cli.{name}")
        command = getattr(module, name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line; every foreseen error is one line on stderr and the exit code of its class."""
    try:
        build_app()()
    except RailwatchError as error:
        sys.stderr.write(f"railwatch: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
    except ImportError as error:
        ours = (error.name or "railwatch").partition(".")[0] == "railwatch"
        if ours and "libGL" not in str(error):
            raise  # our own fault, not that of the installation
        sys.stderr.write(
            f"railwatch: a library must be installed to run this command, but is not ({' '.join(str(error).split())}): "
            "pip install 'railwatch[cpu]' brings all that watching needs; railwatch doctor tells what is missing\n"
        )
        sys.exit(InstallError.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
