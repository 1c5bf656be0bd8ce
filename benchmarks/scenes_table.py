"""`railwatch watch` on every rendered scene: true entry, time of the alert, false alerts.

    python benchmarks/scenes_table.py [--model FILE ...] [--report docs/scenes.md] [--pictures FOLDER] [NAME ...]

Zones are those of the truth. A scene with somebody on a track must raise WARNING within a second of the entry; a scene
marked negative must raise no WARNING at all. NOTICE (somebody near the track, or at the platform edge) is listed
beside it. Every miss is named, with a picture of the moment of entry.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2

from railwatch.app.watch import Watch
from railwatch.app.watch_site import WatchOptions
from railwatch.core.alerts import Severity
from railwatch.perception.manifest import default_model

CLIPS = Path(__file__).resolve().parents[1] / "scenes" / "clips"
ALLOWED_S = 1.0
HALF_LENGTH_M = {"cow": 1.2}
INTRODUCTION = f"""# The rendered scenes, watched

`python benchmarks/scenes_table.py`, one run for each model. Times in seconds of the clip; WARNING is wanted at most
{ALLOWED_S:g} s after the entry, and never in a scene without one. Let go: the alarm fell or closed while somebody was
still on the track. A WARNING more than a frame before the entry, of somebody who walks towards the track, counts as
false here; a cow is over the edge half its length, 1.2 m, before its middle.
"""


@dataclass
class Row:
    """What came of one scene; times in seconds of the clip, None where it did not happen."""

    name: str
    title: str
    negative: bool
    entry_s: float | None
    warning_s: float | None
    notice_s: float | None
    false_warnings: int
    let_go_s: float | None

    @property  # LET GO is the worst that can happen to an alarm that was in time
    def verdict(self) -> str:
        """What to say of it in a word or two."""
        if self.false_warnings:
            return "FALSE ALERT"
        if self.entry_s is None:
            return "silent" if self.warning_s is None else "FALSE ALERT"
        if self.warning_s is None:
            return "MISSED"
        if self.let_go_s is not None:
            return "LET GO"
        return "in time" if self.warning_s - self.entry_s <= ALLOWED_S else "LATE"


def main() -> None:
    """Watch the scenes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="scenes; all of scenes/clips by default")
    parser.add_argument("--model", type=Path, action="append", help="a table for each; the default model when left out")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    models = options.model or [default_model()]
    names = options.names or sorted(path.name.removesuffix(".truth.json") for path in CLIPS.glob("*.truth.json"))
    found = {model: [watch_scene(name, model) for name in names] for model in models}
    text = "\n".join([INTRODUCTION, *(table(rows, model) for model, rows in found.items())])
    print(text)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    for row in (row for rows in found.values() for row in rows):
        if options.pictures and row.verdict in {"MISSED", "LATE"} and row.entry_s is not None:
            options.pictures.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(options.pictures / f"{row.name}.jpg"), picture_at(row.name, row.entry_s + ALLOWED_S))


def watch_scene(name: str, model: Path) -> Row:
    """Watch one scene with the zones of its truth."""
    truth = json.loads((CLIPS / f"{name}.truth.json").read_text(encoding="utf-8"))
    zones = tuple(f"{zone['kind']}:" + " ".join(f"{x},{y}" for x, y in zone["polygon_norm"]) for zone in truth["zones"])
    with tempfile.TemporaryDirectory() as folder:
        options = WatchOptions(
            str(CLIPS / f"{name}.mp4"),
            model=model,
            zones=zones,
            bind="tcp://127.0.0.1:0",
            jsonl=Path(folder) / "alerts",
        )
        with Watch(options, lambda _: None) as run:
            run.run(lambda _: None)
    stays = [
        (stay["enter_s"], stay["leave_s"], early(truth, stay))
        for stay in truth["entries"]
        if stay["class_name"] != "train"
    ]
    told = [(t_s, alert) for incident in run.report.incidents() for t_s, alert in incident]
    raised = [
        t_s
        for t_s, alert in told
        if alert.severity >= Severity.WARNING and alert.action.value in {"OPENED", "ESCALATED"}
    ]
    true = [
        t_s for t_s in raised if any(a - ahead <= t_s and (b is None or t_s <= b + ALLOWED_S) for a, b, ahead in stays)
    ]
    fallen = [t_s for t_s, alert in told if alert.action.value in {"CLOSED", "DEESCALATED"}]
    notices = [t_s for t_s, alert in told if alert.severity is Severity.NOTICE and alert.action.value == "OPENED"]
    return Row(
        name=name,
        title=truth["title"],
        negative=truth["negative"],
        entry_s=min((a for a, _, _ in stays), default=None),
        warning_s=min(true, default=None),
        notice_s=min(notices, default=None),
        false_warnings=len(raised) - len(true),
        let_go_s=min((t for t in fallen if any(a <= t and (b is None or t < b) for a, b, _ in stays)), default=None),
    )


def early(truth: dict[str, Any], stay: dict[str, Any]) -> float:
    """How long before its entry, in seconds, somebody is over the edge: an entry is that of the middle of the body.

    A foot of a person is there in the frame before; head and forelegs of a cow are half its length ahead.
    """
    frame = truth["frames"][min(round(stay["enter_s"] * truth["fps"]), len(truth["frames"]) - 1)]
    speed = next(math.hypot(*row["velocity_mps"]) for row in frame["objects"] if row["id"] == stay["id"])
    ahead_m = HALF_LENGTH_M.get(stay["class_name"], 0.0)
    return max(1 / truth["fps"], ahead_m / speed if speed > 0 else 0.0)


def table(rows: list[Row], model: Path) -> str:
    """The rows as Markdown."""

    def told(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}"

    lines = [
        f"## {model.name}",
        "",
        "| scene | what happens | entry | WARNING | after | NOTICE | let go | false WARNINGs | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        both = row.entry_s is not None and row.warning_s is not None
        after = f"{row.warning_s - row.entry_s:.1f}" if both else "-"
        lines.append(
            f"| {row.name} | {row.title} | {told(row.entry_s)} | {told(row.warning_s)} | {after} "
            f"| {told(row.notice_s)} | {told(row.let_go_s)} | {row.false_warnings} | {row.verdict} |"
        )
    return "\n".join(lines) + "\n"


def picture_at(name: str, t_s: float):  # noqa: ANN201 - (H, W, 3) uint8 BGR
    """The frame of a scene at a time."""
    picture = None
    with av.open(str(CLIPS / f"{name}.mp4")) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="bgr24")
            if frame.time >= t_s:
                break
    return picture


if __name__ == "__main__":
    main()
