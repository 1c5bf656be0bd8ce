"""`railwatch check`: every fault of a site file at once, or a summary of what it would arm."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from railwatch.core.settings import SiteSettings
    from railwatch.strict_yaml import Fault


def check(
    site_file: Annotated[Path | None, typer.Argument(metavar="SITE.YAML", help="The site file.")] = None,
    *,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a site file and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check a site file: tell every fault with its line, key, value and what is allowed."""
    from railwatch.config import load_site, site_faults_of_file, site_json_schema
    from railwatch.core.errors import ConfigError

    if schema:
        sys.stdout.write(json.dumps(site_json_schema(), indent=None if as_json else 2) + "\n")
        return
    if site_file is None:
        raise ConfigError("check needs a site file (or --schema), but none is given")
    faults = site_faults_of_file(site_file)
    if not faults:
        site = load_site(site_file)
        faults = [*_coverage_faults(site_file, site), *_second_look_faults(site_file, site)]
    if faults:
        sys.stdout.write(_faults_json(site_file, faults) if as_json else _faults_text(site_file, faults))
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(f"{site_file} must be without faults to be armed, but has {count}, listed above")
    sys.stdout.write(_summary_json(site_file, site) if as_json else _summary_text(site_file, site))


def _coverage_faults(site_file: Path, site: SiteSettings) -> list[Fault]:
    """Zones in which somebody who must be found is too small; asked only where a zone says who must be."""
    if not site.coverage.wanted:
        return []
    from railwatch.app.coverage import coverage_faults, eye_of, site_coverage
    from railwatch.config import with_lines

    eye = eye_of(site.model)
    return with_lines(site_file, coverage_faults(site, site_coverage(site, eye), eye))


def _second_look_faults(site_file: Path, site: SiteSettings) -> list[Fault]:
    """What is wrong with the classifier of the second look; it is opened only where a site has one."""
    if site.second_look is None:
        return []
    from railwatch.app.second_look_check import second_look_faults
    from railwatch.config import with_lines

    return with_lines(site_file, second_look_faults(site.second_look))


def _faults_text(site_file: Path, faults: Sequence[Fault]) -> str:
    return "".join(f"{site_file}: {fault}\n" for fault in faults)


def _faults_json(site_file: Path, faults: Sequence[Fault]) -> str:
    listed = [{"line": f.line or None, "key": f.key, "value": f.value, "allowed": f.allowed} for f in faults]
    return json.dumps({"file": str(site_file), "ok": False, "faults": listed}) + "\n"


def _summary_json(site_file: Path, site: SiteSettings) -> str:
    summary = {
        "file": str(site_file),
        "ok": True,
        "site_id": site.site_id,
        "config_rev": site.config_rev,
        "cameras": [camera.camera_id for camera in site.cameras],
        "sections": list(site.sections),
        "zones": [zone.zone_id for zone in site.zones],
    }
    return json.dumps(summary) + "\n"


def _summary_text(site_file: Path, site: SiteSettings) -> str:
    cameras = ", ".join(c.camera_id if c.required else f"{c.camera_id} (not required)" for c in site.cameras)
    zones = ", ".join(f"{zone.zone_id} ({zone.kind.value} of {zone.section_id})" for zone in site.zones)
    return (
        f"{site_file} has no faults.\n"
        f"site        {site.site_id}\n"
        f"config_rev  {site.config_rev}\n"
        f"cameras     {len(site.cameras)}: {cameras}\n"
        f"sections    {len(site.sections)}: {', '.join(site.sections)}\n"
        f"zones       {len(site.zones)}: {zones}\n"
        f"alarms on   {', '.join(site.alarm_groups)}\n"
    )
