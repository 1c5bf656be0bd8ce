"""Is railwatch-nano better on rails than the network it was trained from? Every bar in one run, side by side.

    PYTHONPATH=. python benchmarks/detector_against_start.py [--model FILE] [--start FILE] [--shared ../shared]
        [--no-speed | --speed-only]

On pictures that neither training nor the choice of the checkpoint has seen: `test` of the split by source in
models/recipes/railwatch_nano/sources.py, the level crossing, the clips of animals, and the rendered clips of scenes/.
Both models go through railwatch's own sampling, session and head. Speed is the bare `session.run` on one picture of
noise, the sessions in turns of three, by the clock and in processor time. Exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import onnxruntime

from models.recipes.railwatch_nano import evaluate, sources
from models.recipes.railwatch_nano.evaluate import Found, average_precision, found_in, mean_precision, people, recall
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.manifest import default_model

ROOT = Path(__file__).resolve().parents[1]
ANIMALS = ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe")
ANIMAL_CLIPS = {
    "elephants_crossing_track_anurag.mp4": "elephant",
    "elephant_walking_keerthi.mp4": "elephant",
    "elephants_forest_selvendran.mp4": "elephant",
    "cows_field_sanskar.mp4": "cow",
    "cattle_herd_and_people_road.mp4": "cow",
    "dog_closeup_sanskar.mp4": "dog",
}
EVERY = 5
SMALL_PX = (20.0, 40.0)
MOST_BYTES = 5_000_000
ROUNDS, RUNS = 60, 3
RAILS = ("rail", "rs", "tram")


class Line(NamedTuple):
    """A measured figure of the start and of ours, and whether its bar is held; None: no bar."""

    text: str
    start: str
    ours: str
    held: bool | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--start", type=Path, default=None)
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--speed-only", action="store_true", help="size and speed; the test pictures stay closed")
    options = parser.parse_args()
    start, ours = options.start or options.shared / "models" / "yolox_nano_416.onnx", options.model or default_model()
    lines = [] if options.speed_only else found_lines(start, ours, options.shared / "data")
    lines += size_and_speed(start, ours, measure=not options.no_speed)
    print(f"{'':64} {'start':>9} {'ours':>9}")
    for line in lines:
        verdict = {None: "", True: "held", False: "MISSED"}[line.held]
        print(f"{line.text:64} {line.start:>9} {line.ours:>9}  {verdict}".rstrip())
    return int(any(line.held is False for line in lines))


def found_lines(start: Path, ours: Path, data: Path) -> list[Line]:
    """All that is measured on pictures."""
    detectors = [open_detector(path, confidence=evaluate.LEAST_SCORE) for path in (start, ours)]
    lines = [*still_lines(detectors, data), *trainless_lines(detectors, data), *scene_lines(detectors)]
    return [*lines, *animal_lines(detectors, data / "video")]


def still_lines(detectors: list[OnnxDetector], data: Path) -> Iterator[Line]:
    """AP50 of people and recall of small ones on the held-back pictures."""
    groups = evaluate.side_examples(data, None, "test")
    founds = {
        source: [[found_in(detector, example.picture()) for example in examples] for detector in detectors]
        for source, examples in groups.items()
    }
    pairs = {source: [people(groups[source], found) for found in founds[source]] for source in groups}
    yield Line("Person AP50", "", "")
    for source, examples in groups.items():
        ap = [average_precision(each) for each in pairs[source]]
        held = ap[1] >= ap[0] - 0.02 if source == "coco" else None
        yield figures(f"  {NAMES[source]}, {len(examples)} pictures", ap, held)
    joint = [[pair for source in RAILS for pair in pairs[source][side]] for side in (0, 1)]
    ap = [average_precision(each) for each in joint]
    count = sum(len(groups[source]) for source in RAILS)
    yield figures(f"  tram and rail together, {count} pictures: bar + 0.10", ap, ap[1] >= ap[0] + 0.10)
    mean = [mean_precision(groups["coco"], found) for found in founds["coco"]]
    yield figures("  mean AP50 of our 15 classes on COCO", mean)
    yield Line("Recall of people at a score of 0.3", "", "")
    yield recall_line(f"  {SMALL_PX[0]:.0f} to {SMALL_PX[1]:.0f} px of the picture, tram and rail", joint, 1.0, 1.3)
    shrink = [start_scale(example) for source in RAILS for example in groups[source]]
    scaled = [[(scale(f, k), truth * k) for (f, truth), k in zip(each, shrink, strict=True)] for each in joint]
    yield recall_line(
        f"  {SMALL_PX[0]:.0f} to {SMALL_PX[1]:.0f} px of the start's input, tram and rail", scaled, 1.0, 1.3
    )
    yield recall_line("  40 to 80 px of the picture, tram and rail", joint, 2.0, None)
    yield recall_line("  20 to 40 px of the picture, COCO", pairs["coco"], 1.0, None)


NAMES = {
    "rail": "rail_person_track without RailSem19",
    "rs": "RailSem19 frames of rail_person_track",
    "tram": "tram_front_camera, its last stretch",
    "coco": "COCO, every second of 128: bar - 0.02",
}


def start_scale(example: sources.Example) -> float:
    """By how much the start's 416 x 416 input shrinks a picture."""
    height, width = example.picture().shape[:2]
    return 416 / max(height, width)


