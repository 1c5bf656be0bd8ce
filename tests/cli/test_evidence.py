"""`railwatch evidence` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from railwatch.evidence.store import EvidenceFile, EvidenceStore, Limits

NAME = "0123456789abcdef" * 2
ALERT = {"incident_id": "i1", "section_id": "yard", "severity": "WARNING", "action": "OPENED", "why": "1 person on it"}


@pytest.fixture
def folder(tmp_path):
    store = EvidenceStore(tmp_path / "state" / "evidence", Limits(86400.0, 1 << 30, 0))
    store.keep(NAME, [EvidenceFile("clip-1.mp4", b"video")], {"alert": ALERT})
    store.close()
    return tmp_path / "state" / "evidence"


def run(root, cwd, *arguments):
    command = [sys.executable, "-m", "railwatch", "evidence", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_it_is_listed_shown_and_verified(root, tmp_path, folder):
    code, out, err = run(root, tmp_path, "list")
    assert (code, err) == (0, "")
    assert out.startswith(NAME)
    assert out.endswith("WARNING  OPENED  yard  1 person on it\n")
    code, out, _ = run(root, tmp_path, "list", folder, "--json")
    assert json.loads(out)["evidence"] == NAME
    code, out, _ = run(root, tmp_path, "show", NAME)
    assert json.loads(out)["files"][0]["name"] == "clip-1.mp4"
    code, out, _ = run(root, tmp_path, "verify", "--json")
    assert (code, json.loads(out)["kept"], json.loads(out)["faults"]) == (0, [NAME], [])


def test_what_is_changed_is_told_with_exit_code_10(root, tmp_path, folder):
    (folder / NAME / "clip-1.mp4").write_bytes(b"vidEo")
    code, out, err = run(root, tmp_path, "verify")
    assert code == 10
    assert f"{NAME}: clip-1.mp4 is not as it was kept" in out
    assert err.startswith("railwatch: evidence must be as it was kept")
    assert "everything" not in out
    (folder / NAME / "manifest.json").write_text("{}")
    code, out, _ = run(root, tmp_path, "list")
    assert (code, "cannot be read" in out) == (0, True)
    code, _, err = run(root, tmp_path, "show", NAME)
    assert (code, "its manifest is not" in err) == (10, True)
    assert run(root, tmp_path, "verify", "--json")[0] == 10
