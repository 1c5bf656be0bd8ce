"""`make demo`: the main job on real input, with a subscriber in another process.

Usage: python scripts/demo.py [--out FOLDER]

Watches a clip, prints the alerts as a second process receives them, and writes the annotated video.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
CLIP = SHARED / "data" / "video" / "vtest.avi"
ZONE = "track:0,0.45 1,0.45 1,0.75 0,0.75"


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "demo-output", help="folder for the results")
    out = parser.parse_args().out
    if not CLIP.is_file():
        print(
            "make demo needs a clip and a detector, and this version ships none yet: put the development footage into "
            "../shared, or run `railwatch watch YOUR_VIDEO --model YOUR_MODEL.onnx`",
            file=sys.stderr,
        )
        return 3
    out.mkdir(parents=True, exist_ok=True)
    received: list[str] = []
    with _subscriber(received):
        done = _railwatch(
            "watch", str(CLIP), "--zone", ZONE, "--bind", f"tcp://127.0.0.1:{PORT}", "--wait-subscribers", "1",
            "--jsonl", str(out / "alerts.jsonl"), "--save", str(out / "annotated.mp4"),
        )  # fmt: skip
    if done != 0:
        return done
    sent = (out / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    print(f"{len(received)} of {len(sent)} alerts arrived at the subscriber in the other process")
    print(f"annotated video: {out / 'annotated.mp4'}")
    print("your own video: railwatch watch YOUR_VIDEO --zone 'track:0,0.5 1,0.5 1,1 0,1' --save out.mp4")
    return 0 if len(received) == len(sent) > 0 else 1


PORT = 5556
"""Port of the demo; the nonces go to the next one."""


def _railwatch(*arguments: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "railwatch", *arguments], cwd=ROOT, env=_environment(), check=False
    ).returncode


@contextmanager
def _subscriber(received: list[str]) -> Iterator[None]:
    """`railwatch listen` as a process of its own; what it receives is printed and kept."""
    command = [sys.executable, "-m", "railwatch", "listen", "--json", "--connect", f"tcp://127.0.0.1:{PORT}"]
    with subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=_show, args=(process, received))
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            reader.join()


def _show(process: subprocess.Popen[str], received: list[str]) -> None:
    if process.stdout is None:
        raise AssertionError("the subscriber was started with a pipe")
    for line in process.stdout:
        event = json.loads(line)
        if "alert_id" in event:
            received.append(line)
            print(
                f"  subscriber: {event['severity']} {event['action']} {event['section_id']}: {event['why']}", flush=True
            )
        elif event.get("event") == "section":
            print(f"  subscriber: section {event.get('section_id')} is {event.get('state')}", flush=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


if __name__ == "__main__":
    sys.exit(main())
