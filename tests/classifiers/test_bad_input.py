"""Bad input, command by command: one clear line, an exit code, no traceback; the last good checkpoint stays."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from classifiers import checkpoint
from tests.classifiers.conftest import SMALL, fill


def _cut(path):
    path.write_bytes(path.read_bytes()[:300])


WIDE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
BAD = {
    "text": lambda path: path.write_text("not a picture"),
    "no-bytes": lambda path: path.touch(),
    "cut-off": lambda path: [WIDE.save(path.with_suffix(".jpg")), _cut(path.with_suffix(".jpg"))],
    "animated": lambda path: WIDE.save(path.with_suffix(".gif"), save_all=True, append_images=[WIDE.transpose(0)]),
    "bomb": lambda path: Image.new("1", (10_000, 10_001)).save(path),
    "larger-bomb": lambda path: Image.new("1", (20_000, 20_001)).save(path),
    "32-bit": lambda path: Image.fromarray(np.zeros((16, 16), dtype=np.float32)).save(path.with_suffix(".tiff")),
    "dangling": lambda path: path.symlink_to(path.parent / "nowhere"),
    "empty-class": lambda path: (path.parent.parent / "Mollusca").mkdir(),
    "one-class": lambda path: (path.parent.parent / "Fungi").rename(path.parent.parent.parent / "elsewhere"),
}


@pytest.fixture
def bad(tmp_path):
    """Class folders in which one thing is wrong."""

    def make(kind):
        root = fill(tmp_path / kind, 8, classes=("Aves", "Fungi"))
        BAD[kind](root / "Aves" / "bad.png")
        return root

    return make


REFUSED = [
    ("empty-class", ("class 'Mollusca'", "has none: fill the folder or remove it")),
    ("one-class", ("at least two class folders", "only 'Aves'")),
    ("text", ("Aves/bad.png", "does not begin like one", "--skip-bad")),
    ("no-bytes", ("Aves/bad.png", "does not begin like one")),
    ("cut-off", ("Aves/bad.jpg", "cannot be decoded")),
    ("animated", ("Aves/bad.gif", "is animated with 2 frames")),
    ("bomb", ("Aves/bad.png", "at most 50000000 pixels, but has 10000 x 10001")),
    ("larger-bomb", ("Aves/bad.png", "at most 50000000 pixels")),
    ("32-bit", ("Aves/bad.tiff", "8 or 16 bits a channel, but has 32")),
    ("dangling", ("Aves/bad.png", "cannot be read")),
]


@pytest.mark.parametrize(("kind", "words"), REFUSED, ids=[kind for kind, _ in REFUSED])
def test_bad_pictures_are_told_in_one_line_and_skipped_only_when_asked(bad, said, tmp_path, kind, words):
    root = bad(kind)
    code, _, err = said("train", root, "--out", tmp_path / "run", *SMALL)
    assert code == 3
    (line,) = err.splitlines()
    assert line.startswith("classifiers: ")
    for word in words:
        assert word in line
    assert not (tmp_path / "run").exists()
    skippable = kind not in {"empty-class", "one-class"}
    code, _, err = said("train", root, "--out", tmp_path / "run", *SMALL, "--skip-bad")
    assert code == (0 if skippable else 3)
    if skippable:
        assert len([line for line in err.splitlines() if line.startswith("skipped Aves/bad")]) == 1
        code, out, _ = said("data", "check", root)
        assert code == 3
        assert out.count("unreadable: ") == 1


def test_unusual_pictures_are_read_as_they_look(tmp_path):
    from classifiers.pictures import decode, read_bytes

    red = Image.new("RGB", (8, 8), (200, 30, 20))
    red.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    red.convert("P").save(tmp_path / "palette.png")
    Image.fromarray(np.full((8, 8), 0x80FF, dtype=np.uint16)).save(tmp_path / "16bit.png")
    clear = Image.new("RGBA", (8, 8), (10, 20, 30, 0))
    clear.save(tmp_path / "clear.png")
    turned = Image.new("RGB", (8, 4), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)

    def read(name):
        return decode(tmp_path / name, read_bytes(tmp_path / name))

    assert np.abs(np.asarray(read("cmyk.jpg"), dtype=int)[4, 4] - (200, 30, 20)).max() < 12
    assert np.abs(np.asarray(read("palette.png"), dtype=int)[4, 4] - (200, 30, 20)).max() < 30
    assert np.asarray(read("16bit.png"))[0, 0].tolist() == [0x80] * 3
    assert np.asarray(read("clear.png"))[0, 0].tolist() == [255] * 3
    assert read("turned.jpg").size == (4, 8)


class Row:
    """A command line in a folder with `data` and `run`, its exit code, and words that stderr must hold."""

    def __init__(self, line, code, *words):
        self.line, self.code, self.words = line, code, words


ROWS = [
    Row("train absent --out x", 3, "absent", "no such folder"),
    Row("train data --out x --blocks 5 --size 16", 2, "2^blocks = 32", "is 16"),
    Row("train data --out x --epochs 0", 2, "epochs", "from 1 to 100000", "0"),
    Row("train data --out x --rate nan", 2, "rate must be a number"),
    Row("train data --out x --activation tanh", 2, "activation must be one of relu, elu", "'tanh'"),
    Row("train data --out x --kernel 4", 2, "odd"),
    Row("train data --out x --dense 64,x", 2, "--dense", "'64,x'"),
    Row("train data --out x --scheme 1,2", 2, "scheme as a list must have 5 entries"),
    Row("train data --out x --batch-norm --norm-place beside", 2, "before or after", "'beside'"),
    Row("train data --out x --preset best", 2, "report-best, report-sweep", "'best'"),
    Row("train data --out x --config absent.yaml", 2, "absent.yaml", "cannot be read"),
    Row("train data --out x --config unknown.yaml", 2, "filtres"),
    Row("train data --out x --config broken.yaml", 2, "broken.yaml", "valid JSON or YAML"),
    Row("train data --out x --split broken.yaml", 3, "broken.yaml"),
    Row("train data --out x --device cuda:7 --blocks 2", 6, "cuda:7", "--device cpu"),
    Row("train data --out x --wandb project --blocks 2", 6, "--wandb", "pip install wandb"),
    Row("train data --out run --blocks 2", 4, "holds a run", "--resume"),
    Row("train data --out broken.yaml/run --blocks 2", 7, "broken.yaml"),
    Row("evaluate absent data", 4, "absent", "meta.json"),
    Row("evaluate run absent", 3, "absent"),
    Row("evaluate run data --side best", 2, "train, validation, test", "'best'"),
    Row("evaluate tampered data", 4, "SHA-256"),
    Row("count --blocks 9", 2, "blocks", "from 1 to 8", "9"),
    Row("count --filters 0", 2, "filters"),
    Row("bench --pictures 64 --batch 65", 2, "--pictures", "65"),
    Row("data check absent", 3, "absent"),
    Row("data split data --out absent.yaml --test 2", 2, "shares must be"),
    Row("data fetch new --url http://example.org/x.zip", 2, "https://"),
    Row("data fetch data --url https://example.org/x.zip", 2, "new or empty folder"),
]


@pytest.fixture(scope="module")
def bad_place(folders, tmp_path_factory):
    from classifiers.config import NetworkConfig, TrainConfig
    from classifiers.data import open_data
    from classifiers.engine import fit

    place = tmp_path_factory.mktemp("bad-place")
    (place / "data").symlink_to(folders)
    network = NetworkConfig(blocks=2, filters=4, input_size=16, classes=3)
    data = open_data(folders, cache=place / "cache")
    for name in ("run", "tampered"):
        fit(network, TrainConfig(epochs=1, device="cpu"), data, place / name)
    (weights,) = (place / "tampered").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    (place / "unknown.yaml").write_text("network: {filtres: 3}\n")
    (place / "broken.yaml").write_text("network: {filters: [\n")
    return place


@pytest.mark.parametrize("row", ROWS, ids=[row.line for row in ROWS])
def test_bad_input_gives_one_line_and_an_exit_code(bad_place, said, monkeypatch, row):
    monkeypatch.chdir(bad_place)
    code, _, err = said(*row.line.split())
    assert code == row.code, err
    lines = [line for line in err.splitlines() if not line.startswith("42 pictures to train on")]
    assert len(lines) == 1, err
    for word in row.words:
        assert word in lines[0]
    assert not (bad_place / "x").exists()


class _Malicious:
    def __reduce__(self):
        return os.system, ("touch owned",)


def test_no_file_of_a_run_can_run_code(bad_place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "state.pt").write_bytes(pickle.dumps(_Malicious()))
    with pytest.raises(checkpoint.CheckpointError, match="cannot be read"):
        checkpoint.load_state(tmp_path)
    torch.save({"format": 1, "x": _Malicious()}, tmp_path / "state.pt")
    with pytest.raises(checkpoint.CheckpointError, match="cannot be read"):
        checkpoint.load_state(tmp_path)
    assert not (tmp_path / "owned").exists()
