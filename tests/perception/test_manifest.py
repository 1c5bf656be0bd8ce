from __future__ import annotations

import re

import pytest

from railwatch.core import model_names
from railwatch.core.errors import ModelError
from railwatch.core.settings import DEFAULT_GROUPS
from railwatch.perception import manifest as manifest_module
from railwatch.perception.manifest import default_model, known_entry, load_manifest, user_manifests
from railwatch.perception.manifest_entry import entry_to_toml

ENTRY = """
[[model]]
name = "tiny"
file = "tiny.onnx"
sha256 = "{digit}"
bytes = 100
source = "a test"
card = "cards/tiny.md"
accuracy = [{ metric = "AP50", data = "a test", value = 0.5, by = "a test" }]
speed = [{ ms = 1.5, machine = "a test", by = "a test" }]
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
        file = manifest.folder / f"{entry.name}.onnx"
        assert file.is_file() == (entry.file is not None)
        assert (manifest.folder / entry.card).is_file()
        assert entry.name in (manifest.folder / entry.card).read_text(encoding="utf-8")
        if file.is_file():
            assert file.stat().st_size == entry.bytes


def test_an_entry_is_read(load):
    manifest = load(f'default = "tiny"\n{ENTRY}{LISTS}')
    entry = manifest.find("a" * 64)
    assert entry is not None
    assert entry.facts.class_names == ("person", "dog")
    assert entry.facts.nms_iou == 0.45
    assert (entry.accuracy[0].value, entry.speed[0].ms, entry.bytes, entry.url) == (0.5, 1.5, 100, None)
    assert manifest.default == "tiny"
    assert manifest.named("tiny") is entry
    assert manifest.find("b" * 64) is manifest.named("other") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('sha256 = "a', 'sha256 = "A', "sha256 must be 64"),
        ("bytes = 100\n", "", "model 1 lacks bytes"),
        ("bytes = 100", "bytes = 0", "bytes must be a whole number"),
        ("bytes = 100", "bytes = true", "bytes must be a whole number"),
        ('name = "tiny"', 'name = "Tiny 1"', "name must be small letters"),
        ('source = "a test"', 'source = " "', "source must be a text"),
        ('"cards/tiny.md"', '"../tiny.md"', "card must name"),
        ('"cards/tiny.md"', "3", "card must name"),
        ("value = 0.5", "value = 50.0", "value must be a number 0.0 to 1.0"),
        ("value = 0.5", "value = nan", "value must be a number 0.0 to 1.0"),
        ('metric = "AP50", ', "", "accuracy must have the keys by, data, metric, value"),
        ("ms = 1.5", "ms = inf", "ms must be a number above"),
        ('machine = "a test"', "machine = 3", "machine must be a text"),
        ('speed = [{ ms = 1.5, machine = "a test", by = "a test" }]', "speed = []", "must have measured"),
        ('speed = [{ ms = 1.5, machine = "a test", by = "a test" }]', "speed = 1.5", "speed must be a list"),
        ('licence = "MIT"\n', "", "lacks licence"),
        ('licence = "MIT"', 'licence = "MIT"\ncolour = "red"', "unknown colour"),
        ('file = "tiny.onnx"', 'file = "../tiny.onnx"', "file must be the name with .onnx"),
        ('file = "tiny.onnx"', 'url = "http://example.org/tiny.onnx"', "url must be an https address"),
        ('file = "tiny.onnx"', 'url = "https://me:secret@example.org/t"', "url must be an https address"),
        ('file = "tiny.onnx"', 'url = "file:///tiny.onnx"', "url must be an https address"),
        ('file = "tiny.onnx"', 'file = "tiny.onnx"\nurl = "https://example.org/t"', "not beside a file"),
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
        f'defualt = "tiny"\n{ENTRY}{LISTS}': "unknown defualt",
        f'default = "other"\n{ENTRY}{LISTS}': "default must be one of",
        f'default = "tiny"\n{ENTRY}{LISTS}'.replace('file = "tiny.onnx"\n', ""): "default must be one of",
        f"default = 3\n{ENTRY}{LISTS}": "default must be one of",
        f"{ENTRY}{ENTRY}{LISTS}": "name must be unique",
        f"{ENTRY}{ENTRY.replace('tiny', 'other')}{LISTS}": "sha256 must be unique",
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
    monkeypatch.setattr(model_names, "checkout", lambda: folder)
    return folder


def test_without_any_default_a_model_must_be_named(checkout):
    with pytest.raises(ModelError, match="pass --model FILE"):
        default_model()


def test_the_default_must_lie_in_the_folder(checkout):
    shipped = checkout / "models" / "tiny.onnx"
    (checkout / "models" / "manifest.toml").write_text(f'default = "tiny"\n{ENTRY}{LISTS}', encoding="utf-8")
    with pytest.raises(ModelError, match="install railwatch again"):
        default_model()
    shipped.touch()
    assert default_model() == shipped


def test_a_url_is_read_and_needs_no_figures(load):
    text = ENTRY.replace('file = "tiny.onnx"', 'url = "https://example.org/tiny.onnx"')
    text = re.sub(r"^(accuracy|speed) = .*$", r"\1 = []", text, flags=re.MULTILINE)
    (entry,) = load(text + LISTS).entries
    assert (entry.url, entry.file, entry.accuracy, entry.speed) == ("https://example.org/tiny.onnx", None, (), ())


def test_a_file_that_railwatch_placed_must_be_the_one_described(checkout, tmp_path, monkeypatch):
    """In its own folder by the manifest, in the user's by the description beside it; elsewhere by its hash alone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    user = tmp_path / "railwatch" / "models"
    user.mkdir(parents=True)
    own = ENTRY.replace("tiny", "own").replace("a" * 64, "c" * 64)
    (user / "own.toml").write_text(own + LISTS, encoding="utf-8")
    for path, good, name in ((checkout / "models" / "tiny.onnx", "a", "tiny"), (user / "own.onnx", "c", "own")):
        assert known_entry(path, good * 64).name == name
        with pytest.raises(ModelError, match="changed or only half written"):
            known_entry(path, "b" * 64)
    assert known_entry(tmp_path / "tiny.onnx", "b" * 64) is None
    assert known_entry(tmp_path / "any.onnx", "a" * 64).name == "tiny"
    assert known_entry(user / "undescribed.onnx", "b" * 64) is None
    (user / "own.toml").write_text("nonsense", encoding="utf-8")
    with pytest.raises(ModelError, match=r"own\.toml cannot be read"):
        known_entry(user / "own.onnx", "c" * 64)
    ((path, error),) = user_manifests()
    assert path == user / "own.toml"
    assert isinstance(error, ModelError)


RECALL = "recall = [{ px = [8, 16], found = 1, people = 9 }, { px = [16, 99], found = 7, people = 8 }]\n"


def test_recall_by_height_is_read_and_written(load):
    (entry,) = load(ENTRY + RECALL + LISTS).entries
    assert [(row.from_px, row.to_px, row.share) for row in entry.recall] == [(8, 16, 1 / 9), (16, 99, 7 / 8)]
    assert load(entry_to_toml(entry)).entries == (entry,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[16, 99]", "[17, 99]"), "without a hole"),
        (("found = 7", "found = 9"), "a row must be"),
        (("[8, 16]", "[16, 8]"), "a row must be"),
        (("[8, 16]", "[8]"), "a row must be"),
        (("people = 9", "persons = 9"), "must have the keys found, people, px"),
    ],
)
def test_recall_that_cannot_be_is_refused(load, change, words):
    with pytest.raises(ModelError, match=words):
        load(ENTRY + RECALL.replace(*change) + LISTS)
