"""All that moves in a scene, numbered as in the masks: people, trains, animals, and their vertices at any time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scenes.animals import Cow, cow_of
from scenes.body import Floats, skinned
from scenes.layout import train_front_m
from scenes.mesh import Mesh
from scenes.people import Person, check_acts_join, person_of
from scenes.rolling_stock import placed, train_mesh
from scenes.scenario import Scenario, Train


class Shape(NamedTuple):
    """A piece of surface: `vertices_m` (V, 3) and its faces, three or more corners each."""

    vertices_m: Floats
    faces: list[tuple[int, ...]]


class RunningTrain(NamedTuple):
    """A train of the scenario with its mesh at rest."""

    train: Train
    mesh: Mesh
    centre_m: float

    def vertices_at(self, t_s: float) -> Floats:
        """All vertices (V, 3) in the world."""
        away = self.train.heading == "away"
        return placed(self.mesh.vertices_m, self.centre_m, train_front_m(self.train, t_s), away=away)


class Actor(NamedTuple):
    """Somebody or something that moves; `number` marks its pixels in the masks, from 1."""

    number: int
    id: str
    class_name: str
    thing: Person | RunningTrain | Cow

    @property
    def parked(self) -> bool:
        """Whether it stays where it is through the clip."""
        return isinstance(self.thing, RunningTrain) and self.thing.train.speed_mps == 0

    def shapes_at(self, t_s: float) -> list[Shape]:
        """Its surface at a time."""
        if isinstance(self.thing, RunningTrain):
            return [Shape(self.thing.vertices_at(t_s), self.thing.mesh.faces)]
        if isinstance(self.thing, Cow):
            return [Shape(self.thing.vertices_at(t_s), self.thing.mesh.faces)]
        body, pose = self.thing.body, self.thing.at(t_s).pose
        return [
            Shape(skinned(body, pose, part), [tuple(face) for face in body.parts[part].faces.tolist()])
            for part in self.thing.look.parts
        ]

    def vertices_at(self, t_s: float) -> Floats:
        """All its vertices (V, 3) at a time."""
        if isinstance(self.thing, Person):
            pose = self.thing.at(t_s).pose
            return np.concatenate([skinned(self.thing.body, pose, part) for part in self.thing.look.parts])
        return self.thing.vertices_at(t_s)


def cast_of(scene: Scenario) -> list[Actor]:
    """Everything of a scenario that moves, people first; raises ValueError when somebody would have to jump."""
    return [Actor(number, *row) for number, row in enumerate(_rows(scene), start=1)]


def _rows(scene: Scenario) -> Iterator[tuple[str, str, Person | RunningTrain | Cow]]:
    for number, person in enumerate(scene.people):
        made = person_of(scene, person, number)
        check_acts_join(made)
        yield person.id, "person", made
    tracks = {track.id: track for track in scene.tracks}
    for train in scene.trains:
        track = tracks[train.track]
        mesh = train_mesh(f"livery_{train.livery}", train.coaches, track.gauge_mm / 1000, lit=train.headlights)
        yield train.id, "train", RunningTrain(train, mesh, track.centre_m)
    for animal in scene.animals:
        yield animal.id, animal.kind, cow_of(scene, animal)
