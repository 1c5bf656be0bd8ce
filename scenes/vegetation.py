"""Loose stones, grass, trees and bushes, all drawn from the seed. Numpy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenes.mesh import Floats, Mesh
from scenes.scenario import Scenario
from scenes.trackside import ballast_edges_m

ICOSAHEDRON = np.array([
    (0, 0, 1), (0.89, 0, 0.45), (0.28, 0.85, 0.45), (-0.72, 0.53, 0.45), (-0.72, -0.53, 0.45), (0.28, -0.85, 0.45),
    (0.72, 0.53, -0.45), (-0.28, 0.85, -0.45), (-0.89, 0, -0.45), (-0.28, -0.85, -0.45),
    (0.72, -0.53, -0.45), (0, 0, -1),
])  # fmt: skip
ICOSAHEDRON_FACES = np.array([
    (0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5), (0, 5, 1), (1, 6, 2), (2, 7, 3), (3, 8, 4), (4, 9, 5), (5, 10, 1),
    (1, 10, 6), (2, 6, 7), (3, 7, 8), (4, 8, 9), (5, 9, 10), (6, 11, 7), (7, 11, 8), (8, 11, 9), (9, 11, 10),
    (10, 11, 6),
])  # fmt: skip


class Plant(NamedTuple):
    """An instance of tree number `kind`: where its foot is, its size and turn."""

    kind: int
    foot_m: tuple[float, float, float]
    scale: tuple[float, float, float]
    turn_rad: float


def _mesh(vertices: Floats, faces: Floats, materials: tuple[str, ...], material: Floats | None = None) -> Mesh:
    rows = [tuple(row) for row in faces.astype(int).tolist()]
    numbers = np.zeros(len(rows), np.int64) if material is None else material.astype(np.int64)
    return Mesh(vertices, rows, materials, numbers)


def stones(scene: Scenario, count: int = 34000) -> Mesh:
    """Stones on the ballast that give it relief where the camera is near."""
    rng = np.random.default_rng([scene.seed, 3])
    left, right = ballast_edges_m(scene)
    place = np.stack(
        [rng.uniform(left - 0.4, right + 0.1, count), 10 + 50 * rng.beta(1, 1.7, count), np.zeros(count)], axis=1
    )
    place[:, 2] = np.where(place[:, 0] < left, -0.05, -0.006)
    size = rng.uniform(0.02, 0.045, (count, 1, 1)) * rng.uniform(0.6, 1.3, (count, 12, 1))
    vertices = ICOSAHEDRON[None] * size * rng.uniform(0.6, 1.2, (count, 1, 3)) + place[:, None]
    faces = ICOSAHEDRON_FACES[None] + 12 * np.arange(count)[:, None, None]
    return _mesh(vertices.reshape(-1, 3), faces.reshape(-1, 3), ("stone",))


def _blades(
    rng: np.random.Generator, count: int, x: tuple[float, float], y: tuple[float, float], height_m: float, path_m: float
) -> Floats:
    """Blades of grass (N, 3, 3) in patches, none on the path."""
    along = y[0] + (y[1] - y[0]) * rng.beta(1, 1.6, count)
    across = rng.uniform(*x, count)
    patch = np.sin(across * 1.3 + along * 0.7) + np.sin(across * 0.5 - along * 0.31) + rng.normal(0, 0.6, count)
    kept = (patch > -0.3) & ~((np.abs(along - path_m + 0.3) < 1.1) & (across < x[1]))
    kept |= patch > 2.4
    along, across = along[kept], across[kept]
    count = len(along)
    angle, tall = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.4, 1.0, count) * height_m
    width = rng.uniform(0.012, 0.03, count) * (1 + along / 40)
    side = np.stack([np.cos(angle) * width, np.sin(angle) * width, np.zeros(count)], axis=1)
    foot = np.stack([across, along, np.full(count, -0.1)], axis=1)
    lean = rng.normal(0, 0.3, (count, 2)) * tall[:, None]
    tip = foot + np.column_stack([lean, tall])
    return np.stack([foot - side, foot + side, tip], axis=1)


def grass(scene: Scenario) -> Mesh:
    """Grass beside the ballast, on the left always and on the right where there is no platform, and weeds on it."""
    rng = np.random.default_rng([scene.seed, 5])
    left, right = ballast_edges_m(scene)
    parts = [
        _blades(rng, 90000, (left - 23, left - 0.6), (9, 110), 0.30, scene.reference_m),
        _blades(rng, 2500, (left - 0.7, left + 0.1), (9, 90), 0.14, scene.reference_m),
    ]
    if scene.platform is None:
        parts.append(_blades(rng, 60000, (right + 0.6, right + 20), (9, 110), 0.30, -100))
    blades = np.concatenate(parts)
    return _mesh(blades.reshape(-1, 3), np.arange(3 * len(blades)).reshape(-1, 3), ("grass",))


def tree(kind: int) -> Mesh:
    """A tree of about 7 m: leaves in clumps around a trunk with boughs."""
    rng = np.random.default_rng([20, kind])
    height, count = 6.5 + kind, 5200
    clumps = rng.normal(0, 1, (18, 3)) * [1.5, 1.5, 1.1] + [0, 0, height * 0.68]
    out = rng.normal(0, 1, (count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    place = clumps[rng.integers(0, 18, count)] + out * rng.uniform(0.7, 1.25, (count, 1)) * [1, 1, 0.8]
    along = rng.normal(0, 1, (count, 3))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.cross(along, out)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    size = rng.uniform(0.11, 0.24, (count, 1))
    leaves = np.stack(
        [place - along * size, place + across * size * 0.6, place + along * size, place - across * size * 0.6], 1
    )
    angle = np.arange(8) * np.pi / 4
    rings = [
        np.stack([np.cos(angle) * r, np.sin(angle) * r, np.full(8, z)], 1) for z, r in ((0, 0.22), (height * 0.7, 0.1))
    ]
    trunk = [(i, (i + 1) % 8, 8 + (i + 1) % 8, 8 + i) for i in range(8)]
    faces = np.concatenate([np.arange(4 * count).reshape(-1, 4), np.array(trunk) + 4 * count])
    vertices = np.concatenate([leaves.reshape(-1, 3), *rings])
    return _mesh(vertices, faces, ("leaf", "bark"), np.r_[np.zeros(count), np.ones(8)])


KINDS = 4


def plants(scene: Scenario) -> list[Plant]:
    """Where trees and bushes stand: beside the line, never on it, a wood far off."""
    rng = np.random.default_rng([scene.seed, 7])
    left, right = ballast_edges_m(scene)
    found: list[Plant] = []

    def add(x: tuple[float, float], y: tuple[float, float], size: tuple[float, float], count: int) -> None:
        for _ in range(count):
            scale = float(rng.uniform(*size))
            foot = (float(rng.uniform(*x)), float(rng.uniform(*y)), -0.35)
            tall = scale * float(rng.uniform(0.85, 1.15))
            found.append(Plant(int(rng.integers(KINDS)), foot, (scale, scale, tall), float(rng.uniform(0, 2 * np.pi))))

    add((left - 31, left - 8.5), (38, 330), (0.6, 1.25), 70)
    add((left - 27, left - 7), (130, 600), (0.8, 1.4), 50)
    add((right + 19, right + 45) if scene.platform else (right + 6, right + 30), (60, 600), (0.8, 1.4), 60)
    add((-180, -14), (500, 800), (1.2, 2.0), 30)
    add((right + 12, 180), (500, 800), (1.2, 2.0), 30)
    add((left - 21, left - 7.7), (24, 120), (0.14, 0.28), 60)
    return found
