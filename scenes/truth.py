"""The truth of a clip, from the scenario alone but for what hides what, which the masks of the frames tell.

The schema is described in scenes/README.md. Numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from scenes.camera import Floats, box_of, clipped_box, frame_matrix, ground_to_image, pinhole, project
from scenes.cast import Actor, RunningTrain
from scenes.layout import on_track, running, track_strip_m, zone_polygon_px, zones
from scenes.masks import Seen
from scenes.people import Person
from scenes.scenario import RailTrack, Scenario

SCHEMA_VERSION = 1
Json = dict[str, Any]
SeenAt = Callable[[int, Actor], Seen | None]
"""What the masks of a frame say of an actor; None where there are no masks."""


def truth_of(scene: Scenario, actors: Sequence[Actor], seen_at: SeenAt) -> Json:
    """Everything that is true of the clip, ready for JSON."""
    view = pinhole(scene.camera)
    ground = ground_to_image(view.matrix)
    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": scene.name,
        "title": scene.title,
        "negative": scene.negative,
        "seed": scene.seed,
        "fps": scene.fps,
        "frame_count": scene.frames,
        "duration_s": scene.duration_s,
        "size_px": list(scene.camera.size_px),
        "camera": {
            "position_m": _rounded(view.position_m, 4),
            "hfov_deg": scene.camera.hfov_deg,
            "k_px": _rounded(view.k, 4),
            "rotation_world_to_camera": _rounded(view.rotation, 8),
            "matrix_world_to_px": _rounded(view.matrix, 6),
            "homography_ground_to_px": _rounded(ground, 6),
            "homography_px_to_ground": _rounded(np.linalg.inv(ground) * ground[2, 2], 12),
        },
        "rail_tracks": [
            {
                "rail_track_id": t.id,
                "centre_m": t.centre_m,
                "gauge_mm": t.gauge_mm,
                "polygon_m": _rounded(track_strip_m(scene, t), 3),
            }
            for t in scene.tracks
        ],
        "zones": zones_of(scene),
        "reference_y_m": scene.reference_m,
        "actors": [_actor(actor) for actor in actors],
        "entries": entries(scene, actors),
        "frames": [frame_of(scene, actors, index, seen_at) for index in range(scene.frames)],
    }


def _rounded(values: Floats, digits: int) -> list[Any]:
    return np.round(np.asarray(values, float), digits).tolist()


def zones_of(scene: Scenario) -> list[Json]:
    """The zones that the camera sees, with polygons on the ground in metres and in fractions of the frame."""
    view = pinhole(scene.camera)
    found = []
    for zone in zones(scene):
        polygon = zone_polygon_px(scene, view, zone)
        if len(polygon):
            norm = np.clip(polygon / view.size_px, 0.0, 1.0)
            row = {"zone_id": zone.zone_id, "kind": zone.kind, "rail_track_id": zone.rail_track_id}
            found.append(row | {"polygon_m": _rounded(zone.polygon_m, 3), "polygon_norm": _rounded(norm, 5)})
    return found


def _actor(actor: Actor) -> Json:
    row: Json = {"number": actor.number, "id": actor.id, "class_name": actor.class_name}
    thing = actor.thing
    if isinstance(thing, Person):
        return row | {"figure": thing.look.figure, "height_m": round(thing.look.height_m, 3), "wears": thing.look.parts}
    if isinstance(thing, RunningTrain):
        train = thing.train
        return row | {
            "rail_track_id": train.track,
            "heading": train.heading,
            "livery": train.livery,
            "coaches": train.coaches,
        }
    return row | {"colour": thing.animal.colour}


def ground_m(actor: Actor, t_s: float) -> Floats:
    """The ground point (3,) of a person or an animal at a time."""
    if isinstance(actor.thing, Person):
        return actor.thing.at(t_s).ground_m
    if isinstance(actor.thing, RunningTrain):
        raise TypeError("a train has a front, not a ground point")
    return actor.thing.ground_m(t_s)


def entries(scene: Scenario, actors: Sequence[Actor]) -> list[Json]:
    """Every stay of a person or an animal on a track: its begin and end to 0.01 s; an end of None: it goes on."""
    times = np.append(np.arange(0, scene.duration_s, 0.1), scene.duration_s)
    found = []
    for actor in actors:
        if isinstance(actor.thing, RunningTrain):
            continue
        places = [ground_m(actor, float(t)) for t in times]
        for track in scene.tracks:
            inside = [on_track(scene, track, float(place[0]), float(place[2])) for place in places]
            begin: float | None = 0.0 if inside[0] else None
            for number in np.flatnonzero(np.diff(np.array(inside, int))):
                edge = _edge(scene, actor, track, (float(times[number]), float(times[number + 1])))
                if begin is None:
                    begin = edge
                else:
                    found.append(_stay(actor, track, begin, edge))
                    begin = None
            if begin is not None:
                found.append(_stay(actor, track, begin, None))
    return sorted(found, key=lambda row: row["enter_s"])


def _edge(scene: Scenario, actor: Actor, track: RailTrack, between_s: tuple[float, float]) -> float:
    """When an actor steps on or off a track, by halving an interval at whose ends it is not the same."""
    first, last = between_s

    def inside(t_s: float) -> bool:
        place = ground_m(actor, t_s)
        return on_track(scene, track, float(place[0]), float(place[2]))

    before = inside(first)
    while last - first > 0.005:
        middle = (first + last) / 2
        first, last = (middle, last) if inside(middle) == before else (first, middle)
    return round(last, 2)


def _stay(actor: Actor, track: RailTrack, enter_s: float, leave_s: float | None) -> Json:
    row: Json = {"id": actor.id, "class_name": actor.class_name, "rail_track_id": track.id}
    return row | {"enter_s": enter_s, "leave_s": leave_s}


def frame_of(scene: Scenario, actors: Sequence[Actor], index: int, seen_at: SeenAt) -> Json:
    """What is true of one frame."""
    t_s = index / scene.fps
    matrix = frame_matrix(scene.camera, scene.seed, t_s)
    objects = [_object(scene, actor, t_s, matrix, seen_at(index, actor)) for actor in actors]
    frame: Json = {"index": index, "t_s": round(t_s, 4), "objects": [row for row in objects if row is not None]}
    if scene.camera.shake_deg:
        frame["matrix_world_to_px"] = _rounded(matrix, 6)
    frame["trains"] = [_train(scene, actor.thing, t_s) for actor in actors if isinstance(actor.thing, RunningTrain)]
    return frame


def _object(scene: Scenario, actor: Actor, t_s: float, matrix: Floats, seen: Seen | None) -> Json | None:
    """An actor in a frame, None when it is outside."""
    full = box_of(matrix, actor.vertices_at(t_s))
    clipped = None if full is None else clipped_box(full, scene.camera.size_px)
    if full is None or clipped is None:
        return None
    row: Json = {"id": actor.id, "class_name": actor.class_name}
    row |= {"xyxy_px": _rounded(clipped, 2), "unclipped_xyxy_px": _rounded(np.clip(full, -1e5, 1e5), 2)}
    if seen is not None:
        row["visible_xyxy_px"] = None if seen.visible_xyxy is None else _rounded(seen.visible_xyxy, 2)
        row["visible_px"] = seen.visible_px
        row["occluded_fraction"] = round(seen.occluded_fraction, 3)
    if not isinstance(actor.thing, RunningTrain):
        row |= _standing(scene, actor, t_s, matrix)
    return row


def _standing(scene: Scenario, actor: Actor, t_s: float, matrix: Floats) -> Json:
    place = ground_m(actor, t_s)
    pixel, _ = project(matrix, place)
    row: Json = {"ground_m": _rounded(place, 3), "ground_px": _rounded(pixel[0], 2)}
    if isinstance(actor.thing, Person):
        row |= {"velocity_mps": _rounded(actor.thing.velocity_mps(t_s), 3), "doing": actor.thing.at(t_s).doing}
    else:
        later = ground_m(actor, t_s + 0.1)
        row |= {"velocity_mps": _rounded((later - place)[:2] / 0.1, 3)}
    row["on_track"] = {t.id: on_track(scene, t, float(place[0]), float(place[2])) for t in scene.tracks}
    return row


def _train(scene: Scenario, thing: RunningTrain, t_s: float) -> Json:
    state = running(scene, thing.train, t_s)
    return {
        "id": thing.train.id,
        "rail_track_id": thing.train.track,
        "heading": thing.train.heading,
        "front_y_m": round(state.front_y_m, 3),
        "distance_m": round(state.distance_m, 3),
        "speed_mps": state.speed_mps,
        "eta_s": None if state.eta_s is None else round(state.eta_s, 3),
    }
