"""An empty track that a detector calls a train never counts as a train in view, on real pictures; needs ../shared."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from railwatch.app.watch_site import WatchOptions, site_for
from railwatch.core.alerts import Epoch
from railwatch.core.types import Frame
from railwatch.decision.inputs import Stamped
from railwatch.decision.step import start, step
from railwatch.perception.detector import open_detector
from railwatch.perception.picture import BgrPicture
from railwatch.perception.pipeline import CameraPipeline
from railwatch.perception.tracker import Tracker

REPEATS = 15


def trainless(shared):
    """Stills of a level crossing on which there is no train, by their labels."""
    folder = shared / "data" / "rail_images" / "level_crossing_wellborn"
    with (folder / "events.csv").open(encoding="utf-8") as rows:
        names = [row["file"] for row in csv.DictReader(rows) if row["train"] == "0"]
    return [folder / "frames" / name for name in names if (folder / "frames" / name).exists()]


def shaken(picture, index):
    """The same place as a camera in the wind sees it: moved by up to two pixels, with noise."""
    chance = np.random.default_rng(index)
    dx, dy = chance.integers(-2, 3, 2)
    noisy = np.roll(picture, (dy, dx), (0, 1)).astype(int) + chance.normal(0, 3, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def test_an_empty_track_that_is_called_a_train_is_never_a_train_in_view(shared):
    detector = open_detector(shared / "models" / "yolox_nano_416.onnx", confidence=0.1)
    site, camera_id = site_for(WatchOptions("clip.mp4"))
    claimed = 0
    for path in trainless(shared):
        picture = cv2.imread(str(path))
        (found,) = detector.detect([BgrPicture(picture).sample(None, detector.form)])
        named = [detector.class_names[int(number)] for number in found.class_id]
        if not any(n == "train" and c >= 0.3 for n, c in zip(named, found.confidence, strict=True)):
            continue
        claimed += 1
        pipeline = CameraPipeline(camera_id, Tracker(site.tracker, detector.class_names, site.groups), site.zones)
        state = start(site, Epoch("test", 1), "f" * 64, 0.0)
        for index in range(REPEATS):
            frame = Frame(camera_id, index, index / 10, index / 10, "", BgrPicture(shaken(picture, index)))
            (boxes,) = detector.detect([frame.picture.sample(None, detector.form)])
            state, _ = step(state, Stamped(index / 10, "", pipeline.observe(frame, boxes)))
            following = state.cameras[camera_id].following
            assert following.sightings == (), path.name
            assert not any(engine.ever_moved for engine in following.engines.values()), path.name
    if not claimed:
        pytest.skip("no empty picture is called a train by this detector")
