"""Kills the publishing process 200 times during alerts, with SIGKILL, and compares journal, wire and readers.

    python benchmarks/kill_hub.py [--kills 200] [--seed 1]

Exits with 1 if an alert that anybody heard as journaled, or whose acknowledgement was answered, is not in the journal
exactly once, or if one of three readers was not handed every journaled alert, in order, once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.killing import kill_again_and_again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_again_and_again(Path(folder), options.kills, options.seed)
    print(f"{outcome.kills} kills in {time.monotonic() - begun:.0f} s")
    print(f"{outcome.journaled} alerts in the journal, {outcome.heard} heard by a bare subscriber")
    print(f"{outcome.unjournaled} of these with journaled false, {outcome.acknowledged} acknowledgements answered")
    print(f"{len(outcome.faults)} faults")
    for fault in outcome.faults[:20]:
        print("  ", fault)
    sys.exit(1 if outcome.faults else 0)


if __name__ == "__main__":
    main()
