"""Build the wheel and the sdist of this checkout, look into them, and watch with the wheel in an empty environment.

    python3 scripts/wheel_check.py [--work FOLDER] [--model FILE] [--contents-only]

Needs the network for pip, nothing else: the environment, the home folder and the working directory are new, no cache of
pip is used, and the checkout is not on the path. The default model is the one in the wheel; --model names another.
Prints sizes and times, and what fails; the exit code is 1 then. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "scenes" / "clips" / "demo.mp4"
MAX_WHEEL_BYTES = 16 * 1024 * 1024
FOREIGN = (".pt", ".pth", ".pkl", "__pycache__", ".pyc")


def main() -> int:
    """Do all of it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for everything; a temporary one when left out")
    parser.add_argument("--model", type=Path, help="watch with this ONNX file instead of the default")
    parser.add_argument("--contents-only", action="store_true", help="build and look into them, install nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="railwatch-wheel-") as temporary:
        work = (options.work or Path(temporary)).resolve()
        wheel, sdist = build(work / "dist")
        faults = [*wheel_faults(wheel), *sdist_faults(sdist)]
        for fault in faults:
            print(f"FAULT {fault}")
        if faults or options.contents_only:
            return 1 if faults else 0
        python = install(wheel, work)
        return run_all(python, work, options.model)


def build(out: Path) -> tuple[Path, Path]:
    """Build both distributions into `out` with hatchling, which is fetched for this alone; prints sizes and times."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="railwatch-hatchling-") as tools:
        run([sys.executable, "-m", "pip", "install", "--quiet", "--target", tools, *requirements()])
        run(
            [sys.executable, "-m", "hatchling", "build", "-d", str(out)],
            environment={**os.environ, "PYTHONPATH": tools},
        )
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    print(f"built in {time.monotonic() - begun:.1f} s: {wheel.name} {size_of(wheel)}, {sdist.name} {size_of(sdist)}")
    return wheel, sdist


def requirements() -> list[str]:
    """What builds this project, from pyproject.toml."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return list(table["build-system"]["requires"])


def wheel_faults(wheel: Path) -> list[str]:
    """What the wheel lacks or holds too much."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    needed = {f"railwatch/{name}" for name in models_needed()}
    needed |= {"railwatch/__init__.py", "classifiers/__init__.py", "railwatch/models/tools/ultralytics_export.py"}
    faults = [f"{wheel.name} lacks {name}" for name in sorted(needed - names)]
    tops = {name.split("/")[0] for name in names}
    foreign = {top for top in tops if top not in {"railwatch", "classifiers"} and not top.endswith(".dist-info")}
    faults += [f"{wheel.name} must not hold {name}" for name in sorted(foreign)]
    faults += [f"{wheel.name} must not hold {name}" for name in sorted(names) if name.endswith(FOREIGN)]
    if not any(name.endswith("LICENSE") for name in names):
        faults.append(f"{wheel.name} lacks the licence")
    if wheel.stat().st_size > MAX_WHEEL_BYTES:
        faults.append(f"{wheel.name} must have at most {MAX_WHEEL_BYTES} bytes, but has {wheel.stat().st_size}")
    return faults


def sdist_faults(sdist: Path) -> list[str]:
    """What the sdist lacks or holds too much."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {*models_needed(), "pyproject.toml", "LICENSE", "README.md", "railwatch/__init__.py"}
    faults = [f"{sdist.name} lacks {name}" for name in sorted(needed - names)]
    return faults + [f"{sdist.name} must not hold {name}" for name in sorted(names) if name.endswith(FOREIGN)]


def models_needed() -> set[str]:
    """The manifest, and the cards and shipped files that it names."""
    manifest = tomllib.loads((ROOT / "models" / "manifest.toml").read_text(encoding="utf-8"))
    rows = manifest["model"]
    cards = {f"models/{row['card']}" for row in rows}
    return {"models/manifest.toml", *cards, *(f"models/{row['file']}" for row in rows if "file" in row)}


def install(wheel: Path, work: Path) -> Path:
    """Install the wheel with the extra `cpu` into a new environment; prints its size and time. Returns its Python."""
    folder = work / "venv"
    shutil.rmtree(folder, ignore_errors=True)
    begun = time.monotonic()
    run([sys.executable, "-I", "-m", "venv", str(folder)])
    python = folder / "bin" / "python"
    run([str(python), "-I", "-m", "pip", "install", "--quiet", "--no-cache-dir", f"{wheel}[cpu]"])
    print(f"installed with the extra cpu in {time.monotonic() - begun:.1f} s, {size_of(folder)}")
    return python


def run_all(python: Path, work: Path, model: Path | None) -> int:
    """The commands of a user, the main job of the demo among them; returns 1 when one fails."""
    home, inside = work / "home", work / "elsewhere"
    for folder in (home, inside):
        folder.mkdir(parents=True, exist_ok=True)
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "120"}
    named = [] if model is None else ["--model", str(model.resolve())]
    railwatch = [str(python.parent / "railwatch")]
    jobs = (
        [*railwatch, "doctor"],
        [*railwatch, "models", "list"],
        [*railwatch, "models", "verify", *named[1:]],
        [*railwatch, "watch", str(CLIP), *named, "--bind", "tcp://127.0.0.1:*", "--jsonl", "alerts.jsonl"],
        [str(python), str(ROOT / "scripts" / "demo.py"), "--installed", *named, "--out", str(inside / "demo-output")],
    )
    failed = 0
    for job in jobs:
        print(f"$ {' '.join(job)}", flush=True)
        code = subprocess.run(job, cwd=inside, env=environment, check=False).returncode
        print(f"exit code {code}", flush=True)
        failed += code != 0
    print("the wheel does its job" if not failed else f"{failed} of {len(jobs)} commands failed")
    return 1 if failed else 0


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command of the build, in the checkout; its failure ends this script."""
    code = subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode
    if code != 0:
        sys.exit(f"{' '.join(command[:4])} ... failed with code {code}, as told above")


def size_of(path: Path) -> str:
    """Size of a file or a folder, for people."""
    parts = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file() and not part.is_symlink()]
    return f"{sum(part.stat().st_size for part in parts) / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
