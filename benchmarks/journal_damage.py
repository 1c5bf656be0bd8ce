"""Breaks a journal at every byte of its last 4 KiB, twice: cut off there, and one bit turned; closed, and killed.

    python benchmarks/journal_damage.py [--step 1] [--folder DIR]

Each time it must open, keep every row before the damage, report it, and take new alerts. These are 16,384 journals: a
folder in memory (/dev/shm) saves the disk. Prints how many rows were lost, and exits with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.messaging.damage import TAIL_BYTES, Original, broken, closed, judge, killed


def every_byte(name: str, original: Original, folder: Path, step: int) -> int:
    failures = 0
    for how in ("cut", "flip"):
        lost: Counter[tuple[int, bool]] = Counter()
        begun = time.monotonic()
        for offset in range(1, TAIL_BYTES + 1, step):
            try:
                kept, reported = judge(original, broken(original, folder, offset, how))
            except Exception as error:  # noqa: BLE001 - counted, and the rest is still tried
                failures += 1
                print(f"{name} {how} {offset}: {error!r}")
            else:
                lost[len(original.alerts) - kept, reported] += 1
        took_s = time.monotonic() - begun
        print(f"{name:6} {how:4} {sum(lost.values())} opened in {took_s:.0f} s, {failures} failures; of 60 alerts")
        for (count, reported), times in sorted(lost.items()):
            print(f"    {count} lost, {'reported' if reported else 'NOT reported'}: {times} times")
            failures += 0 if reported else times
    return failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm") if Path("/dev/shm").is_dir() else None)  # noqa: S108
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        failures = every_byte("closed", closed(folder / "closed"), folder / "broken", options.step)
        failures += every_byte("killed", killed(folder / "killed"), folder / "broken", options.step)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
