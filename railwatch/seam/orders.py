"""What a worker has to do: its cameras, their zones, and the model. It is the body of a RELOAD.

It goes over the seam and never into arguments or the environment: the address of a camera may hold a password.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from railwatch.core.errors import WireError
from railwatch.core.evidence import EvidenceSettings, MaskedClips
from railwatch.core.geometry import Point
from railwatch.core.provider import Provider
from railwatch.core.second_look import SecondLookSettings
from railwatch.core.settings import CameraSettings, ModelSettings, SiteSettings, TrackerSettings
from railwatch.core.types import Zone, ZoneKind
from railwatch.seam.codec import as_mapping

_KEYS: Final = ("config_rev", "cameras", "zones", "model", "groups", "tracker", "loop", "evidence", "second_look")


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """The part of a site that one worker serves. `loop`: recordings begin again at their end."""

    config_rev: str
    cameras: tuple[CameraSettings, ...]
    zones: tuple[Zone, ...]
    model: ModelSettings
    groups: dict[str, tuple[str, ...]]
    tracker: TrackerSettings
    loop: bool = False
    evidence: EvidenceSettings = field(default_factory=EvidenceSettings)
    second_look: SecondLookSettings | None = None

    def same_engine(self, other: WorkerOrder) -> bool:
        """Whether a running worker can take over `other`: only the model and what follows from it need a new one."""
        return (self.model, self.groups, self.tracker, self.loop) == (
            other.model,
            other.groups,
            other.tracker,
            other.loop,
        )


def order_for(site: SiteSettings, worker_group: str, *, loop: bool = False) -> WorkerOrder:
    """The order for one worker group of a site."""
    cameras = tuple(camera for camera in site.cameras if camera.worker_group == worker_group)
    names = {camera.camera_id for camera in cameras}
    zones = tuple(zone for zone in site.zones if zone.camera_id in names)
    groups = dict(site.groups)
    return WorkerOrder(
        site.config_rev, cameras, zones, site.model, groups, site.tracker, loop, site.evidence, site.second_look
    )


def order_to_json(order: WorkerOrder) -> dict[str, Any]:
    """An order as plain JSON values."""
    return {
        "config_rev": order.config_rev,
        "cameras": [asdict(camera) for camera in order.cameras],
        "zones": [
            {**asdict(zone), "kind": zone.kind.value, "polygon_norm": [list(point) for point in zone.polygon_norm]}
            for zone in order.zones
        ],
        "model": {**asdict(order.model), "provider": order.model.provider.value},
        "groups": {name: list(classes) for name, classes in order.groups.items()},
        "tracker": asdict(order.tracker),
        "loop": order.loop,
        "evidence": {**asdict(order.evidence), "masked_clips": order.evidence.masked_clips.value},
        "second_look": None if order.second_look is None else _plain_look(order.second_look),
    }


def order_from_json(value: object) -> WorkerOrder:
    """Read `order_to_json`'s values; raises WireError for anything else."""
    data = as_mapping(value, _KEYS, "order")
    try:
        model = ModelSettings(**data["model"])
        return WorkerOrder(
            config_rev=str(data["config_rev"]),
            cameras=tuple(_camera(camera) for camera in data["cameras"]),
            zones=tuple(_zone(zone) for zone in data["zones"]),
            model=replace(model, provider=Provider(model.provider)),
            groups={str(name): tuple(map(str, classes)) for name, classes in data["groups"].items()},
            tracker=TrackerSettings(**data["tracker"]),
            loop=bool(data["loop"]),
            evidence=_evidence(data["evidence"]),
            second_look=None if data["second_look"] is None else _look(data["second_look"]),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise WireError(f"an order for a worker must be one of this version, but: {error}") from error


def _plain_look(look: SecondLookSettings) -> dict[str, Any]:
    return {**asdict(look), "herd_taxa": list(look.herd_taxa), "provider": look.provider.value}


def _look(value: dict[str, Any]) -> SecondLookSettings:
    taxa, provider = tuple(map(str, value["herd_taxa"])), Provider(value["provider"])
    return SecondLookSettings(**{**value, "herd_taxa": taxa, "provider": provider})


def _evidence(value: dict[str, Any]) -> EvidenceSettings:
    return EvidenceSettings(**{**value, "masked_clips": MaskedClips(value["masked_clips"])})


def _camera(value: dict[str, Any]) -> CameraSettings:
    return CameraSettings(**{**value, "vitals_off": tuple(map(str, value["vitals_off"]))})


def _zone(value: dict[str, Any]) -> Zone:
    points = tuple(Point(float(x), float(y)) for x, y in value["polygon_norm"])
    return Zone(**{**value, "kind": ZoneKind(value["kind"]), "polygon_norm": points})
