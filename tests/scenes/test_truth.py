from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from railwatch.core.types import Zone, ZoneKind
from scenes.camera import pinhole, project
from scenes.cast import Actor, cast_of
from scenes.encode import as_text
from scenes.masks import Seen, mask_box, seen, silhouette
from scenes.scenario import Scenario, load, parse
from scenes.truth import entries, truth_of, zones_of
from scenes.workplace import SCENARIOS

CROSSING = """
name: crossing
title: A man crosses while two trains run
negative: false
duration_s: 6
fps: 5
people:
  - id: walker
    at_m: [-3.0, 27.0]
    figure: man
    actions: [{do: walk, through_m: [[3.0, 27.0]], speed_mps: 1.5}, {do: stand, for_s: 2}]
trains:
  - {id: coming, track: main, front_m: 100, speed_mps: 20}
  - {id: leaving, track: loop, front_m: 40, speed_mps: 10, heading: away, coaches: 2}
  - {id: parked, track: loop, front_m: 60, speed_mps: 0}
"""


@pytest.fixture(scope="module")
def scene() -> Scenario:
    return parse(CROSSING)


@pytest.fixture(scope="module")
def truth(scene):
    return truth_of(scene, cast_of(scene), lambda _index, _actor: None)


def test_truth_is_json_with_a_line_for_every_frame(truth):
    text = as_text(truth)
    assert json.loads(text) == json.loads(json.dumps(truth))
    assert sum(line.startswith('  {"index": ') for line in text.splitlines()) == 30


def test_homography_brings_ground_pixels_back_to_metres(truth):
    back = np.array(truth["camera"]["homography_px_to_ground"])
    for frame in truth["frames"]:
        for row in frame["objects"]:
            if "ground_m" in row:
                place = back @ [*row["ground_px"], 1.0]
                np.testing.assert_allclose(place[:2] / place[2], row["ground_m"][:2], atol=0.03)


def test_a_train_is_told_by_distance_speed_and_time_to_the_reference_point(truth):
    rows = [{row["id"]: row for row in frame["trains"]} for frame in truth["frames"]]
    first = rows[0]["coming"]
    assert (first["distance_m"], first["speed_mps"], first["eta_s"]) == (73.0, 20, 3.65)
    assert rows[5]["coming"]["distance_m"] == pytest.approx(53.0)
    assert rows[-1]["coming"]["eta_s"] is None
    assert rows[-1]["coming"]["distance_m"] < 0


def test_a_train_that_leaves_or_stands_has_no_time_to_the_reference_point(truth):
    rows = {row["id"]: row for row in truth["frames"][3]["trains"]}
    assert rows["leaving"]["distance_m"] == -(40 + 10 * 0.6 - 27)
    assert rows["leaving"]["eta_s"] is None
    assert rows["parked"]["eta_s"] is None
    assert rows["parked"]["distance_m"] == 33


def test_the_front_of_a_train_is_where_its_box_says(scene, truth):
    matrix = pinhole(scene.camera).matrix
    frame = truth["frames"][0]
    box = next(row["unclipped_xyxy_px"] for row in frame["objects"] if row["id"] == "coming")
    front = project(matrix, [[0.98, frame["trains"][0]["front_y_m"], 0.17 + 0.87]])[0][0]
    assert box[0] < front[0] < box[2]
    assert box[1] < front[1] < box[3]


def test_entries_agree_with_the_flags_of_the_frames(scene, truth):
    (stay,) = truth["entries"]
    assert (stay["id"], stay["rail_track_id"]) == ("walker", "main")
    for frame in truth["frames"]:
        row = next(row for row in frame["objects"] if row["id"] == "walker")
        assert row["on_track"] == {"main": stay["enter_s"] <= frame["t_s"] < stay["leave_s"], "loop": False}


def test_velocity_is_the_change_of_the_ground_point(truth):
    rows = [next(row for row in frame["objects"] if row["id"] == "walker") for frame in truth["frames"]]
    walked = (rows[12]["ground_m"][0] - rows[7]["ground_m"][0]) / 1.0
    assert walked == pytest.approx(np.mean([row["velocity_mps"][0] for row in rows[7:13]]), abs=0.05)
    assert rows[-1]["velocity_mps"] == [0.0, 0.0] or abs(rows[-1]["velocity_mps"][0]) < 0.05


def test_someone_on_the_platform_is_on_no_track():
    scene = load(SCENARIOS / "platform.yaml")
    scene = scene.model_copy(update={"fps": 1})
    truth = truth_of(scene, cast_of(scene), lambda _index, _actor: None)
    assert truth["entries"] == []
    heights = {row["ground_m"][2] for frame in truth["frames"] for row in frame["objects"]}
    assert heights == {0.85}


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_holds_what_it_promises(path: Path):
    scene = load(path)
    actors = cast_of(scene)
    assert bool(entries(scene, actors)) != scene.negative
    zones = zones_of(scene)
    assert {zone["kind"] for zone in zones} >= {"track", "approach"}
    for zone in zones:
        polygon = tuple((x, y) for x, y in zone["polygon_norm"])
        Zone(zone["zone_id"], "cam", "section", zone["rail_track_id"], ZoneKind(zone["kind"]), polygon)


def test_feet_on_the_track_lie_in_its_zone(truth, scene):
    polygon = np.array(next(z["polygon_norm"] for z in truth["zones"] if z["zone_id"] == "track_main"))
    ring = (polygon * scene.camera.size_px).astype(np.float32)
    for frame in truth["frames"]:
        row = next(row for row in frame["objects"] if row["id"] == "walker")
        inside = cv2.pointPolygonTest(ring, tuple(row["ground_px"]), measureDist=True)
        assert abs(inside) < 1.0 or (inside > 0) == row["on_track"]["main"]


def _walker(scene: Scenario) -> Actor:
    return cast_of(scene)[0]


def test_the_silhouette_fills_the_box_of_the_vertices(scene, truth):
    actor = _walker(scene)
    outline = silhouette(actor.shapes_at(2.0), pinhole(scene.camera).matrix, scene.camera.size_px)
    row = next(row for row in truth["frames"][10]["objects"] if row["id"] == actor.id)
    np.testing.assert_allclose(mask_box(outline, 4), row["xyxy_px"], atol=0.5)


def test_occlusion_is_the_hidden_share_of_the_silhouette(scene):
    actor = _walker(scene)
    outline = silhouette(actor.shapes_at(2.0), pinhole(scene.camera).matrix, scene.camera.size_px)
    mask = cv2.resize(outline.astype(np.uint8), (1280, 720), interpolation=cv2.INTER_NEAREST).astype(bool)
    whole = seen(mask, outline)
    assert whole.occluded_fraction < 0.03
    np.testing.assert_allclose(whole.visible_xyxy, mask_box(outline, 4), atol=0.6)
    box = mask_box(mask)
    half = mask.copy()
    half[int(box[1] + box[3]) // 2 :] = False
    lower = mask[int(box[1] + box[3]) // 2 :].sum() / mask.sum()
    assert seen(half, outline).occluded_fraction == pytest.approx(lower, abs=0.03)
    assert seen(np.zeros_like(mask), outline) == Seen(None, 1.0, 0)
