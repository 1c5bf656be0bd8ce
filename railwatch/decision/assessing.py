"""From an object in a zone and what is believed of trains to an Assessment: severity, margin, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from railwatch.core.alerts import Severity
from railwatch.core.second_look import ANIMAL
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Assessment
from railwatch.decision.braking import stop_from
from railwatch.decision.clearing import Clearing
from railwatch.decision.hours import NO_BOUNDS, Bounds, bounds_of
from railwatch.decision.looking import NO_KNOWN, Known, Look, lift_of
from railwatch.decision.risk import Situation, severity_of
from railwatch.decision.trains import Reports, Sighting, TrainBelief, belief_of
from railwatch.decision.zones import Hit


class Standing(NamedTuple):
    """One hit with what is known of its motion: when it will be clear, and for how long it has been in the zone."""

    hit: Hit
    clearing: Clearing
    dwell_s: float


def assess(
    site: SiteSettings, standing: Standing, train: TrainBelief, *, possession: bool, bounds: Bounds = NO_BOUNDS
) -> Assessment:
    """How dangerous it is, by which rule, and why; pure, and the same for the same values."""
    hit, clearing, dwell_s = standing
    stop = None if train.speed_mps is None else stop_from(train.speed_mps, site.risk.brakes)
    situation = Situation(hit.zone.kind, clearing, train, stop, site.severity_without_trains, site.risk)
    rule, severity = severity_of(situation, possession=possession, bounds=bounds)
    changed = bounds.why and severity is not severity_of(situation, possession=possession)[1]
    return Assessment(
        hit.track.track_id,
        hit.zone.zone_id,
        severity,
        rule.name,
        dwell_s,
        None if train.eta_s is None else situation.time_to_clear_s,
        train.eta_s,
        situation.margin_s,
        ", ".join(filter(None, (_why(situation, possession=possession), bounds.why if changed else ""))),
    )


def gravest(standings: Iterable[Standing]) -> tuple[Standing, ...]:
    """Of those in one zone: one who is taken to stay, and the one who leaves last.

    Nobody there has a higher severity than both: it never falls with the time until somebody is out of danger (see
    `risk`).
    """
    found: dict[tuple[str, bool], Standing] = {}
    for standing in standings:
        seconds = standing.clearing.seconds
        key = (standing.hit.zone.zone_id, seconds is None)
        last = found.get(key)
        if last is None or (seconds or 0.0) > (last.clearing.seconds or 0.0):
            found[key] = standing
    return tuple(found.values())


def _why(situation: Situation, *, possession: bool) -> str:
    """What is to be told of the train and the assumptions; "" where no source of trains could be asked."""
    train = situation.train
    parts = []
    if possession:
        parts.append("under a possession")
    if train.eta_s is not None:
        parts += [_arrival(situation), _leaving(situation.clearing, situation.rules.assumed_stay_s)]
    elif train.source:
        parts.append(train.why)
    return ", ".join(parts)


def _arrival(situation: Situation) -> str:
    train, stop = situation.train, situation.stop
    if train.assumed or train.eta_s is None:
        return train.why
    told = f"train in {train.eta_s:.0f} s" if train.eta_s > 0 else "train now"
    if train.speed_mps is not None:
        told += f" at {train.speed_mps * 3.6:.0f} km/h"
    if stop is not None:
        told += f", needs {stop.time_s:.0f} s to stop" if stop.time_s < 3600 else ", cannot be stopped by its brakes"
    return f"{told} ({train.source})"


def _leaving(clearing: Clearing, assumed_stay_s: float) -> str:
    if clearing.seconds is not None:
        return f"out of danger in {clearing.seconds:.0f} s"
    return f"{clearing.behaviour.value}, taken to stay {assumed_stay_s:.0f} s"


class Outlook:
    """What is believed of trains and possessions at one moment; asked for every object, so answers are kept.

    `sightings` are those of all cameras; `possessions` the rail tracks that workers hold now, `holding` the schedules
    that hold now (None: nobody is sure), `known` what the second look said, by camera and track.
    """

    def __init__(
        self,
        site: SiteSettings,
        reports: Reports,
        sightings: Iterable[Sighting],
        possessions: Mapping[str, str],
        now_s: float,
        holding: frozenset[str] | None = None,
        known: Known = NO_KNOWN,
    ) -> None:
        self._site, self._reports, self._now_s = site, reports, now_s
        self._sightings, self._possessions = tuple(sightings), possessions
        self._holding, self._known = holding, known
        self._bounds: dict[str, Bounds] = {}
        self._beliefs: dict[tuple[str, str | None], TrainBelief] = {}

    def train(self, section_id: str, rail_track_id: str | None) -> TrainBelief:
        """The belief on a rail track of a section; a train whose track is not known counts where its camera looks."""
        key = (section_id, rail_track_id)
        if key not in self._beliefs:
            looking = {zone.camera_id for zone in self._site.zones if zone.section_id == section_id}
            near = (s for s in self._sightings if s.camera_id in looking or s.rail_track_id is not None)
            self._beliefs[key] = belief_of(self._site, self._reports, near, rail_track_id, self._now_s)
        return self._beliefs[key]

    def assess(self, standing: Standing) -> Assessment:
        """How dangerous a standing is now."""
        zone = standing.hit.zone
        held = zone.rail_track_id in self._possessions
        train = self.train(zone.section_id, zone.rail_track_id)
        return assess(self._site, standing, train, possession=held, bounds=self._bounds_in(zone.zone_id))

    def look(self, hit: Hit) -> Look | None:
        """What the second look said of an animal; what was said of a track before it began is of another one."""
        if not self._known or hit.track.group != ANIMAL:
            return None
        look = self._known.get((hit.zone.camera_id, hit.track.track_id))
        return look if look is not None and look.t_s >= hit.track.first_seen_s else None

    def lifted(self, standing: Standing) -> Severity | None:
        """The severity to which the second look raises a standing; None where it does not."""
        look, settings = self.look(standing.hit), self._site.second_look
        if look is None or settings is None or look.taxon not in settings.herd_taxa:
            return None
        zone = standing.hit.zone
        held = zone.rail_track_id in self._possessions
        return lift_of(self.assess(standing), possession=held, bounds=self._bounds_in(zone.zone_id))

    def _bounds_in(self, zone_id: str) -> Bounds:
        if zone_id not in self._bounds:
            self._bounds[zone_id] = bounds_of(self._site.schedules, zone_id, self._holding)
        return self._bounds[zone_id]
