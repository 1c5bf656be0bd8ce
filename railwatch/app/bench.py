"""The cost of the whole way beside the bare model, measured side by side in one run."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from railwatch.app.decider import Decider, status_body
from railwatch.app.sources import open_source
from railwatch.app.watch_site import CAMERA_ID, WatchOptions, site_for
from railwatch.core.alerts import Epoch
from railwatch.core.errors import SourceError
from railwatch.core.provider import Provider
from railwatch.core.settings import ModelSettings, SiteSettings
from railwatch.core.types import Sample
from railwatch.decision.status import status_of
from railwatch.decision.step import start
from railwatch.messaging.publisher import Publisher
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.pipeline import CameraPipeline, Prepared, read_ahead
from railwatch.perception.session import Session, open_session
from railwatch.perception.source import utc_now
from railwatch.perception.tracker import Tracker

ROUNDS: Final = 5
"""Passes over the clip; every figure is the median of their figures."""

CHUNK: Final = 25
"""Frames after which the whole way and the bare model take turns: a machine that slows down slows both."""

STAGES: Final = ("read", "sample", "detect", "track", "decide")


@dataclass(slots=True)
class Tally:
    """Seconds spent over one pass; `ratios` has one figure for each turn, `chunk_s` is the last turn's."""

    frames: int = 0
    chunk_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    floor_wall_s: float = 0.0
    floor_cpu_s: float = 0.0
    stages_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    ratios: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Medians over the passes. Milliseconds are per frame; `stages_ms` of reading and sampling run beside the model."""

    model_sha256: str
    video: str
    machine: str
    rounds: int
    frames: int
    threads: int
    provider: str
    ms_per_frame: float
    floor_ms_per_frame: float
    ratio_to_floor: float
    ratio_spread: tuple[float, float]
    cpu_ms_beyond_inference: float
    stages_ms: dict[str, float]


def bench(
    video: Path,
    model: str | Path | None,
    zones: tuple[str, ...],
    frames: int,
    rounds: int = ROUNDS,
    *,
    provider: Provider | None = None,
) -> BenchReport:
    """Measure up to `frames` frames of `video`, `rounds` times.

    The whole way is decoding, sampling, detecting, tracking, deciding and publishing. The floor is `session.run` of
    a session of its own with the same model, number of threads and input tensors, and nothing else.
    Raises what watching raises.
    """
    options = WatchOptions(str(video), model=model, zones=zones, bind="tcp://127.0.0.1:0", provider=provider)
    site, _ = site_for(options)
    settings = site.model
    detector = open_detector(
        Path(settings.file), confidence=settings.confidence, provider=settings.provider, threads=settings.threads
    )
    site = replace(site, model=replace(site.model, sha256=detector.model_sha256))
    floor = open_session(Path(settings.file).read_bytes(), settings.provider, settings.threads)
    tallies = [_pass(site, video, detector, floor, number, frames) for number in range(1, rounds + 2)]
    if not tallies[0].frames:
        raise SourceError(f"{video} must have frames to measure, but has none")
    return _report(tallies[1:], detector, video, settings)  # the first pass only warms up


def _pass(site: SiteSettings, video: Path, detector: OnnxDetector, floor: Session, number: int, frames: int) -> Tally:
    """One pass over the clip with everything opened anew; opening is not measured."""
    state = start(site, Epoch("bench", number), detector.model_sha256, 0.0)
    tally = Tally()
    with (
        open_source(str(video), CAMERA_ID) as source,
        Publisher(
            site_id=site.site_id, epoch=state.head.epoch, body=status_body(status_of(state)), bind=site.messaging.bind
        ) as publisher,
    ):
        pipeline = CameraPipeline(
            CAMERA_ID, Tracker(site.tracker, detector.class_names, site.groups), site.zones, number
        )
        decider = Decider(
            state,
            utc_now,
            lambda alert, _: publisher.publish(alert),
            lambda status: publisher.set_status(status_body(status)),
        )
        ready = islice(read_ahead(source, detector.form), frames)
        while samples := _whole_way(ready, detector, pipeline, decider, tally):
            tensors = [detector.network_input(sample) for sample in samples]
            tally.ratios.append(tally.chunk_s / _bare_model(tensors, detector, floor, tally))
    return tally


def _whole_way(
    ready: Iterator[Prepared], detector: OnnxDetector, pipeline: CameraPipeline, decider: Decider, tally: Tally
) -> list[Sample]:
    """One chunk of frames through everything; returns their samples."""
    samples = []
    cpu, begun = time.process_time(), time.perf_counter()
    for item in islice(ready, CHUNK):
        at = time.perf_counter()
        (found,) = detector.detect([item.sample])
        detected = time.perf_counter()
        seen = pipeline.observe(item.frame, found)
        tracked = time.perf_counter()
        decider.feed_on_source_time(seen)
        decided = time.perf_counter()
        for stage, seconds in zip(
            STAGES, (item.read_s, item.sample_s, detected - at, tracked - detected, decided - tracked), strict=True
        ):
            tally.stages_s[stage] += seconds
        samples.append(item.sample)
    tally.chunk_s = time.perf_counter() - begun
    tally.wall_s += tally.chunk_s
    tally.cpu_s += time.process_time() - cpu
    tally.frames += len(samples)
    return samples


def _bare_model(tensors: list[npt.NDArray[np.floating]], detector: OnnxDetector, floor: Session, tally: Tally) -> float:
    """The same chunk through the bare model; returns its seconds."""
    description = detector.description
    cpu, begun = time.process_time(), time.perf_counter()
    for tensor in tensors:
        floor.run([description.output_name], {description.input_name: tensor})
    taken_s = time.perf_counter() - begun
    tally.floor_wall_s += taken_s
    tally.floor_cpu_s += time.process_time() - cpu
    return taken_s


def _report(tallies: list[Tally], detector: OnnxDetector, video: Path, settings: ModelSettings) -> BenchReport:
    # The median over the turns of a pass: a turn in which the machine was held up elsewhere does not count.
    ratios = [statistics.median(tally.ratios) for tally in tallies]

    def median_ms(seconds: list[float]) -> float:
        return 1000.0 * statistics.median(s / tally.frames for s, tally in zip(seconds, tallies, strict=True))

    return BenchReport(
        model_sha256=detector.model_sha256,
        video=video.name,
        machine=f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        rounds=len(tallies),
        frames=tallies[0].frames,
        threads=settings.threads,
        provider=settings.provider.value,
        ms_per_frame=median_ms([tally.wall_s for tally in tallies]),
        floor_ms_per_frame=median_ms([tally.floor_wall_s for tally in tallies]),
        ratio_to_floor=statistics.median(ratios),
        ratio_spread=(min(ratios), max(ratios)),
        cpu_ms_beyond_inference=median_ms([tally.cpu_s - tally.floor_cpu_s for tally in tallies]),
        stages_ms={stage: median_ms([tally.stages_s[stage] for tally in tallies]) for stage in STAGES},
    )
