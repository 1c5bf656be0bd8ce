"""A person through the clip: actions laid end to end, and at every moment pose, ground position and velocity."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from scenes import scenario as script
from scenes.body import Body, Floats, Pose, body_of
from scenes.gait import planned, pose_at, root_height_m, way_through
from scenes.layout import surface_m
from scenes.poses import (
    ankle_height_m,
    falling,
    grounded,
    hanging_arms,
    legs_to,
    lying,
    posed,
    upright,
)

FALL_S = 1.1
HEIGHTS_M = {
    "man": (1.64, 1.84), "woman": (1.5, 1.7), "stout_man": (1.62, 1.8), "slim_man": (1.64, 1.86),
    "stout_woman": (1.5, 1.68), "child": (1.12, 1.35),
}  # fmt: skip
SHIRTS = ("red", "maroon", "mustard", "teal", "sky", "blue", "violet", "white", "green", "orange")
TROUSERS = ("navy", "charcoal", "brown", "black", "khaki", "indigo", "olive")


class Look(NamedTuple):
    """How a person is dressed: `parts` of the body that are shown with the colour or material of each."""

    figure: str
    height_m: float
    parts: dict[str, str]


class Moment(NamedTuple):
    """A person at one time: `ground_m` (3,) below the root on the surface, and what the person does."""

    pose: Pose
    ground_m: Floats
    doing: str


class _Act(NamedTuple):
    start_s: float
    doing: str
    at: Callable[[float], Pose]


class Person(NamedTuple):
    """A person of a scenario, ready to be asked for any moment."""

    id: str
    body: Body
    look: Look
    acts: tuple[_Act, ...]
    surface_m: float

    def at(self, t_s: float) -> Moment:
        """The moment `t_s` seconds after the start of the clip."""
        act = [act for act in self.acts if act.start_s <= t_s + 1e-9][-1]
        pose = act.at(max(t_s - act.start_s, 0.0))
        return Moment(pose, np.array([pose.root_m[0], pose.root_m[1], self.surface_m]), act.doing)

    def velocity_mps(self, t_s: float) -> Floats:
        """Velocity (2,) on the ground, over the 0.2 s around `t_s`."""
        before, after = max(t_s - 0.1, 0.0), t_s + 0.1
        return (self.at(after).ground_m - self.at(before).ground_m)[:2] / (after - before)


def person_of(scene: script.Scenario, person: script.Person, number: int) -> Person:
    """The person with a look drawn by the scenario's seed and this person's number."""
    rng = np.random.default_rng([scene.seed, 17, number])
    look = _look(person, rng)
    body = body_of(look.figure, look.height_m)
    surface = surface_m(scene, *person.at_m)
    return Person(person.id, body, look, tuple(_acts(person, body, surface, look, rng)), surface)


def _look(person: script.Person, rng: np.random.Generator) -> Look:
    figure = person.figure or str(rng.choice(["man", "slim_man", "stout_man", "woman", "stout_woman"]))
    height = person.height_m or float(rng.uniform(*HEIGHTS_M[figure]))
    wears = person.clothing
    shirt, trousers = wears.shirt or str(rng.choice(SHIRTS)), wears.trousers or str(rng.choice(TROUSERS))
    woman = figure in ("woman", "stout_woman")
    skirt = wears.skirt if wears.skirt is not None else bool(woman and rng.random() < 0.4)
    parts = {"skin": "skin", "shirt": shirt, "shoes": "shoe", "long_hair" if woman else "hair": "hair"}
    parts |= {"skirt": trousers, "bare_legs": "skin"} if skirt else {"trousers": trousers}
    if wears.vest:
        parts["vest"] = f"vest_{wears.vest}"
    if wears.helmet:
        parts["helmet"] = f"helmet_{wears.helmet}"
    return Look(figure, height, parts)


def _acts(person: script.Person, body: Body, surface: float, look: Look, rng: np.random.Generator) -> list[_Act]:
    """The person's actions with their starts; one who has nothing more to do stands, or lies, on."""
    acts: list[_Act] = []
    place, facing, t_s = np.array(person.at_m, float), float(np.radians(person.facing_deg)), 0.0
    touching = tuple(part for part in ("skin", "trousers", "shirt", "shoes", "skirt") if part in look.parts)
    sway = float(rng.uniform(0, 6.28))
    down = False
    for action in person.actions:
        match action:
            case script.Walk():
                way = way_through(np.array([place, *action.through_m]))
                walk = planned(body, way, action.speed_mps, first=len(acts))
                acts.append(_Act(t_s, "walking", lambda t, w=walk: pose_at(body, w, t, surface)))
                place, facing, t_s = way.at(way.length_m), way.facing_rad(way.length_m), t_s + walk.duration_s
            case script.Stand():
                turned = facing if action.facing_deg is None else float(np.radians(action.facing_deg))
                acts.append(_standing(t_s, body, place, (facing, turned), surface, sway))
                facing, t_s = turned, t_s + action.for_s
            case script.Fall():
                acts.append(_falling(t_s, body, place, facing, surface, touching))
                ahead = np.array([np.cos(facing), np.sin(facing)])
                place, t_s, down = place + ahead * body.head_m("root")[2], t_s + FALL_S, True
            case script.Lie():
                facing = facing if action.facing_deg is None else float(np.radians(action.facing_deg))
                acts.append(_lying(t_s, body, place, facing, surface, touching))
                t_s, down = t_s + action.for_s, True
    last = _lying(t_s, body, place, facing, surface, touching) if down else None
    return [*acts, last or _standing(t_s, body, place, (facing, facing), surface, sway)]


