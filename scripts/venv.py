"""Make, or reuse, a virtual environment with the dependencies of this checkout, and print the path of its Python.

    python3 scripts/venv.py cpu          what watching needs
    python3 scripts/venv.py cpu dev      what the tests and checks need

The environments lie outside the checkout, under ${RAILWATCH_VENVS:-~/.cache/railwatch}, one for every combination of
constraints, dependency lists, extras and interpreter. railwatch itself is not installed in them: it is found through
PYTHONPATH, so that an environment never points at another checkout. Standard library only.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whoever calls this with an older Python is to be told so
    sys.exit(
        f"railwatch needs Python 3.11 or newer, but python3 is {sys.version.split()[0]}: use PYTHON3=/path/to/python"
    )

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPLETE = ".complete"


def dependencies(extras: Sequence[str]) -> list[str]:
    """The requirements of the base and of `extras`, from pyproject.toml; exits where an extra is not known."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        sys.exit(f"extras must be among {', '.join(optional)}, but {', '.join(unknown)} is given")
    return [*project["dependencies"], *(item for extra in extras for item in optional[extra])]


def folder_of(extras: Sequence[str], requirements: Sequence[str]) -> Path:
    """Where the environment of these requirements lies; another constraint, list or interpreter is another folder."""
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    interpreter = [sys.version, sys.base_prefix, platform.machine()]
    digest = hashlib.sha256("\0".join([constraints, *requirements, *interpreter]).encode()).hexdigest()
    base = Path(os.environ.get("RAILWATCH_VENVS") or Path.home() / ".cache" / "railwatch")
    return base.expanduser().resolve() / f"{'-'.join(extras) or 'base'}-{digest[:16]}"


def make(folder: Path, requirements: Sequence[str]) -> None:
    """Build the environment anew; the mark that it is complete comes last."""
    shutil.rmtree(folder, ignore_errors=True)
    begun = time.monotonic()
    sys.stderr.write(f"making {folder} (once) ...\n")
    if (
        subprocess.run([sys.executable, "-I", "-m", "venv", str(folder)], stdout=sys.stderr, check=False).returncode
        != 0
    ):
        sys.exit("python3 cannot make virtual environments: on Debian and Ubuntu, apt-get install python3-venv")
    pip = [str(python_of(folder)), "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, "-c", str(ROOT / "constraints.txt"), *requirements], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit("pip could not install the dependencies; its message is above")
    (folder / COMPLETE).touch()
    files = (path.lstat() for path in folder.rglob("*") if not path.is_symlink())
    megabytes = sum(found.st_size for found in files if stat.S_ISREG(found.st_mode)) / 1e6
    sys.stderr.write(f"made in {time.monotonic() - begun:.0f} s, {megabytes:.0f} MB\n")


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / "bin" / "python"


def is_complete(folder: Path) -> bool:
    """Whether everything was installed and the interpreter behind the environment is still there."""
    return (folder / COMPLETE).exists() and python_of(folder).exists()


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of an environment: two makes at once build it once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Print the path of the Python that has the dependencies."""
    parser = argparse.ArgumentParser(description="Make or reuse a virtual environment; print the path of its Python.")
    parser.add_argument("extras", nargs="*", help="extras of pyproject.toml, for example: cpu dev")
    extras = parser.parse_args().extras
    requirements = dependencies(extras)
    folder = folder_of(extras, requirements)
    if not is_complete(folder):
        with alone(folder):
            if not is_complete(folder):
                make(folder, requirements)
    print(python_of(folder))


if __name__ == "__main__":
    main()
