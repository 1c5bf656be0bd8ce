from __future__ import annotations

import numpy as np
import pytest

from scenes import trackside, vegetation
from scenes.animals import cow_of
from scenes.colours import CLOTH, PAINTS
from scenes.people import person_of
from scenes.rolling_stock import BUFFER_M, HALF_WIDTH_M, RAIL_TOP_M, placed, train_mesh
from scenes.scenario import Scenario, parse

SCENE = """
name: scene
title: A cow walks beside a worker
negative: true
people: [{id: worker, at_m: [-4, 27], clothing: {vest: orange, helmet: yellow, skirt: false}}]
animals: [{id: cow, at_m: [-6, 26], facing_deg: 90, speed_mps: 0.8}]
"""


@pytest.fixture(scope="module")
def scene() -> Scenario:
    return parse(SCENE)


def _all(scene: Scenario):
    yield trackside.ground(scene)
    yield trackside.sleepers(scene)
    yield trackside.rails(scene)
    yield trackside.lineside(scene)
    yield trackside.lamps(scene)
    yield trackside.station(scene.platform)
    yield vegetation.grass(scene)
    yield vegetation.stones(scene, 500)
    yield vegetation.tree(0)
    yield train_mesh("livery_red", 2)
    yield cow_of(scene, scene.animals[0]).mesh


def test_every_mesh_is_whole_and_its_materials_are_known(scene):
    for mesh in _all(scene):
        assert np.isfinite(mesh.vertices_m).all()
        assert len(mesh.faces) == len(mesh.material)
        assert max(max(face) for face in mesh.faces) < len(mesh.vertices_m)
        assert min(min(face) for face in mesh.faces) >= 0
        assert set(mesh.materials) <= set(PAINTS)
        assert mesh.material.max() < len(mesh.materials)


def test_sleepers_and_ballast_stay_below_the_ground_plane(scene):
    assert trackside.sleepers(scene).vertices_m[:, 2].max() == 0.0
    assert trackside.ground(scene).vertices_m[:, 2].max() < 0.0


@pytest.mark.parametrize("gauge_mm", [1000, 1435, 1676])
def test_the_gauge_is_the_distance_between_the_inner_faces_of_the_rails(gauge_mm):
    scene = parse(SCENE + f"tracks: [{{id: only, centre_m: 1.5, gauge_mm: {gauge_mm}}}]\n")
    heads = trackside.rails(scene).vertices_m
    heads = heads[(heads[:, 2] > RAIL_TOP_M - 0.01) & (np.abs(heads[:, 0] - 1.5) < 0.9)]
    left, right = heads[heads[:, 0] < 1.5], heads[heads[:, 0] > 1.5]
    assert right[:, 0].min() - left[:, 0].max() == pytest.approx(gauge_mm / 1000, abs=0.02)


def test_nothing_beside_the_line_stands_in_the_way_of_a_train(scene):
    for mesh in (trackside.lineside(scene), trackside.lamps(scene), trackside.station(scene.platform)):
        low = mesh.vertices_m[mesh.vertices_m[:, 2] < 4.2]
        for track in scene.tracks:
            assert np.abs(low[:, 0] - track.centre_m).min() > HALF_WIDTH_M + 0.05
    left, right = trackside.ballast_edges_m(scene)
    for plant in vegetation.plants(scene):
        assert plant.foot_m[0] < left - 2 or plant.foot_m[0] > right + 2


def test_a_train_begins_at_its_front_and_runs_either_way():
    mesh = train_mesh("livery_blue", 3)
    towards = placed(mesh.vertices_m, 4.9, 80.0, away=False)
    away = placed(mesh.vertices_m, 4.9, 80.0, away=True)
    assert towards[:, 1].min() == pytest.approx(80.0)
    assert away[:, 1].max() == pytest.approx(80.0)
    assert np.ptp(towards[:, 1]) == pytest.approx(np.ptp(away[:, 1]))
    assert np.ptp(towards[:, 1]) > 19.5 + 3 * 23.1 + BUFFER_M
    assert towards[:, 0].mean() == pytest.approx(4.9, abs=0.1)


def test_a_cow_walks_on_the_ground_in_the_direction_it_looks(scene):
    cow = cow_of(scene, scene.animals[0])
    for t_s in (0.0, 0.4, 1.1, 2.7):
        assert cow.vertices_at(t_s)[:, 2].min() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(cow.ground_m(2.0) - cow.ground_m(0.0), [0, 1.6, 0], atol=1e-9)
    head = cow.vertices_at(0.0)[:, 1].max() - 26
    assert 1.5 < head < 1.9


def test_a_worker_wears_vest_and_helmet_over_the_head(scene):
    worker = person_of(scene, scene.people[0], 0)
    assert {"vest", "helmet", "trousers"} <= set(worker.look.parts)
    helmet, hair = worker.body.parts["helmet"].vertices_m, worker.body.parts["hair"].vertices_m
    assert helmet[:, 2].max() > hair[:, 2].max()
    assert np.ptp(helmet[:, 0]) > np.ptp(hair[:, 0])


def test_every_cloth_of_a_scenario_has_a_colour():
    from typing import get_args

    from scenes.scenario import Colour

    assert set(get_args(Colour)) == set(CLOTH)
