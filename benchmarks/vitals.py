"""Are faults of the picture noticed in time, and is nothing cried where nothing is wrong?

    python benchmarks/vitals.py bars CLIP...           every fault put into every clip: seconds until it is noticed
    python benchmarks/vitals.py calm CLIP...           the same clips for 30 minutes without a fault: what was cried
    python benchmarks/vitals.py passing CLIP...        trains that fill the picture, before each clip
    python benchmarks/vitals.py cost CLIP...           milliseconds of CPU a frame, beside reading the frames
    python benchmarks/vitals.py seen CLIP...           what the detector still finds in the dark, in noise, blurred

Clips go forwards and backwards for ever, so that the rig makes no jump of its own; only motion turns round. No tracks
are given: nothing excuses a picture. A camera that is not fixed has no place that it could be moved from:
shifts are put into its first picture, held still with a sensor's noise of 2 levels, and that is said.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from benchmarks import vitals_seen
from railwatch.app.sources import open_source
from railwatch.core.alerts import CameraState
from railwatch.core.types import Frame, UInt8Array
from railwatch.perception.picture import YuvPicture
from railwatch.perception.vitals import CameraVitals
from tests.perception import vital_faults as faults

CALM_S: Final = 20.0
LIMIT_S: Final = 20.0
NOISES: Final = 7
MOST_BYTES: Final = 700_000_000

Change = Callable[[UInt8Array, float, int], UInt8Array]
"""The luma of a frame, given the clip's, its time, and its number."""


class Clip(NamedTuple):
    """The frames of a clip, its rate, and fields of noise of their size."""

    name: str
    frames: list[Frame]
    fps: float
    noises: list[faults.Noise]

    def still(self) -> Clip:
        """The first picture, held still."""
        luma = luma_of(self.frames[0]).astype(np.float32)
        held = [np.clip(luma + 2.0 * noise, 0, 255).astype(np.uint8) for noise in self.noises]
        return self._replace(frames=[with_luma(self.frames[0], picture) for picture in held])


def read(path: Path) -> Clip:
    """All frames of a clip, in memory."""
    with open_source(str(path), "cam") as source:
        kept, size = [], 0
        for frame in source.frames():
            kept.append(frame)
            size += frame.picture.size.width * frame.picture.size.height * 3 // 2
            if size > MOST_BYTES:
                break
        rng = np.random.default_rng(0)
        shape = luma_of(kept[0]).shape
        noises = [rng.normal(0, 1, shape).astype(np.float32) for _ in range(NOISES)]
        return Clip(path.stem, kept, source.info.fps or 10.0, noises)


def luma_of(frame: Frame) -> UInt8Array:
    """The luma plane."""
    assert isinstance(frame.picture, YuvPicture)
    return frame.picture.luma


def with_luma(frame: Frame, luma: UInt8Array) -> Frame:
    """The frame with another luma."""
    assert isinstance(frame.picture, YuvPicture)
    return replace(frame, picture=replace(frame.picture, luma=luma))


def looped(clip: Clip, seconds: float) -> Iterator[Frame]:
    """The clip for so long, forwards and backwards."""
    for number, index in enumerate(faults.ping_pong(len(clip.frames))):
        t_s = number / clip.fps
        if t_s > seconds:
            return
        yield replace(clip.frames[index], index=number, t_s=t_s, pts_s=t_s)


def noticed(clip: Clip, change: Change) -> tuple[float | None, str]:
    """Seconds from `CALM_S`, when the fault begins, until it is noticed, and the words; not what was said before."""
    vitals, before = CameraVitals(), set()
    for frame in looped(clip, CALM_S + LIMIT_S):
        luma = change(luma_of(frame), frame.t_s, frame.index)
        state, reason = vitals.observe(with_luma(frame, luma), ())
        said = set() if state is CameraState.NOMINAL else {part.split(":")[0] for part in reason.split("; ")}
        if frame.t_s < CALM_S:
            before = said
        elif said - before:
            return frame.t_s - CALM_S, reason
    return None, f"never; said before: {', '.join(before)}" if before else "never"


def fault_change(clip: Clip, fault: faults.Fault) -> Change:
    """A fault from `CALM_S` on."""
    return lambda luma, t_s, number: fault(luma, clip.noises[number % NOISES]) if t_s >= CALM_S else luma


def frozen_change() -> Change:
    """From `CALM_S` on the picture stays."""
    held: list[UInt8Array] = []

    def change(luma: UInt8Array, t_s: float, _: int) -> UInt8Array:
        if t_s >= CALM_S and not held:
            held.append(luma)
        return held[0] if held else luma

    return change


def moved_change(shift: float, degrees: float) -> Change:
    """From `CALM_S` on the camera looks elsewhere."""
    return lambda luma, t_s, _: faults.view(luma, *((shift, degrees) if t_s >= CALM_S else (0.0, 0.0)))


