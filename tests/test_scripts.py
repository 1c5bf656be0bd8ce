"""The scripts of the house find what they look for."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def check_tree(root):
    return runpy.run_path(str(root / "scripts" / "check_tree.py"))


@pytest.fixture(scope="module")
def venv(root):
    return runpy.run_path(str(root / "scripts" / "venv.py"))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("railwatch/long.py", b"x = 1\n" * 401, "at most 400 lines, but has 401"),
        ("docs/film.gif", b"\0" * 1_048_577, "at most 1048576 bytes"),
        ("models/large.onnx", b"\0" * 33_554_433, "at most 33554432 bytes"),
        ("models/weights.pt", b"\0", "run code when they are loaded"),
        ("README.md", b"ok\nsee " + b"/ho" + b"me/me/x\n", "README.md:2: must not hold a path of one machine"),
        ("Makefile", b"--extra-index" + b"-url x", "a package index of one machine"),
        ("README.md", b"https://my-mirr" + b"or.example/x", "the address of a package registry"),
        ("a.py", b"<<<<<" + b"<< HEAD", "an unfinished merge"),
    ],
)
def test_what_must_not_be_in_the_tree_is_found(check_tree, name, data, words):
    (fault,) = check_tree["faults_of"](name, data)
    assert words in fault


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("railwatch/short.py", b"x = 1\n" * 400),
        ("models/detector.onnx", b"\0" * 4_000_000),
        ("docs/a.md", b"see ../shared/models, ~/.cache/railwatch, framework/x and https://example.org/work/x\n"),
    ],
)
def test_what_may_be_in_the_tree_passes(check_tree, name, data):
    assert list(check_tree["faults_of"](name, data)) == []


def test_an_environment_is_one_of_its_dependencies(venv):
    base, cpu = venv["dependencies"]([]), venv["dependencies"](["cpu"])
    assert set(base) < set(cpu)
    assert any(item.startswith("onnxruntime") for item in cpu)
    folders = {venv["folder_of"](extras, needs) for extras, needs in (([], base), (["cpu"], cpu), (["cpu"], base))}
    assert len(folders) == 3


def test_environments_lie_where_the_variable_says(venv, monkeypatch, tmp_path):
    monkeypatch.setenv("RAILWATCH_VENVS", str(tmp_path))
    assert venv["folder_of"](["cpu"], ["numpy"]).parent == tmp_path


def test_an_environment_without_its_mark_is_not_complete(venv, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert not venv["is_complete"](tmp_path)
    (tmp_path / venv["COMPLETE"]).touch()
    assert venv["is_complete"](tmp_path)


def test_an_unknown_extra_is_refused_in_one_line(root):
    done = subprocess.run(
        [sys.executable, str(root / "scripts" / "venv.py"), "gpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("extras must be among cpu, cuda,")
    assert len(done.stderr.splitlines()) == 1


def test_constraints_hold_names_and_versions_only(root):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)] == []


def test_every_dependency_is_pinned(root, venv):
    import tomllib

    parsed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    needs = venv["dependencies"](list(parsed["project"]["optional-dependencies"])) + parsed["build-system"]["requires"]
    named = {re.split(r"[>=<\[;]", item)[0].strip().lower().replace("_", "-") for item in needs}
    text = (root / "constraints.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    assert named <= set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))


def test_the_wheel_and_the_sdist_hold_what_they_must_and_nothing_else(root):
    command = [sys.executable, str(root / "scripts" / "wheel_check.py"), "--contents-only"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "-m pip install ... failed" in done.stderr:
        pytest.skip("hatchling, which builds the distributions, cannot be fetched here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAULT" not in done.stdout
