"""Clothed bodies from assets/bodies.npz, posed by linear blend skinning. Numpy only.

A body at rest stands on z = 0 with its face towards -y. A pose is where the root is and how every joint is turned
against that rest, in world axes; the formula is Lewis et al., Pose Space Deformation, SIGGRAPH 2000, equation 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ASSET = Path(__file__).parent / "assets" / "bodies.npz"


class Part(NamedTuple):
    """`vertices_m` (V, 3) at rest, `faces` (F, 4), `joint` (V, 4) with `weight` (V, 4), which adds up to 1."""

    vertices_m: Floats
    faces: npt.NDArray[np.int64]
    joint: npt.NDArray[np.int64]
    weight: Floats


class Body(NamedTuple):
    """One figure at its height: `heads_m` (J, 3) are the joints at rest, `parents[j]` is before j, -1 for the root."""

    height_m: float
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    heads_m: Floats
    parts: Mapping[str, Part]

    def head_m(self, joint: str) -> Floats:
        """A joint at rest (3,)."""
        return self.heads_m[self.joints.index(joint)]

    def bone_m(self, joint: str, child: str) -> Floats:
        """The vector (3,) at rest from one joint to another."""
        return self.head_m(child) - self.head_m(joint)


class Pose(NamedTuple):
    """`root_m` (3,): where the root joint is. `turns` (J, 3, 3): rotations from rest, in world axes."""

    root_m: Floats
    turns: Floats


@lru_cache(maxsize=1)
def _asset() -> dict[str, npt.NDArray[np.generic]]:
    with np.load(ASSET) as data:
        return {key: data[key] for key in data.files}


def figures() -> tuple[str, ...]:
    """Names of the figures in the asset."""
    return tuple(str(name) for name in _asset()["figures"])


def body_of(figure: str, height_m: float | None = None) -> Body:
    """A figure with all parts of clothing, scaled to a height or as it was baked.

    >>> round(body_of("man", 1.8).height_m, 3)
    1.8
    """
    data = _asset()
    row = figures().index(figure)
    baked = float(data["heights_m"][row])
    height = baked if height_m is None else height_m
    scale = height / baked
    unit = float(data["unit_m"]) * scale
    parts = {
        str(name): Part(
            data[f"{name}_vertices"][row].astype(float) * unit,
            data[f"{name}_faces"].astype(np.int64),
            data[f"{name}_joint"].astype(np.int64),
            _shares(data[f"{name}_weight"].astype(float)),
        )
        for name in data["parts"]
    }
    joints = tuple(str(name) for name in data["joints"])
    parts["helmet"] = _helmet(parts["hair"], joints.index("head"))
    parents = tuple(int(parent) for parent in data["parents"])
    return Body(height, joints, parents, data["heads_m"][row].astype(float) * scale, parts)


def _helmet(hair: Part, head: int) -> Part:
    """A safety helmet around the hair: a dome with a brim, longer in front."""
    low, high = hair.vertices_m.min(axis=0), hair.vertices_m.max(axis=0)
    centre, half = (low + high) / 2, (high - low) / 2 + 0.018
    base = high[2] - 0.095
    around = np.arange(24) * 2 * np.pi / 24
    rings = [(1.16, -0.004), (1.0, 0.0), (0.99, 0.035), (0.88, 0.075), (0.62, 0.105), (0.25, 0.122), (0.02, 0.125)]
    rows = []
    for share, height in rings:
        peak = np.where((share > 1) & (np.sin(around) < 0), 1.12, 1.0)
        ring = [centre[0] + half[0] * share * np.cos(around), centre[1] + half[1] * share * peak * np.sin(around)]
        rows.append(np.stack([*ring, np.full(24, base + height)], axis=1))
    quads = [
        (row * 24 + i, row * 24 + (i + 1) % 24, (row + 1) * 24 + (i + 1) % 24, (row + 1) * 24 + i)
        for row in range(len(rings) - 1)
        for i in range(24)
    ]
    count = len(rings) * 24
    weight = np.tile([1.0, 0.0, 0.0, 0.0], (count, 1))
    return Part(np.concatenate(rows), np.array(quads), np.full((count, 4), head), weight)


def _shares(weight: Floats) -> Floats:
    return weight / weight.sum(axis=1, keepdims=True)


def joints_m(body: Body, pose: Pose) -> Floats:
    """Where all joints (J, 3) are in a pose."""
    places = np.zeros_like(body.heads_m)
    for joint, parent in enumerate(body.parents):
        if parent < 0:
            places[joint] = pose.root_m
        else:
            places[joint] = places[parent] + pose.turns[parent] @ (body.heads_m[joint] - body.heads_m[parent])
    return places


def skinned(body: Body, pose: Pose, part: str) -> Floats:
    """The vertices (V, 3) of a part in a pose, in world metres."""
    shape = body.parts[part]
    offsets = joints_m(body, pose) - np.einsum("jab,jb->ja", pose.turns, body.heads_m)
    turn = np.einsum("vk,vkab->vab", shape.weight, pose.turns[shape.joint])
    offset = np.einsum("vk,vka->va", shape.weight, offsets[shape.joint])
    return np.einsum("vab,vb->va", turn, shape.vertices_m) + offset
