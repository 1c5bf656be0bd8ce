"""The `classifiers` command: a row a command, and one place where errors become one line and an exit code."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import typer

from classifiers.errors import ClassifierError

COMMANDS: Final = (
    "count",
    "data",
    "train",
    "finetune",
    "evaluate",
    "sweep",
    "report",
    "explain",
    "export",
    "predict",
    "bench",
    "bench-onnx",
)
"""Each names a module of this package and the function (or typer app) in it, "-" being "_" there. A new command is one
file and one row."""


def build_app() -> typer.Typer:
    """The command line with all its commands."""
    app = typer.Typer(
        name="classifiers",
        help="Train, tune, explain and export image classifiers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    # A group even while there is one command: `classifiers count`, never bare `classifiers`.
    app.callback()(lambda: None)
    for name in COMMANDS:
        plain = name.replace("-", "_")
        command = getattr(importlib.import_module(f"classifiers.cli.{plain}"), plain)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line; every foreseen error is one line on stderr and the exit code of its class."""
    try:
        build_app()()
    except ClassifierError as error:
        sys.stderr.write(f"classifiers: {' '.join(str(error).split())}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
