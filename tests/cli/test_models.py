"""`railwatch models` for people and for machines."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from railwatch.cli.models import models
from railwatch.core.errors import ConfigError, InstallError, ModelError
from railwatch.core.types import Size
from tests.perception.onnx_models import constant_model, own_metadata, save

BOX = np.array([[4, 8, 20, 24, 0.75, 1]], np.float32)


@pytest.fixture
def user(tmp_path, monkeypatch):
    """The user's folder with the sound, undescribed model `own`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = tmp_path / "railwatch" / "models"
    folder.mkdir(parents=True)
    save(constant_model(BOX, metadata=own_metadata()), folder / "own.onnx")
    return folder


@pytest.fixture
def run():
    return lambda *words: CliRunner().invoke(models, [str(word) for word in words])


def test_the_list_names_every_model_its_state_and_its_figures(run, user):
    text = run("list").stdout
    assert "yolox_nano" in text
    assert "0.258" in text
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["own"]["path"] == str(user / "own.onnx")
    assert rows["yolox_tiny"]["entry"]["url"].startswith("https://")
    assert rows["yolox_tiny"]["entry"]["facts"]["licence"] == "Apache-2.0"


def test_verify_tells_of_each_and_fails_with_one(run, user):
    assert run("verify", "own").exit_code == 0
    (user / "broken.onnx").write_bytes(b"no model")
    result = run("verify", "--json")
    found = {row["file"]: row for row in json.loads(result.stdout)}
    assert found[str(user / "own.onnx")]["ok"]
    assert not found[str(user / "broken.onnx")]["ok"]
    assert isinstance(result.exception, ModelError)
    assert "must not be used" in str(result.exception)
    assert "FAULT" in run("verify", user / "broken.onnx").stdout


def test_a_provider_that_is_not_there_fails_the_verification(run, user):
    result = run("verify", "own", "--provider", "openvino")
    assert isinstance(result.exception, ModelError)
    assert "provider openvino must be installed" in result.stdout


def test_describe_says_what_a_file_is_and_why_it_is_refused(run, user, tmp_path):
    sha256 = hashlib.sha256((user / "own.onnx").read_bytes()).hexdigest()
    shown = run("describe", "own")
    assert shown.exit_code == 0
    assert sha256 in shown.stdout
    assert "end_to_end" in shown.stdout
    assert json.loads(run("describe", "own", "--json").stdout)["facts"]["class_names"] == ["person", "dog"]
    bare = save(constant_model(np.zeros((21, 7), np.float32)), tmp_path / "bare.onnx")
    refused = run("describe", bare)
    assert isinstance(refused.exception, ModelError)
    for words in ("fault      the model is not described", "shape fits head yolox with 2 classes", "railwatch.head"):
        assert words in refused.stdout
    assert json.loads(run("describe", bare, "--json").stdout)["facts"] is None


@pytest.mark.parametrize(
    ("text", "size"), [("640", Size(640, 640)), ("640x384", Size(640, 384)), ("640X384", Size(640, 384))]
)
def test_a_size_is_one_side_or_two(run, user, monkeypatch, text, size):
    from railwatch.app import export

    asked = []

    def refuse(options, *_):
        asked.append(options)
        raise InstallError("no ultralytics")

    monkeypatch.setattr(export, "export_model", refuse)
    result = run("export", "yolo26n", "--size", text)
    assert isinstance(result.exception, InstallError)
    assert asked[0].size == size
    assert "AGPL-3.0" in result.stderr


@pytest.mark.parametrize("words", [("--size", "big"), ("--size", "1x2x3"), ("--weights", "a.pt", "--untrained")])
def test_wrong_options_of_an_export_are_told(run, user, words):
    assert isinstance(run("export", "yolo26n", *words).exception, ConfigError)


def test_what_cannot_be_pulled_is_told(run, user):
    assert "must be one of yolox_nano" in str(run("pull", "yolo26n").exception)
