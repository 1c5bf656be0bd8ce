"""The split by source, the augmentation, the layouts that are rendered, and the counting of hits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")

from models.recipes.railwatch_nano import layouts, sources
from models.recipes.railwatch_nano.augment import CutOut, scene, spoilt
from models.recipes.railwatch_nano.evaluate import Found, average_precision, matched, recall
from models.recipes.railwatch_nano.sources import Example


def test_pictures_that_may_not_train_are_for_testing_only():
    assert sources.side_of_rail("rs00008_jpg.rf.5678b2.jpg") == "test"
    assert {sources.side_of_rail(f"-_MP4-0001_jpg.rf.{mark}000.jpg") for mark in sources.METRO_OF_GREY_ROOFS} == {
        "test"
    }


def test_a_source_lies_on_one_side():
    sides = {name: sources.side_of_rail(f"{name}_jpg.rf.00.jpg") for name in ("ck2_0010", "ck2_0019", "Cack_0001")}
    assert set(sides.values()) == {"test"}
    assert {sources.side_of_rail(f"IMG_5508_MP4-000{n}_jpg.rf.0.jpg") for n in range(10)} == {"val"}
    tram = [sources.side_of_tram(number) for number in range(180)]
    assert [tram.count(side) for side in ("train", "val", "test")] == [89, 11, 80]
    assert tram == sorted(tram, key=["train", "val", "test"].index)


def test_the_sides_share_no_picture(shared):
    sides = {side: sources.everything(shared / "data", None, side) for side in ("train", "val", "test")}
    names = {side: {example.name for example in examples} for side, examples in sides.items()}
    assert not names["train"] & names["test"]
    assert not names["val"] & (names["train"] | names["test"])
    assert not [name for name in names["train"] | names["val"] if name.startswith("rs")]


def example(xyxy, size=(120, 160)):
    picture = np.full((*size, 3), 60, np.uint8)
    for x0, y0, x1, y1 in xyxy:
        picture[y0:y1, x0:x1] = (0, 0, 255)
    boxes = np.array(xyxy, np.float32).reshape(-1, 4)
    return Example("rail", "x", Path("x"), -1, np.zeros(len(boxes), np.int64), boxes, frozenset({0, 5})), picture


@pytest.mark.parametrize("seed", range(12))
def test_boxes_follow_their_pixels(seed, monkeypatch):
    from models.recipes.railwatch_nano import augment

    monkeypatch.setattr(augment, "spoilt", lambda picture, _rng: picture)
    pool = [example([(40, 30, 70, 90)]), example([(100, 50, 130, 110)])]
    rng = np.random.default_rng(seed)
    made = scene(pool, [], (128, 96), (160, 128), [0, 1, 0, 1], rng)
    red = (made.picture[..., 2] > 200) & (made.picture[..., 0] < 60)
    for x0, y0, x1, y1 in made.xyxy:
        inside = red[int(np.ceil(y0)) + 1 : int(y1) - 1, int(np.ceil(x0)) + 1 : int(x1) - 1]
        assert inside.mean() > 0.9
    outside = red.copy()
    for x0, y0, x1, y1 in (*made.xyxy, *made.unknown):
        left, top = max(int(x0) - 2, 0), max(int(y0) - 2, 0)
        outside[top : int(np.ceil(y1)) + 2, left : int(np.ceil(x1)) + 2] = False
    assert not outside.any()


def test_the_same_seed_gives_the_same_input():
    pool = [example([(40, 30, 70, 90)])] * 4
    cut = CutOut(np.full((60, 24, 3), 200, np.uint8), np.ones((60, 24), np.float32))
    twice = [scene(pool, [cut], (128, 96), (160, 128), [0, 1, 2, 3], np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(twice[0].picture, twice[1].picture)
    np.testing.assert_array_equal(twice[0].xyxy, twice[1].xyxy)


def test_people_are_pasted_only_where_people_are_boxed():
    cut = CutOut(np.full((60, 24, 3), 200, np.uint8), np.ones((60, 24), np.float32))
    told, untold = example([]), example([])
    untold = (untold[0]._replace(complete=frozenset({5})), untold[1])
    counts = {}
    for name, member in (("told", told), ("untold", untold)):
        made = [scene([member] * 4, [cut], (128, 96), (160, 128), [0] * 4, np.random.default_rng(s)) for s in range(40)]
        counts[name] = sum(len(each.classes) for each in made)
    assert counts["told"] > 10
    assert counts["untold"] == 0


def test_a_spoilt_picture_stays_a_picture():
    picture = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    for seed in range(40):
        made = spoilt(picture, np.random.default_rng(seed))
        assert made.shape == picture.shape
        assert made.dtype == np.uint8


def test_layouts_are_sound_and_are_none_of_those_that_are_tested():
    from scenes import scenario as script
    from scenes.workplace import scenario_paths

    made = [layouts.layout(seed) for seed in range(12)]
    tested = [script.load(path) for path in scenario_paths([])]
    assert min(scene.seed for scene in made) > max(scene.seed for scene in tested)
    assert not {scene.camera.position_m for scene in made} & {scene.camera.position_m for scene in tested}
    assert layouts.layout(3) == made[3]


def found(*rows):
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Found(table[:, :4], table[:, 4], np.array(["person"] * len(table)))


def test_average_precision_of_known_cases():
    truth = np.array([[0, 0, 10, 20], [30, 0, 40, 20]], np.float32)
    both = found((0, 0, 10, 20, 0.9), (30, 0, 40, 20, 0.8))
    assert average_precision([(both, truth)]) == pytest.approx(1.0)
    with_false = found((50, 0, 60, 20, 0.95), (0, 0, 10, 20, 0.9))
    assert average_precision([(with_false, truth)]) == pytest.approx(0.25)
    assert average_precision([(found(), truth)]) == 0.0


def test_a_true_box_is_counted_once():
    truth = np.array([[0, 0, 10, 20]], np.float32)
    taken = matched(found((0, 0, 10, 20, 0.5), (0, 0, 10, 19, 0.9)), truth)
    assert taken.tolist() == [-1, 0]


def test_recall_counts_only_the_heights_asked_for_and_strong_boxes():
    truth = np.array([[0, 0, 10, 25], [30, 0, 40, 30], [60, 0, 80, 90]], np.float32)
    seen = found((0, 0, 10, 25, 0.9), (30, 0, 40, 30, 0.2), (60, 0, 80, 90, 0.9))
    assert recall([(seen, truth)], (20, 40)) == (1, 2)
