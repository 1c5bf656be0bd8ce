"""Bad input, command by command: one clear line, an exit code, no traceback."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from typing import NamedTuple

import pytest

from tests.bad_files import make_bad_files


class Row(NamedTuple):
    """A command line in the folder of bad files, its exit code, and words that the line on stderr must hold."""

    line: str
    code: int
    words: tuple[str, ...]


WATCH = "watch clip.mp4 --model good.onnx --bind tcp://127.0.0.1:*"
ROWS = [
    Row("watch absent.mp4 --model good.onnx", 3, ("absent.mp4",)),
    Row("watch empty.mp4 --model good.onnx", 3, ("empty.mp4",)),
    Row("watch truncated.mp4 --model good.onnx", 3, ("truncated.mp4",)),
    Row("watch text.mp4 --model good.onnx", 3, ("text.mp4",)),
    Row("watch empty-folder --model good.onnx", 3, ("empty-folder",)),
    Row("watch clip.mp4 --model absent.onnx", 4, ("absent.onnx",)),
    Row("watch clip.mp4 --model empty.onnx", 4, ("empty.onnx",)),
    Row("watch clip.mp4 --model random.onnx", 4, ("random.onnx",)),
    Row("watch clip.mp4 --model unknown-head.onnx", 4, ("unknown-head.onnx", "head", "crystal-ball", "yolox")),
    Row("watch clip.mp4 --model no-such-name", 4, ("no-such-name", "railwatch models list", "railwatch models pull")),
    Row("watch clip.mp4 --model good.onnx --provider cuda", 4, ("provider cuda must be installed", "railwatch[cuda]")),
    Row("watch clip.mp4 --model good.onnx --provider tensorrt", 4, ("provider tensorrt must be installed", "TensorRT")),
    Row("detect text.png --model good.onnx --provider cuda", 4, ("provider cuda must be installed", "railwatch[cuda]")),
    Row("watch clip.mp4 --model undescribed.onnx", 4, ("undescribed.onnx", "not described")),
    Row(f"{WATCH} --zone 'track:0,0 1,1'", 2, ("track:0,0 1,1", "at least 3 points, but has 2")),
    Row(f"{WATCH} --zone 'track:0,0 1,1 1,0 0,1'", 2, ("must not cross", "Self-intersection")),
    Row(f"{WATCH} --zone 'track:0,0 1.5,0 1,1'", 2, ("must lie in the frame", "point 2 is (1.5, 0.0)")),
    Row(f"{WATCH} --zone 'track:0,0 nan,0 1,1'", 2, ("finite number", "point 2 is (nan, 0.0)")),
    Row(f"{WATCH} --zone 'tracks:0,0 1,0 1,1'", 2, ("track, approach, platform_edge, ignore", "'tracks'")),
    Row("watch clip.mp4 --config unknown-key.yaml", 2, ("line 4: camras", "did you mean cameras?")),
    Row("watch clip.mp4 --config absent.yaml", 2, ("absent.yaml", "no such file")),
    Row("watch clip.mp4 --model good.onnx --bind tcp://127.0.0.1:{port}", 5, ("{port}", "in use")),
    Row("watch clip.mp4 --model good.onnx --bind tcp://0.0.0.0:5556", 5, ("loopback", "0.0.0.0")),  # noqa: S104 - refused
    Row("watch clip.mp4 --model good.onnx --bind nonsense", 5, ("tcp://HOST:PORT", "nonsense")),
    Row(f"{WATCH} --jsonl absent-folder/alerts.jsonl", 7, ("absent-folder",)),
    Row(f"{WATCH} --record absent-folder/inputs.jsonl", 7, ("absent-folder",)),
    Row(f"{WATCH} --save absent-folder/out.mp4", 3, ("absent-folder",)),
    Row(
        "PYTHONPATH=second-runtime watch clip.mp4 --model good.onnx", 6, ("exactly one ONNX Runtime", "onnxruntime-gpu")
    ),
    Row("detect absent.png --model good.onnx", 3, ("absent.png",)),
    Row("detect empty.png --model good.onnx", 3, ("empty.png",)),
    Row("detect text.png --model good.onnx", 3, ("text.png",)),
    Row("detect empty-folder --model good.onnx", 3, ("empty-folder", "has none")),
    Row("detect text.png --model random.onnx", 4, ("random.onnx",)),
    Row("listen --connect nonsense --for 1", 5, ("tcp://HOST:PORT", "nonsense")),
    Row("listen --ack displayed --for 1", 2, ("--ack displayed", "--by NAME")),
    Row("listen --ack acknowledged --by x --for 1", 2, ("--ack received or --ack displayed", "'acknowledged'")),
    Row("ack", 2, ("an incident or --list must be given",)),
    Row("ack i1 --list", 2, ("and not both",)),
    Row("ack i1 --by Anna --level seen", 2, ("--level must be one of received, displayed, acknowledged", "'seen'")),
    Row("ack i1 --by Anna --keys absent.key", 5, ("absent.key",)),
    Row("ack --list --connect nonsense", 5, ("tcp://HOST:PORT", "nonsense")),
    Row("evidence list absent-folder", 10, ("absent-folder", "must be a folder of evidence")),
    Row("evidence verify empty-folder", 10, ("empty-folder", "must be a folder of evidence")),
    Row("evidence show ../../etc/passwd", 10, ("32 hexadecimal digits", "../../etc/passwd")),
    Row("relay --section a", 2, ("one output must be named", "none is given")),
    Row("relay --modbus localhost", 2, ("--section must name at least one section",)),
    Row("relay --section a --gpio /dev/gpiochip0", 2, ("--gpio and --line must be given together",)),
    Row("relay --section a --line 3 -- true", 2, ("--gpio and --line must be given together",)),
    Row("relay --section a --modbus localhost -- true", 2, ("--modbus and a program is given",)),
    Row("relay --section a --modbus localhost:x", 2, ("HOST or HOST:PORT", "localhost:x")),
    Row("relay --section a --modbus localhost:70000", 2, ("HOST or HOST:PORT", "localhost:70000")),
    Row("relay --section a --connect nonsense -- true", 5, ("tcp://HOST:PORT", "nonsense")),
    Row("relay --section a -- ./no-such-program", 9, ("a program that starts", "./no-such-program")),
    Row("relay --section a --gpio ./no-such-chip --line 3", 9, ("line 3 of ./no-such-chip",)),
    Row("listen --keys absent.key --for 1", 5, ("absent.key", "No such file")),
    Row("listen --keys open.key --for 1", 5, ("open.key", "owner only", "chmod 600")),
    Row("keys new a/b --role operator", 5, ("A-Z a-z", "'a/b'")),
    Row("keys new used --role feed --folder keys", 5, ("used", "is there already", "another name")),
    Row("keys list --folder absent", 5, ("absent", "railwatch keys new")),
    Row("keys list --folder open-keys", 5, ("open-keys", "owner only", "chmod 700")),
    Row("keys revoke nobody --folder keys", 5, ("used", "'nobody'")),
    Row("bridge absent.yaml", 2, ("absent.yaml", "no such file")),
    Row("bridge unknown-key.yaml", 2, ("unknown-key.yaml", "camras")),
    Row("replay absent.jsonl", 7, ("absent.jsonl",)),
    Row("replay empty.jsonl", 7, ("empty.jsonl",)),
    Row("replay random.jsonl", 7, ("random.jsonl",)),
    Row("explain i1 --record absent.jsonl", 7, ("absent.jsonl",)),
    Row("explain i1 --record random.jsonl", 7, ("random.jsonl",)),
    Row("explain i1 --record empty-folder", 7, ("empty-folder", "holds none")),
    Row("explain --record empty.jsonl", 2, ("an incident or --at TIME", "not both")),
    Row("explain i1 --at 3 --record empty.jsonl", 2, ("an incident or --at TIME", "not both")),
    Row("explain --at yesterday --record empty.jsonl", 2, ("--at", "08:11:40", "'yesterday'")),
    Row("explain --at=-3 --record empty.jsonl", 2, ("--at", "0 or more", "-3")),
    Row("run absent.yaml", 2, ("absent.yaml", "no such file")),
    Row("run unknown-key.yaml", 2, ("unknown-key.yaml", "1 fault")),
    Row("run good.yaml", 2, ("model.sha256", "sha256sum")),
    Row("reload good.yaml", 2, ("state", "none does")),
    Row("check unknown-key.yaml", 2, ("unknown-key.yaml", "1 fault")),
    Row("check random.yaml", 2, ("random.yaml", "1 fault")),
    Row("check", 2, ("needs a site file",)),
    Row("doctor --config unknown-key.yaml", 6, ("without faults", "listed above")),
    Row("bench --video absent.mp4 --model good.onnx", 3, ("absent.mp4",)),
    Row("bench --video clip.mp4 --model random.onnx", 4, ("random.onnx",)),
]


@pytest.fixture(scope="session")
def bad_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    make_bad_files(folder)
    return folder


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def run(root, folder, line):
    """Run one command line in `folder`; a leading PYTHONPATH=FOLDER is put before the checkout."""
    words = shlex.split(line)
    extra = [str(folder / words.pop(0).partition("=")[2])] if words[0].startswith("PYTHONPATH=") else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*extra, str(root)]), "COLUMNS": "100"}
    command = [sys.executable, "-m", "railwatch", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.line)
def test_bad_input_is_one_clear_line(root, bad_files, taken_port, row):
    done = run(root, bad_files, row.line.replace("{port}", str(taken_port)))
    told = done.stderr.decode()
    assert "Traceback" not in told
    lines = [line for line in told.splitlines() if line.startswith("railwatch: ")]
    assert len(lines) == 1, told
    assert told.splitlines()[-1] == lines[0], "the reason must be the last line"
    assert done.returncode == row.code, told
    missing = [word for word in row.words if word.replace("{port}", str(taken_port)) not in lines[0]]
    assert missing == [], lines[0]


@pytest.mark.parametrize("line", ["watch", "detect --confidence 2 x.png", "listen --nonsense", "nonsense"])
def test_wrong_usage_is_told_without_a_traceback(root, bad_files, line):
    done = run(root, bad_files, line)
    assert done.returncode == 2
    assert b"Usage: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_files_for_these_tests_are_bad_for_one_reason_only(root, bad_files):
    done = run(root, bad_files, WATCH)
    assert done.returncode == 0, done.stderr.decode()
    assert b"railwatch: " not in done.stderr
    assert run(root, bad_files, "check good.yaml").returncode == 0
