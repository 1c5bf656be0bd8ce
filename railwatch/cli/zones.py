"""`railwatch zones`: what the zones of a site are good for."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from railwatch.app.coverage import ZoneCoverage

zones = typer.Typer(help="What the zones of a site are good for.", no_args_is_help=True)

_PEOPLE_M: Final = (1.7, 1.3, 0.9)
"""An adult, a child, a small child."""


@zones.command("coverage")
def coverage(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.YAML", help="The site file.")],
    out: Annotated[Path | None, typer.Option(help="Draw the map of every camera here (PNG).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with every cell.")] = False,
) -> None:
    """Tell the smallest person that is found in each zone, by calibration and the model's measured recall."""
    from railwatch.app.coverage import coverage_faults, eye_of, needed_px, site_coverage
    from railwatch.config import load_site
    from railwatch.core.errors import ConfigError

    site = load_site(site_file)
    eye = eye_of(site.model)
    found = site_coverage(site, eye)
    if out is not None:
        from railwatch.app.coverage_picture import write_map

        write_map(site, found, out)
        sys.stderr.write(f"{out}\n")
    needed = needed_px(site, eye)
    if as_json:
        size = list(eye.size)
        document = {"model": eye.name, "input": size, "needed_px": needed, "zones": [_plain(item) for item in found]}
        sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")
    else:
        told = "an unknown height" if needed is None else f"{needed:.0f} px"
        sys.stdout.write(f"model {eye.name}, input {eye.size.width} x {eye.size.height}, finds people from {told} on\n")
        sys.stdout.write("".join(f"{line}\n" for line in _table(found)))
    faults = coverage_faults(site, found, eye)
    if faults:
        raise ConfigError(f"{site_file.name} must not be armed: {'; '.join(fault.text for fault in faults)}")


def _table(found: list[ZoneCoverage]) -> list[str]:
    lines = [f"{'zone':20} {'camera':12} {'smallest':>9} {'worst at':>12} {'1.7 m is':>14}  found: 1.7 m 1.3 m 0.9 m"]
    for item in found:
        start = f"{item.zone.zone_id:20} {item.zone.camera_id:12}"
        worst = item.worst
        if worst is None:
            lines.append(f"{start} not known: needs {item.unknown}")
            continue
        sizes = [cell.person_px for cell in item.cells]
        smallest = f"{worst.smallest_m:.1f} m" if math.isfinite(worst.smallest_m) else "nobody"
        shares = " ".join(f"{item.share(metres):5.0%}" for metres in _PEOPLE_M)
        place = f"{worst.at.x:.2f}, {worst.at.y:.2f}"
        lines.append(f"{start} {smallest:>9} {place:>12} {min(sizes):5.0f} to {max(sizes):3.0f} px         {shares}")
    return lines


def _plain(item: ZoneCoverage) -> dict[str, Any]:
    def smallest(metres: float) -> float | None:
        return round(metres, 3) if math.isfinite(metres) else None

    return {
        "zone_id": item.zone.zone_id,
        "camera_id": item.zone.camera_id,
        "wanted_m": item.wanted_m,
        "unknown": item.unknown or None,
        "cells": [
            [round(c.at.x, 4), round(c.at.y, 4), round(c.person_px, 1), smallest(c.smallest_m)] for c in item.cells
        ],
    }
