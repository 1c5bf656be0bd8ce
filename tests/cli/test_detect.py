from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from railwatch.cli.detect import detect
from railwatch.core.errors import ModelError, SourceError
from railwatch.perception import manifest
from tests.perception.onnx_models import constant_model, own_metadata, save

BOXES = np.array([[0, 8, 16, 24, 0.75, 1], [4, 8, 20, 24, 0.2, 0]], np.float32)


@pytest.fixture
def model(tmp_path):
    """A detector that finds a dog at 0.75 and a person at 0.2 in every picture, in pixels of 32 x 32."""
    return save(constant_model(BOXES, metadata=own_metadata(letterbox="top_left")), tmp_path / "model.onnx")


@pytest.fixture
def folder(tmp_path):
    """Pictures 10.png and 2.png of 64 x 64 pixels, and a file that is none."""
    path = tmp_path / "pictures"
    path.mkdir()
    for name in ("10.png", "2.png"):
        cv2.imwrite(str(path / name), np.full((64, 64, 3), 90, np.uint8))
    (path / "notes.txt").write_text("no picture", encoding="utf-8")
    return path


@pytest.fixture
def run():
    """Run the command as the command line does; errors come out as they are."""
    app = typer.Typer()
    app.command()(detect)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_json_is_a_line_a_picture_in_natural_order(run, folder, model):
    result = run(folder, "--model", model, "--json")
    assert result.exit_code == 0
    dog = {"xyxy": [0.0, 16.0, 32.0, 48.0], "confidence": 0.75, "class_name": "dog"}
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"image": str(folder / name), "detections": [dog]} for name in ("2.png", "10.png")
    ]
    assert hashlib.sha256(model.read_bytes()).hexdigest() in result.stderr


def test_a_lower_confidence_finds_more_and_a_higher_one_nothing(run, folder, model):
    for confidence, names in ((0.1, ["dog", "person"]), (0.9, [])):
        result = run(folder / "2.png", "--model", model, "--json", "--confidence", confidence)
        (line,) = result.stdout.splitlines()
        assert [item["class_name"] for item in json.loads(line)["detections"]] == names


def test_people_get_a_table_and_are_told_of_nothing(run, folder, model):
    shown = run(folder / "2.png", "--model", model).stdout
    assert hashlib.sha256(model.read_bytes()).hexdigest() in shown
    assert "dog" in shown
    assert "0.75" in shown
    assert "2.png: nothing found" in run(folder / "2.png", "--model", model, "--confidence", "0.9").stdout


def test_a_bad_picture_in_a_folder_fails_the_command_after_the_good_ones(run, folder, model):
    (folder / "1.png").write_bytes(b"no picture")
    result = run(folder, "--model", model, "--json")
    assert [json.loads(line)["image"] for line in result.stdout.splitlines()] == [
        str(folder / "2.png"),
        str(folder / "10.png"),
    ]
    assert isinstance(result.exception, SourceError)
    assert "1 of 3 pictures could not be read" in str(result.exception)
    assert str(folder / "1.png") in str(result.exception)
    assert "1.png" in result.stderr


def test_what_cannot_be_read_is_refused(run, folder, model, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, error in {
        (tmp_path / "missing.png", "--model", model): SourceError,
        (tmp_path / "empty", "--model", model): SourceError,
        (folder / "notes.txt", "--model", model): SourceError,
        (folder / "2.png", "--model", tmp_path / "missing.onnx"): ModelError,
    }.items():
        result = run(*words)
        assert isinstance(result.exception, error)
        assert result.stdout.count("dog") == 0


def test_a_confidence_out_of_range_is_a_wrong_use(run, folder, model):
    assert run(folder, "--model", model, "--confidence", "1.5").exit_code == 2


def test_the_default_model_is_taken_when_none_is_named(run, folder, model, monkeypatch):
    monkeypatch.setattr(manifest, "default_model", lambda: model)
    assert run(folder / "2.png").exit_code == 0
