"""What one camera has seen lately: the memory behind on-delay (N of M frames) and off-delay (observed time)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, NamedTuple

from railwatch.core.alerts import CameraState, Severity
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation, ZoneKind
from railwatch.decision.assessing import Outlook, Standing, gravest
from railwatch.decision.following import Following, follow, is_herd, riding, standing_of
from railwatch.decision.looking import NO_LOOKS, Known, Looks, lift_channels
from railwatch.decision.staying import Stayer, staying
from railwatch.decision.wording import WORST_FIRST
from railwatch.decision.zones import Hit, find_hits

MAX_OBSERVED_GAP_S: Final = 1.25
"""Two good frames further apart than this leave time between them that nobody observed: it is not clear time.

The track is swept once a second; a quarter of a second is left for the jitter of a camera.
"""

LEVELS: Final[Mapping[Severity, frozenset[str]]] = MappingProxyType(
    {severity: frozenset(level.value for level in Severity if level <= severity) for severity in Severity}
)
"""Channels of a severity: itself and all lower ones, so that a fall to a lower one is not a gap in it."""

ON_TRACK: Final = "on-track"
"""The channel that tells that somebody is in a zone of kind track, at whatever severity."""

SETTLED_S: Final = 1.0
"""Who has been on the track for so long is no passenger of a train that covers them then."""

_NOTHING: Final[Mapping[tuple[int, str], float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FrameMemory:
    """What one frame said of one section: its channels (severities, ON_TRACK, ``group:...``) and its object count."""

    channels: frozenset[str]
    count: int


@dataclass(frozen=True, slots=True)
class SectionView:
    """One section as one camera sees it.

    `window` holds the last frames, newest last; `observed_s` the seconds observed so far, `quiet_s` those since each
    channel was last seen; `standings` are those of the newest frame that counted, `stayers` those among them that are
    not seen now, `worst` those that no other has a higher severity than; `dwell_since` tells when each (track, zone)
    began.
    """

    window: tuple[FrameMemory, ...] = ()
    observed_s: float = 0.0
    quiet_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    standings: tuple[Standing, ...] = ()
    worst: tuple[Standing, ...] = ()
    stayers: tuple[Stayer, ...] = ()
    dwell_since: Mapping[tuple[int, str], float] = field(default_factory=lambda: _NOTHING)
    longest_dwell_s: float = 0.0

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The hits of the newest frame that counted."""
        return tuple(standing.hit for standing in self.standings)

    def raised(self, hits_needed: int) -> frozenset[str]:
        """The channels that were seen in at least `hits_needed` frames of the window: the on-delay."""
        counts: dict[str, int] = {}
        for frame in self.window:
            for channel in frame.channels:
                counts[channel] = counts.get(channel, 0) + 1
        return frozenset(channel for channel, count in counts.items() if count >= hits_needed)

    def quiet_for(self, channel: str) -> float:
        """Observed seconds since `channel` was last seen; all of them if it never was."""
        return self.quiet_s.get(channel, self.observed_s)

    def steady_count(self, hits_needed: int) -> int:
        """The number of objects that at least `hits_needed` frames of the window reach."""
        counts = sorted((frame.count for frame in self.window), reverse=True)
        return counts[hits_needed - 1] if len(counts) >= hits_needed else 0


@dataclass(frozen=True, slots=True)
class CameraMemory:
    """All that the hub remembers of one camera. `heard_s` is the hub's clock, `t_s` the worker's.

    `waiting` is True until the camera is first observed, or until its timeout has passed without it. `looks` is what
    the second look said of its tracks.
    """

    heard_s: float
    state: CameraState = CameraState.BLIND
    reason: str = "not observed yet"
    worker_epoch: int | None = None
    t_s: float = 0.0
    captured_at: str | None = None
    frame_age_s: float | None = None
    good_frames: int = 0
    waiting: bool = True
    views: Mapping[str, SectionView] = field(default_factory=lambda: MappingProxyType({}))
    following: Following = field(default_factory=Following)
    looks: Looks = field(default_factory=lambda: NO_LOOKS)

    def view(self, section_id: str) -> SectionView:
        """This camera's view of a section; an empty one before it was observed."""
        return self.views.get(section_id, SectionView())


def blinded(memory: CameraMemory, reason: str) -> CameraMemory:
    """The memory of a camera that can no longer be trusted. What it saw stays; what it did not see is forgotten."""
    return replace(memory, state=CameraState.BLIND, reason=reason, good_frames=0, waiting=False)


def known_of(cameras: Mapping[str, CameraMemory]) -> Known:
    """All that the second look said, by camera and track."""
    return {(name, number): look for name, memory in cameras.items() for number, look in memory.looks.items()}


def tracked(memory: CameraMemory, seen: Observation, site: SiteSettings) -> CameraMemory:
    """The memory after the motion of everybody in the frame is known, and nothing else of it."""
    if seen.worker_epoch != memory.worker_epoch:  # its numbers of tracks mean others
        memory = replace(memory, following=Following(), looks=NO_LOOKS)
    return replace(memory, following=follow(memory.following, seen, site))


