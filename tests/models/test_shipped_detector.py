"""The detector that is shipped: what it says of itself, and that it sees people in the rendered clips."""

from __future__ import annotations

import json

import av
import pytest

from railwatch.core.settings import Provider
from railwatch.perception.detector import open_detector
from railwatch.perception.manifest import default_model, load_manifest
from railwatch.perception.model_facts import facts_from_metadata
from railwatch.perception.picture import picture_of
from railwatch.perception.session import open_session

EVERY = 10


@pytest.fixture(scope="module")
def path():
    return load_manifest().folder / "railwatch-nano.onnx"


@pytest.fixture(scope="module")
def detector(path):
    return open_detector(path, confidence=0.3)


def test_it_is_the_default_and_small(path):
    assert default_model() == path
    assert path.stat().st_size < 5_000_000


def test_the_manifest_says_what_the_file_says(path, detector):
    session = open_session(path.read_bytes(), Provider.CPU, threads=1, optimise=False)
    said = facts_from_metadata(session.get_modelmeta().custom_metadata_map, path.stem, detector.form.size)
    entry = load_manifest().find(detector.model_sha256)
    assert entry is not None
    assert entry.facts == said
    assert said.licence == "Apache-2.0"


def seen(root, detector, name):
    """Every tenth frame of a clip: its truth and the classes and boxes that are found."""
    clips = root / "scenes" / "clips"
    truth = json.loads((clips / f"{name}.truth.json").read_text(encoding="utf-8"))
    with av.open(str(clips / f"{name}.mp4")) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % EVERY == 0:
                (found,) = detector.detect([picture_of(frame).sample(None, detector.form)])
                names = [detector.class_names[kind] for kind in found.class_id]
                yield truth["frames"][index]["objects"], names, found.xyxy


@pytest.mark.parametrize("name", ["demo", "night", "distant"])
def test_it_sees_the_people_of_a_rendered_clip(root, detector, name):
    hit = total = 0
    for things, names, boxes in seen(root, detector, name):
        for thing in things:
            if thing["class_name"] == "person" and thing["visible_px"] > 100:
                left, top, right, bottom = thing["visible_xyxy_px"]
                middle = (left + right) / 2, (top + bottom) / 2
                total += 1
                hit += any(
                    name == "person" and x0 < middle[0] < x1 and y0 < middle[1] < y1
                    for name, (x0, y0, x1, y1) in zip(names, boxes.tolist(), strict=True)
                )
    assert total >= 5
    assert hit >= 0.7 * total


def test_it_sees_nobody_and_no_train_on_an_empty_line(root, detector):
    told = [names for _, names, _ in seen(root, detector, "nobody")]
    assert len(told) >= 5
    assert not [names for names in told if "person" in names or "train" in names]