def standing_pose(body: Body, place_m: Floats, facing_rad: float, surface: float, sway_rad: float = 0.0) -> Pose:
    """One who stands with the weight shifting slowly; feet stay where they are, as a walk leaves them."""
    turn = upright(facing_rad)
    width = 0.075 * body.height_m / 1.75
    foot = np.array([*place_m, surface])
    ankles = {s: foot + turn @ [sign * width, 0.0, ankle_height_m(body)] for s, sign in (("L", 1.0), ("R", -1.0))}
    middle = foot + turn @ [0.012 * np.sin(sway_rad), 0.006 * np.sin(1.7 * sway_rad), 0.0]
    root = middle + np.array([0, 0, root_height_m(body, middle, turn, ankles)])
    angle = 0.03 * np.sin(sway_rad)
    arms = hanging_arms({"L": angle - 0.04, "R": -angle - 0.04}, {"L": 0.22, "R": 0.22})
    legs = legs_to(body, root, turn, ankles)
    return posed(body, root, turn, {**legs, **arms}, 0.05, 0.05 * np.sin(0.6 * sway_rad), {"L": turn, "R": turn})


def _standing(
    start_s: float, body: Body, place: Floats, facing: tuple[float, float], surface: float, sway: float
) -> _Act:
    """Standing; a turn on the spot takes 0.8 s the short way round."""
    turn = (facing[1] - facing[0] + np.pi) % (2 * np.pi) - np.pi

    def at(t_s: float) -> Pose:
        share = min(t_s / 0.8, 1.0)
        angle = facing[0] + turn * share * share * (3 - 2 * share)
        return standing_pose(body, place, angle, surface, min(t_s, 1.0) * np.sin(sway + 0.9 * t_s))

    return _Act(start_s, "standing", at)


def _falling(
    start_s: float, body: Body, place: Floats, facing: float, surface: float, touching: tuple[str, ...]
) -> _Act:
    stand = standing_pose(body, place, facing, surface)
    middle = np.array([*place, surface])
    turn = upright(facing)
    arms = hanging_arms({"L": -0.04, "R": -0.04}, {"L": 0.22, "R": 0.22})
    ankles = {s: middle + turn @ [x * 0.075, 0.0, ankle_height_m(body)] for s, x in (("L", 1.0), ("R", -1.0))}
    directions = {**legs_to(body, stand.root_m, turn, ankles), **arms}

    def at(t_s: float) -> Pose:
        pose = falling(body, middle, facing, directions, min(t_s / FALL_S, 1.0))
        return grounded(body, pose, surface, touching)

    return _Act(start_s, "falling", at)


def _lying(start_s: float, body: Body, place: Floats, facing: float, surface: float, touching: tuple[str, ...]) -> _Act:
    pose = grounded(body, lying(body, place, facing), surface, touching)
    return _Act(start_s, "lying", lambda _t: pose)


def check_acts_join(person: Person, tolerance_m: float = 0.25) -> None:
    """Raise ValueError when the root jumps between two actions: a person never teleports."""
    for before, after in pairwise(person.acts):
        gap = np.linalg.norm(before.at(after.start_s - before.start_s).root_m - after.at(0.0).root_m)
        if gap > tolerance_m:
            raise ValueError(f"{person.id}: jumps {gap:.2f} m between {before.doing} and {after.doing}")