def scale(found: Found, factor: float) -> Found:
    """The same boxes in a picture of another size."""
    return Found(found.xyxy * factor, found.score, found.names)


def recall_line(text: str, both: list, times: float, bar: float | None) -> Line:
    """Recall of the people of a height, `times` the smallest bounds."""
    counts = [recall(each, (SMALL_PX[0] * times, SMALL_PX[1] * times)) for each in both]
    shares = [hit / max(total, 1) for hit, total in counts]
    said = f"{text} ({counts[0][1]}){f': bar x {bar}' if bar else ''}"
    return figures(said, shares, None if bar is None else shares[1] >= bar * shares[0])


def trainless_lines(detectors: list[OnnxDetector], data: Path) -> Iterator[Line]:
    """On how many pictures without a train one is claimed."""
    yield Line(f"Trainless pictures with a 'train' of at least {evaluate.SEEN_FROM}", "", "")
    total, counts = 0, [0, 0]
    for name, pictures in (
        ("rail_person_track, empty and with people", lambda: trainless_rail(data)),
        ("tram_front_camera, its last stretch", lambda: trainless_tram(data)),
        ("level crossing", lambda: trainless_crossing(data)),
        ("rendered clips", trainless_scenes),
    ):
        said, number = claims(detectors, pictures, "train")
        yield Line(f"  {name}, {number}", *map(str, said))
        total, counts = total + number, [a + b for a, b in zip(counts, said, strict=True)]
    yield Line(f"  together, {total}: bar half", *map(str, counts), held=counts[1] <= counts[0] / 2)


def claims(
    detectors: list[OnnxDetector], pictures: Callable[[], Iterator[np.ndarray]], *names: str
) -> tuple[list[int], int]:
    """In how many pictures each detector finds one of the classes, and how many pictures there are."""
    counts, number = [0] * len(detectors), 0
    for picture in pictures():
        number += 1
        for index, detector in enumerate(detectors):
            found = found_in(detector, picture).of(*names, least=evaluate.SEEN_FROM)
            counts[index] += bool(len(found.score))
    return counts, number


def trainless_rail(data: Path) -> Iterator[np.ndarray]:
    return (e.picture() for e in sources.rail(data, "test") if sources.TRAIN in e.complete)


def trainless_tram(data: Path) -> Iterator[np.ndarray]:
    return (e.picture() for e in sources.tram(data, "test") if sources.TRAIN not in e.classes)


def trainless_crossing(data: Path) -> Iterator[np.ndarray]:
    folder = data / "rail_images" / "level_crossing_wellborn"
    with (folder / "events.csv").open(encoding="utf-8") as rows:
        names = [row["file"] for row in csv.DictReader(rows) if row["train"] == "0"]
    return (cv2.imread(str(path)) for name in names if (path := folder / "frames" / name).exists())


def trainless_scenes() -> Iterator[np.ndarray]:
    for path, truth in scene_clips():
        for index, picture in frames(path):
            if not any(thing["class_name"] == "train" for thing in truth["frames"][index]["objects"]):
                yield picture


def scene_clips() -> Iterator[tuple[Path, dict]]:
    for path in sorted((ROOT / "scenes" / "clips").glob("*.mp4")):
        yield path, json.loads(path.with_suffix(".truth.json").read_text(encoding="utf-8"))


