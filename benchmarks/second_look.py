"""What a second look changes on recordings: nothing is missing, later or lower; what is raised, and what it costs.

    python benchmarks/second_look.py CLASSIFIER.onnx CLIP... [--model NAME] [--herd Mammalia] [--least 0.7] [--every 2]
        [--rounds 3] [--faults]

Each clip is detected and tracked once, its whole frame one track zone. Then a process of the second look is shown the
animals of every frame, as `railwatch watch` does, and the same Observations are decided without and with its answers.
With `--faults` that is done three times: with a process that is left alone, and with one that is killed (SIGKILL) or
stopped (SIGSTOP) after a third of the clip. At last the frames go through detector and tracker with and without a
second look beside them, in turns, `--rounds` times: what the frame's own way takes more. Wants an idle machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from railwatch.app.decider import Decider
from railwatch.app.second_look import SecondLook
from railwatch.app.second_look_check import second_look_faults
from railwatch.app.sources import open_source
from railwatch.app.watch_site import CAMERA_ID, WatchOptions, site_for
from railwatch.core.alerts import Alert, AlertKind, Epoch, Severity
from railwatch.core.model_names import model_path
from railwatch.core.second_look import ANIMAL, FAULT, Annotation, SecondLookSettings
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation
from railwatch.decision.inputs import Input, SystemFault
from railwatch.decision.step import start
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.manifest import default_model
from railwatch.perception.pipeline import CameraPipeline, run_file
from railwatch.perception.tracker import Tracker

FAULTS = {"sound": None, "killed": signal.SIGKILL, "stopped": signal.SIGSTOP}
WAIT_S = 60.0


class Looked(NamedTuple):
    """What came of looking again: the inputs after each frame, seconds of cutting out in each, and what was wrong."""

    later: list[list[Input]]
    cutting_s: list[float]
    troubles: list[str]


class Compared(NamedTuple):
    """Alerts that are without the second look and not, later or lower with it; and those that it raised."""

    missing: int
    delayed: int
    lower: int
    raised: list[str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--model", default=default_model().stem)
    parser.add_argument("--herd", nargs="+", default=["Mammalia"])
    parser.add_argument("--least", type=float, default=None)
    parser.add_argument("--every", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--faults", action="store_true")
    options = parser.parse_args()
    settings = SecondLookSettings(str(options.classifier), None, options.least, tuple(options.herd), options.every)
    if faults := second_look_faults(settings):
        raise SystemExit("; ".join(fault.text for fault in faults))
    detector = open_detector(model_path(options.model), confidence=0.1)
    print(f"{options.classifier.name}, {options.model}; {platform.machine()}, Python {platform.python_version()}")
    totals: Counter[str] = Counter()
    for clip in options.clips:
        totals += one_clip(clip, detector, settings, options)
    print(", ".join(f"{name} {totals[name]}" for name in ("missing", "later", "lower", "raised")))


def one_clip(
    clip: Path, detector: OnnxDetector, settings: SecondLookSettings, options: argparse.Namespace
) -> Counter[str]:
    """Print everything of one clip; how many alerts are missing, later, lower, raised."""
    site, _ = site_for(WatchOptions(str(clip), model=options.model))
    observations = [seen for _, seen in run_file(open_source(str(clip), CAMERA_ID), detector, pipeline(site, detector))]
    animals = sum(any(track.group == ANIMAL for track in seen.tracks) for seen in observations)
    print(f"\n{clip.name}: {len(observations)} frames, {animals} with animals")
    found: Counter[str] = Counter()
    without, plain_s = decided(site, observations, [[] for _ in observations])
    for name in FAULTS if options.faults else ("sound",):
        looked = look_again(clip, observations, settings, FAULTS[name])
        with_it, keen_s = decided(replace(site, second_look=settings), observations, looked.later)
        compared = compare(without, with_it)
        tell(name, looked, compared, without, with_it)
        found += Counter(
            missing=compared.missing, later=compared.delayed, lower=compared.lower, raised=len(compared.raised)
        )
    print(f"  decision of a frame, median ms: {1e3 * plain_s:.3f} without, {1e3 * keen_s:.3f} with")
    if options.rounds:
        plain_ms, beside_ms = beside(clip, site, detector, settings, options.rounds)
        print(f"  detector and tracker of a frame, median ms: {plain_ms:.2f} without, {beside_ms:.2f} with it beside")
    return found


def pipeline(site: SiteSettings, detector: OnnxDetector) -> CameraPipeline:
    return CameraPipeline(CAMERA_ID, Tracker(site.tracker, detector.class_names, site.groups), site.zones)


def look_again(
    clip: Path, observations: list[Observation], settings: SecondLookSettings, fault: signal.Signals | None
) -> Looked:
    """Show the animals of every frame to a process, and wait for the answers; `fault` befalls it after a third."""
    later, cutting_s, troubles = [], [], []
    second = SecondLook(settings, lambda: None)
    try:
        second.settle(WAIT_S)
        for number, (frame, seen) in enumerate(
            zip(open_source(str(clip), CAMERA_ID).frames(), observations, strict=True)
        ):
            if fault is not None and number == len(observations) // 3 and second.pid is not None:
                os.kill(second.pid, fault)
            begun = time.perf_counter()
            second.look(frame, seen)
            cutting_s.append(time.perf_counter() - begun)
            second.settle(WAIT_S)
            inputs: list[Input] = list(second.take())
            if second.trouble is not None and second.trouble not in troubles[-1:]:
                troubles.append(second.trouble)
                inputs.append(SystemFault(f"{FAULT}-watch", second.trouble))
            later.append(inputs)
    finally:
        second.close()
    return Looked(later, cutting_s, troubles)


def decided(
    site: SiteSettings, observations: list[Observation], later: list[list[Input]]
) -> tuple[list[tuple[float, Alert]], float]:
    """All alerts with their time, and the median seconds of the decision of a frame."""
    alerts: list[tuple[float, Alert]] = []
    state = start(site, Epoch("benchmark", 1), "f" * 64, 0.0)
    decider = Decider(state, lambda: "", lambda alert, at_s: alerts.append((at_s, alert)), lambda _: None)
    times = []
    for seen, inputs in zip(observations, later, strict=True):
        begun = time.perf_counter()
        decider.feed_on_source_time(seen)
        times.append(time.perf_counter() - begun)
        for value in inputs:
            decider.feed(value, seen.t_s)
    return alerts, statistics.median(times)


def compare(without: list[tuple[float, Alert]], with_it: list[tuple[float, Alert]]) -> Compared:
    """Hold the alerts against each other: each without the second look has its like with it, then or before."""
    missing = delayed = lower = 0
    for at_s, alert in without:
        like = [
            (s, a)
            for s, a in with_it
            if (a.kind, a.section_id, a.action) == (alert.kind, alert.section_id, alert.action)
        ]
        then = [a for s, a in with_it if s == at_s and (a.kind, a.section_id) == (alert.kind, alert.section_id)]
        if not then:
            delayed += any(s > at_s for s, _ in like)
            missing += not any(s > at_s for s, _ in like)
        elif max(a.severity for a in then) < alert.severity:
            lower += 1
    raised = [
        f"{at_s:.2f} s {alert.action.value} {alert.severity.value}: {alert.why}"
        for at_s, alert in with_it
        if alert.kind is AlertKind.INTRUSION and alert.severity > severity_at(without, at_s)
    ]
    return Compared(missing, delayed, lower, raised)


def severity_at(alerts: list[tuple[float, Alert]], at_s: float) -> Severity:
    """The severity of the intrusion that is open at a time."""
    told = [alert for s, alert in alerts if s <= at_s and alert.kind is AlertKind.INTRUSION]
    return told[-1].severity if told else Severity.NOTICE


def tell(name: str, looked: Looked, compared: Compared, without: list, with_it: list) -> None:
    answers = [value for inputs in looked.later for value in inputs if isinstance(value, Annotation)]
    taxa = Counter(answer.taxon or "abstained" for answer in answers)
    cutting = sorted(s for s in looked.cutting_s if s > 1e-4)
    told = ", ".join(f"{taxon} {count}" for taxon, count in taxa.most_common())
    print(f"  {name}: {len(answers)} answers ({told or 'none'}); alerts {len(without)} without, {len(with_it)} with")
    counts = f"missing {compared.missing}, later {compared.delayed}, lower {compared.lower}"
    print(f"    {counts}, raised {len(compared.raised)}")
    for line in compared.raised:
        print(f"      raised: {line}")
    for line in looked.troubles:
        print(f"      out: {line}")
    if cutting:
        median, longest = 1e3 * statistics.median(cutting), 1e3 * cutting[-1]
        print(f"    cutting out, {len(cutting)} frames: median {median:.2f} ms, longest {longest:.2f} ms")


def beside(
    clip: Path, site: SiteSettings, detector: OnnxDetector, settings: SecondLookSettings, rounds: int
) -> tuple[float, float]:
    """Milliseconds of a frame in detector and tracker, without and with a second look that works beside it."""
    times: dict[bool, list[float]] = {False: [], True: []}
    second = SecondLook(settings, lambda: None)
    try:
        second.settle(WAIT_S)
        for number in range(2 * rounds):
            busy = number % 2 == 1
            measured = run_file(
                open_source(str(clip), CAMERA_ID), detector, pipeline(site, detector),
                lambda took, busy=busy: times[busy].append(took.detect_s + took.track_s),
            )  # fmt: skip
            for frame, seen in measured:
                if busy:
                    second.look(frame, seen)
            second.settle(WAIT_S)
    finally:
        second.close()
    return 1e3 * statistics.median(times[False]), 1e3 * statistics.median(times[True])


if __name__ == "__main__":
    main()
