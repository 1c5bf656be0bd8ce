"""Write constraints.txt anew: the newest versions that the dependency lists of pyproject.toml allow, and nothing else.

    make constraints

Run it on Linux x86-64 with the lowest Python that is supported, then `make check test`, and commit what passes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = "# Versions that the tests passed with. Written by `make constraints`; do not edit by hand.\n"
TOGETHER = ("cpu", "bridge", "relay", "classifiers", "cluster", "dev")
"""Extras that the tests have in one environment."""

APART = ("cuda", "openvino", "export")
"""Extras that exclude `cpu` or are large: of these only the packages named in pyproject.toml are pinned."""


def resolve(requirements: Sequence[str], *options: str) -> dict[str, str]:
    """Name and version of everything that pip would install; nothing is installed."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    command = [*pip, "--dry-run", "--ignore-installed", "--report", "-", *options, *requirements]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {item["metadata"]["name"]: item["metadata"]["version"] for item in report["install"]}


def main() -> None:
    """Resolve and write."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    parsed = tomllib.loads(text)
    project = parsed["project"]
    optional = project["optional-dependencies"]
    together = [*project["dependencies"], *(item for extra in TOGETHER for item in optional[extra])]
    pinned = resolve([*together, *parsed["build-system"]["requires"]])
    for extra in APART:
        pinned = {**resolve(optional[extra], "--no-deps"), **pinned}
    lines = [f"{name}=={version}\n" for name, version in sorted(pinned.items(), key=lambda pair: pair[0].lower())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{len(lines)} packages pinned in constraints.txt")


if __name__ == "__main__":
    main()
