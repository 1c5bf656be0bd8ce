"""Exporting with a stand-in for the program that knows ultralytics: what is placed was compared, or nothing is placed.

The real program is run by hand (docs/LOG.md): it needs ultralytics and PyTorch, 5 GB.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys

import numpy as np
import pytest

from railwatch.app import export as export_module
from railwatch.app import export_tool
from railwatch.app.export import ExportOptions, export_model
from railwatch.app.export_tool import interpreter, run_tool, surroundings
from railwatch.core.errors import DownloadError, InstallError, ModelError
from railwatch.core.model_names import packaged_models
from railwatch.core.types import Size
from railwatch.perception.manifest import known_entry
from tests.perception.onnx_models import constant_model, save, ultralytics_metadata

SIDE = 32
BOXES = [(16, 16, 8, 10, 0.8, 0.0), (8, 20, 6, 6, 0.1, 0.6)]  # x, y, w, h, scores of two classes
RAW = np.array(BOXES, np.float32).T
PREDICTED = np.array([(12, 11, 20, 21, 0.8, 0), (5, 17, 11, 23, 0.6, 1)], np.float32)
DONE = '{"done": {"confidence": 0.05, "weights_sha256": null, "packages": {"ultralytics": "8.4"}}}'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "railwatch" / "models"


@pytest.fixture
def tool(tmp_path):
    """Make an interpreter that, whatever it is to run, writes these outputs as model and proof, and says `says`."""

    def make(*, raw=RAW, predicted=PREDICTED, says=f"print('{DONE}')", metadata=None):
        network = constant_model(RAW, metadata=metadata or ultralytics_metadata())
        model = save(network, tmp_path / "made.onnx")
        proof = tmp_path / "made.npz"
        arrays = {"sample_0": np.zeros((SIDE, SIDE, 3), np.uint8), "raw_0": raw, "size_0": np.array([SIDE, SIDE])}
        np.savez(proof, confidence=0.05, pictures=1, boxes_0=predicted, **arrays)
        script = tmp_path / "python"
        script.write_text(
            f"#!{sys.executable} -I\nimport shutil, sys, os\n"
            "if 'export' in sys.argv:\n"
            f" shutil.copy({str(model)!r}, 'model.onnx')\n"
            f" shutil.copy({str(proof)!r}, 'proof.npz')\n"
            f"{says}\n",
            encoding="utf-8",
        )
        script.chmod(0o755)
        return script

    return make


def run(python, **changes):
    said = []
    options = {"name": "yolo26n", "size": Size(SIDE, SIDE), "untrained": True, "python": python} | changes
    return export_model(ExportOptions(**options), said.append, lambda *_: None), said


def test_an_export_that_agrees_is_placed_with_its_description_and_card(folder, tool):
    done, said = run(tool())
    assert done.path == folder / "yolo26n-untrained.onnx"
    assert sorted(path.name for path in folder.iterdir()) == [
        "yolo26n-untrained.md", "yolo26n-untrained.onnx", "yolo26n-untrained.toml"
    ]  # fmt: skip
    assert (done.proof.raw.agree, done.proof.whole.agree) == (2, 2)
    sha256 = hashlib.sha256(done.path.read_bytes()).hexdigest()
    assert known_entry(done.path, sha256) == done.entry
    card = (folder / "yolo26n-untrained.md").read_text(encoding="utf-8")
    assert "AGPL-3.0" in card
    assert "Not verified on a GPU" in card
    assert sha256 in card
    assert said[-1].startswith("comparing")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"raw": RAW * np.float32(1.1)}, "must give the boxes of PyTorch, but does not"),
        ({"predicted": PREDICTED + 3}, "must give the boxes of ultralytics' predict, but does not"),
        ({"predicted": PREDICTED[:0], "raw": RAW * 0}, "must give the boxes of PyTorch"),
        ({"metadata": {"a": "b"}}, "not described"),
        ({"says": 'print(\'{"refused": "no such network"}\')'}, "^no such network$"),
        ({"says": "print('hello')"}, "must answer in JSON, but says b'hello"),
        ({"says": "raise ValueError('broken')"}, "ended with code 1: ValueError: broken"),
        ({"says": "pass"}, "ended with code 0"),
        ({"says": f"os.remove('proof.npz'); print('{DONE}')"}, "proof of the export must be readable"),
        ({"says": f"open('proof.npz', 'w').write('x'); print('{DONE}')"}, "proof of the export must be readable"),
    ],
)
def test_nothing_is_placed_when_it_differs_or_fails(folder, tool, changes, said):
    with pytest.raises(ModelError, match=said):
        run(tool(**changes))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "../x"}, "the name must be small letters"),
        ({"size": Size(100, 640)}, "multiples of 32 up to 4096, but are 100 x 640"),
        ({"name": "yolox_nano", "untrained": False}, "the name must be free"),
    ],
)
def test_what_cannot_be_placed_is_refused_before_anything_is_run(folder, tool, changes, said):
    with pytest.raises(ModelError, match=said):
        run(tool(says="raise SystemExit('was run')"), **changes)


def test_a_model_is_replaced_only_when_asked(folder, tool):
    run(tool())
    with pytest.raises(ModelError, match="pass --replace"):
        run(tool())
    assert run(tool(), replace=True)[0].path.is_file()


def test_own_weights_must_be_there_and_have_their_hash(folder, tool, tmp_path):
    weights = tmp_path / "yard.pt"
    options = {"name": "yard", "untrained": False, "weights": weights}
    with pytest.raises(ModelError, match="cannot be read"):
        run(tool(), **options)
    weights.write_bytes(b"weights")
    with pytest.raises(ModelError, match="must have the SHA-256 000"):
        run(tool(), **options, sha256="0" * 64)
    done, _ = run(tool(), **options, sha256=hashlib.sha256(b"weights").hexdigest())
    assert done.entry.source.startswith("weights yard.pt")


def test_official_weights_come_from_where_ultralytics_says(folder, tool, monkeypatch, tmp_path):
    says = (
        f"print('{{\"done\": {{\"url\": \"https://example.org/yolo26n.pt\"}}}}' if 'where' in sys.argv else '{DONE}')"
    )
    asked = []

    def fetch(wanted, target, _progress):
        asked.append(wanted.url)
        if len(asked) == 1:
            raise DownloadError("no network")
        target.parent.mkdir(parents=True)
        target.write_bytes(b"weights")

    monkeypatch.setattr(export_module, "fetch", fetch)
    with pytest.raises(DownloadError):
        run(tool(says=says), untrained=False)
    assert list(folder.iterdir()) == []
    done, said = run(tool(says=says), untrained=False)
    assert asked == ["https://example.org/yolo26n.pt"] * 2
    assert "official weights from https://example.org/yolo26n.pt" in done.entry.source
    assert "fetching https://example.org/yolo26n.pt" in said
    assert list((tmp_path / "cache" / "railwatch" / "weights").iterdir()) == []


def test_the_program_runs_with_no_way_out_and_nothing_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = surroundings(tmp_path)
    assert not {"SECRET_TOKEN", "PYTHONPATH"} & set(found)
    assert (found["YOLO_OFFLINE"], found["YOLO_AUTOINSTALL"]) == ("true", "false")
    assert found["YOLO_CONFIG_DIR"] == found["HOME"] == str(tmp_path)


def test_the_program_is_ended_when_its_time_is_up(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(export_tool, "LIMIT_S", 0.2)
    script = tool(says='import time; print(\'{"step": "begun"}\', flush=True); time.sleep(60)')
    with pytest.raises(ModelError, match="ended with code -9"):
        run_tool(script, ["where", "x"], tmp_path, lambda _: None)


def test_a_missing_ultralytics_is_told_with_the_remedy(folder, monkeypatch, tool, tmp_path):
    monkeypatch.setattr(export_tool.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InstallError, match=r"pip install 'railwatch\[export\]'"):
        interpreter(None)
    with pytest.raises(InstallError, match="cannot be run"):
        interpreter(tmp_path / "no-python")
    own = folder.parent / "export" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    assert interpreter(None) == own
    script = tool(says="raise ModuleNotFoundError(\"No module named 'ultralytics'\")")
    with pytest.raises(InstallError, match="must have ultralytics and onnx"):
        run_tool(script, ["where", "x"], tmp_path, lambda _: None)


def test_the_program_refuses_to_start_where_it_could_go_out(tmp_path):
    """It needs no ultralytics to see that its surroundings are not as they must be."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("YOLO")}
    program = packaged_models() / "tools" / "ultralytics_export.py"
    import subprocess

    done = subprocess.run(
        [sys.executable, str(program), "where", "yolo26n"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b'"refused": "YOLO_' in done.stdout


def test_the_package_never_imports_ultralytics_and_never_loads_pytorch_files(root):
    """Beside the import contract: no string of code that does, and `.pt` is only ever refused or handed on."""
    for path in (root / "railwatch").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {(n.module or "").split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not names & {"ultralytics", "torch", "pickle"}, path
