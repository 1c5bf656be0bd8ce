"""Which part of the frame the actors change: themselves and their shadows. Only that is rendered anew. Numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenes.camera import Floats, box_of, pinhole
from scenes.cast import Actor
from scenes.scenario import Light, Scenario

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, right and bottom excluded."""

MARGIN_PX = 14
LONGEST_SHADOW_M = 40.0
WHOLE_FROM = 0.6
"""From this share of the frame on, all of it is rendered."""


def sun_direction(light: Light) -> Floats:
    """The direction (3,) in which sunlight travels."""
    elevation, azimuth = np.radians(light.sun_elevation_deg), np.radians(light.sun_azimuth_deg)
    flat = np.cos(elevation)
    return np.array([flat * np.sin(azimuth), flat * np.cos(azimuth), -np.sin(elevation)])


def changed(scene: Scenario, actors: Sequence[Actor], t_s: float) -> list[Region]:
    """The regions of the frame that differ from the empty scene at a time, apart from one another."""
    width, height = scene.camera.size_px
    whole = (0, 0, width, height)
    moving = [actor for actor in actors if not actor.parked]
    if scene.light.kind == "night" and any(actor.class_name == "train" for actor in moving):
        return [whole]
    found = [region for actor in moving if (region := _around(scene, actor, t_s)) is not None]
    found = merged(found)
    if sum(_area(region) for region in found) > WHOLE_FROM * width * height:
        return [whole]
    return found


def _around(scene: Scenario, actor: Actor, t_s: float) -> Region | None:
    vertices = actor.vertices_at(t_s)
    points = [vertices, *_shadows(scene.light, vertices)]
    box = box_of(pinhole(scene.camera).matrix, np.concatenate(points))
    if box is None:
        return None
    width, height = scene.camera.size_px
    left, top = np.floor(np.clip(box[:2] - MARGIN_PX, 0, [width, height])).astype(int)
    right, bottom = np.ceil(np.clip(box[2:] + MARGIN_PX, 0, [width, height])).astype(int)
    return (int(left), int(top), int(right), int(bottom)) if right - left > 1 and bottom - top > 1 else None


def _shadows(light: Light, vertices: Floats) -> list[Floats]:
    """Where the sun throws vertices onto the ground; under clouds and lamps a shadow as long as half the height."""
    if light.kind == "sun":
        direction = sun_direction(light)
        length = np.clip(vertices[:, 2] / -direction[2], 0, LONGEST_SHADOW_M)[:, None]
        return [vertices + direction * length]
    reach = np.clip(vertices[:, 2], 0, None)[:, None] * (0.5 if light.kind == "overcast" else 1.2)
    flat = vertices * [1, 1, 0]
    return [flat + reach * np.array(side) for side in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0))]


def _area(region: Region) -> int:
    return (region[2] - region[0]) * (region[3] - region[1])


def merged(regions: Sequence[Region]) -> list[Region]:
    """Regions that touch, or that cost no more together than apart, as one.

    >>> merged([(0, 0, 10, 10), (8, 0, 20, 10), (300, 0, 310, 10)])
    [(300, 0, 310, 10), (0, 0, 20, 10)]
    """
    left = list(regions)
    for first in left:
        for second in left:
            joint = tuple(f(a, b) for f, a, b in zip((min, min, max, max), first, second, strict=True))
            overlap = first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
            if first is not second and (overlap or _area(joint) <= 1.3 * (_area(first) + _area(second))):
                return merged([*(region for region in left if region not in (first, second)), joint])
    return left
