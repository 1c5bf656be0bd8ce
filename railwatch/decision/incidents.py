"""The life of an incident: opened after the on-delay, told again when it changes, closed after the off-delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Final

from railwatch.core.alerts import AckLevel, Action, AlertKind, CameraState, Severity
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Assessment, ZoneKind
from railwatch.decision.assessing import Outlook, Standing
from railwatch.decision.looking import LIFTS, lift_in
from railwatch.decision.presence import LEVELS, ON_TRACK, CameraMemory, SectionView, group_channel
from railwatch.decision.wording import WORST_FIRST
from railwatch.decision.zones import Hit

_FROM_THE_TOP: Final = tuple((severity, severity.value) for severity in sorted(Severity, reverse=True))
_HELD: Final = (*(name for _, name in _FROM_THE_TOP), ON_TRACK)
"""Channels that have an off-delay; those of the second look have one too, where a site has one."""

IncidentKey = tuple[AlertKind, str, str]
"""Kind, section, and the camera for BLINDNESS ("" for INTRUSION: one incident a section) or the fault for SYSTEM."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One open incident. `groups` and `count` are what has been told; `cameras` are those that ever saw somebody.

    Identity, section and time of opening are given to it when it is numbered. `level`, `by` and `key_name` tell how far
    it has come since it last worsened, at `since_s`; the last of the groups in `addressed_to` was told at `asked_s`
    (both seconds of the hub's clock). `fault` and `words` are name and reason of a SYSTEM incident. `unlifted` is what
    the severity would be if the second look had not raised it (None: it has not).
    """

    kind: AlertKind
    severity: Severity
    incident_id: str = ""
    section_id: str = ""
    opened_at: str = ""
    groups: frozenset[str] = frozenset()
    count: int = 0
    told_s: float = 0.0
    cameras: frozenset[str] = frozenset()
    level: AckLevel | None = None
    by: str | None = None
    key_name: str | None = None
    addressed_to: tuple[str, ...] = ()
    since_s: float = 0.0
    asked_s: float = 0.0
    fault: str | None = None
    words: str = ""
    unlifted: Severity | None = None

    @property
    def own_severity(self) -> Severity:
        """The severity without the second look."""
        return self.severity if self.unlifted is None else self.unlifted


@dataclass(frozen=True, slots=True)
class SectionSight:
    """What all cameras of one section say together.

    `raised` are the channels that passed the on-delay, `held` those whose off-delay has not passed; `count` is the sum
    over cameras, which may count an object twice that two of them see. `standings` are those of the newest frames,
    `outlook` is what is believed of trains now.
    """

    raised: frozenset[str]
    held: frozenset[str]
    groups: frozenset[str]
    count: int
    standings: tuple[Standing, ...]
    cameras: frozenset[str]
    longest_dwell_s: float
    outlook: Outlook

    @property
    def hits(self) -> tuple[Hit, ...]:
        """Everybody in a zone, as often as there are zones that they stand in."""
        return tuple(standing.hit for standing in self.standings)

    @property
    def worst(self) -> tuple[Hit, Assessment] | None:
        """Who is in the greatest danger, and how great: by severity, then by the margin, then by the detection.

        Everybody is assessed for it: it is asked when something is told, not at every input.
        """
        assessed = [(standing.hit, self.outlook.assess(standing)) for standing in self.standings]
        order = [
            (
                -max(said.severity, lift or said.severity).rank,
                inf if said.margin_s is None else said.margin_s,
                WORST_FIRST.index(hit.zone.kind),
                -hit.track.confidence,
                hit.zone.camera_id,
                hit.track.track_id,
            )
            for (hit, said), lift in zip(assessed, map(self.outlook.lifted, self.standings), strict=True)
        ]
        return assessed[order.index(min(order))] if order else None


def highest(channels: frozenset[str]) -> Severity | None:
    """The highest severity among `channels`, None if there is none."""
    return next((severity for severity, name in _FROM_THE_TOP if name in channels), None)


def cameras_of(site: SiteSettings, section_id: str) -> tuple[str, ...]:
    """Cameras with a zone in the section, in the order of the site file."""
    seen = {zone.camera_id for zone in site.zones if zone.section_id == section_id}
    return tuple(camera.camera_id for camera in site.cameras if camera.camera_id in seen)


def required_cameras(site: SiteSettings, section_id: str) -> tuple[str, ...]:
    """Cameras without which the section is not CLEAR: the required ones, or all of them if none is required."""
    present = cameras_of(site, section_id)
    required = {camera.camera_id for camera in site.cameras if camera.required}
    return tuple(name for name in present if name in required) or present


def look_at(
    site: SiteSettings,
    section_id: str,
    memories: Mapping[str, CameraMemory],
    known: frozenset[str],
    outlook: Outlook,
) -> SectionSight:
    """Combine the cameras of a section. `known` are the cameras that saw somebody in the incident that is open.

    The severity of who is on the track rises with the train, also while nothing is observed.

    A channel is held until every required camera, and every camera that saw somebody, has observed off_delay_s of
    quiet; and while a required camera cannot be trusted nothing is let go: the object may be in its part.
    """
    rules = site.incidents
    views = {name: memories[name].view(section_id) for name in cameras_of(site, section_id)}
    raised = {name: _raised(view, rules.on_delay_hits, outlook) for name, view in views.items()}
    seeing = frozenset(name for name, channels in raised.items() if channels)
    required = required_cameras(site, section_id)
    witnesses = [views[name] for name in known | seeing | frozenset(required)]
    sure = all(memories[name].state is CameraState.NOMINAL for name in required)
    everything = frozenset[str]().union(*raised.values())
    return SectionSight(
        raised=everything,
        held=frozenset(
            channel
            for channel in (_HELD if site.second_look is None else (*_HELD, *LIFTS))
            if not sure or any(view.quiet_for(channel) < rules.off_delay_s for view in witnesses)
        ),
        groups=frozenset(group for group in site.alarm_groups if group_channel(group) in everything),
        count=sum(view.steady_count(rules.on_delay_hits) for view in views.values()),
        standings=tuple(standing for view in views.values() for standing in view.standings),
        cameras=seeing,
        longest_dwell_s=max(view.longest_dwell_s for view in views.values()),
        outlook=outlook,
    )


def _raised(view: SectionView, hits_needed: int, outlook: Outlook) -> frozenset[str]:
    """The channels that passed the on-delay, and the severity that who is on the track for certain has now."""
    raised = view.raised(hits_needed)
    if ON_TRACK not in raised:
        return raised
    on_track = (standing for standing in view.worst if standing.hit.zone.kind is ZoneKind.TRACK)
    return raised.union(*(LEVELS[outlook.assess(standing).severity] for standing in on_track))


def next_occupied(occupied: bool, sight: SectionSight) -> bool:
    """Whether somebody is on the track of the section, with on-delay and off-delay."""
    return ON_TRACK in sight.raised or (occupied and ON_TRACK in sight.held)


def next_intrusion(
    incident: Incident | None, sight: SectionSight, now_s: float, update_interval_s: float
) -> tuple[Incident | None, Action | None]:
    """The intrusion incident of a section after one more input, and what is to be told of it.

    The incident returned with OPENED has neither identity nor time yet: the caller numbers it.
    """
    raised = highest(sight.raised)
    if incident is None:
        if raised is None:
            return None, None
        opened = Incident(
            AlertKind.INTRUSION,
            raised,
            groups=sight.groups,
            count=sight.count,
            told_s=now_s,
            cameras=sight.cameras,
        )
        return opened, Action.OPENED
    held = highest(sight.held)
    kept = None if held is None else min(held, incident.severity)
    current = max((level for level in (raised, kept) if level is not None), default=None)
    if current is None:
        return None, Action.CLOSED
    action = _what_changed(incident, current, sight, now_s - incident.told_s >= update_interval_s)
    after = replace(
        incident,
        severity=current,
        groups=incident.groups | sight.groups,
        # A count that has to wait for the interval is not remembered as told, so that it is told later.
        count=incident.count if action is None else max(incident.count, sight.count),
        told_s=incident.told_s if action is None else now_s,
        cameras=incident.cameras | sight.cameras,
    )
    return after, action


def lifted(
    before: Incident | None, after: Incident | None, action: Action | None, sight: SectionSight
) -> tuple[Incident | None, Action | None]:
    """What `next_intrusion` gave, raised by the second look: told whenever that is told, at no lower severity.

    `before` is the incident as it was told last. A fall that the second look hides is told as UPDATED; what worsened by
    itself stays ESCALATED, so that evidence of it is kept as ever.
    """
    known = None if before is None or before.unlifted is None else before.severity
    raised = lift_in(sight.raised)
    if after is None or (raised is None and known is None):
        return after, action
    held = lift_in(sight.held)
    kept = None if held is None or known is None else min(held, known)
    lift = max(level for level in (raised, kept, Severity.NOTICE) if level is not None)
    if lift > after.severity:
        after = replace(after, severity=lift, unlifted=after.severity)
    if before is None or after.severity == before.severity:
        return after, Action.UPDATED if action is Action.DEESCALATED else action
    if after.severity > before.severity or action is Action.ESCALATED:
        return after, Action.ESCALATED
    return after, Action.DEESCALATED


def unlifted(incident: Incident | None) -> Incident | None:
    """The incident as it would be if nobody had looked a second time."""
    if incident is None or incident.unlifted is None:
        return incident
    return replace(incident, severity=incident.unlifted, unlifted=None)


def _what_changed(incident: Incident, current: Severity, sight: SectionSight, may_count: bool) -> Action | None:
    if current > incident.severity:
        return Action.ESCALATED
    if current < incident.severity:
        return Action.DEESCALATED
    if sight.groups - incident.groups or (sight.count > incident.count and may_count):
        return Action.UPDATED
    return None


def next_blindness(
    incident: Incident | None, memory: CameraMemory, settle_frames: int
) -> tuple[Incident | None, Action | None]:
    """The blindness incident of one camera for one section: NOTICE when DEGRADED, WARNING when BLIND.

    It is closed only after `settle_frames` good frames in a row. A camera that nobody has heard of since the start
    becomes an alarm only when its timeout passes: until then it is waited for.
    """
    if memory.waiting:
        return incident, None
    wanted = {CameraState.DEGRADED: Severity.NOTICE, CameraState.BLIND: Severity.WARNING}.get(memory.state)
    if incident is None:
        if wanted is None:
            return None, None
        return Incident(AlertKind.BLINDNESS, wanted), Action.OPENED
    if wanted is None:
        return (None, Action.CLOSED) if memory.good_frames >= settle_frames else (incident, None)
    after = replace(incident, severity=wanted)
    if wanted > incident.severity:
        return after, Action.ESCALATED
    return after, Action.DEESCALATED if wanted < incident.severity else None
