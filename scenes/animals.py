"""A cow from smooth hull sections, walking on four legs. Numpy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenes.body import Floats
from scenes.mesh import Builder, Mesh
from scenes.poses import about
from scenes.scenario import Animal, Scenario

SIDES = 14
STRIDE_M = 1.3


class Cow(NamedTuple):
    """A cow ready to be asked for any moment; `leg` tells for each vertex which leg it belongs to, -1 for none."""

    animal: Animal
    mesh: Mesh
    leg: Floats

    def ground_m(self, t_s: float) -> Floats:
        """The ground point (3,) below the middle of the trunk."""
        angle = np.radians(self.animal.facing_deg)
        x, y = np.array(self.animal.at_m) + self.animal.speed_mps * t_s * np.array([np.cos(angle), np.sin(angle)])
        return np.array([x, y, 0.0])

    def vertices_at(self, t_s: float) -> Floats:
        """All vertices (V, 3): legs swing about the shoulders in a four-beat walk."""
        vertices = self.mesh.vertices_m.copy()
        phase = 2 * np.pi * self.animal.speed_mps * t_s / STRIDE_M
        swing = 0.33 if self.animal.speed_mps else 0.0
        for leg, offset in enumerate((0.0, 0.5, 0.75, 0.25)):
            angle = swing * np.sin(phase + 2 * np.pi * offset)
            mine = self.leg == leg
            share = np.clip((0.85 - vertices[mine, 2]) / 0.3, 0, 1)[:, None]
            turned = (vertices[mine] - [0, 0, 0.85]) @ about("y", -angle).T + [0, 0, 0.85]
            vertices[mine] = vertices[mine] * (1 - share) + turned * share
        lift = -float(vertices[:, 2].min())
        return vertices @ about("z", np.radians(self.animal.facing_deg)).T + self.ground_m(t_s) + [0, 0, lift]


def _hull(b: Builder, rows: list[tuple[float, float, float, float, float]], material: str) -> int:
    """Elliptic sections (x, y, z, half width, half height) along x joined to a closed skin; the number of vertices."""
    angle = np.arange(SIDES) * 2 * np.pi / SIDES
    rings = [
        np.stack([np.full(SIDES, x), y + w * np.cos(angle), z + h * np.sin(angle)], axis=1) for x, y, z, w, h in rows
    ]
    _join(b, rings, material)
    return SIDES * len(rings)


def _post(b: Builder, rows: list[tuple[float, float, float, float]], material: str) -> int:
    """Round sections (x, y, z, radius) from the top down."""
    angle = np.arange(SIDES) * 2 * np.pi / SIDES
    rings = [np.stack([x + r * np.cos(angle), y + r * np.sin(angle), np.full(SIDES, z)], axis=1) for x, y, z, r in rows]
    _join(b, rings, material)
    return SIDES * len(rings)


def _join(b: Builder, rings: list[Floats], material: str) -> None:
    faces: list[tuple[int, ...]] = [
        (row * SIDES + i, row * SIDES + (i + 1) % SIDES, (row + 1) * SIDES + (i + 1) % SIDES, (row + 1) * SIDES + i)
        for row in range(len(rings) - 1)
        for i in range(SIDES)
    ]
    last = SIDES * (len(rings) - 1)
    faces += [tuple(range(SIDES)), tuple(range(last, last + SIDES))]
    b.add(np.concatenate(rings), faces, material)


def cow_of(scene: Scenario, animal: Animal) -> Cow:  # noqa: ARG001 - every maker of an actor takes the scene
    """A cow of 1.35 m at the shoulder, head along +x."""
    hide = f"hide_{animal.colour}"
    b = Builder()
    trunk = [
        (-0.92, 0, 1.16, 0.05, 0.07), (-0.88, 0, 1.1, 0.2, 0.2), (-0.72, 0, 1.02, 0.3, 0.34),
        (-0.4, 0, 0.95, 0.34, 0.4), (0.0, 0, 0.91, 0.38, 0.44), (0.36, 0, 0.94, 0.34, 0.42),
        (0.62, 0, 0.99, 0.27, 0.4), (0.8, 0, 1.03, 0.2, 0.36), (0.95, 0, 1.1, 0.155, 0.28),
        (1.1, 0, 1.2, 0.13, 0.2), (1.22, 0, 1.27, 0.145, 0.17), (1.34, 0, 1.24, 0.15, 0.165),
        (1.46, 0, 1.15, 0.115, 0.135), (1.58, 0, 1.06, 0.1, 0.115), (1.67, 0, 1.01, 0.105, 0.11),
        (1.73, 0, 0.98, 0.08, 0.08),
    ]  # fmt: skip
    legs = [-1] * _hull(b, trunk, hide)
    for number, (x, y) in enumerate(((0.58, 0.18), (0.58, -0.18), (-0.7, 0.19), (-0.7, -0.19))):
        knee = x + (0.02 if x > 0 else -0.07)
        leg = [
            (x, y * 0.9, 1.0, 0.17), (x, y, 0.72, 0.13), (knee, y, 0.45, 0.075), (knee, y, 0.39, 0.08),
            (x, y, 0.14, 0.052), (x, y, 0.08, 0.066),
        ]  # fmt: skip
        hoof = [(x, y, 0.08, 0.068), (x + 0.02, y, 0.0, 0.082)]
        legs += [number] * (_post(b, leg, hide) + _post(b, hoof, "dark"))
    tail = [(-0.93, 0, 1.18, 0.035), (-0.99, 0, 0.9, 0.027), (-0.98, 0, 0.55, 0.024), (-0.98, 0, 0.36, 0.055)]
    udder = [(-0.35, 0, 0.62, 0.16), (-0.35, 0, 0.48, 0.14), (-0.35, 0, 0.45, 0.06)]
    legs += [-1] * (_post(b, tail, hide) + _post(b, udder, "udder"))
    for side in (1, -1):
        ear = [(1.22, side * 0.14, 1.35, 0.05, 0.03), (1.22, side * 0.3, 1.32, 0.1, 0.05)]
        horn = [(1.26, side * 0.1, 1.4, 0.032), (1.28, side * 0.18, 1.5, 0.022), (1.31, side * 0.16, 1.6, 0.008)]
        legs += [-1] * (_hull(b, ear, hide) + _post(b, horn, "horn"))
    return Cow(animal, b.mesh(), np.array(legs, float))
