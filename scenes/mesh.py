"""Building meshes from boxes, tubes, prisms and sheets; a mesh knows the material of each face. Numpy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
BOX_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


class Mesh(NamedTuple):
    """`vertices_m` (V, 3); `faces`: vertex numbers of each face; `materials`: names; `material` of each face."""

    vertices_m: Floats
    faces: list[tuple[int, ...]]
    materials: tuple[str, ...]
    material: npt.NDArray[np.int64]


class Builder:
    """Collects shapes; the only state is the growing lists."""

    def __init__(self) -> None:
        self._vertices: list[Floats] = []
        self._count = 0
        self._faces: list[tuple[int, ...]] = []
        self._materials: list[str] = []
        self._material: list[int] = []

    def add(self, vertices_m: npt.ArrayLike, faces: npt.ArrayLike | list[tuple[int, ...]], material: str) -> None:
        """Vertices (V, 3) with faces that count them from 0."""
        vertices = np.asarray(vertices_m, float)
        if material not in self._materials:
            self._materials.append(material)
        rows = faces.tolist() if isinstance(faces, np.ndarray) else faces
        self._faces += [tuple(int(corner) + self._count for corner in face) for face in rows]
        self._material += [self._materials.index(material)] * len(rows)
        self._vertices.append(vertices)
        self._count += len(vertices)

    def box(self, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], material: str) -> None:
        """A box between two places on each axis."""
        corners = [(a, b, c) for a in sorted(x) for b in sorted(y) for c in sorted(z)]
        self.add(corners, list(BOX_FACES), material)

    def tube(self, start: npt.ArrayLike, end: npt.ArrayLike, radius: float, material: str, sides: int = 10) -> None:
        """A closed cylinder between two points."""
        first, last = np.asarray(start, float), np.asarray(end, float)
        axis = (last - first) / np.linalg.norm(last - first)
        side = np.cross(axis, [0, 0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0, 0])
        side /= np.linalg.norm(side)
        other = np.cross(axis, side)
        angles = np.arange(sides) * 2 * np.pi / sides
        ring = radius * (np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * other)
        walls = [(i, (i + 1) % sides, sides + (i + 1) % sides, sides + i) for i in range(sides)]
        ends = [tuple(reversed(range(sides))), tuple(range(sides, 2 * sides))]
        self.add(np.concatenate([first + ring, last + ring]), walls + ends, material)

    def prism(self, profile: npt.ArrayLike, x: tuple[float, float], material: str) -> None:
        """A profile (N, 2) in (y, z) drawn out along x."""
        outline = np.asarray(profile, float)
        count = len(outline)
        sheets = [np.column_stack([np.full(count, place), outline]) for place in x]
        walls = [(i, (i + 1) % count, count + (i + 1) % count, count + i) for i in range(count)]
        ends = [tuple(reversed(range(count))), tuple(range(count, 2 * count))]
        self.add(np.concatenate(sheets), walls + ends, material)

    def sheet(self, corners_m: npt.ArrayLike, material: str) -> None:
        """One face."""
        corners = np.asarray(corners_m, float)
        self.add(corners, [tuple(range(len(corners)))], material)

    def mesh(self) -> Mesh:
        """What has been built."""
        vertices = np.concatenate(self._vertices) if self._vertices else np.zeros((0, 3))
        return Mesh(vertices, self._faces, tuple(self._materials), np.array(self._material, np.int64))
