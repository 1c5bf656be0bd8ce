from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from railwatch.app import checkup as module
from railwatch.app.checkup import (
    LIBRARIES,
    Finding,
    Library,
    State,
    check_clock,
    check_decoders,
    check_disk,
    check_library,
    check_one_cv2,
    check_one_runtime,
    check_providers,
    check_python,
    check_site,
    check_wall_clock,
    checkup,
    fault_count,
    findings_json,
)
from tests.clips import write_clip

SITE = """
schema_version: 1
site_id: test
severity_without_trains: WARNING
cameras:
  - camera_id: good
    source: {good}
  - camera_id: bad
    source: missing.mp4
sections: [one]
zones:
  - {{zone_id: a, camera_id: good, section_id: one, kind: track, polygon: [[0, 0], [1, 0], [1, 1]]}}
  - {{zone_id: b, camera_id: bad, section_id: one, kind: track, polygon: [[0, 0], [1, 0], [1, 1]]}}
model: {{file: {model}}}
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package that can be imported by a child process."""

    def make(name, code):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return Library(name, name, f"pip install {name}")

    return make


def fake_distribution(tmp_path, name):
    from importlib.metadata import PathDistribution

    folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    return PathDistribution(folder)


def test_a_library_that_loads_is_ok_with_its_version(package):
    assert check_library(package("goodlib", "__version__ = '1.2.3'")) == Finding("goodlib", State.OK, "1.2.3")


def test_a_missing_library_says_what_to_install():
    library = Library("no_such_library", "no-such-library", "pip install it")
    finding = check_library(library)
    assert finding.state is State.FAULT
    assert "No module named 'no_such_library'" in finding.text
    assert finding.remedy == "pip install it"


def test_a_library_of_another_processor_does_not_kill_the_checkup(package):
    finding = check_library(package("killer", "import os, signal\nos.kill(os.getpid(), signal.SIGILL)"))
    assert finding.state is State.FAULT
    assert "kills Python with SIGILL" in finding.text


def test_a_library_that_hangs_is_given_up(package, monkeypatch):
    monkeypatch.setattr(module, "_IMPORT_TIMEOUT_S", 0.2)
    finding = check_library(package("sleeper", "import threading\nthreading.Event().wait()"))
    assert finding.state is State.FAULT
    assert "does not load" in finding.text


def test_opencv_without_libgl_names_the_system_package(package):
    said = "libGL.so.1: cannot open shared object file: No such file or directory"
    package("cv2", f"raise ImportError({said!r})")
    finding = check_library(Library("cv2", "opencv-python", "pip install opencv-python"))
    assert finding.state is State.FAULT
    assert said in finding.text
    assert "apt-get install -y libgl1" in finding.remedy


def test_every_library_of_the_light_client_and_of_the_extra_is_looked_at(root):
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["cpu"]
    assert {library.distribution for library in LIBRARIES} == {entry.split(">=")[0] for entry in needed}


def test_two_onnx_runtimes_are_a_fault_with_the_remedy(tmp_path):
    both = [fake_distribution(tmp_path, name) for name in ("onnxruntime", "onnxruntime-gpu")]
    finding = check_one_runtime(both)
    assert finding.state is State.FAULT
    assert "overwrite each other" in finding.text
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in finding.remedy
    assert check_one_runtime(both[:1]).state is State.OK


def test_two_opencvs_are_a_fault_with_the_remedy(tmp_path):
    both = [fake_distribution(tmp_path, name) for name in ("opencv-python", "opencv-python-headless")]
    finding = check_one_cv2(both)
    assert finding.state is State.FAULT
    assert "pip uninstall -y opencv-python opencv-python-headless" in finding.remedy
    assert check_one_cv2(both[:1]).text == "opencv-python 1.0"


@pytest.mark.parametrize(
    ("runtime", "state", "text"),
    [
        (
            SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]),
            "ok",
            "CUDA, CPU",
        ),
        (SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider"]), "fault", "no CPU among"),
        (SimpleNamespace(), "fault", "only a remnant"),
    ],
)
def test_providers(runtime, state, text):
    finding = check_providers(runtime)
    assert finding.state.value == state
    assert text in finding.text
    assert bool(finding.remedy) == (state == "fault")


def test_decoders():
    assert all(finding.state is State.OK for finding in check_decoders())
    (missing,) = check_decoders(["no_such_codec"])
    assert missing.state is State.FAULT