def all_faults(clip: Clip) -> Iterator[tuple[str, float, Clip, Change]]:
    """Name, bar in seconds, the clip to put it into, and the fault."""
    yield "freeze", 3.0, clip, frozen_change()
    yield "black", 2.0, clip, fault_change(clip, faults.black)
    yield "white", 2.0, clip, fault_change(clip, faults.white)
    for name, cover in faults.COVERS.items():
        yield f"cover: {name}", 2.0, clip, fault_change(clip, cover)
    for share in (0.004, 0.006, 0.01):
        yield f"defocus {100 * share:g} %", 10.0, clip, fault_change(clip, faults.defocus(share))
    held = clip if is_fixed(clip) else clip.still()
    for shift in (0.02, -0.02, 0.05):
        yield f"shift {100 * shift:g} %", 10.0, held, moved_change(shift, 0.0)
    yield "turn 4 degrees", 10.0, held, moved_change(0.0, 4.0)


def is_fixed(clip: Clip) -> bool:
    """Whether the clip stands still by the vitals' own measure, all the time."""
    vitals = CameraVitals()
    reasons = [vitals.observe(frame, ())[1] for frame in looped(clip, CALM_S + LIMIT_S)]
    return vitals.fixed and not any("moved" in reason for reason in reasons)


def bars(paths: list[Path]) -> int:
    """Print seconds until noticed, clip by fault; returns how many were too late."""
    late = 0
    for path in paths:
        clip = read(path)
        print(f"{clip.name} ({'fixed' if is_fixed(clip) else 'not fixed: shifts in its first picture held still'})")
        for name, bar_s, shown, change in all_faults(clip):
            after_s, reason = noticed(shown, change)
            good = after_s is not None and after_s <= bar_s
            late += not good
            told = "never" if after_s is None else f"{after_s:5.2f} s"
            print(f"    {name:16} {told:>8}  {'' if good else 'LATE'}  {reason}", flush=True)
    return late


def calm(paths: list[Path], minutes: float) -> int:
    """Print what was cried without a fault; returns how often on fixed cameras."""
    cried_fixed = 0
    for path in paths:
        clip = read(path)
        vitals, cried, last, bad_s = CameraVitals(), [], CameraState.NOMINAL, 0.0
        for frame in looped(clip, 60.0 * minutes):
            state, reason = vitals.observe(frame, ())
            if state is not CameraState.NOMINAL:
                bad_s += 1.0 / clip.fps
                if last is CameraState.NOMINAL:
                    cried.append(f"{frame.t_s:.1f} s: {state.value}: {reason}")
            last = state
        fixed = is_fixed(clip)
        cried_fixed += len(cried) if fixed else 0
        kind = "fixed" if fixed else "not fixed"
        print(f"{clip.name:36} {kind:10} {minutes:g} min, {len(cried)} cried, {bad_s:.0f} s", flush=True)
        for line in cried[:4]:
            print(f"    {line}", flush=True)
    return cried_fixed


def cost(paths: list[Path]) -> int:
    """Print milliseconds of CPU a frame, vitals beside decoding, median of five."""
    for path in paths:
        clip = read(path)
        spent = []
        for _ in range(5):
            frames, vitals = list(looped(clip, 20.0)), CameraVitals()
            begun = time.process_time()
            for frame in frames:
                vitals.observe(frame, ())
            spent.append(1000.0 * (time.process_time() - begun) / len(frames))
        begun = time.process_time()
        with open_source(str(path), "cam") as source:
            count = sum(1 for _ in source.frames())
        decode = 1000.0 * (time.process_time() - begun) / count
        size, median = clip.frames[0].picture.size, statistics.median(spent)
        kind = f"{size.width}x{size.height} {clip.fps:5.1f} fps"
        print(f"{clip.name:36} {kind}: vitals {median:.2f} ms, decoding {decode:.2f} ms", flush=True)
    return 0


def passing(paths: list[Path]) -> int:
    """Print what is cried of covers and shifts while trains fill the picture; returns how often."""
    cried = 0
    for path in paths:
        clip = read(path)
        for share in (0.7, 0.9, 1.0):
            for stop_s in (3.0, 60.0):
                vitals, said = CameraVitals(), set()
                for frame in looped(clip, CALM_S + 40.0):
                    t_s, luma = frame.t_s - CALM_S, luma_of(frame)
                    if 0.0 <= t_s < 30.0:
                        luma = faults.wagons(luma, min(t_s, stop_s), clip.noises[frame.index % NOISES], share)
                    state, reason = vitals.observe(with_luma(frame, luma), ())
                    if state is not CameraState.NOMINAL:
                        said.add(f"{state.value}: {reason}")
                cried += bool(said)
                way = "stops and stands" if stop_s < 30.0 else "passes"
                told = "; ".join(sorted(said)) or "nothing"
                print(
                    f"{clip.name:20} a train, not detected, fills {share:.0%} of the height, {way}: {told}", flush=True
                )
    return cried


def seen(paths: list[Path]) -> int:
    """Print what the detector finds as pictures become worse."""
    detector = vitals_seen.default_detector()
    results = []
    for path in paths:
        clip = read(path)
        results.append(vitals_seen.seen(clip.name, clip.frames, clip.noises, detector))
    vitals_seen.totals(results)
    return 0


def main() -> int:
    """Run one part; exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("bars", "calm", "passing", "cost", "seen"))
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.part == "calm":
        missed = calm(options.clips, options.minutes)
    else:
        missed = {"bars": bars, "passing": passing, "cost": cost, "seen": seen}[options.part](options.clips)
    print(f"{missed} missed" if missed else "all held")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
