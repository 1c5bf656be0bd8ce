"""A name stands for a file in one of two folders; everything else is a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from railwatch.core import model_names
from railwatch.core.model_names import is_model_name, model_path, packaged_models, user_cache, user_models


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty user's folder, and a packaged folder with the model `shipped`."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    package = tmp_path / "site-packages" / "railwatch"
    (package / "models").mkdir(parents=True)
    (package / "models" / "manifest.toml").touch()
    (package / "models" / "shipped.onnx").touch()
    monkeypatch.setattr(model_names, "files", lambda _name: package)
    return package / "models", tmp_path / "data" / "railwatch" / "models"


@pytest.mark.parametrize("text", ["a.onnx", "./yolo26n", "Yolo26n", "", "-a", "a b", "../a", "yolo26n.pt", "a/b", "ä"])
def test_what_is_no_name_is_a_path(text):
    assert not is_model_name(text)
    assert model_path(text) == Path(text)
    assert model_path(text, Path("/site")) == Path("/site") / text


def test_a_name_is_found_in_the_package_then_with_the_user(folders, tmp_path):
    packaged, user = folders
    assert packaged_models() == packaged
    assert model_path("shipped", Path("site")) == packaged / "shipped.onnx"
    assert model_path("own") == user / "own.onnx"


def test_what_lies_in_the_working_directory_never_takes_the_place_of_a_name(folders, tmp_path, monkeypatch):
    packaged, _ = folders
    (tmp_path / "shipped").touch()
    monkeypatch.chdir(tmp_path)
    assert model_path("shipped") == packaged / "shipped.onnx"


@pytest.mark.parametrize("value", [None, "", "relative/folder"])
def test_base_folders_are_those_of_xdg_and_never_relative(value, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    assert user_models() == tmp_path / ".local" / "share" / "railwatch" / "models"
    assert user_cache() == tmp_path / ".cache" / "railwatch"
