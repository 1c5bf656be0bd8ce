from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from railwatch.core.types import TrackState
from tests.app.explain_rig import history, seen, write
from tests.clips import write_clip
from tests.scenario import track
from tests.test_light_imports import HEAVY


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return write(tmp_path_factory.mktemp("record") / "inputs.jsonl", history())


def railwatch(root, *words, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "railwatch", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(root)}, cwd=cwd, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_an_incident_is_explained_as_text_from_the_folder_one_stands_in(root, record):
    done = railwatch(root, "explain", "i1", cwd=record.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("incident test.1-i1  INTRUSION of main, at worst EMERGENCY\n")


def test_a_saved_explanation_is_told_where_nothing_heavy_is_installed(root, record, tmp_path):
    saved = tmp_path / "why.jsonl"
    saved.write_text(railwatch(root, "explain", "i1", "--record", record, "--json").stdout)
    text = railwatch(root, "explain", "i1", "--record", record).stdout
    code = (
        "import sys, runpy\n"
        f"for name in {sorted(HEAVY)}: sys.modules[name] = None\n"
        f"sys.argv = ['railwatch', 'explain', '--record', {str(saved)!r}]\n"
        "runpy.run_module('railwatch', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == text
    documents = [json.loads(line) for line in saved.read_text().splitlines()]
    assert documents[0]["explain_version"] == 1
    assert {"t_s", "section", "trains", "told"} <= set(documents[1])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"explain_version":2}\n', "version 1"),
        ('{"explain_version":1}\n', "but lacks 'incident'"),
        ('{"explain_version":1,\n', "must be a document"),
    ],
)
def test_a_damaged_explanation_is_one_line(root, tmp_path, text, words):
    (tmp_path / "why.jsonl").write_text(text)
    done = railwatch(root, "explain", "--record", tmp_path / "why.jsonl")
    assert done.returncode == 7
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_saved_explanation_takes_no_other_option(root, tmp_path):
    (tmp_path / "why.jsonl").write_text('{"explain_version":1}\n')
    done = railwatch(root, "explain", "i1", "--record", tmp_path / "why.jsonl")
    assert done.returncode == 2
    assert "takes no other option" in done.stderr


def test_a_picture_is_drawn_with_and_without_the_ground(root, record, tmp_path):
    sheets = []
    for name, words in (("i1", ["i1"]), ("at", ["--at", "1.0"])):
        out = tmp_path / f"{name}.png"
        done = railwatch(root, "explain", *words, "--record", record, "--out", out)
        assert done.returncode == 0, done.stderr
        sheets.append(cv2.imread(str(out)))
        assert sheets[-1].shape == (800, 1280, 3)
    assert not np.array_equal(*sheets)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--camera", "other", "--out", "x.png"], 2, "--camera must name one of the cameras cam, but is other"),
        (["--out", "absent/x.png"], 7, "absent/x.png cannot be written"),
        (["--video", "absent.mp4"], 3, "absent.mp4"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(root, record, tmp_path, words, code, told):
    done = railwatch(root, "explain", "i1", "--record", record, *words, cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clip_that_ends_before_the_frame_is_told(root, record, tmp_path):
    write_clip(tmp_path / "short.mp4", frames=3)
    done = railwatch(root, "explain", "i1", "--record", record, "--video", tmp_path / "short.mp4")
    assert done.returncode == 3
    assert "must have the frame" in done.stderr


def test_another_detector_than_the_recorded_one_is_refused(root, record, tmp_path):
    write_clip(tmp_path / "clip.mp4", frames=70)
    done = railwatch(root, "explain", "--at", "1", "--record", record, "--video", tmp_path / "clip.mp4")
    assert done.returncode == 4
    assert "SHA-256" in done.stderr


def test_the_faint_box_of_somebody_in_the_picture_is_told(root, tmp_path):
    """A real clip of a man far away, a site without him, the real detector: its boxes are told with what they lack."""
    from railwatch.app.explain import ExplainOptions, explain
    from railwatch.app.explain_picture import boxes_below, frame_of, shown_frame
    from railwatch.app.explain_time import parse_time
    from railwatch.perception.manifest import default_model
    from railwatch.perception.model import describe_model

    clip = root / "scenes" / "clips" / "distant.mp4"
    ghost = track(0.75, state=TrackState.TENTATIVE)
    record = write(tmp_path / "r.jsonl", [seen(n / 10, ghost, index=n) for n in range(40)])
    found = explain(ExplainOptions(record, at=parse_time("3.0")))
    found.header["model_sha256"] = describe_model(default_model()).sha256
    shown, observation = shown_frame(found, None)
    assert (shown["index"], observation.index) == (30, 30)
    boxes = boxes_below(found, observation, frame_of(str(clip), observation), None)
    assert boxes
    assert [box["confidence"] for box in boxes] == sorted((box["confidence"] for box in boxes), reverse=True)
    assert all(box["class_name"] == "person" for box in boxes)
    faint = [box for box in boxes if box["confidence"] < 0.1]
    assert all("is below model.confidence 0.1" in box["doubts"][0] for box in faint)
