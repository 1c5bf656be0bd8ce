"""What lies where: surface, track strips, zones on the ground and in the frame, places of trains. Numpy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenes.camera import Floats, Pinhole, visible_ground_polygon
from scenes.scenario import RailTrack, Scenario, Train


def surface_m(scene: Scenario, x_m: float, y_m: float) -> float:
    """Height of what one stands on: the platform, or the plane of the ballast."""
    platform = scene.platform
    if platform and x_m >= platform.edge_m and platform.from_m <= y_m <= platform.to_m:
        return platform.height_m
    return 0.0


def strip_m(scene: Scenario, left_m: float, right_m: float) -> Floats:
    """A strip of the ground (4, 2) along the tracks between two places across, as far as zones reach."""
    near, far = scene.zones.from_m, scene.zones.to_m
    return np.array([[left_m, near], [left_m, far], [right_m, far], [right_m, near]])


def track_strip_m(scene: Scenario, track: RailTrack) -> Floats:
    """The ground (4, 2) on which a train of this track hits a person."""
    half = scene.zones.track_half_width_m
    return strip_m(scene, track.centre_m - half, track.centre_m + half)


def on_track(scene: Scenario, track: RailTrack, x_m: float, z_m: float) -> bool:
    """Whether a ground point lies on the strip of a track; a point on the platform never does."""
    return abs(x_m - track.centre_m) <= scene.zones.track_half_width_m and z_m < 0.3


class GroundZone(NamedTuple):
    """A zone as strip (4, 2) on the ground, with the kinds and names of railwatch's zones."""

    zone_id: str
    kind: str
    rail_track_id: str | None
    polygon_m: Floats


def zones(scene: Scenario) -> list[GroundZone]:
    """A zone for every track, the approaches on both sides of them all, and the edge of the platform."""
    half, margin = scene.zones.track_half_width_m, scene.zones.approach_margin_m
    found = [GroundZone(f"track_{t.id}", "track", t.id, track_strip_m(scene, t)) for t in scene.tracks]
    left = min(track.centre_m for track in scene.tracks) - half
    right = max(track.centre_m for track in scene.tracks) + half
    found.append(GroundZone("approach_left", "approach", None, strip_m(scene, left - margin, left)))
    platform = scene.platform
    if platform is None:
        found.append(GroundZone("approach_right", "approach", None, strip_m(scene, right, right + margin)))
        return found
    near, far = max(scene.zones.from_m, platform.from_m), min(scene.zones.to_m, platform.to_m)
    edge = [
        [platform.edge_m, near],
        [platform.edge_m, far],
        [platform.edge_m + 0.9, far],
        [platform.edge_m + 0.9, near],
    ]
    found.append(GroundZone("platform_edge", "platform_edge", None, np.array(edge)))
    return found


def zone_polygon_px(scene: Scenario, view: Pinhole, zone: GroundZone) -> Floats:
    """A zone in the frame (M, 2) in pixels; M is 0 when it is not seen. The platform's edge lies on the platform."""
    if zone.kind != "platform_edge" or scene.platform is None:
        return visible_ground_polygon(view, zone.polygon_m)
    raised = view._replace(position_m=view.position_m - [0, 0, scene.platform.height_m])
    return visible_ground_polygon(raised, zone.polygon_m)


def train_front_m(train: Train, t_s: float) -> float:
    """Where the front of a train is at a time: its y."""
    return train.front_m + (-1 if train.heading == "towards" else 1) * train.speed_mps * t_s


class Running(NamedTuple):
    """A train seen from the reference point: `distance_m` of its front, below 0 once it has passed; `eta_s` or None."""

    front_y_m: float
    distance_m: float
    speed_mps: float
    eta_s: float | None


def running(scene: Scenario, train: Train, t_s: float) -> Running:
    """Distance, speed and time to the reference point; no ETA for a train that stands or has passed."""
    front = train_front_m(train, t_s)
    distance = (front - scene.reference_m) * (1 if train.heading == "towards" else -1)
    eta = distance / train.speed_mps if train.speed_mps > 0 and distance >= 0 else None
    return Running(front, distance, train.speed_mps, eta)
