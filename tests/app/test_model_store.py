"""Models come into the user's folder whole, described and checked, or not at all."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from railwatch.app import model_store
from railwatch.app.model_check import check_model
from railwatch.app.model_store import State, list_models, place_model, pull_model
from railwatch.core import model_names
from railwatch.core.errors import DownloadError, ModelError, ProviderError
from railwatch.core.model_names import model_path
from railwatch.core.provider import Provider
from railwatch.perception.detector import open_detector
from railwatch.perception.manifest import known_entry, load_manifest
from railwatch.perception.manifest_entry import entry_to_toml
from tests.perception.onnx_models import constant_model, own_metadata, save

BOX = np.array([[4, 8, 20, 24, 0.75, 1]], np.float32)
FAR_BOX = np.array([[4, 8, 20, 24, 0.5, 0]], np.float32)
ENTRY = """
[[model]]
name = "{name}"
{where}
sha256 = "{sha256}"
bytes = {bytes}
source = "a test"
licence = "MIT"
card = "cards/tiny.md"
head = "end_to_end"
size = [32, 32]
channels = "rgb"
pixel_max = 255
letterbox = "center"
classes = ["person", "dog"]
accuracy = [{{ metric = "AP50", data = "a test", value = 0.5, by = "a test" }}]
speed = [{{ ms = 1.5, machine = "a test", by = "a test" }}]
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A packaged folder with the default `tiny` and the pullable `far`, an empty user's folder; and what `far` is."""
    package = tmp_path / "site-packages" / "railwatch"
    (package / "models" / "cards").mkdir(parents=True)
    (package / "models" / "cards" / "tiny.md").write_text("# tiny and far\n", encoding="utf-8")
    monkeypatch.setattr(model_names, "files", lambda _name: package)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    tiny = save(constant_model(BOX, metadata=own_metadata()), package / "models" / "tiny.onnx").read_bytes()
    far = save(constant_model(FAR_BOX, metadata=own_metadata()), tmp_path / "far.onnx").read_bytes()
    entries = [
        ENTRY.format(name=name, where=where, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, where, content in (
            ("tiny", 'file = "tiny.onnx"', tiny),
            ("far", 'url = "https://example.org/far.onnx"', far),
        )
    ]
    (package / "models" / "manifest.toml").write_text('default = "tiny"\n' + "".join(entries), encoding="utf-8")
    return package / "models", tmp_path / "data" / "railwatch" / "models", far


@pytest.fixture
def serve(monkeypatch):
    """Let `fetch` bring these bytes."""

    def give(content):
        def fetch(wanted, target, _progress):
            if content is None:
                raise DownloadError("no network")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            return wanted.sha256

        monkeypatch.setattr(model_store, "fetch", fetch)

    return give


def states():
    return {row.name: row.state for row in list_models()}


def test_a_pulled_model_is_placed_with_description_and_card_and_is_found_by_its_name(world, serve):
    _, user, far = world
    assert states() == {"tiny": State.DEFAULT, "far": State.PULLABLE}
    serve(far)
    row = pull_model("far", lambda *_: None)
    assert row.path == user / "far.onnx" == model_path("far")
    assert sorted(path.name for path in user.iterdir()) == ["far.md", "far.onnx", "far.toml"]
    assert known_entry(row.path, hashlib.sha256(far).hexdigest()).name == "far"
    assert open_detector(model_path("far"), confidence=0.1).class_names == ("person", "dog")
    assert states() == {"tiny": State.DEFAULT, "far": State.HERE}
    serve(None)
    assert pull_model("far", lambda *_: None).path == row.path  # it is here: nothing is fetched


def test_a_model_that_was_damaged_is_told_and_pulled_again(world, serve):
    _, user, far = world
    serve(far)
    pull_model("far", lambda *_: None)
    (user / "far.onnx").write_bytes(far[:-1] + b"x")
    with pytest.raises(ModelError, match="changed or only half written"):
        open_detector(model_path("far"), confidence=0.1)
    pull_model("far", lambda *_: None)
    assert (user / "far.onnx").read_bytes() == far
    (user / "far.onnx").unlink()
    assert states()["far"] is State.BROKEN


@pytest.mark.parametrize("content", [None, b"not the model"])
def test_nothing_is_placed_when_it_cannot_be_had_or_run(world, serve, content):
    _, user, _ = world
    serve(content)
    with pytest.raises(ModelError):
        pull_model("far", lambda *_: None)
    assert not user.exists() or list(user.iterdir()) == []
    assert states()["far"] is State.PULLABLE


@pytest.mark.parametrize(("name", "said"), [("tiny", "need not be pulled"), ("no-such", "must be one of far, but is")])
def test_what_cannot_be_pulled_is_told(world, name, said):
    with pytest.raises(ModelError, match=said):
        pull_model(name, lambda *_: None)


def test_a_broken_or_undescribed_file_in_the_users_folder_is_listed_and_harms_no_other(world):
    _, user, far = world
    user.mkdir(parents=True)
    (user / "bad.toml").write_text("nonsense", encoding="utf-8")
    (user / "own.onnx").write_bytes(far)
    (user / "odd.toml").write_text("", encoding="utf-8")
    assert states() == {
        "tiny": State.DEFAULT, "far": State.PULLABLE, "bad": State.BROKEN, "odd": State.BROKEN, "own": State.HERE
    }  # fmt: skip
    (world[0] / "tiny.onnx").unlink()
    assert states()["tiny"] is State.BROKEN


def test_an_entry_comes_back_from_its_toml_as_it_was(world, tmp_path):
    odd = 'a "quoted" \\ name\twith é and \x7f'
    for entry in load_manifest().entries:
        changed = dataclasses.replace(entry, source=odd, facts=dataclasses.replace(entry.facts, class_names=(odd, "b")))
        (tmp_path / "m.toml").write_text(entry_to_toml(changed), encoding="utf-8")
        assert load_manifest(tmp_path / "m.toml").entries == (changed,)


def test_a_sound_model_is_checked_and_what_it_is_said(world):
    assert "metadata agrees; runs on cpu" in check_model(world[0] / "tiny.onnx").verified
    with pytest.raises(ProviderError, match="provider openvino must be installed"):
        check_model(world[0] / "tiny.onnx", Provider.OPENVINO)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("size = [32, 32]", "size = [64, 32]", "manifest says an input of 64 x 32"),
        ('channels = "rgb"', 'channels = "bgr"', "must agree with the manifest, but channels differs"),
        ('classes = ["person", "dog"]', 'classes = ["dog", "person"]', "but class_names differs"),
        ("bytes = ", "bytes = 1", "bytes as its description says, but has"),
        ("cards/tiny.md", "cards/none.md", "must have its card, cards/none.md"),
    ],
)
def test_what_contradicts_its_description_is_refused(world, old, new, said):
    manifest = world[0] / "manifest.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ModelError, match=said):
        check_model(world[0] / "tiny.onnx")


def test_a_folder_that_cannot_be_written_is_told(world, tmp_path):
    user = world[1]
    user.parent.mkdir(parents=True)
    user.touch()
    with pytest.raises(ModelError, match="cannot be written"):
        place_model(tmp_path / "far.onnx", load_manifest().entries[1], "# card")
