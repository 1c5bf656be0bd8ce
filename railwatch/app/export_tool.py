"""Running the program that knows ultralytics: which interpreter, in which surroundings, and what it answers."""

from __future__ import annotations

import importlib.util
import json
import os
import site
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from railwatch.core.errors import InstallError, ModelError
from railwatch.core.model_names import packaged_models, user_models

LIMIT_S: Final = 1800.0
"""Longest run of the program; an export of the largest YOLO takes a few minutes."""

MAX_LINE: Final = 64 * 1024
_KEPT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "OMP_NUM_THREADS", "SYSTEMROOT")

Step = Callable[[str], None]
"""Told what is being done."""


def interpreter(asked: Path | None) -> Path:
    """The Python to run the program with: the one asked for, this one if it has ultralytics, or the export's own.

    Raises InstallError that says how to make one.
    """
    own = user_models().parent / "export" / "bin" / "python"
    if asked is not None:
        found: Path | None = asked
    elif importlib.util.find_spec("ultralytics") is not None:
        found = Path(sys.executable)
    else:
        found = own
    if found is None or not os.access(found, os.X_OK):
        folder = own.parents[1]
        raise InstallError(
            f"ultralytics must be installed to export, but {found} cannot be run. Either pip install "
            f"'railwatch[export]', or, apart from railwatch: python3 -m venv {folder} && {folder}/bin/pip install "
            "ultralytics onnx (about 5 GB with PyTorch)"
        )
    return found.absolute()


def run_tool(python: Path, arguments: Sequence[str], work: Path, step: Step) -> dict[str, Any]:
    """Run the program in the folder `work` and return its answer; `step` is told what it does.

    Raises ModelError when it refuses or fails, InstallError when its interpreter lacks something.
    """
    program = packaged_models() / "tools" / "ultralytics_export.py"
    log = work / "log.txt"
    done: dict[str, Any] | None = None
    with log.open("wb") as errors, _started([str(python), "-P", str(program), *arguments], work, errors) as process:
        for line in iter(lambda: process.stdout.readline(MAX_LINE) if process.stdout else b"", b""):
            document = _document(line)
            if "refused" in document:
                raise ModelError(str(document["refused"]))
            if "step" in document:
                step(str(document["step"]))
            done = document.get("done", done)
        code = process.wait()
    if code != 0 or not isinstance(done, dict):
        raise _failure(python, log.read_bytes()[-20_000:].decode("utf-8", errors="replace"), code)
    return done


def surroundings(work: Path) -> dict[str, str]:
    """The environment of the program: nothing of the user's but paths, no network, no installing, no analytics."""
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    return kept | {
        "HOME": str(work),
        "PYTHONUSERBASE": site.getuserbase(),
        "MPLCONFIGDIR": str(work),
        "TORCH_HOME": str(work),
        "YOLO_CONFIG_DIR": str(work),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
        "CUDA_VISIBLE_DEVICES": "-1",
    }


@contextmanager
def _started(command: list[str], work: Path, errors: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 - a file
    """The program, ended when the time is up or the caller leaves."""
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell
        command, cwd=work, env=surroundings(work), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
    )
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise
    finally:
        watchdog.cancel()


def _document(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ModelError(f"the export program must answer in JSON, but says {line[:100]!r}")
    return document


def _failure(python: Path, log: str, code: int) -> ModelError | InstallError:
    """What the program's last words mean."""
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "nothing")[:300]
    if last.startswith(("ModuleNotFoundError", "ImportError")):
        return InstallError(f"{python} must have ultralytics and onnx to export, but lacks one of them ({last})")
    return ModelError(f"the export must end well, but ended with code {code}: {last}")