def frames(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """Every fifth frame of a clip with its index."""
    video = cv2.VideoCapture(str(path))
    index = 0
    while video.grab():
        if index % EVERY == 0:
            yield index, video.retrieve()[1]
        index += 1


def scene_lines(detectors: list[OnnxDetector]) -> Iterator[Line]:
    """People of the rendered clips that are found."""
    yield Line(f"People of the rendered clips found at {evaluate.SEEN_FROM}, every fifth frame", "", "")
    everything: list[list] = [[], []]
    for path, truth in scene_clips():
        both: list[list] = [[], []]
        for index, picture in frames(path):
            things = truth["frames"][index]["objects"]
            seen = [t["visible_xyxy_px"] for t in things if t["class_name"] == "person" and t["visible_px"] >= 30]
            for side, detector in enumerate(detectors):
                both[side].append((found_in(detector, picture).of("person"), np.array(seen, np.float32).reshape(-1, 4)))
        if sum(len(pair[1]) for pair in both[0]):
            yield recall_line(f"  {path.stem}", both, 1.0, None)._replace(
                **dict(zip(("start", "ours"), [found_share(each) for each in both], strict=True)), text=f"  {path.stem}"
            )
        for side in (0, 1):
            everything[side] += both[side]
    yield recall_line("  all clips, 20 to 40 px", everything, 1.0, None)


def found_share(pairs: list) -> str:
    hit, total = recall(pairs, (0.0, 1e9))
    return f"{hit}/{total}"


def animal_lines(detectors: list[OnnxDetector], folder: Path) -> Iterator[Line]:
    """In how many frames the animal of a clip is found, as what it is or at least as an animal."""
    yield Line(f"Frames with the animal found at {evaluate.SEEN_FROM}, every fifth frame", "", "")
    for name, kind in ANIMAL_CLIPS.items():
        exact, number = claims(detectors, lambda n=name: (p for _, p in frames(folder / n)), kind)
        any_, _ = claims(detectors, lambda n=name: (p for _, p in frames(folder / n)), *ANIMALS)
        held = exact[1] >= exact[0] or any_[1] >= any_[0]
        yield Line(f"  {name}, {number}: as {kind}", *map(str, exact))
        yield Line("    as any animal", *map(str, any_), held=held)


def size_and_speed(start: Path, ours: Path, *, measure: bool) -> Iterator[Line]:
    sizes = [path.stat().st_size for path in (start, ours)]
    yield Line(f"Bytes of the file: bar {MOST_BYTES}", *map(str, sizes), held=sizes[1] < MOST_BYTES)
    if measure:
        for threads, said in ((0, "threads as ONNX Runtime chooses"), (1, "one thread")):
            clock, work = run_times([start, ours], threads)
            yield Line(f"Bare session.run, median of {ROUNDS * RUNS}, {said}", "", "")
            held = clock[1] <= 1.10 * clock[0]
            yield Line("  ms by the clock: bar x 1.10", *(f"{value:.2f}" for value in clock), held=held)
            yield Line("    ratio", "", f"{clock[1] / clock[0]:.3f}")
            yield Line("  ms of processor time", *(f"{value:.2f}" for value in work))
            yield Line("    ratio", "", f"{work[1] / work[0]:.3f}")


def run_times(paths: list[Path], threads: int) -> tuple[list[float], list[float]]:
    """Median milliseconds of `session.run` by the clock and of processor time.

    The sessions take turns of a few runs, and each begins every second round: what else the machine does strikes both.
    """
    calls = [bare_run(path, threads) for path in paths]
    clock: list[list[float]] = [[] for _ in calls]
    work: list[list[float]] = [[] for _ in calls]
    for call in calls:
        for _ in range(10):
            call()
    order = list(range(len(calls)))
    for _ in range(ROUNDS):
        for index in order:
            for _ in range(RUNS):
                begun, worked = time.perf_counter(), time.process_time()
                calls[index]()
                clock[index].append(time.perf_counter() - begun)
                work[index].append(time.process_time() - worked)
        order.reverse()
    return [statistics.median(kept) * 1e3 for kept in clock], [statistics.median(kept) * 1e3 for kept in work]


def bare_run(path: Path, threads: int) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    shape = [side if isinstance(side, int) else 1 for side in port.shape]
    noise = (np.random.default_rng(0).random(shape) * 255).astype(np.float32)
    return lambda: session.run(None, {port.name: noise})


def figures(text: str, values: list[float], held: bool | None = None) -> Line:
    return Line(text, *(f"{value:.3f}" for value in values), held=held)


if __name__ == "__main__":
    sys.exit(main())
