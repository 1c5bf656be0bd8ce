"""How small a person may be that is found in each zone: calibration of the site, measured recall of the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from railwatch.core.coverage import (
    PERSON_M,
    Cell,
    HeightAt,
    Recall,
    cells_of,
    frame_px,
    heights_of,
    heights_on,
    smallest_px,
)
from railwatch.core.settings import ModelSettings, SiteFault, SiteSettings
from railwatch.core.types import Size, Zone, ZoneKind
from railwatch.perception.manifest import known_entry
from railwatch.perception.model import describe_model


class Eye(NamedTuple):
    """What of a model bears on coverage: its name, the size of its input, and its measured recall by height."""

    name: str
    size: Size
    recall: tuple[Recall, ...]


class ZoneCoverage(NamedTuple):
    """The coverage of one zone: its cells, what is asked of it (metres; None: nothing), and why it is not known."""

    number: int
    zone: Zone
    cells: tuple[Cell, ...]
    wanted_m: float | None
    unknown: str = ""

    @property
    def worst(self) -> Cell | None:
        """The cell in which a person must be the tallest to be found."""
        return max(self.cells, key=lambda cell: cell.smallest_m, default=None)

    def share(self, person_m: float) -> float:
        """Part of the cells in which a person of a height is found, 0 to 1."""
        return sum(cell.smallest_m <= person_m for cell in self.cells) / len(self.cells) if self.cells else 0.0


def eye_of(settings: ModelSettings) -> Eye:
    """Describe the model of a site. Raises ModelError when it cannot be described."""
    file = Path(settings.file)
    description = describe_model(file)
    entry = known_entry(file, description.sha256)
    return Eye(description.facts.name, description.form.size, entry.recall if entry else ())


def site_coverage(site: SiteSettings, eye: Eye) -> list[ZoneCoverage]:
    """The coverage of every zone that raises alarms."""
    return [*_zones(site, eye)]


def needed_px(site: SiteSettings, eye: Eye) -> float | None:
    """From which height in the model's input on people count as found; None: it is not known, or from none."""
    return site.coverage.smallest_px or smallest_px(eye.recall, site.coverage.least_recall)


def coverage_faults(site: SiteSettings, found: list[ZoneCoverage], eye: Eye) -> list[SiteFault]:
    """Why the site must not arm: each zone in which who must be found is not, or for which that is not known."""
    faults = []
    for item in found:
        if item.wanted_m is None:
            continue
        path = ("zones", item.number, "smallest_person_m")
        if item.unknown:
            faults.append(SiteFault(path, f"smallest_person_m needs {item.unknown}"))
        elif item.worst is not None and item.worst.smallest_m > item.wanted_m:
            faults.append(SiteFault(path, _refusal(site, item, item.worst, eye)))
    return faults


def _zones(site: SiteSettings, eye: Eye) -> Iterator[ZoneCoverage]:
    wanted, needed = dict(site.coverage.wanted), needed_px(site, eye)
    for number, zone in enumerate(site.zones):
        if zone.kind is ZoneKind.IGNORE:
            continue
        asked, height_at = wanted.get(zone.zone_id), _heights(site, zone.camera_id)
        if height_at is None:
            unknown = f"cameras[].ground or cameras[].people of camera {zone.camera_id}: how tall people are there"
            yield ZoneCoverage(number, zone, (), asked, unknown)
        elif needed is None:
            yield ZoneCoverage(number, zone, (), asked, _no_recall(site, eye))
        else:
            scale = frame_px(*eye.size, site.coverage.view(zone.camera_id).aspect)
            yield ZoneCoverage(number, zone, tuple(cells_of(zone.polygon_norm, height_at, scale, needed)), asked)


def _heights(site: SiteSettings, camera_id: str) -> HeightAt | None:
    """The ground plane counts before declared sizes: it is the better measured."""
    view = site.coverage.view(camera_id)
    plane = next(camera.ground for camera in site.cameras if camera.camera_id == camera_id)
    if plane is not None:
        return heights_on(plane, view.aspect)
    return heights_of(view.people) if view.people else None


def _no_recall(site: SiteSettings, eye: Eye) -> str:
    if eye.recall:
        least = site.coverage.least_recall
        return f"a model that finds {least:.0%} of tall people (coverage.least_recall), which {eye.name} does not"
    return f"coverage.smallest_px, for nothing is known of the recall by height of the model {eye.name}"


def _refusal(site: SiteSettings, item: ZoneCoverage, worst: Cell, eye: Eye) -> str:
    at = f"({worst.at.x:.2f}, {worst.at.y:.2f})"
    who = f"only people from {worst.smallest_m:.1f} m on are" if math.isfinite(worst.smallest_m) else "nobody is"
    return (
        f"smallest_person_m must hold in all of zone {item.zone.zone_id}, but at {at} of the frame a person of "
        f"{PERSON_M:g} m is {worst.person_px:.0f} px tall in the input of {eye.name}, which finds people from "
        f"{needed_px(site, eye):.0f} px on, so {who} found: let the zone end nearer, or take a longer lens or a model "
        "with a larger input (railwatch zones coverage draws it)"
    )
