from __future__ import annotations

from pathlib import Path

import pytest

from railwatch.core.errors import ModelError
from railwatch.core.settings import DEFAULT_GROUPS
from railwatch.perception import manifest as manifest_module
from railwatch.perception.manifest import default_model, load_manifest

ENTRY = """
[[model]]
name = "tiny"
file = "tiny.onnx"
sha256 = "{digit}"
shipped = true
source = "a test"
licence = "MIT"
head = "yolox"
size = [32, 32]
channels = "bgr"
pixel_max = 255
letterbox = "top_left"
classes = "two"
""".replace("{digit}", "a" * 64)
LISTS = '[classes]\ntwo = ["person", "dog"]\n'


@pytest.fixture
def load(tmp_path):
    """Load a manifest of this text."""

    def load_text(text):
        path = tmp_path / "manifest.toml"
        path.write_text(text, encoding="utf-8")
        return load_manifest(path)

    return load_text


def test_the_manifest_of_the_package_is_sound():
    manifest = load_manifest()
    names = {name for entry in manifest.entries for name in entry.facts.class_names}
    assert {name for group in DEFAULT_GROUPS.values() for name in group} <= names
    for entry in manifest.entries:
        assert (manifest.folder / entry.file).is_file() == entry.shipped


def test_an_entry_is_read(load):
    manifest = load(f'default = "tiny.onnx"\n{ENTRY}{LISTS}')
    entry = manifest.find("a" * 64)
    assert entry is not None
    assert entry.facts.class_names == ("person", "dog")
    assert entry.facts.nms_iou == 0.45
    assert manifest.default == "tiny.onnx"
    assert manifest.find("b" * 64) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('sha256 = "a', 'sha256 = "A', "sha256 must be 64"),
        ("shipped = true\n", "", "model 1 lacks shipped"),
        ("shipped = true", "shipped = 1", "shipped must be true or false"),
        ('licence = "MIT"\n', "", "lacks licence"),
        ('licence = "MIT"', 'licence = "MIT"\ncolour = "red"', "unknown colour"),
        ('file = "tiny.onnx"', 'file = "../tiny.onnx"', "without a folder"),
        ("size = [32, 32]", "size = 32", "size must be"),
        ("size = [32, 32]", "size = [33, 32]", "multiples of 32"),
        ('classes = "two"', 'classes = "three"', "not among"),
        ('classes = "two"', "classes = [1, 2]", "names of 1 to 100"),
        ("pixel_max = 255", 'pixel_max = "255"', "pixel_max must be one of"),
        ('head = "yolox"', "head = []", "head must be one of"),
        ("[classes]", 'colour = "red"\n[classes]', "unknown colour"),
        ("[[model]]", "[model]", "must be a table"),
        ("[classes]\ntwo = ", "classes = ", "cannot be read|unknown"),
        ("[classes]", "[classes", "cannot be read"),
    ],
)
def test_a_fault_is_named(load, old, new, said):
    assert old in ENTRY + LISTS
    with pytest.raises(ModelError, match=said):
        load((ENTRY + LISTS).replace(old, new, 1))


def test_unknown_top_keys_repeated_entries_and_bad_defaults_are_refused(load):
    for text, said in {
        f'defualt = "tiny.onnx"\n{ENTRY}{LISTS}': "unknown defualt",
        f'default = "other.onnx"\n{ENTRY}{LISTS}': "default must be one of",
        f"default = 3\n{ENTRY}{LISTS}": "default must be one of",
        f"{ENTRY}{ENTRY}{LISTS}": "file must be unique",
        f"{ENTRY}{ENTRY.replace('tiny.onnx', 'other.onnx')}{LISTS}": "sha256 must be unique",
        f"classes = 3\n{ENTRY}": "classes must be a table",
    }.items():
        with pytest.raises(ModelError, match=said):
            load(text)


def test_a_missing_or_too_large_manifest_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="cannot be read"):
        load_manifest(tmp_path / "none.toml")
    (tmp_path / "large.toml").write_text("# " + "x" * 200, encoding="utf-8")
    monkeypatch.setattr(manifest_module, "MAX_BYTES", 100)
    with pytest.raises(ModelError, match="at most 100 bytes"):
        load_manifest(tmp_path / "large.toml")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own with a manifest and nothing beside it."""
    folder = tmp_path / "top" / "checkout"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "manifest.toml").write_text(ENTRY + LISTS, encoding="utf-8")
    monkeypatch.setattr(manifest_module, "_checkout", lambda: folder)
    return folder


def test_without_any_default_a_model_must_be_named(checkout):
    with pytest.raises(ModelError, match="pass --model FILE"):
        default_model()


def test_the_reference_detector_beside_the_checkout_serves_until_one_is_shipped(checkout):
    beside = checkout.parent / "shared" / "models" / "yolox_nano_416.onnx"
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert default_model() == beside
    shipped = checkout / "models" / "tiny.onnx"
    (checkout / "models" / "manifest.toml").write_text(f'default = "tiny.onnx"\n{ENTRY}{LISTS}', encoding="utf-8")
    with pytest.raises(ModelError, match="install railwatch again"):
        default_model()
    shipped.touch()
    assert default_model() == shipped


def test_a_wheel_keeps_its_models_in_the_package(checkout, tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "railwatch"
    (package / "models").mkdir(parents=True)
    (package / "models" / "manifest.toml").write_text(ENTRY + LISTS, encoding="utf-8")
    monkeypatch.setattr(manifest_module, "files", lambda _name: package)
    assert load_manifest().folder == Path(package / "models")
