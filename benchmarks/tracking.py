"""railwatch's tracker beside ByteTrack and OC-SORT of the package `trackers`, on the same detections.

    python benchmarks/tracking.py [--truth gt.txt] [--shared DIR] [--tune] [--json FILE]

Needs the packages trackers and supervision beside railwatch[cpu]. Prints IDF1 and HOTA (computed by `trackers.eval`,
which follows TrackEval) as the mean over the clips of each set, and milliseconds a frame at 10, 50 and 200 people.

Sets. (a) Generated truth (tracking_scenes.py), 24 clips: 6, 15 and 30 people, 5 and 10 frames a second, seeds from
1000. (b) Frames 271 to 795 of vtest.avi with the detections of yolox_nano_416.onnx, whole and thinned four ways.
vtest.avi is frame for frame the sequence PETS09-S2L1 of 2D MOT 2015, whose published truth (a file in MOT format) is
given by `--truth`; it may not be shipped (non-commercial), so without the option this part is left out.

Fairness. All get the same detections, are asked to confirm after 2 frames and forget after 2 seconds, and only tracks
that are confirmed and seen in a frame count. Each runs with the thresholds it comes with ("defaults") and with the
best of a grid, chosen for each domain apart on clips that are not reported: other seeds, and frames 1 to 270 of
vtest.avi (`--tune` repeats that search). railwatch's constants were chosen on such clips, too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import supervision as sv
from trackers import ByteTrackTracker, OCSORTTracker
from trackers.eval.hota import compute_hota_metrics
from trackers.eval.identity import compute_identity_metrics
from tracking_scenes import Array, Clip, iou, make_clip

from railwatch.core.settings import TrackerSettings
from railwatch.core.types import Detections, TrackState
from railwatch.perception import tracker
from railwatch.perception.tracker import Tracker

Found = list[tuple[np.ndarray, Array]]
Follower = Callable[[Clip], Found]

CONFIRM_FRAMES, LOST_S = 2, 2.0
SPLIT = 270
"""Frames of vtest.avi that belong to tuning; the rest is reported."""

GRID = {
    "railwatch": {"high_confidence": [0.3, 0.4, 0.5, 0.6, 0.7], "match_iou": [0.1, 0.2, 0.3]},
    "ByteTrack": {
        "high_conf_det_threshold": [0.4, 0.5, 0.6, 0.7],
        "minimum_iou_threshold": [0.02, 0.05, 0.1, 0.2],
        "above": [0.0, 0.1],
    },
    "OC-SORT": {
        "high_conf_det_threshold": [0.3, 0.4, 0.5, 0.6],
        "minimum_iou_threshold": [0.02, 0.05, 0.1, 0.2],
        "direction_consistency_weight": [0.0, 0.2],
    },
}
"""`above` is track_activation_threshold above high_conf_det_threshold. The best is tried with the real times, too."""

ABLATIONS: dict[str, dict[str, float]] = {
    "railwatch": {},
    "boxes do not grow": {"MARGIN_STD": 0.0},
    "nearness does not count": {"NEARNESS": 0.0},
    "weak boxes need no more overlap": {"WEAK_IOU": 0.0},
    "tentative tracks last 0.2 s": {"TENTATIVE_S": 0.2},
}

Tuned = dict[str, dict[str, dict[str, Any]]]
TUNED: Tuned = {
    "generated": {
        "railwatch": {"high_confidence": 0.5, "match_iou": 0.2},
        "ByteTrack": {"high_conf_det_threshold": 0.5, "minimum_iou_threshold": 0.05, "above": 0.0, "timestamps": False},
        "OC-SORT": {
            "high_conf_det_threshold": 0.3,
            "minimum_iou_threshold": 0.1,
            "direction_consistency_weight": 0.2,
            "timestamps": False,
        },
    },
    "vtest": {
        "railwatch": {"high_confidence": 0.6, "match_iou": 0.1},
        "ByteTrack": {"high_conf_det_threshold": 0.7, "minimum_iou_threshold": 0.02, "above": 0.1, "timestamps": True},
        "OC-SORT": {
            "high_conf_det_threshold": 0.5,
            "minimum_iou_threshold": 0.05,
            "direction_consistency_weight": 0.0,
            "timestamps": True,
        },
    },
}
"""What `--tune` found."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parents[1].parent / "shared")
    parser.add_argument("--truth", type=Path, help="gt.txt of PETS09-S2L1 in MOT format")
    parser.add_argument("--tune", action="store_true", help="repeat the grid search of the competitors")
    parser.add_argument("--json", type=Path, help="write all figures here")
    options = parser.parse_args()
    video = vtest(options.shared, options.truth) if options.truth else None
    if video is None:
        print("vtest.avi is left out: no --truth")
    tuned = tune(video) if options.tune else TUNED
    figures = {"speed_ms": speed(), "quality": quality(video, tuned), "ablation": ablation(video)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


# --- the trackers ----------------------------------------------------------------------------------------------------


def follower(name: str, settings: dict[str, Any]) -> Follower:
    if name == "railwatch":
        return partial(follow_with_railwatch, settings)
    return partial(follow_with_competitor, name, settings)


def follow_with_railwatch(keys: dict[str, Any], clip: Clip) -> Found:
    settings = TrackerSettings(confirm_hits=CONFIRM_FRAMES, lost_s=LOST_S, **keys)
    ours = Tracker(settings, ("person",), {"person": ("person",)})
    result = []
    for detections, t_s in zip(railwatch_input(clip), clip.times.tolist(), strict=True):
        seen = [track for track in ours.update(detections, t_s) if track.state is TrackState.CONFIRMED]
        boxes = np.array([track.xyxy for track in seen]).reshape(-1, 4)
        result.append((np.array([track.track_id for track in seen], np.int64), boxes))
    return result


def railwatch_input(clip: Clip) -> list[Detections]:
    return [
        Detections(boxes.astype(np.float32), scores.astype(np.float32), np.zeros(len(scores), np.int64))
        for boxes, scores in clip.detections
    ]


def competitor(name: str, fps: float, settings: dict[str, Any]) -> ByteTrackTracker | OCSORTTracker:
    """`lost_track_buffer` counts frames of 30 a second and is scaled by `frame_rate` inside `trackers`."""
    keys = {key: value for key, value in settings.items() if key not in {"above", "timestamps"}}
    if "above" in settings:
        keys["track_activation_threshold"] = settings["high_conf_det_threshold"] + settings["above"]
    make = {"ByteTrack": ByteTrackTracker, "OC-SORT": OCSORTTracker}[name]
    return make(lost_track_buffer=int(30 * LOST_S), frame_rate=fps, minimum_consecutive_frames=CONFIRM_FRAMES, **keys)


def follow_with_competitor(name: str, settings: dict[str, Any], clip: Clip) -> Found:
    theirs = competitor(name, clip.fps, settings)
    result = []
    for detections, t_s in zip(competitor_input(clip), clip.times.tolist(), strict=True):
        tracks = theirs.update(detections, timestamp=t_s if settings.get("timestamps") else None)
        named = tracks.tracker_id >= 0 if len(tracks) else np.zeros(0, bool)
        ids = tracks.tracker_id[named] if len(tracks) else np.zeros(0, np.int64)
        result.append((ids, tracks.xyxy[named].reshape(-1, 4)))
    return result


def competitor_input(clip: Clip) -> list[sv.Detections]:
    return [
        sv.Detections(boxes.astype(np.float32), None, scores.astype(np.float32), np.zeros(len(scores), int))
        for boxes, scores in clip.detections
    ]


# --- the clips -------------------------------------------------------------------------------------------------------


def generated(first_seed: int, clips: int) -> dict[str, list[Clip]]:
    """Sets of generated clips by number of people."""
    sets: dict[str, list[Clip]] = {}
    seeds = iter(range(first_seed, first_seed + 1000))
    for people, fps in product((6, 15, 30), (5.0, 10.0)):
        sets.setdefault(f"generated, {people} people", []).extend(
            make_clip(next(seeds), people, fps) for _ in range(clips)
        )
    return sets


def vtest(shared: Path, truth: Path) -> Clip:
    """vtest.avi with its published truth and the detections of the model in ../shared."""
    from railwatch.perception.detector import open_detector
    from railwatch.perception.source import FileSource

    detector = open_detector(shared / "models" / "yolox_nano_416.onnx", confidence=0.1)
    person = detector.class_names.index("person")
    found = []
    with FileSource(shared / "data" / "video" / "vtest.avi", "vtest") as source:
        for frame in source.frames():
            (detections,) = detector.detect([frame.picture.sample(None, detector.form)])
            of_people = detections.class_id == person
            found.append((detections.xyxy[of_people].astype(float), detections.confidence[of_people].astype(float)))
    rows = np.loadtxt(truth, delimiter=",")
    boxes = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
    at = [rows[:, 0] == number for number in range(1, len(found) + 1)]
    return Clip(
        "vtest", 10.0, np.arange(len(found)) / 10, [(rows[here, 1].astype(int), boxes[here]) for here in at], found
    )


def part(clip: Clip, frames: np.ndarray, keep: float, rng: np.random.Generator, fps: float) -> Clip:
    """Some frames of a clip, each box of them kept with probability `keep`."""
    found = []
    for index in frames.tolist():
        boxes, scores = clip.detections[index]
        kept = rng.random(len(scores)) < keep
        found.append((boxes[kept], scores[kept]))
    return Clip(clip.name, fps, clip.times[frames], [clip.truth[index] for index in frames.tolist()], found)


def thinned(clip: Clip, first: int, last: int, seed: int) -> dict[str, list[Clip]]:
    """Sets from frames `first` to `last` (exclusive) of vtest.avi: whole, fewer frames, fewer boxes."""
    rng = np.random.default_rng(seed)
    whole = np.arange(first, last)
    frames = [np.sort(rng.choice(whole, int(0.6 * len(whole)), replace=False)) for _ in range(4)]
    return {
        "vtest, 10 fps": [part(clip, whole, 1.0, rng, 10.0)],
        "vtest, 5 fps": [part(clip, whole[phase::2], 1.0, rng, 5.0) for phase in (0, 1)],
        "vtest, 40 % of frames dropped": [part(clip, some, 1.0, rng, 6.0) for some in frames],
        "vtest, 30 % of boxes dropped": [part(clip, whole, 0.7, rng, 10.0) for _ in range(4)],
        "vtest, 5 fps, 30 % of boxes dropped": [part(clip, whole[n % 2 :: 2], 0.7, rng, 5.0) for n in range(4)],
    }


# --- quality ---------------------------------------------------------------------------------------------------------


def score(clip: Clip, found: Found) -> tuple[float, float]:
    """IDF1 and HOTA of one clip."""
    similarity = [iou(boxes, tracks) for (_, boxes), (_, tracks) in zip(clip.truth, found, strict=True)]
    truth_ids, track_ids = [ids for ids, _ in clip.truth], [ids for ids, _ in found]
    identity = compute_identity_metrics(truth_ids, track_ids, similarity, 0.5)
    return identity["IDF1"], compute_hota_metrics(truth_ids, track_ids, similarity)["HOTA"]


def mean_score(clips: list[Clip], follow: Follower) -> tuple[float, float]:
    idf1, hota = np.mean([score(clip, follow(clip)) for clip in clips], axis=0)
    return float(idf1), float(hota)


def tune(video: Clip | None) -> Tuned:
    """The best of the grid by IDF1 + HOTA, for each competitor and domain, on clips that are not reported."""
    domains = {"generated": [clip for clips in generated(500, 2).values() for clip in clips]}
    if video is not None:
        domains["vtest"] = [clip for clips in thinned(video, 0, SPLIT, seed=1).values() for clip in clips[:2]]
    best = {domain: {name: best_of(name, clips) for name in GRID} for domain, clips in domains.items()}
    print("best of the grid:", json.dumps(best), flush=True)
    return best


def best_of(name: str, clips: list[Clip]) -> dict[str, Any]:
    def worth(settings: dict[str, Any]) -> float:
        return sum(mean_score(clips, follower(name, settings)))

    best = max((dict(zip(GRID[name], values, strict=True)) for values in product(*GRID[name].values())), key=worth)
    if name == "railwatch":
        return best
    return max((best | {"timestamps": given} for given in (False, True)), key=worth)


def quality(video: Clip | None, tuned: Tuned) -> dict[str, dict[str, tuple[float, float]]]:
    sets = generated(1000, 4)
    if video is not None:
        sets |= thinned(video, SPLIT, len(video.times), seed=2)
    ways = [(name, way) for way in ("defaults", "tuned") for name in GRID]
    table: dict[str, dict[str, tuple[float, float]]] = {}
    print(f"\n{'IDF1 / HOTA':<40}" + "".join(f"{f'{name} {way}':>20}" for name, way in ways))
    for label, clips in sets.items():
        best = tuned[label.partition(",")[0]]
        row = {
            f"{name} {way}": mean_score(clips, follower(name, best[name] if way == "tuned" else {}))
            for name, way in ways
        }
        table[label] = row
        print(
            f"{label + f' ({len(clips)})':<40}" + "".join(f"{a:>12.3f} / {b:.3f}" for a, b in row.values()), flush=True
        )
    for way in ("defaults", "tuned"):
        beaten = [label for label, row in table.items() if not leads(row, way)]
        print(f"{way}: railwatch is", f"beaten on {beaten}" if beaten else "best in both figures on every set")
    return table


def leads(row: dict[str, tuple[float, float]], way: str) -> bool:
    """Whether railwatch is no lower than the others in either figure, all with defaults or all tuned."""
    ours = row[f"railwatch {way}"]
    return all(ours[k] >= row[f"{name} {way}"][k] for name in GRID for k in (0, 1))


def ablation(video: Clip | None) -> dict[str, dict[str, tuple[float, float]]]:
    """What each addition to ByteTrack's scheme is worth: IDF1 and HOTA of a domain without it."""
    domains = {"generated": [clip for clips in generated(1000, 4).values() for clip in clips]}
    if video is not None:
        domains["vtest"] = [c for clips in thinned(video, SPLIT, len(video.times), seed=2).values() for c in clips]
    table = {}
    for label, changes in ABLATIONS.items():
        with ExitStack() as stack:
            for name, value in changes.items():
                stack.enter_context(patch.object(tracker, name, value))
            table[label] = {domain: mean_score(clips, follower("railwatch", {})) for domain, clips in domains.items()}
        print(f"{label:<38}" + "".join(f"{name:>12} {a:.3f} / {b:.3f}" for name, (a, b) in table[label].items()))
    return table


# --- speed -----------------------------------------------------------------------------------------------------------


def speed() -> dict[int, dict[str, float]]:
    """Median milliseconds a frame of 100 frames, the best of five interleaved runs."""
    table: dict[int, dict[str, float]] = {}
    for people in (10, 50, 200):
        clip = make_clip(77, people, 10.0, 10.0)
        boxes = np.mean([len(scores) for _, scores in clip.detections])
        best = dict.fromkeys(("railwatch", "ByteTrack", "OC-SORT"), np.inf)
        for _ in range(5):
            best = {name: min(value, one_run(name, clip)) for name, value in best.items()}
        table[people] = {name: float(value) for name, value in best.items()}
        print(
            f"{people} people, {boxes:.0f} boxes a frame:",
            ", ".join(f"{n} {v:.2f} ms" for n, v in best.items()),
            flush=True,
        )
    return table


def one_run(name: str, clip: Clip) -> float:
    if name == "railwatch":
        ours = Tracker(TrackerSettings(), ("person",), {"person": ("person",)})
        frames = list(zip(railwatch_input(clip), clip.times.tolist(), strict=True))
        return timed([lambda d=d, t=t: ours.update(d, t) for d, t in frames])
    theirs = competitor(name, clip.fps, {"high_conf_det_threshold": 0.4})
    return timed([lambda d=d: theirs.update(d) for d in competitor_input(clip)])


def timed(calls: list[Callable[[], object]]) -> float:
    spans = []
    for call in calls:
        start = time.perf_counter()
        call()
        spans.append(time.perf_counter() - start)
    return float(np.median(spans)) * 1e3


if __name__ == "__main__":
    main()
