"""Check what lies in the tree, not what it does: sizes of files, and text that belongs to one machine only.

    python3 scripts/check_tree.py

Prints a line for every fault and exits with 1; with 0 when there is none. Standard library only.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAX_LINES = 400
MAX_BYTES = 1024 * 1024
MAX_BYTES_OF_DATA = 32 * 1024 * 1024
DATA = ("models/", "scenes/")
FORBIDDEN_SUFFIXES = {".pt", ".pth", ".pkl", ".pickle", ".pem", ".key"}
TEXT = {
    "a path of one machine": re.compile(r"(?<![\w./~-])/(?:home|root|Users|work)/[\w.-]+"),
    "a package index of one machine": re.compile(
        r"(?i)\b(?:extra-)?index[-_]url\b|\bfind[-_]links\b|\btrusted[-_]host\b"
    ),
    "the address of a package registry": re.compile(
        r"(?i)https?://[^\s/]*(?:pypi|npmjs|registry|artifactory|nexus|mirror)|https?://[^\s]*/simple/"
    ),
    "a mark of an unfinished merge": re.compile(r"^(?:<{7} |>{7} )"),
}


def files() -> list[str]:
    """Every file that is tracked, or would be if it were added, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


def faults_of(name: str, data: bytes) -> Iterator[str]:
    """What is wrong with one file."""
    limit = MAX_BYTES_OF_DATA if name.startswith(DATA) else MAX_BYTES
    if len(data) > limit:
        yield f"{name}: must be at most {limit} bytes, but has {len(data)}"
    if Path(name).suffix in FORBIDDEN_SUFFIXES:
        yield f"{name}: files of this kind run code when they are loaded, or hold secrets: they stay out"
    if b"\0" in data[:8192]:
        return
    lines = data.decode("utf-8", errors="replace").splitlines()
    if name.endswith(".py") and len(lines) > MAX_LINES:
        yield f"{name}: must have at most {MAX_LINES} lines, but has {len(lines)}"
    for number, line in enumerate(lines, start=1):
        for what, pattern in TEXT.items():
            found = pattern.search(line)
            if found and name != "scripts/check_tree.py":
                yield f"{name}:{number}: must not hold {what}, but holds {found[0]!r}"


def main() -> None:
    """Print every fault."""
    names = files()
    faults = [fault for name in names for fault in faults_of(name, (ROOT / name).read_bytes())]
    for fault in faults:
        print(fault)
    print(f"{len(names)} files, {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
