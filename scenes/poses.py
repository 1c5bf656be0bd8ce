"""Poses from directions of limbs: standing, walking legs by inverse kinematics, falling, lying. Numpy only.

In body axes x is the body's left, -y ahead of it, z up; `facing_rad` is the angle of its view from world x.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scenes.body import Body, Floats, Pose, joints_m, skinned

SIDES = (("L", 1.0), ("R", -1.0))
LIMBS = {"thigh": "shank", "shank": "foot", "upperarm": "forearm", "forearm": "hand"}

Directions = Mapping[str, Floats]
"""Unit vectors (3,) in body axes along every limb, keyed like 'thigh.L'."""


def about(axis: str, angle_rad: float) -> Floats:
    """The rotation (3, 3) about a coordinate axis, right-handed.

    >>> (about("z", np.pi / 2) @ [1, 0, 0]).round(6).tolist()
    [0.0, 1.0, 0.0]
    """
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    turn = np.eye(3)
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return turn


def upright(facing_rad: float) -> Floats:
    """The rotation (3, 3) of a body that stands and looks along `facing_rad`."""
    return about("z", facing_rad + np.pi / 2)


def aiming(source: Floats, target: Floats) -> Floats:
    """The smallest rotation (3, 3) that turns direction `source` into `target` (Rodrigues' formula)."""
    start, end = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis, cosine = np.cross(start, end), float(start @ end)
    if cosine < -0.9999:
        raise ValueError("directions must not be opposite: the turn between them is not determined")
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def posed(
    body: Body,
    root_m: Floats,
    root_turn: Floats,
    directions: Directions,
    bend_rad: float = 0.0,
    twist_rad: float = 0.0,
    feet: Mapping[str, Floats] | float = 0.0,
) -> Pose:
    """The pose of a body whose limbs point along `directions`; the chest bends forward and twists to its left.

    `feet` are rotations (3, 3) in world axes by side, or the angle by which toes point down from square to the shank.
    """
    chest = root_turn @ about("z", twist_rad) @ about("x", bend_rad)
    turns = {
        "root": root_turn,
        "spine": root_turn @ about("z", twist_rad / 2) @ about("x", bend_rad / 2),
        "chest": chest,
        "neck": chest @ about("x", -bend_rad / 3),
        "head": root_turn @ about("z", twist_rad / 3) @ about("x", bend_rad / 3),
    }
    for side, _ in SIDES:
        for limb, child in LIMBS.items():
            name = f"{limb}.{side}"
            base = chest if "arm" in limb else root_turn
            turns[name] = base @ aiming(body.bone_m(name, f"{child}.{side}"), np.asarray(directions[name]))
        turns[f"hand.{side}"] = turns[f"forearm.{side}"]
        turns[f"foot.{side}"] = turns[f"shank.{side}"] @ about("x", feet) if isinstance(feet, float) else feet[side]
    return Pose(np.asarray(root_m, float), np.array([turns[name] for name in body.joints]))


def hanging_arms(swing_rad: Mapping[str, float], elbow_rad: Mapping[str, float]) -> dict[str, Floats]:
    """Directions of arms that hang and swing forward by the given angles."""
    arms = {}
    for side, sign in SIDES:
        out = about("y", -sign * np.radians(9))
        down = np.array([0.0, 0.0, -1.0])
        arms[f"upperarm.{side}"] = about("x", -swing_rad[side]) @ out @ down
        inwards = about("y", sign * np.radians(4))
        arms[f"forearm.{side}"] = about("x", -swing_rad[side] - elbow_rad[side]) @ inwards @ down
    return arms


def legs_to(body: Body, root_m: Floats, root_turn: Floats, ankles_m: Mapping[str, Floats]) -> dict[str, Floats]:
    """Directions of both legs that bring the ankles to the given world points, knees ahead: two-bone kinematics.

    Raises ValueError when a point is beyond the length of the leg.
    """
    legs = {}
    for side, _ in SIDES:
        hip = root_turn @ body.bone_m("root", f"thigh.{side}") + root_m
        upper = float(np.linalg.norm(body.bone_m(f"thigh.{side}", f"shank.{side}")))
        lower = float(np.linalg.norm(body.bone_m(f"shank.{side}", f"foot.{side}")))
        reach = root_turn.T @ (ankles_m[side] - hip)
        distance = float(np.linalg.norm(reach))
        if distance > upper + lower:
            raise ValueError(f"an ankle must be within {upper + lower:.2f} m of the hip, but is {distance:.2f} m away")
        along = reach / distance
        ahead = np.array([0.0, -1.0, 0.0]) + along * along[1]
        ahead /= np.linalg.norm(ahead)
        share = (upper**2 - lower**2 + distance**2) / (2 * distance)
        knee = along * share + ahead * np.sqrt(max(upper**2 - share**2, 0.0))
        legs[f"thigh.{side}"] = knee / upper
        legs[f"shank.{side}"] = (reach - knee) / lower
    return legs


def reach_of(body: Body) -> float:
    """The length of a leg from hip to ankle, in metres, when it is stretched."""
    upper, lower = body.bone_m("thigh.L", "shank.L"), body.bone_m("shank.L", "foot.L")
    return float(np.linalg.norm(upper) + np.linalg.norm(lower))


def _unit(*vector: float) -> Floats:
    return np.array(vector) / np.linalg.norm(vector)


LYING_TOES_RAD = float(np.radians(60))
"""How far the feet of one who lies on the belly are stretched."""

STUMBLING = {
    "thigh.L": _unit(0.08, -0.75, -0.7), "shank.L": _unit(0.05, 0.3, -1), "thigh.R": _unit(-0.08, 0.15, -1),
    "shank.R": _unit(-0.05, 0.75, -0.7), "upperarm.L": _unit(0.35, -0.9, -0.3), "forearm.L": _unit(0.1, -1, 0.1),
    "upperarm.R": _unit(-0.45, -0.7, -0.5), "forearm.R": _unit(-0.1, -1, 0.3),
}  # fmt: skip
"""Limbs of one who has just tripped."""

PRONE = {
    "thigh.L": _unit(0.22, -0.06, -1), "shank.L": _unit(0.1, 0.02, -1), "thigh.R": _unit(-0.5, -0.1, -0.9),
    "shank.R": _unit(0.15, 0.02, -1), "upperarm.L": _unit(0.8, -0.12, 0.55), "forearm.L": _unit(0.1, -0.15, 1),
    "upperarm.R": _unit(-0.95, 0.0, -0.3), "forearm.R": _unit(-0.5, -0.3, 0.8),
}  # fmt: skip
"""Limbs of one who lies on the belly after a fall, one knee drawn out."""


def blended(first: Directions, second: Directions, share: float) -> dict[str, Floats]:
    """Directions between two, 0 for the first and 1 for the second."""
    mixed = {name: (1 - share) * first[name] + share * second[name] for name in first}
    return {name: vector / np.linalg.norm(vector) for name, vector in mixed.items()}


def grounded(body: Body, pose: Pose, surface_m: float, parts: tuple[str, ...]) -> Pose:
    """The pose moved up or down until the lowest vertex of `parts` touches the surface."""
    lowest = min(float(skinned(body, pose, part)[:, 2].min()) for part in parts)
    return pose._replace(root_m=pose.root_m + np.array([0, 0, surface_m - lowest]))


def falling(body: Body, feet_m: Floats, facing_rad: float, standing: Directions, share: float) -> Pose:
    """One who falls forwards about the feet: `share` 0 stands, 1 lies prone. Not yet grounded."""
    pitch = np.radians(90) * share**1.9
    turn = upright(facing_rad) @ about("x", pitch)
    early = min(share / 0.4, 1.0)
    directions = blended(blended(standing, STUMBLING, early), PRONE, max(share - 0.4, 0.0) / 0.6)
    root = feet_m + turn @ [0.0, 0.0, body.head_m("root")[2] * (1 - 0.06 * np.sin(np.pi * share))]
    return posed(body, root, turn, directions, bend_rad=0.5 * np.sin(np.pi * share), feet=LYING_TOES_RAD * share)


def lying(body: Body, root_xy_m: Floats, facing_rad: float) -> Pose:
    """One who lies prone with the head along `facing_rad`; the root is over `root_xy_m`. Not yet grounded."""
    turn = upright(facing_rad) @ about("x", np.radians(90))
    return posed(body, np.array([*root_xy_m, 0.15]), turn, PRONE, feet=LYING_TOES_RAD)


def ankle_height_m(body: Body) -> float:
    """Height of the ankle joint over the sole, in metres."""
    return float(body.head_m("foot.L")[2]) + 0.012


def ankles_of(body: Body, pose: Pose) -> dict[str, Floats]:
    """Where the ankles (3,) are, by side."""
    places = joints_m(body, pose)
    return {side: places[body.joints.index(f"foot.{side}")] for side, _ in SIDES}
