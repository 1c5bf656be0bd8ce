"""A program of the user's that drives the relay."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

import pytest

from railwatch.core.errors import RelayError
from railwatch.relay import command as module
from railwatch.relay.command import CommandOutput

FOLLOWING = (
    "import sys\nfor line in sys.stdin:\n open(sys.argv[1], 'a').write(line)\nopen(sys.argv[1], 'a').write('END')"
)
SLEEPING = "import time\ntime.sleep(600)"


def program(text, *arguments):
    return [sys.executable, "-c", text, *map(str, arguments)]


def until(condition):
    deadline_s = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def read(path):
    return path.read_text().split() if path.exists() else []


def test_the_program_reads_a_line_a_beat_and_the_end(tmp_path):
    path = tmp_path / "heard"
    output = CommandOutput(program(FOLLOWING, path))
    for energised in (False, True, True, False):
        output.set(energised)
    until(lambda: len(read(path)) == 4)
    output.set(True)
    output.close()
    assert read(path) == ["ALARM", "CLEAR", "CLEAR", "ALARM", "CLEAR", "ALARM", "END"]


def test_no_shell_reads_the_arguments(tmp_path):
    path = tmp_path / "a b; $HOME"
    output = CommandOutput(program(FOLLOWING, path))
    output.set(True)
    output.close()
    assert read(path)[0] == "CLEAR"


def test_a_program_that_ends_is_a_fault_and_is_started_again_with_pauses(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RESTART_S", 0.05)
    path = tmp_path / "heard"
    output = CommandOutput(program(FOLLOWING, path))
    output._pause_s = 0.05
    for number in (1, 2):
        output._process.kill()
        output._process.wait()
        with pytest.raises(RelayError, match="ended with code -9 and is started again"):
            output.set(True)
        assert output._pause_s == pytest.approx(0.05 * 2 ** (number - 1))
        deadline_s = time.monotonic() + 20.0
        while time.monotonic() < deadline_s:
            with contextlib.suppress(RelayError):
                output.set(True)
                break
            time.sleep(0.01)
    until(lambda: "CLEAR" in read(path))
    output.close()


def test_a_program_that_leaves_its_input_unread_is_ended(monkeypatch):
    monkeypatch.setattr(module, "UNREAD_S", 0.1)
    output = CommandOutput(program(SLEEPING))
    output.set(True)
    time.sleep(0.2)
    with pytest.raises(RelayError, match="must read its input, but left it unread"):
        output.set(True)
    assert output._process.wait(20.0) == -signal.SIGKILL
    output.close()


def test_a_pipe_that_is_full_is_a_fault_and_ends_the_program():
    output = CommandOutput(program(SLEEPING))
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(output._process.stdin.fileno(), b"x" * 4096)
    with pytest.raises(RelayError, match="cannot be written to"):
        output.set(False)
    assert output._process.wait(20.0) == -signal.SIGKILL
    output.close()


def test_a_program_that_ignores_the_end_of_its_input_is_killed():
    output = CommandOutput(program(SLEEPING))
    output.close()
    assert output._process.returncode == -signal.SIGKILL


def test_dropping_kills_the_program_and_may_be_done_twice():
    output = CommandOutput(program(SLEEPING))
    output.drop()
    output.drop()
    output._process.wait(20.0)
    output.drop()
    output.close()


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(RelayError, match="must be a program that starts, but /no/such/program: No such file"):
        CommandOutput(["/no/such/program"])
