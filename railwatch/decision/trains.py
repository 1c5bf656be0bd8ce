"""Where is the next train? What every source said last, and what may be believed of it.

The soonest credible arrival counts. A configured source that is missing, stale or contradicts itself or another counts
as a train now. "No train" is believed only from a source that is configured as authoritative, and only while it is
fresh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.settings import SiteSettings
from railwatch.core.types import TrainReport

SLACK_S: Final = 10.0
SLACK_SHARE: Final = 0.5
"""A report contradicts itself when its distance over its speed differs from its ETA by more than the slack and half of
it."""

MAX_DIRECTIONS: Final = 4
"""Directions that a source may tell of on one track: there are two, and names for both."""

CAMERA: Final = "camera"
"""The source of trains that the cameras see themselves."""

ReportKey = tuple[str, str, str]
"""Source, rail track, direction."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The last report of one source on one track and direction, and when it came on the hub's clock (seconds)."""

    report: TrainReport
    heard_s: float
    fault: str = ""

    def age_s(self, now_s: float) -> float:
        """Age of what it tells: its age on arrival and the time since."""
        return self.report.age_s + max(0.0, now_s - self.heard_s)

    def eta_s(self, now_s: float) -> float | None:
        """Seconds until the train is there, as of now; never below 0. None: this direction has no train."""
        return None if self.report.eta_s is None else max(0.0, self.report.eta_s - self.age_s(now_s))


class Sighting(NamedTuple):
    """A train in motion that a camera sees now; `rail_track_id` None: on which track is not known."""

    camera_id: str
    rail_track_id: str | None
    eta_s: float
    speed_mps: float | None
    distance_m: float | None


class TrainBelief(NamedTuple):
    """What is believed of the next train on one track.

    `known` False: nobody may be asked, the site's `severity_without_trains` holds. `eta_s` None with `known`: no train
    comes.
    `assumed`: a train is taken to be here because a source failed. `why` says it in words.
    """

    known: bool
    eta_s: float | None
    assumed: bool
    source: str
    age_s: float | None
    speed_mps: float | None
    distance_m: float | None
    why: str


NOBODY_TO_ASK: Final = TrainBelief(False, None, False, "", None, None, None, "no source of trains is configured")
Reports = Mapping[ReportKey, Heard]
NO_REPORTS: Final[Reports] = MappingProxyType({})


def why_not(site: SiteSettings, reports: Reports, report: TrainReport) -> str:
    """Why a report is not taken; "" when it is. So no more is kept than the site asks for."""
    source = next((source for source in site.train_sources if source.source_id == report.source), None)
    if source is None:
        named = ", ".join(source.source_id for source in site.train_sources) or "none"
        return f"the source must be one of train_sources, {named}, but is {report.source}"
    tracks = frozenset(source.rail_track_ids) or rail_tracks(site)
    if report.rail_track_id not in tracks:
        named = ", ".join(sorted(tracks)) or "none"
        return f"rail_track_id must be one of {named} for {report.source}, but is {report.rail_track_id}"
    held = reports.get((report.source, report.rail_track_id, report.direction))
    if held is not None and report.seq <= held.report.seq and not _repeats(report, held.report):
        return f"seq must grow, above {held.report.seq}, but is {report.seq}"
    known = [key for key in reports if key[:2] == (report.source, report.rail_track_id)]
    if held is None and len(known) >= MAX_DIRECTIONS:
        return f"a track must have at most {MAX_DIRECTIONS} directions, but {report.direction} is one more"
    return ""


def _repeats(report: TrainReport, held: TrainReport) -> bool:
    """Whether a report is one that was taken already, sent again because its answer did not come in time."""
    return replace(report, age_s=held.age_s) == held


def rail_tracks(site: SiteSettings) -> frozenset[str]:
    """The rail tracks that zones of the site name."""
    return frozenset(zone.rail_track_id for zone in site.zones if zone.rail_track_id is not None)


def hear(reports: Reports, report: TrainReport, now_s: float) -> Reports:
    """The reports with one more; one that is not newer than the one held of the same source is left out."""
    key = (report.source, report.rail_track_id, report.direction)
    held = reports.get(key)
    if held is not None and report.seq <= held.report.seq:
        return reports
    return MappingProxyType({**reports, key: Heard(report, now_s, fault_in(report))})


def fault_in(report: TrainReport) -> str:
    """How a report contradicts itself, "" when it does not."""
    if report.eta_s is None:
        return "" if report.distance_m is None else "tells of a distance but of no train"
    if report.distance_m is None or not report.speed_mps:
        return ""
    reckoned_s = report.distance_m / report.speed_mps
    if abs(reckoned_s - report.eta_s) <= max(SLACK_S, SLACK_SHARE * max(reckoned_s, report.eta_s)):
        return ""
    return f"tells {report.eta_s:.0f} s, but {report.distance_m:.0f} m at its speed are {reckoned_s:.0f} s"


