"""The classifier of the second look is read with distrust; animals are cut out in turn."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from railwatch.core.errors import ModelError
from railwatch.core.provider import Provider
from railwatch.core.types import Size, TrackState
from railwatch.perception.picture import BgrPicture
from railwatch.perception.second_look import LEAST_SIDE_PX, Turns, crop_of, facts_of, open_classifier, square_around
from tests.classifier_file import CLASSES, write_classifier
from tests.scenario import observation, track
from tests.strategies import boxes


def test_a_sound_file_classifies_any_batch(tmp_path):
    sha256 = write_classifier(tmp_path / "c.onnx")
    classifier = open_classifier(tmp_path / "c.onnx", Provider.CPU, sha256)
    assert classifier.facts.classes == CLASSES
    shown = np.stack([np.full((8, 8, 3), level, np.uint8) for level in (0, 255, 10)])
    answers = classifier.classify(shown)
    assert [index for index, _ in answers] == [0, 1, 0]
    assert all(0.9 < confidence <= 1.0 for _, confidence in answers)
    assert len(classifier.classify(shown[:1])) == 1


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"without": ("format", "classes")}, "must be written by `classifiers export`, format 1, but has no such"),
        ({"facts": {"format": "2"}}, "must be written by `classifiers export`"),
        ({"external": True}, "must hold its weights itself, but names other files"),
        (
            {"facts": {"classes": ["Aves", "Fungi", "Mammalia"]}},
            r"an output prob for each of its 3 classes, but has \[",
        ),
        ({"outputs": 3}, "for each of its 2 classes"),
        ({"facts": {"classes": ["Aves", "Aves"]}}, "must be different, but one is named twice"),
        ({"facts": {"classes": ["Aves"]}}, "must name 2 to 20000 classes"),
        ({"facts": {"classes": ["Aves", ""]}}, "must name 2 to 20000 classes"),
        ({"facts": {"classes": ["Aves", "\ud800"]}}, "must name 2 to 20000 classes"),
        ({"facts": {"classes": "Aves"}}, "must name 2 to 20000 classes"),
        ({"without": ("abstain_below",)}, "from where on it is to be trusted"),
        ({"facts": {"abstain_below": "much"}}, "from where on it is to be trusted"),
        ({"facts": {"preprocessing": {"size": 0}}}, "must tell the size of its pictures"),
        (
            {"dtype": TensorProto.FLOAT},
            r"must take one input, image, uint8 \(N, H, W, 3\), but takes image tensor\(float\)",
        ),
        ({"lie": ("Div", 0.0)}, "must answer with probabilities"),
        ({"lie": ("Mul", 3.0)}, "must answer with probabilities"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_in_one_line(tmp_path, made, words):
    write_classifier(tmp_path / "c.onnx", **made)
    with pytest.raises(ModelError, match=words) as caught:
        open_classifier(tmp_path / "c.onnx", Provider.CPU)
    assert "c.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_model_or_another_file_is_refused(tmp_path):
    (tmp_path / "random.onnx").write_bytes(bytes(range(256)))
    with pytest.raises(ModelError, match=r"random\.onnx"):
        open_classifier(tmp_path / "random.onnx", Provider.CPU)
    with pytest.raises(ModelError, match="is not there"):
        open_classifier(tmp_path / "absent.onnx", Provider.CPU)
    found = write_classifier(tmp_path / "c.onnx")
    with pytest.raises(ModelError, match=f"must have the SHA-256 {'0' * 64}, but has {found}"):
        open_classifier(tmp_path / "c.onnx", Provider.CPU, "0" * 64)


@given(st.dictionaries(st.sampled_from(["format", "classes", "preprocessing", "abstain_below"]), st.text(max_size=20)))
def test_any_metadata_are_understood_or_refused(metadata):
    with pytest.raises(ModelError):
        facts_of({f"classifiers.{key}": value for key, value in metadata.items()})
    with pytest.raises(ModelError):
        facts_of({f"classifiers.{key}": json.dumps(value) for key, value in metadata.items()})


@given(boxes())
def test_a_square_holds_its_box_and_lies_in_the_frame_where_it_fits(box):
    left, top, right, bottom = square_around(box, Size(1000, 1000))
    assert right - left == bottom - top >= 2
    if right - left <= 1000:
        assert left >= 0
        assert right <= 1000
    inside = box[0] >= 0 and box[1] >= 0 and box[2] <= 1000 and box[3] <= 1000
    if inside and right - left <= 1000:
        assert left <= box[0] + 1
        assert bottom >= box[3] - 1


def test_a_crop_shows_the_box_at_any_scale():
    picture = np.zeros((600, 800, 3), np.uint8)
    picture[100:500, 200:600] = (10, 20, 250)  # red, in BGR
    for side in (16, 64, 512):
        crop = crop_of(BgrPicture(picture), (200.0, 100.0, 600.0, 500.0), side)
        assert (crop.shape, crop.dtype) == ((side, side, 3), np.uint8)
        assert np.abs(crop[side // 4 : -side // 4, side // 4 : -side // 4].astype(int) - (250, 20, 10)).max() <= 1
        assert crop[0, 0].max() <= 30
    wide = crop_of(BgrPicture(picture[:40, :80]), (0.0, 0.0, 80.0, 40.0), 32)  # the whole frame, which is no square
    assert (wide[[0, -1], 16] == 114).all()
    assert (wide[16] == 0).all()


def test_each_animal_is_looked_at_in_turn_and_not_too_often():
    turns = Turns()
    herd = [track(0.1 * n, track_id=n, group="animal") for n in range(1, 6)]
    looked = [[t.track_id for t in turns.due(observation(number / 10, *herd), 1.0)] for number in range(12)]
    assert looked[:4] == [[1, 2], [3, 4], [5], []]
    assert looked[10:] == [[1, 2], [3, 4]]


def test_who_is_no_animal_not_seen_or_too_small_is_not_looked_at():
    cow = track(0.5, group="animal")
    others = [
        track(0.5),
        replace(cow, state=TrackState.LOST),
        replace(cow, xyxy=(10.0, 10.0, 10.0 + LEAST_SIDE_PX - 1, 12.0)),
        replace(cow, xyxy=(-60.0, 0.0, -1.0, 60.0)),
    ]
    for other in others:
        assert Turns().due(observation(0.0, other), 1.0) == []
    assert Turns().due(observation(0.0, cow), 1.0) == [cow]
