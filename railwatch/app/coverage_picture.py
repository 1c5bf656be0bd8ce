"""The coverage maps of a site as one picture, a camera below the other, on the first frame of each where it has one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from railwatch.app.coverage import ZoneCoverage
from railwatch.app.explain_picture import save_png
from railwatch.app.sources import open_source
from railwatch.core.errors import SourceError
from railwatch.core.settings import CameraSettings, SiteSettings
from railwatch.core.types import UInt8Array
from railwatch.evidence.coverage_map import MappedZone, draw_coverage


def write_map(site: SiteSettings, found: list[ZoneCoverage], out: Path) -> None:
    """Draw the coverage of all cameras as PNG; raises RecordError when it cannot be written."""
    sheets = []
    for camera in site.cameras:
        zones = [item for item in found if item.zone.camera_id == camera.camera_id]
        mapped = [MappedZone(item.zone, item.cells, _words(item)) for item in zones]
        aspect = site.coverage.view(camera.camera_id).aspect
        sheets.append(draw_coverage(camera.camera_id, aspect, mapped, _first_frame(camera)))
    save_png(out, np.concatenate(sheets))


def _words(item: ZoneCoverage) -> str:
    worst = item.worst
    if worst is None:
        return f"{item.zone.zone_id}: not known, needs {item.unknown}"
    asked = "" if item.wanted_m is None else f", asked {item.wanted_m:g} m"
    return f"{item.zone.zone_id}: {worst.smallest_m:.1f} m in its worst cell{asked}"


def _first_frame(camera: CameraSettings) -> UInt8Array | None:
    """The first picture of a recording; a live camera is left alone."""
    if camera.source.isdigit() or "://" in camera.source:
        return None
    try:
        with open_source(camera.source, camera.camera_id) as source:
            return next(iter(source.frames())).picture.bgr()
    except (SourceError, StopIteration):
        return None
