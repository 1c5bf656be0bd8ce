"""`make demo`: the main job on real input, with a subscriber in another process.

Usage: python scripts/demo.py [--out FOLDER] [--port PORT] [--model NAME|FILE] [--installed]

Watches the demo scene at its own speed, prints the alerts as a second process receives them, and writes the annotated
video and a page with pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import demo_page

from railwatch.core.errors import RailwatchError
from railwatch.perception.manifest import default_model

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "scenes" / "clips" / "demo.mp4"
ZONE = "track:0,0.5 1,0.5 1,1 0,1"
TRUTH = CLIP.with_suffix("").with_suffix(".truth.json")


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "demo-output", help="folder for the results")
    parser.add_argument("--model", help="name or ONNX file of the detector; the default when left out")
    parser.add_argument("--installed", action="store_true", help="run the installed railwatch, not this checkout")
    parser.add_argument("--port", type=int, default=5556, help="port of the alerts; the next one takes nonces")
    options = parser.parse_args()
    try:
        model = str(default_model()) if options.model is None else options.model
    except RailwatchError as error:
        print(f"make demo needs a detector: {error}", file=sys.stderr)
        return error.exit_code
    environment = dict(os.environ) if options.installed else {**os.environ, "PYTHONPATH": str(ROOT)}
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    log, video = out / "alerts.jsonl", out / "annotated.mp4"
    endpoint = f"tcp://127.0.0.1:{options.port}"
    received: list[dict[str, Any]] = []
    print(f"watching {CLIP.name} at its own speed; a second process subscribes to its alerts", flush=True)
    with _subscriber(endpoint, received, environment):
        zones = [part for zone in zones_of(TRUTH) for part in ("--zone", zone)]
        command = [
            sys.executable, "-m", "railwatch", "watch", str(CLIP), "--model", model, *zones, "--bind", endpoint,
            "--wait-subscribers", "1", "--realtime", "--jsonl", str(log), "--save", str(video),
        ]  # fmt: skip
        code = subprocess.run(command, cwd=out, env=environment, check=False).returncode
    if code != 0:
        return code
    sent = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    page = demo_page.write(out / "index.html", video, sent)
    worst = max((alert["severity"] for alert in sent), key=["NOTICE", "WARNING", "EMERGENCY"].index, default="nothing")
    print(f"seen: {len(sent)} alerts up to {worst}; {len(received)} of them arrived in the other process")
    print(f"look at: {page} (pictures) and {video}")
    print(f"your own video: {_command(options.installed)} watch YOUR_VIDEO --zone '{ZONE}' --save out.mp4")
    arrived = [alert["seq"] for alert in received] == [alert["seq"] for alert in sent]
    return 0 if sent and arrived else 1


def zones_of(truth: Path) -> list[str]:
    """The zones of a scene as `--zone` options."""
    zones = json.loads(truth.read_text(encoding="utf-8"))["zones"]
    return [f"{zone['kind']}:" + " ".join(f"{x},{y}" for x, y in zone["polygon_norm"]) for zone in zones]


def _command(installed: bool) -> str:
    """How the user starts what has just run."""
    if installed:
        return "railwatch"
    return f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m railwatch"


@contextmanager
def _subscriber(endpoint: str, received: list[dict[str, Any]], environment: dict[str, str]) -> Iterator[None]:
    """`railwatch listen` as a process of its own; what it receives is printed and kept."""
    command = [sys.executable, "-m", "railwatch", "listen", "--json", "--connect", endpoint]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        reader = threading.Thread(target=_show, args=(process, received))
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            reader.join()


def _show(process: subprocess.Popen[str], received: list[dict[str, Any]]) -> None:
    if process.stdout is None:
        raise AssertionError("the subscriber was started with a pipe")
    for line in process.stdout:
        event = json.loads(line)
        if "alert_id" in event:
            received.append(event)
            print(f"  subscriber: {event['severity']} {event['action']}: {event['why']}", flush=True)
        elif event.get("event") == "section":
            print(f"  subscriber: the track is {event['state']}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
