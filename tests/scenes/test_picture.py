from __future__ import annotations

import numpy as np
import pytest

from scenes.camera import frame_matrix, pinhole, project
from scenes.cast import cast_of
from scenes.masks import mask_box, silhouette
from scenes.picture import finished, pasted, swayed
from scenes.region import changed
from scenes.scenario import ScenarioError, parse
from scenes.workplace import read_picture, workplace_of, write_picture

TEXT = """
name: shaking
title: A man walks while the camera shakes
negative: false
camera: {shake_deg: 0.3, noise: 2.0}
people: [{id: walker, at_m: [-3, 27], figure: man, actions: [{do: walk, through_m: [[3, 27]]}]}]
"""


def test_a_swayed_picture_shows_points_where_the_truth_puts_them():
    scene = parse(TEXT)
    dot = project(pinhole(scene.camera).matrix, [[0.5, 30, 0]])[0][0]
    rows, columns = np.indices((360, 640))
    spot = np.exp(-((columns + 0.5 - dot[0]) ** 2 + (rows + 0.5 - dot[1]) ** 2) / 18)
    moved = swayed((spot * 255).astype(np.uint8), scene, 1.7).astype(float)
    centre = [((columns + 0.5) * moved).sum() / moved.sum(), ((rows + 0.5) * moved).sum() / moved.sum()]
    expected = project(frame_matrix(scene.camera, scene.seed, 1.7), [[0.5, 30, 0]])[0][0]
    np.testing.assert_allclose(centre, expected, atol=0.3)
    assert np.linalg.norm(expected - dot) > 1


def test_no_two_frames_of_an_empty_scene_are_the_same():
    scene = parse("name: empty\ntitle: Nothing happens\nnegative: true\n")
    picture = np.full((360, 640, 3), 120, np.uint8)
    first, second = finished(picture, scene, 0), finished(picture, scene, 1)
    assert (first != second).mean() > 0.5
    assert np.array_equal(first, finished(picture, scene, 0))
    assert first.std() == pytest.approx(1.8, abs=0.2)


def test_a_patch_is_whole_inside_and_soft_at_its_edge():
    background = np.zeros((100, 200, 3), np.uint8)
    patch = np.full((40, 60, 3), 200, np.uint8)
    result = pasted(background, patch, (140, 30, 200, 70))
    assert (result[40:60, 160:200] == 200).all()
    assert 0 < result[50, 141, 0] < 100
    assert not background.any()
    with pytest.raises(ValueError, match="must fill"):
        pasted(background, patch, (0, 0, 10, 10))


def test_the_changed_region_holds_the_actor_and_its_shadow():
    scene = parse(TEXT)
    actors = cast_of(scene)
    (region,) = changed(scene, actors, 2.0)
    outline = silhouette(actors[0].shapes_at(2.0), pinhole(scene.camera).matrix, scene.camera.size_px)
    rows, columns = np.nonzero(outline)
    assert region[0] + 8 < columns.min() / 4
    assert columns.max() / 4 < region[2] - 8
    assert region[1] + 8 < rows.min() / 4
    assert rows.max() / 4 < region[3] - 8


def test_frames_of_another_version_of_a_scenario_are_not_continued(tmp_path):
    scene = parse(TEXT)
    place = workplace_of(scene, tmp_path)
    write_picture(place.frame(0), np.zeros((4, 4, 3), np.uint8))
    assert workplace_of(scene, tmp_path) == place
    with pytest.raises(ScenarioError, match="another version"):
        workplace_of(parse(TEXT.replace("at_m: [-3", "at_m: [-4")), tmp_path)


def test_what_is_still_to_be_rendered_is_what_has_no_file(tmp_path):
    scene = parse(TEXT)
    place = workplace_of(scene, tmp_path)
    write_picture(place.frame(3), np.zeros((4, 4, 3), np.uint8))
    write_picture(place.frame(5), np.zeros((4, 4, 3), np.uint8))
    write_picture(place.mask(5), np.zeros((4, 4), np.uint8))
    assert set(range(100)) - set(place.missing(scene)) == {3, 5}
    assert set(range(100)) - set(place.missing_masks(scene)) == {5}


def test_a_mask_sways_with_its_frame():
    scene = parse(TEXT)
    square = np.zeros((360, 640), np.uint8)
    square[100:140, 300:330] = 1
    fine = np.kron(square, np.ones((2, 2), np.uint8))
    coarse_box = mask_box(swayed(square, scene, 0.7, smooth=False) == 1)
    fine_box = mask_box(swayed(fine, scene, 0.7, finer=2, smooth=False) == 1, 2)
    assert np.abs(coarse_box - [300, 100, 330, 140]).max() > 0.9
    np.testing.assert_allclose(fine_box, coarse_box, atol=1.0)


def test_pictures_come_back_as_they_were_written(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8)
    write_picture(tmp_path / "a.png", picture)
    assert np.array_equal(read_picture(tmp_path / "a.png"), picture)
    write_picture(tmp_path / "b.png", picture[..., 0])
    assert np.array_equal(read_picture(tmp_path / "b.png"), picture[..., 0])