def observe(
    memory: CameraMemory, seen: Observation, site: SiteSettings, received_s: float, outlook: Outlook
) -> CameraMemory:
    """The memory after one more observation, whose motion is `tracked` already; `outlook` is the one of this moment."""
    good = seen.vitals.state is CameraState.NOMINAL
    same_worker = seen.worker_epoch == memory.worker_epoch
    elapsed_s = seen.t_s - memory.t_s if same_worker and good and memory.state is CameraState.NOMINAL else 0.0
    observed_s = max(0.0, elapsed_s) if elapsed_s <= MAX_OBSERVED_GAP_S else 0.0
    zones = tuple(zone for zone in site.zones if zone.camera_id == seen.camera_id)
    passengers = riding(memory.following, seen, site) - (_settled(memory) if same_worker else frozenset())
    alarming = [t for t in seen.tracks if t.group in site.alarm_groups and t.track_id not in passengers]
    hits = find_hits(zones, alarming, seen.frame_size, site.incidents.min_overlap)
    views = {}
    for section_id in dict.fromkeys(zone.section_id for zone in zones):
        view = memory.view(section_id)
        if not same_worker:
            view = replace(view, dwell_since=_NOTHING, stayers=())
        here = tuple(hit for hit in hits if hit.zone.section_id == section_id)
        views[section_id] = _Look(memory.following, seen, site, observed_s, outlook).at(view, here)
    return replace(
        memory,
        heard_s=received_s,
        state=seen.vitals.state,
        reason=seen.vitals.reason,
        worker_epoch=seen.worker_epoch,
        t_s=max(seen.t_s, memory.t_s) if same_worker else seen.t_s,
        captured_at=seen.captured_at,
        frame_age_s=seen.vitals.frame_age_s,
        good_frames=memory.good_frames + 1 if good else 0,
        waiting=False,
        views=MappingProxyType(views),
    )


def _settled(memory: CameraMemory) -> frozenset[int]:
    """Who has been on the track for a while: a train that draws in over them makes no passengers of them."""
    return frozenset(
        standing.hit.track.track_id
        for view in memory.views.values()
        for standing in view.standings
        if standing.hit.zone.kind is ZoneKind.TRACK and standing.dwell_s >= SETTLED_S
    )


class _Look(NamedTuple):
    """One frame, as it is looked at for every section."""

    following: Following
    seen: Observation
    site: SiteSettings
    observed_s: float
    outlook: Outlook

    def at(self, view: SectionView, hits: tuple[Hit, ...]) -> SectionView:
        """The view of a section after this frame."""
        nominal = self.seen.vitals.state is CameraState.NOMINAL
        if not nominal and not hits:
            return view  # a frame that cannot be trusted may say "somebody", never "nobody"
        stayers = view.stayers
        if nominal:
            known = ON_TRACK in view.raised(self.site.incidents.on_delay_hits)
            gone = view.hits if known else ()
            stayers = staying(stayers, gone, self.seen, self.following, self.site, view.observed_s + self.observed_s)
        hits = (*hits, *(stayer.hit for stayer in stayers))
        dwell_since = _dwell_since(view, hits, self.seen)
        herd = is_herd(hits)
        standings = tuple(
            standing_of(hit, self.following, self.site, self.seen.t_s - dwell_since[_key(hit)], herd=herd)
            for hit in hits
        )
        worst = gravest(standings)
        channels = self._channels(standings, worst)
        quiet_s = {name: seconds + self.observed_s for name, seconds in view.quiet_s.items()}
        quiet_s.update(dict.fromkeys(channels, 0.0))
        frame = FrameMemory(channels, len({hit.track.track_id for hit in hits}))
        return SectionView(
            window=(*view.window, frame)[-self.site.incidents.on_delay_window :],
            observed_s=view.observed_s + self.observed_s,
            quiet_s=MappingProxyType(quiet_s),
            standings=standings,
            worst=worst,
            stayers=stayers,
            dwell_since=MappingProxyType(dwell_since),
            longest_dwell_s=_longest_dwell(standings),
        )

    def _channels(self, standings: tuple[Standing, ...], worst: tuple[Standing, ...]) -> frozenset[str]:
        channels = {group_channel(standing.hit.track.group) for standing in standings}
        for standing in worst:
            channels |= LEVELS[self.outlook.assess(standing).severity]
            if standing.hit.zone.kind is ZoneKind.TRACK:
                channels.add(ON_TRACK)
        if self.site.second_look is not None:
            channels = channels.union(*map(lift_channels, map(self.outlook.lifted, standings)))
        return frozenset(channels)


def group_channel(group: str) -> str:
    """The channel that tells that a class group was seen."""
    return f"group:{group}"


def _longest_dwell(standings: tuple[Standing, ...]) -> float:
    """How long somebody has been at the most dangerous place of this frame: time near the track is not time on it."""
    for kind in WORST_FIRST:
        dwells = [standing.dwell_s for standing in standings if standing.hit.zone.kind is kind]
        if dwells:
            return max(dwells)
    return 0.0


def _key(hit: Hit) -> tuple[int, str]:
    return hit.track.track_id, hit.zone.zone_id


def _dwell_since(view: SectionView, hits: tuple[Hit, ...], seen: Observation) -> dict[tuple[int, str], float]:
    """When each object entered each zone; kept over frames in which the tracker only predicts the object."""
    followed = {track.track_id for track in seen.tracks} | {hit.track.track_id for hit in hits}
    kept = {key: since for key, since in view.dwell_since.items() if key[0] in followed}
    for hit in hits:
        kept.setdefault(_key(hit), seen.t_s)
    return kept
