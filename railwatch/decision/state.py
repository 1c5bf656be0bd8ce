"""All that the decision remembers from one input to the next, and what follows from it for a section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from railwatch.core.alerts import AlertKind, CameraState, Epoch, RestoredIncident, SectionState
from railwatch.core.settings import SiteSettings
from railwatch.decision.assessing import Outlook
from railwatch.decision.faults import Faults
from railwatch.decision.incidents import Incident, IncidentKey, required_cameras
from railwatch.decision.looking import NO_KNOWN
from railwatch.decision.presence import CameraMemory, known_of
from railwatch.decision.probing import Probing
from railwatch.decision.restore import restored_faults, restored_incidents
from railwatch.decision.telling import Letterhead
from railwatch.decision.trains import NO_REPORTS, Reports


class Holding(NamedTuple):
    """Which schedules hold (None: nobody is sure), and until when that counts on the hub's clock."""

    schedule_ids: frozenset[str] | None = None
    until_s: float = 0.0


class Held(NamedTuple):
    """A possession: who holds the track, and until when on the hub's clock."""

    holder: str
    until_s: float


@dataclass(frozen=True, slots=True)
class DecisionState:
    """All that the decision remembers. Build the first one with `start`. `now_s` is the hub's clock.

    `doubtful` are sections with an incident of an earlier run of the hub in which nobody has been seen since, nor the
    track observed for the off-delay: they are not CLEAR. `missing` tells since when nobody of a group is connected.
    `reports` are the last ones of every source of trains, `possessions` those of workers by rail track, `hours` the
    schedules that hold. `probes` are the self-tests by camera.
    """

    site: SiteSettings
    head: Letterhead
    seq: int
    now_s: float
    cameras: Mapping[str, CameraMemory]
    incidents: Mapping[IncidentKey, Incident] = field(default_factory=lambda: MappingProxyType({}))
    occupied: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()
    faults: Faults = field(default_factory=Faults)
    missing: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    reports: Reports = field(default_factory=lambda: NO_REPORTS)
    possessions: Mapping[str, Held] = field(default_factory=lambda: MappingProxyType({}))
    hours: Holding = field(default_factory=Holding)
    probes: Mapping[str, Probing] = field(default_factory=lambda: MappingProxyType({}))

    def probing(self, camera_id: str) -> Probing:
        """The self-tests of a camera; those of one that had none yet are empty."""
        return self.probes.get(camera_id, Probing())

    def outlook(self) -> Outlook:
        """What is believed of trains and possessions now."""
        return Outlook(
            self.site,
            self.reports,
            [sighting for memory in self.cameras.values() for sighting in memory.following.sightings],
            {track: held.holder for track, held in self.possessions.items() if held.until_s > self.now_s},
            self.now_s,
            self.hours.schedule_ids if self.hours.until_s > self.now_s else None,
            NO_KNOWN if self.site.second_look is None else known_of(self.cameras),
        )


def start(
    site: SiteSettings,
    epoch: Epoch,
    model_sha256: str,
    now_s: float,
    restored: Iterable[RestoredIncident] = (),
) -> DecisionState:
    """The state before the first input: every section UNKNOWN, every camera waited for since `now_s`.

    `restored` are the incidents that the journal has open: they keep their identity, are not opened a second time, and
    are closed when their section was observed without anybody for the off-delay.
    """
    incidents = restored_incidents(restored, now_s)
    return DecisionState(
        site,
        Letterhead(site.site_id, epoch, site.config_rev, model_sha256, site.evidence.record),
        0,
        now_s,
        MappingProxyType({camera.camera_id: CameraMemory(heard_s=now_s) for camera in site.cameras}),
        MappingProxyType(incidents),
        doubtful=frozenset(key[1] for key in incidents if key[0] is AlertKind.INTRUSION and key[1] in site.sections),
        faults=restored_faults(incidents, now_s),
    )


def section_state(state: DecisionState, section_id: str) -> SectionState:
    """OCCUPIED if somebody is on the track; else UNKNOWN unless all required cameras have settled; else CLEAR."""
    if section_id in state.occupied:
        return SectionState.OCCUPIED
    needed = [state.cameras[name] for name in required_cameras(state.site, section_id)]
    settled = state.site.incidents.on_delay_window
    sure = section_id not in state.doubtful
    if sure and all(memory.state is CameraState.NOMINAL and memory.good_frames >= settled for memory in needed):
        return SectionState.CLEAR
    return SectionState.UNKNOWN
