"""`railwatch cameras`: whether the cameras of a site can be read."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

cameras = typer.Typer(help="Whether the cameras of a site can be read.", no_args_is_help=True)


@cameras.callback()
def _group() -> None:
    """A group, although it has one command."""


@cameras.command("check")
def check(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.YAML", help="The site file.")],
    camera: Annotated[str | None, typer.Option(help="Only this camera.")] = None,
    within: Annotated[float, typer.Option(help="Longest wait for a first picture, seconds.", min=1, max=60)] = 12.0,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each.")] = False,
) -> None:
    """Open every camera of a site once, and its evidence stream; tell what it gives, or why it gives nothing."""
    from railwatch.app.camera_check import try_cameras
    from railwatch.config import load_site
    from railwatch.core.errors import ConfigError, SourceError

    site = load_site(site_file)
    chosen = tuple(item for item in site.cameras if camera in (None, item.camera_id))
    if not chosen:
        names = ", ".join(item.camera_id for item in site.cameras)
        raise ConfigError(f"--camera must be one of {names}, but is {camera}")
    bad = 0
    for tried in try_cameras(chosen, within):
        bad += not tried.good
        line = f"{tried.camera_id}: {'' if tried.good else 'FAILED: '}{tried.text}"
        sys.stdout.write((json.dumps(asdict(tried)) if as_json else line) + "\n")
        sys.stdout.flush()
    if bad:
        raise SourceError(f"every camera of {site_file.name} must give pictures, but {bad} do not, listed above")
