"""`railwatch run`: the hub of a site, with its perception workers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.YAML", help="The site file.")],
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of what survives a restart.", show_default="state, beside the site file"),
    ] = None,
    record: Annotated[Path | None, typer.Option(help="Write every input of the decision here, for replay.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Recordings begin again at their end.")] = False,
) -> None:
    """Watch a site: start its perception workers, decide, and send alerts, until SIGTERM or Ctrl-C.

    SIGHUP, or `railwatch reload`, reads the site file anew.
    """
    from railwatch.app.hub import Hub, RunOptions

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    with Hub(RunOptions(site_file, state, record, loop), say) as hub:
        hub.run()
