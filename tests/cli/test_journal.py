"""`railwatch journal` as a user runs it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys

from railwatch.messaging.journal import Journal
from tests.messaging.damage import fill


def run(root, *arguments):
    command = [sys.executable, "-m", "railwatch", "journal", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_journal_in_use_is_verified_and_shown(root, tmp_path):
    with Journal.open(tmp_path / "j.db") as journal:
        fill(journal, 3)
        code, out, err = run(root, "verify", tmp_path / "j.db")
        assert (code, err) == (0, "")
        assert out.startswith("rows 1 to 4 are as they were written; hash ")
        code, out, err = run(root, "show", tmp_path / "j.db", "--after", "1")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [(row["row"], row["kind"], row["body"]["seq"]) for row in rows] == [
        (2, "alert", 1),
        (3, "alert", 2),
        (4, "alert", 3),
    ]


def test_damage_is_named_and_what_is_before_it_is_shown(root, tmp_path):
    with Journal.open(tmp_path / "j.db") as journal:
        fill(journal, 5)
    with sqlite3.connect(tmp_path / "j.db") as raw:
        raw.execute("UPDATE journal SET seq = 9 WHERE row = 4")
    raw.close()
    code, out, _ = run(root, "verify", tmp_path / "j.db", "--json")
    found = json.loads(out)
    assert (code, found["last"], found["damage"]["row"]) == (8, 3, 4)
    assert len(run(root, "show", tmp_path / "j.db")[1].splitlines()) == 3


def test_what_is_no_journal_is_one_clear_line(root, tmp_path):
    (tmp_path / "text").write_text("no database " * 100)
    sqlite3.connect(tmp_path / "empty.db").close()
    for name in ("absent.db", "text", "empty.db"):
        code, out, err = run(root, "verify", tmp_path / name)
        assert (code, out) == (8, "")
        assert err.startswith(f"railwatch: journal {tmp_path / name} must be")
        assert err.count("\n") == 1
