"""Walking: footfalls along a way, and the pose at every moment of it, so that no planted foot slides. Numpy only.

Where n steps of length d cover a way of n d, footfalls lie at d/2, 3d/2, ... with both feet together at either end.
While one foot swings past the other the root moves between the middles of successive footfalls, so the pace builds up
over the first step and fades over the last. Angles at heel strike and toe-off: Perry, Gait Analysis, 1992.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenes.body import Body, Floats, Pose
from scenes.poses import SIDES, about, ankle_height_m, hanging_arms, legs_to, posed, reach_of, upright

HEEL_STRIKE_RAD = np.radians(-16)
TOE_OFF_RAD = np.radians(38)
HEEL_RISE = 0.55
"""Share of the toe-off angle that the heel has risen before the other foot lands."""

FIRST_RISE = 0.3
"""The same angle, as a share, where a walk begins from standing."""

DOUBLE_SUPPORT = 0.14
"""Share of a step during which both feet stand."""

LEAD_M = 0.045
"""How far the hips are ahead of the middle between the feet in full stride."""


class Way(NamedTuple):
    """A polyline: `points_m` (N, 2), N >= 2, and `arcs_m` (N,), the length up to each point."""

    points_m: Floats
    arcs_m: Floats

    @property
    def length_m(self) -> float:
        """Length of the whole way."""
        return float(self.arcs_m[-1])

    def at(self, arc_m: float) -> Floats:
        """The point (2,) after `arc_m` metres; beyond the ends, the ends."""
        return np.array([np.interp(arc_m, self.arcs_m, self.points_m[:, axis]) for axis in (0, 1)])

    def facing_rad(self, arc_m: float) -> float:
        """Direction of the way around `arc_m`, its corners rounded over 0.6 m."""
        ahead = self.at(min(arc_m + 0.3, self.length_m)) - self.at(max(arc_m - 0.3, 0.0))
        return float(np.arctan2(ahead[1], ahead[0]))


def way_through(points_m: Floats) -> Way:
    """The way through points (N, 2) that follow one another at a distance.

    >>> way_through(np.array([[0.0, 0.0], [3.0, 4.0]])).length_m
    5.0
    """
    steps = np.linalg.norm(np.diff(points_m, axis=0), axis=1)
    if len(points_m) < 2 or (steps < 0.05).any():
        raise ValueError("a way needs two or more points, each at least 0.05 m from the one before")
    return Way(np.asarray(points_m, float), np.concatenate([[0.0], np.cumsum(steps)]))


class Walk(NamedTuple):
    """A planned walk: footfalls at `falls_m` (n + 4,), of which swing k goes from k to k + 2 past k + 1.

    `step_s` is the time of a step; `marks_m` (n + 3,) is where the root is at the beginning of each swing.
    """

    way: Way
    falls_m: Floats
    marks_m: Floats
    step_s: float
    first: int

    @property
    def duration_s(self) -> float:
        """From both feet together to both feet together."""
        return self.step_s * (len(self.marks_m) - 1)

    def arc_m(self, t_s: float) -> float:
        """How far along the way the root is, `t_s` seconds after the start; monotone and smooth."""
        phase = np.clip(t_s / self.step_s, 0, len(self.marks_m) - 1)
        return _smooth_monotone(self.marks_m, float(phase))


def planned(body: Body, way: Way, speed_mps: float, first: int = 0) -> Walk:
    """A walk with the whole number of steps nearest to natural ones: about 0.4 of the height at 1.3 m/s."""
    natural = body.height_m * 0.395 * (speed_mps / 1.3) ** 0.45
    count = max(1, round(way.length_m / natural))
    step = way.length_m / count
    inner = (np.arange(count) + 0.5) * step
    falls = np.concatenate([[0.0, 0.0], inner, [way.length_m, way.length_m]])
    return Walk(way, falls, (falls[:-1] + falls[1:]) / 2, step / speed_mps, first)


def _smooth_monotone(values: Floats, phase: float) -> float:
    """Monotone cubic interpolation at integer knots (Fritsch and Carlson, 1980)."""
    knot = min(int(phase), len(values) - 2)
    slope = np.diff(values)
    tangent = np.zeros_like(values)
    inner = slope[:-1] + slope[1:]
    tangent[1:-1] = np.where(inner > 0, 2 * slope[:-1] * slope[1:] / np.maximum(inner, 1e-12), 0.0)
    u, a, b = phase - knot, values[knot], values[knot + 1]
    left, right = tangent[knot], tangent[knot + 1]
    return float(
        a * (1 + 2 * u) * (1 - u) ** 2 + left * u * (1 - u) ** 2 + b * u**2 * (3 - 2 * u) + right * u**2 * (u - 1)
    )


class Foot(NamedTuple):
    """`ankle_m` (3,) and the rotation (3, 3) of the foot, in world axes."""

    ankle_m: Floats
    turn: Floats


def _planted(body: Body, walk: Walk, fall: int, side: str, pitch_rad: float, surface_m: float) -> Foot:
    """A foot on its footfall, rolled about the ball (pitch above 0) or the heel (below 0), which do not move."""
    sign = dict(SIDES)[side]
    arc = float(walk.falls_m[fall])
    facing = walk.way.facing_rad(arc)
    turn = upright(facing)
    rest = turn @ [sign * 0.075 * body.height_m / 1.75, 0.0, ankle_height_m(body)]
    pivot = turn @ [
        sign * 0.075 * body.height_m / 1.75,
        (-0.155 if pitch_rad > 0 else 0.05) * body.height_m / 1.75,
        0.0,
    ]
    rolled = turn @ about("x", pitch_rad)
    ankle = pivot + rolled @ turn.T @ (rest - pivot)
    return Foot(np.array([*walk.way.at(arc), surface_m]) + ankle, rolled)


def feet_at(body: Body, walk: Walk, t_s: float, surface_m: float = 0.0) -> dict[str, Foot]:
    """Both feet, `t_s` seconds after the start of a walk on a level surface."""
    swings = len(walk.marks_m) - 1
    phase = float(np.clip(t_s / walk.step_s, 0, swings - 1e-9))
    swing = int(phase)
    u = phase - swing
    lifted, standing = ("L", "R") if (swing + walk.first) % 2 == 0 else ("R", "L")
    struck = HEEL_STRIKE_RAD * max(0.0, 1 - u / 0.18) if 0 < swing < swings - 1 else 0.0
    rising = HEEL_RISE * TOE_OFF_RAD * np.clip((u - 0.72) / 0.28, 0, 1) ** 2 if swing < swings - 1 else 0.0
    return {
        standing: _planted(body, walk, swing + 1, standing, float(struck + rising), surface_m),
        lifted: _swinging(body, walk, swing, u, lifted, surface_m),
    }


def _swinging(body: Body, walk: Walk, swing: int, u: float, side: str, surface_m: float) -> Foot:
    """The foot that goes from footfall `swing` to the one after next, at share `u` of the step."""
    half = DOUBLE_SUPPORT / 2
    off = TOE_OFF_RAD if swing > 0 else FIRST_RISE * TOE_OFF_RAD
    strike = HEEL_STRIKE_RAD if swing < len(walk.marks_m) - 3 else 0.0
    if u < half:
        risen = HEEL_RISE if swing > 0 else 0.0
        return _planted(body, walk, swing, side, float(off * (risen + (1 - risen) * u / half)), surface_m)
    v = min((u - half) / (1 - DOUBLE_SUPPORT), 1.0)
    start = _planted(body, walk, swing, side, float(off), surface_m)
    end = _planted(body, walk, swing + 2, side, float(strike), surface_m)
    if v >= 1.0:
        return end
    share = v**3 * (10 - 15 * v + 6 * v * v)
    ankle = start.ankle_m + share * (end.ankle_m - start.ankle_m) + [0, 0, 0.05 * np.sin(np.pi * v) ** 2]
    arc = (1 - share) * walk.falls_m[swing] + share * walk.falls_m[swing + 2]
    turn = upright(walk.way.facing_rad(float(arc))) @ about("x", float(off + (strike - off) * np.sqrt(v)))
    return Foot(ankle, turn)


def pose_at(body: Body, walk: Walk, t_s: float, surface_m: float = 0.0) -> Pose:
    """The whole body, `t_s` seconds after the start of a walk; arms swing against the legs."""
    feet = feet_at(body, walk, t_s, surface_m)
    arc = walk.arc_m(t_s)
    facing = walk.way.facing_rad(arc)
    turn = upright(facing)
    # In full stride the trunk leads the feet a little and the knees never stretch: both keep the hips from bobbing.
    stride = float(np.clip(min(arc, walk.way.length_m - arc) / 0.5, 0, 1))
    middle = np.array([*walk.way.at(arc + LEAD_M * stride), surface_m])
    ankles = {side: foot.ankle_m for side, foot in feet.items()}
    height = min(root_height_m(body, middle, turn, ankles), (0.992 - 0.027 * stride) * float(body.head_m("root")[2]))
    root = middle + np.array([0, 0, height])
    legs = legs_to(body, root, turn, ankles)
    forward = {side: float(-(turn.T @ (ankle - root))[1]) / reach_of(body) for side, ankle in ankles.items()}
    swing = {side: -0.75 * forward[side] - 0.04 for side in ankles}
    arms = hanging_arms(swing, {side: 0.22 + 0.5 * max(swing[side], 0.0) for side in ankles})
    twist = 0.18 * (forward["L"] - forward["R"])
    rotations = {side: foot.turn for side, foot in feet.items()}
    return posed(body, root, turn, {**legs, **arms}, bend_rad=0.05, twist_rad=twist, feet=rotations)


def root_height_m(body: Body, middle_m: Floats, turn: Floats, ankles_m: dict[str, Floats]) -> float:
    """The height of the root over the surface that lets both legs reach their ankles, never above standing."""
    reach = 0.996 * reach_of(body)
    height = float(body.head_m("root")[2]) * 0.992
    for side, ankle in ankles_m.items():
        hip = turn @ body.bone_m("root", f"thigh.{side}")
        flat = ankle[:2] - middle_m[:2] - hip[:2]
        over = ankle[2] - middle_m[2] - hip[2] + np.sqrt(max(reach**2 - float(flat @ flat), 0.04))
        height = min(height, float(over))
    return height
