"""A place in metres with a camera over it: people, animals and trains that move, as tracks in its picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from railwatch.core.alerts import CameraState, Severity
from railwatch.core.coverage import heights_on
from railwatch.core.geometry import Point
from railwatch.core.ground import Lens, plane_of_horizon
from railwatch.core.settings import CameraSettings, IncidentSettings, ModelSettings, SiteSettings
from railwatch.core.types import Observation, Size, Track, TrackState, TrainReport, Vitals, Zone, ZoneKind

SIZE = Size(1920, 1080)
ASPECT = 16 / 9
PLANE = plane_of_horizon(0.2, 0.2, 5.0, Lens(60.0, ASPECT))
_HEIGHT_AT = heights_on(PLANE, ASPECT)
NEAR_M, FAR_M = 11.0, 90.0
TRACKS = {"t1": (-2.0, 2.0), "t2": (2.5, 5.5)}
"""Left and right edge of each track, metres; the approach is left of them, the platform's edge right."""

Path = Callable[[float], tuple[float, float] | None]
"""Where somebody is at a time, metres; None: the detector does not see them."""
Maker = Callable[[float], Track | None]


def strip(left_m: float, right_m: float) -> tuple[Point, ...]:
    """A piece of the ground along the tracks, as the camera sees it."""
    corners = [(left_m, FAR_M), (right_m, FAR_M), (right_m, NEAR_M), (left_m, NEAR_M)]
    places = [PLANE.picture_of(x, y) for x, y in corners]
    return tuple(Point(min(1.0, max(0.0, at.x)), min(1.0, max(0.0, at.y))) for at in places if at is not None)


def zones(camera_id: str = "cam") -> list[Zone]:
    """Both tracks, the approach and the platform's edge of one camera."""
    tracks = [
        Zone(f"{name}-{camera_id}", camera_id, "main", name, ZoneKind.TRACK, strip(*sides))
        for name, sides in TRACKS.items()
    ]
    beside = Zone(f"approach-{camera_id}", camera_id, "main", "t1", ZoneKind.APPROACH, strip(-4.5, -2.0))
    edge = Zone(f"edge-{camera_id}", camera_id, "main", "t2", ZoneKind.PLATFORM_EDGE, strip(5.5, 6.3))
    return [*tracks, beside, edge]


def place(cameras: Sequence[str] = ("cam",), without: Severity = Severity.WARNING, **change) -> SiteSettings:
    """The site; every camera sees the same piece of railway."""
    return replace(
        SiteSettings(
            site_id="world",
            severity_without_trains=without,
            cameras=tuple(CameraSettings(name, "x.mp4", ground=PLANE) for name in cameras),
            sections=("main",),
            zones=tuple(zone for name in cameras for zone in zones(name)),
            model=ModelSettings("model.onnx", sha256="0" * 64),
            incidents=IncidentSettings(off_delay_s=2.0),
        ),
        **change,
    )


def person(path: Path, track_id: int = 1, *, tall_m: float = 1.7, lies_from_s: float = 1e9, name="person") -> Maker:
    """Somebody on a path; lying from a time on. `name` may be that of an animal."""

    def at(t_s: float) -> Track | None:
        where = path(t_s)
        foot = None if where is None else PLANE.picture_of(*where)
        if foot is None:
            return None
        tall = _HEIGHT_AT(foot) * tall_m / 1.7
        wide, high = (tall, tall * 0.35) if t_s >= lies_from_s else (tall * 0.4, tall)
        box = (foot.x - wide / ASPECT / 2, foot.y - high, foot.x + wide / ASPECT / 2, foot.y)
        return made(box, track_id, "person" if name == "person" else "animal", name, t_s)

    return at


def train(front_m: Callable[[float], float | None], track: str = "t1", track_id: int = 90) -> Maker:
    """A train whose front is so far away at a time; None: not in the picture."""
    middle = sum(TRACKS[track]) / 2

    def at(t_s: float) -> Track | None:
        y = front_m(t_s)
        foot = None if y is None else PLANE.picture_of(middle, y)
        side = None if y is None else PLANE.picture_of(middle + 1.5, y)
        if foot is None or side is None:
            return None
        half, high = side.x - foot.x, _HEIGHT_AT(foot) * 4.0 / 1.7
        return made((foot.x - half, foot.y - high, foot.x + half, foot.y), track_id, "train", "train", t_s)

    return at


def made(box_norm, track_id: int, group: str, name: str, t_s: float) -> Track:
    """A track that is seen in this frame, by its box in fractions."""
    left, top, right, bottom = box_norm
    box = (left * SIZE.width, top * SIZE.height, right * SIZE.width, bottom * SIZE.height)
    return Track(track_id, name, group, box, 0.9, TrackState.CONFIRMED, 0.0, t_s, 30)


def look(t_s: float, makers: Sequence[Maker], camera_id: str = "cam", state=CameraState.NOMINAL) -> Observation:
    """What a camera shows at a time."""
    tracks = tuple(found for maker in makers if (found := maker(t_s)) is not None)
    vitals = Vitals(state, "", 0.0, 10.0, 0)
    return Observation(camera_id, 1, round(t_s * 10), t_s, t_s, f"at {t_s:.1f}", SIZE, tracks, False, vitals)


def report(eta_s: float | None, seq: int, track: str = "t1", source: str = "feed", **change) -> TrainReport:
    """What a source says."""
    base = TrainReport(track, change.pop("direction", "up"), eta_s, None, None, source, seq, 0.0, authoritative=True)
    return replace(base, **change)


def straight(*stops: tuple[float, float, float]) -> Path:
    """A path through (seconds, x, y), in straight lines; stays at the last."""

    def at(t_s: float) -> tuple[float, float]:
        for (t0, x0, y0), (t1, x1, y1) in pairwise(stops):
            if t_s <= t1:
                share = max(0.0, (t_s - t0) / (t1 - t0))
                return x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        return stops[-1][1:]

    return at
