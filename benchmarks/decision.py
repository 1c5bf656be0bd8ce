"""How long the decision of a frame takes: 16 cameras with 50 tracks each, on one core.

    python benchmarks/decision.py [--cameras 16] [--tracks 50] [--seconds 3] [--rounds 5] [--profile]

Every camera has a ground plane, a track, an approach and a platform edge, and sees people who stand, walk along the
track, cross and wait beside it, animals, and a train in motion; a source tells of trains. Each frame of each camera is
one `step`, and so is each tick. The table has the time of one `step`, and of one frame of all cameras: the 16 steps
after one another. Median and 95th percentile over all frames, least of the rounds. Wants an idle machine.
"""

from __future__ import annotations

import argparse
import cProfile
import platform
import pstats
import statistics
import time

from railwatch.core.alerts import CameraState, Epoch, Severity
from railwatch.core.geometry import Point
from railwatch.core.ground import Lens, plane_of_horizon
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.settings import CameraSettings, ModelSettings, SiteSettings
from railwatch.core.types import Box, Observation, Size, Track, TrackState, TrainReport, Vitals, Zone, ZoneKind
from railwatch.decision.inputs import Stamped, Tick
from railwatch.decision.step import start, step

SIZE = Size(1920, 1080)
FPS = 10
BANDS = ((ZoneKind.TRACK, 0.30, 0.62), (ZoneKind.APPROACH, 0.05, 0.30), (ZoneKind.PLATFORM_EDGE, 0.62, 0.70))
FEED = TrainSourceSettings("feed", authoritative=True, max_age_s=3600.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--tracks", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    frames = history(options.cameras, options.tracks, options.seconds)
    if options.profile:
        profile(options.cameras, frames)
        return
    rounds = [measured(options.cameras, frames) for _ in range(options.rounds)]
    steps = [min(values) for values in zip(*(r[0] for r in rounds), strict=True)]
    wholes = [min(values) for values in zip(*(r[1] for r in rounds), strict=True)]
    print(
        f"{options.cameras} cameras x {options.tracks} tracks, {len(wholes)} frames of each, {options.rounds} rounds;"
    )
    print(f"{platform.machine()}, Python {platform.python_version()}, one thread; milliseconds")
    for name, values in (("one step of one camera", steps), ("one frame of all cameras", wholes)):
        tail = statistics.quantiles(values, n=20)[-1]
        print(f"{name:26} median {statistics.median(values) * 1e3:7.3f}   p95 {tail * 1e3:7.3f}")


def measured(cameras: int, frames: list[list[Stamped]]) -> tuple[list[float], list[float]]:
    """Seconds of every `step`, and of every frame of all cameras."""
    state = begun(cameras)
    steps, wholes = [], []
    for inputs in frames:
        whole = 0.0
        for stamped in inputs:
            before = time.perf_counter()
            state, _ = step(state, stamped)
            took = time.perf_counter() - before
            steps.append(took)
            whole += took
        wholes.append(whole)
    assert state.incidents, "nothing was raised: the scene is wrong"
    return steps, wholes


def begun(cameras: int):  # noqa: ANN201 - a DecisionState
    """The state before the first frame, with what a source tells of trains."""
    state = start(site(cameras), Epoch("bench", 1), "f" * 64, 0.0)
    for number in range(cameras):
        report = TrainReport(f"t{number}", "up", 90.0, None, 25.0, "feed", 1, 0.0, authoritative=True)
        state, _ = step(state, Stamped(0.0, "", report))
    return state


def site(cameras: int) -> SiteSettings:
    plane = plane_of_horizon(0.3, 0.3, 5.0, Lens(60.0, 16 / 9))
    names = [f"c{number}" for number in range(cameras)]
    return SiteSettings(
        site_id="bench",
        severity_without_trains=Severity.WARNING,
        cameras=tuple(CameraSettings(name, "x.mp4", ground=plane) for name in names),
        sections=tuple(f"s{number}" for number in range(cameras)),
        zones=tuple(
            Zone(f"{name}-{kind.value}", name, f"s{number}", f"t{number}", kind, band(left, right))
            for number, name in enumerate(names)
            for kind, left, right in BANDS
        ),
        model=ModelSettings("model.onnx", sha256="0" * 64),
        train_sources=(FEED,),
    )


def band(left: float, right: float) -> tuple[Point, ...]:
    return Point(left, 0.42), Point(right, 0.42), Point(right, 0.99), Point(left, 0.99)


def history(cameras: int, tracks: int, seconds: float) -> list[list[Stamped]]:
    frames = []
    for index in range(round(seconds * FPS)):
        t_s = index / FPS
        inputs = [Stamped(t_s, "", seen(f"c{number}", index, t_s, tracks)) for number in range(cameras)]
        frames.append([*inputs, Stamped(t_s, "", Tick(t_s))])
    return frames


def seen(camera_id: str, index: int, t_s: float, count: int) -> Observation:
    """Everybody at places spread over the picture; every tenth is an animal, the first a train."""
    tracks = []
    for number in range(count):
        group = "train" if number == 0 else "animal" if number % 10 == 9 else "person"
        state = TrackState.LOST if number % 7 == 6 and index % 5 == 4 else TrackState.CONFIRMED
        box = train_box(t_s) if number == 0 else person_box(number, count, t_s)
        name = {"animal": "cow"}.get(group, group)
        tracks.append(Track(number + 1, name, group, box, 0.8, state, 0.0, t_s, index + 1))
    vitals = Vitals(CameraState.NOMINAL, "", 0.05, float(FPS), 0)
    return Observation(camera_id, 1, index, t_s, t_s, "", SIZE, tuple(tracks), False, vitals)


def person_box(number: int, count: int, t_s: float) -> Box:
    x = 0.02 + 0.95 * number / count + (0.01 * t_s if number % 3 == 0 else 0.0)
    y = 0.45 + 0.5 * ((number * 7) % count) / count + (0.005 * t_s if number % 3 == 1 else 0.0)
    tall = 0.34 * (y - 0.3)
    width, height = SIZE
    return (x - tall / 6) * width, (y - tall) * height, (x + tall / 6) * width, y * height


def train_box(t_s: float) -> Box:
    width, height = SIZE
    return 0.42 * width, (0.30 - 0.01 * t_s) * height, 0.52 * width, (0.40 + 0.01 * t_s) * height


def profile(cameras: int, frames: list[list[Stamped]]) -> None:
    profiler = cProfile.Profile()
    profiler.runcall(measured, cameras, frames)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
