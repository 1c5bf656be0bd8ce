"""The entry point: light to start, one line and an exit code for every foreseen error."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from railwatch.cli import main as entry
from railwatch.core import errors

HEAVY = {"av", "cv2", "numpy", "onnxruntime", "pydantic", "shapely", "torch", "yaml", "zmq"}
ERRORS = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


def test_the_commands_are_built_without_a_heavy_library(root):
    code = "import sys; from railwatch.cli.main import build_app; build_app(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def run_main(monkeypatch, capsys, error):
    """Exit code and stderr of `railwatch` with a single command that raises `error`."""

    def command() -> None:
        raise error

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    monkeypatch.setattr(entry, "build_app", lambda: app)
    monkeypatch.setattr(sys, "argv", ["railwatch"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize("kind", ERRORS)
def test_a_foreseen_error_is_one_line_and_the_code_of_its_class(monkeypatch, capsys, kind):
    assert run_main(monkeypatch, capsys, kind("must be\n  so, but is not")) == (
        kind.exit_code,
        "railwatch: must be so, but is not\n",
    )


def test_an_unforeseen_error_keeps_its_traceback(monkeypatch):
    def command() -> None:
        raise ZeroDivisionError

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    monkeypatch.setattr(entry, "build_app", lambda: app)
    monkeypatch.setattr(sys, "argv", ["railwatch"])
    with pytest.raises(ZeroDivisionError):
        entry.main()


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'cv2'", name="cv2"),
        ImportError("libGL.so.1: cannot open shared object file"),
    ],
)
def test_a_missing_library_is_one_line_with_the_remedy(monkeypatch, capsys, error):
    code, told = run_main(monkeypatch, capsys, error)
    assert code == 6
    assert len(told.splitlines()) == 1
    assert "pip install 'railwatch[cpu]'" in told


def test_a_wrong_import_of_our_own_keeps_its_traceback(monkeypatch):
    def command() -> None:
        raise ImportError("cannot import name 'x' from 'railwatch.app'", name="railwatch.app")

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    monkeypatch.setattr(entry, "build_app", lambda: app)
    monkeypatch.setattr(sys, "argv", ["railwatch"])
    with pytest.raises(ImportError, match="cannot import name"):
        entry.main()


def test_ctrl_c_ends_with_the_code_of_an_interrupt(monkeypatch, capsys):
    code, told = run_main(monkeypatch, capsys, KeyboardInterrupt())
    assert code == 130
    assert "Traceback" not in told


def test_a_reader_that_went_away_is_told_nothing(root):
    """`railwatch check --schema | head`: whoever closed the pipe does not want to read a traceback."""
    command = [sys.executable, "-m", "railwatch", "check", "--schema"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode in {0, 1}
    assert told == b""
