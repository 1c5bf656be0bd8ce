from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from scenes.cast import cast_of
from scenes.publish import LIMIT_BYTES
from scenes.scenario import load
from scenes.truth import entries, frame_of, zones_of
from scenes.workplace import CLIPS, SCENARIOS

TRUTHS = sorted(CLIPS.glob("*.truth.json"))
FROM_MASKS = {"visible_xyxy_px", "visible_px", "occluded_fraction"}


@pytest.fixture(params=TRUTHS, ids=lambda path: path.name.split(".")[0])
def clip(request) -> tuple[Path, dict]:
    name = request.param.name.split(".")[0]
    return CLIPS / f"{name}.mp4", json.loads(request.param.read_text(encoding="utf-8"))


def test_the_demo_is_there_and_all_clips_together_are_small():
    assert CLIPS / "demo.truth.json" in TRUTHS
    assert {path.stem for path in CLIPS.glob("*.mp4")} == {path.name.split(".")[0] for path in TRUTHS}
    assert sum(path.stat().st_size for path in CLIPS.iterdir()) < LIMIT_BYTES


def test_a_clip_has_the_frames_its_truth_tells_and_no_two_alike(clip):
    path, truth = clip
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert float(container.streams.video[0].average_rate) == truth["fps"]
    assert len(frames) == truth["frame_count"] == len(truth["frames"])
    assert frames[0].shape == tuple(reversed(truth["size_px"]))
    assert all((one != other).any() for one, other in pairwise(frames))


def test_the_truth_is_that_of_the_scenario_as_it_is_now(clip):
    _, truth = clip
    scene = load(SCENARIOS / f"{truth['scenario']}.yaml")
    actors = cast_of(scene)
    assert truth["zones"] == json.loads(json.dumps(zones_of(scene)))
    assert truth["entries"] == entries(scene, actors)
    for index in range(5, scene.frames, 30):
        told = truth["frames"][index]
        rows = [{key: value for key, value in row.items() if key not in FROM_MASKS} for row in told["objects"]]
        assert {**told, "objects": rows} == frame_of(scene, actors, index, lambda _index, _actor: None)


def test_what_is_seen_lies_in_the_box_of_the_whole(clip):
    _, truth = clip
    for frame in truth["frames"]:
        for row in frame["objects"]:
            assert 0.0 <= row["occluded_fraction"] <= 1.0
            if row["visible_xyxy_px"] is not None:
                seen, whole = np.array(row["visible_xyxy_px"]), np.array(row["xyxy_px"])
                assert (seen[:2] >= whole[:2] - 1.5).all()
                assert (seen[2:] <= whole[2:] + 1.5).all()
