"""`railwatch cameras`: which cameras are there, and whether those of a site can be read."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

cameras = typer.Typer(help="Which cameras are there, and whether those of a site can be read.", no_args_is_help=True)


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


@cameras.command("find")
def find(
    within: Annotated[float, typer.Option(help="How long answers are waited for, seconds.", min=1, max=60)] = 4.0,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each.")] = False,
) -> None:
    """Ask the networks of this machine for cameras that speak ONVIF, and list what they say of themselves."""
    from railwatch.app.camera_find import find_cameras
    from railwatch.core.errors import SourceError

    found = find_cameras(within)
    for item in found:
        words = [part for part in (item.name, item.hardware, item.location) if part]
        line = json.dumps(asdict(item)) if as_json else f"{' '.join(item.addresses)}  {', '.join(words)}".rstrip()
        sys.stdout.write(line + "\n")
    if not found:
        raise SourceError(
            f"a camera must answer within {within:g} s to be found, but none did: they answer in the same network only "
            "and some have ONVIF switched off; the address of a stream stands in the camera's own pages"
        )
