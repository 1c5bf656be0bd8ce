"""`railwatch reload`: the running hub takes over a changed site file, or says why not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def reload(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.YAML", help="The site file of the running hub.")],
    state: Annotated[
        Path | None,
        typer.Option(help="The state folder of the hub.", show_default="state, beside the site file"),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1.0, max=3600.0, help="Longest wait, in seconds.")] = 120.0,
) -> None:
    """Have the running hub take over its changed site file: all of it, or nothing.

    Cameras that stay as they are keep their tracks. An invalid file changes nothing.
    """
    from railwatch.app.reload_request import request_reload

    sys.stdout.write(f"the hub runs with configuration {request_reload(site_file, state, timeout)}\n")