@pytest.mark.parametrize(
    ("found", "state"), [((3, 11, 0), State.OK), ((3, 14, 1), State.OK), ((3, 10, 9), State.FAULT)]
)
def test_python(found, state):
    finding = check_python(found)
    assert finding.state is state
    assert finding.text.startswith(".".join(map(str, found)))


@pytest.mark.parametrize(
    ("clock", "state"),
    [
        ({"monotonic": True, "adjustable": False, "resolution": 1e-9}, State.OK),
        ({"monotonic": False, "adjustable": False, "resolution": 1e-9}, State.FAULT),
        ({"monotonic": True, "adjustable": True, "resolution": 1e-9}, State.FAULT),
        ({"monotonic": True, "adjustable": False, "resolution": 0.1}, State.FAULT),
    ],
)
def test_monotonic_clock(monkeypatch, clock, state):
    monkeypatch.setattr(module.time, "get_clock_info", lambda _: SimpleNamespace(implementation="x", **clock))
    assert check_clock().state is state


@pytest.mark.parametrize(
    ("kernel", "year", "state", "text"),
    [
        (0, 2026, State.OK, "kept by NTP"),
        (5, 2026, State.NOT_NEEDED, "not kept by NTP"),
        (None, 2026, State.NOT_NEEDED, "cannot be known"),
        (0, 1970, State.FAULT, "1970"),
    ],
)
def test_wall_clock(kernel, year, state, text):
    finding = check_wall_clock(kernel, year)
    assert finding.state is state
    assert text in finding.text


def test_the_kernel_is_asked_without_being_changed():
    assert module.adjtimex_state() in {None, 0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(("free", "state"), [(10**9, State.OK), (10**9 - 1, State.FAULT)])
def test_disk(tmp_path, monkeypatch, free, state):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert check_disk(tmp_path).state is state


def test_a_folder_that_is_not_there_is_a_fault(tmp_path):
    assert check_disk(tmp_path / "missing").state is State.FAULT


def test_cameras_and_model_of_a_site_are_tried_for_real(tmp_path):
    clip = write_clip(tmp_path / "good.avi", frames=3)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(good=clip, model=tmp_path / "model.onnx") + "second_look: {file: absent.onnx}\n")
    found = {finding.name: finding for finding in check_site(site, cameras=True)}
    assert {name: finding.state.value for name, finding in found.items()} == {
        "site": "ok", "model": "fault", "second look": "fault", "camera good": "ok", "camera bad": "fault",
    }  # fmt: skip
    assert found["camera good"].text == "good.avi: mpeg4 320 x 240"
    assert "missing.mp4" in found["camera bad"].text


def test_a_faulty_site_file_is_one_fault(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("site_id: 3\n")
    (finding,) = check_site(site, cameras=True)
    assert finding.state is State.FAULT
    assert f"railwatch check {site}" in finding.remedy


def test_a_light_installation_is_told_which_extra_to_install(monkeypatch):
    def missing(library):
        light = {"pydantic", "rich", "typer", "yaml", "zmq"}
        return Finding(library.module, State.OK if library.module in light else State.FAULT, "", library.remedy)

    monkeypatch.setattr(module, "check_library", missing)
    findings = list(checkup())
    faults = [finding for finding in findings if finding.state is State.FAULT]
    assert {finding.name for finding in faults} == {"av", "numpy", "onnxruntime", "cv2", "shapely"}
    assert all("railwatch[cpu]" in finding.remedy for finding in faults)
    assert not any(finding.name.startswith(("decoder", "providers")) for finding in findings)


def test_the_checkup_itself_needs_no_library():
    code = (
        "import sys\nfor name in ('av', 'numpy', 'onnxruntime', 'cv2', 'shapely', 'pydantic', 'yaml', 'zmq', 'rich'):\n"
        "    sys.modules[name] = None\nimport railwatch.app.checkup"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_as_json():
    findings = [Finding("a", State.OK, "fine"), Finding("b", State.FAULT, "bad", "mend it")]
    assert fault_count(findings) == 1
    assert json.loads(findings_json(findings)) == {
        "fit_to_watch": False,
        "findings": [
            {"name": "a", "state": "ok", "text": "fine", "remedy": None},
            {"name": "b", "state": "fault", "text": "bad", "remedy": "mend it"},
        ],
    }