def sources_of(site: SiteSettings, rail_track_id: str | None) -> tuple[TrainSourceSettings, ...]:
    """The configured sources that speak of a track; all of them for a zone that names no track."""
    return tuple(
        source
        for source in site.train_sources
        if rail_track_id is None or not source.rail_track_ids or rail_track_id in source.rail_track_ids
    )


def belief_of(
    site: SiteSettings,
    reports: Reports,
    sightings: Iterable[Sighting],
    rail_track_id: str | None,
    now_s: float,
) -> TrainBelief:
    """What is believed of the next train on a track (None: on any track), soonest and worst first."""
    seen = _soonest_seen(sightings, rail_track_id)
    asked = [_of_source(site, reports, source, rail_track_id, now_s) for source in sources_of(site, rail_track_id)]
    coming = [belief for belief in (*asked, *([seen] if seen else [])) if belief.eta_s is not None]
    denied = next((b for b in asked if b.known and b.eta_s is None), None)
    if denied is not None and coming and not any(belief.assumed for belief in coming):
        first = min(coming, key=_eta)
        said = f"{denied.source} tells of no train, {first.source} of one in {_eta(first):.0f} s"
        return first._replace(eta_s=0.0, assumed=True, why=f"{said}: they contradict each other")
    if coming:
        return min(coming, key=_eta)
    return denied or (asked[0] if asked else NOBODY_TO_ASK)


def _eta(belief: TrainBelief) -> float:
    return belief.eta_s or 0.0


def _soonest_seen(sightings: Iterable[Sighting], rail_track_id: str | None) -> TrainBelief | None:
    here = [s for s in sightings if rail_track_id is None or s.rail_track_id in (None, rail_track_id)]
    if not here:
        return None
    first = min(here, key=lambda sighting: sighting.eta_s)
    why = f"camera {first.camera_id} sees a train in motion"
    return TrainBelief(True, first.eta_s, False, CAMERA, 0.0, first.speed_mps, first.distance_m, why)


def _of_source(
    site: SiteSettings, reports: Reports, source: TrainSourceSettings, rail_track_id: str | None, now_s: float
) -> TrainBelief:
    """What one source makes us believe of a track."""
    tracks = _tracks_asked(site, source, rail_track_id)
    heard = [held for key, held in reports.items() if key[0] == source.source_id and (not tracks or key[1] in tracks)]
    name = source.source_id
    silent = sorted(tracks - {held.report.rail_track_id for held in heard})
    if silent or not heard:
        where = f" for {', '.join(silent)}" if silent else ""
        return _assumed(name, None, f"{name} has not reported{where}")
    stale = max(heard, key=lambda held: held.age_s(now_s))
    if stale.age_s(now_s) > source.max_age_s:
        told = f"the last report of {name} is {stale.age_s(now_s):.0f} s old, above {source.max_age_s:g} s"
        return _assumed(name, stale.age_s(now_s), told)
    faulty = next((held for held in heard if held.fault), None)
    if faulty is not None:
        return _assumed(name, faulty.age_s(now_s), f"{name} contradicts itself: it {faulty.fault}")
    coming = [held for held in heard if held.report.eta_s is not None]
    if coming:
        return _coming(name, min(coming, key=lambda held: held.eta_s(now_s) or 0.0), now_s)
    # Both the site and the report must vouch for it: a feed that does not is not believed when it says "none".
    if source.authoritative and all(held.report.authoritative for held in heard):
        return TrainBelief(
            True, None, False, name, stale.age_s(now_s), None, None, f"{name} vouches that no train comes"
        )
    why = f"{name} knows of no train, but does not vouch for it"
    return TrainBelief(False, None, False, name, stale.age_s(now_s), None, None, why)


def _coming(name: str, held: Heard, now_s: float) -> TrainBelief:
    """A train that a source tells of, brought up to now at its last speed."""
    report, age_s = held.report, held.age_s(now_s)
    distance = None
    if report.distance_m is not None:
        distance = max(0.0, report.distance_m - (report.speed_mps or 0.0) * age_s)
    why = f"{name} tells of a train"
    return TrainBelief(True, held.eta_s(now_s), False, name, age_s, report.speed_mps, distance, why)


def _tracks_asked(site: SiteSettings, source: TrainSourceSettings, rail_track_id: str | None) -> frozenset[str]:
    """The tracks on which a source must have reported."""
    if rail_track_id is not None:
        return frozenset((rail_track_id,))
    return frozenset(source.rail_track_ids) or rail_tracks(site)


def _assumed(source: str, age_s: float | None, why: str) -> TrainBelief:
    return TrainBelief(True, 0.0, True, source, age_s, None, None, f"{why}: a train is taken to be there")
