"""What the layers hand to one another. Frozen, checked on construction; arrays are made read-only.

Frame of reference: ``xyxy`` is left, top, right, bottom in pixels of the original frame, origin at its top left
corner, y downwards; ``polygon_norm`` is in fractions of the frame's width and height, 0 to 1.
Times: ``t_s`` is the monotonic clock of the worker (for files the presentation time from the start of the clip),
``pts_s`` the presentation time stamp of the stream, ``captured_at`` UTC for people only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from railwatch.core.alerts import CameraState, Severity
from railwatch.core.geometry import Point, check_polygon

MAX_NAME_LENGTH: Final = 64
"""Longest name of a rail track, a direction or a source of trains."""

MAX_TRACKS: Final = 200
"""Most tracks an Observation may carry; those in zones come first and the rest is cut (`truncated`)."""

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]


class Size(NamedTuple):
    """Width and height in pixels, both at least 1 where a type below checks it."""

    width: int
    height: int


class Region(NamedTuple):
    """A rectangle of the original frame: left, top, right, bottom in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class SampleForm:
    """The picture a model wants: its size in pixels, channel order, where letterboxing puts it, and the padding.

    `letterbox` is "top_left" (YOLOX) or "center" (Ultralytics); the aspect ratio is always kept.

    >>> SampleForm(Size(416, 416), "bgr", "top_left")
    SampleForm(size=Size(width=416, height=416), channels='bgr', letterbox='top_left', pad_value=114)
    """

    size: Size
    channels: Literal["rgb", "bgr"]
    letterbox: Literal["top_left", "center"]
    pad_value: int = 114

    def __post_init__(self) -> None:
        _check_size(self.size, "size")
        if not 0 <= self.pad_value <= 255:
            raise ValueError(f"pad_value must be 0 to 255, but is {self.pad_value}")


class Affine(NamedTuple):
    """Maps a point of a sample back to the original frame: frame_x = x * scale_x + offset_x, y likewise.

    >>> Affine(2.0, 2.0, 10.0, 0.0).x(5.0)
    20.0
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def x(self, sample_x: float) -> float:
        """Frame x of a sample x, pixels."""
        return sample_x * self.scale_x + self.offset_x

    def y(self, sample_y: float) -> float:
        """Frame y of a sample y, pixels."""
        return sample_y * self.scale_y + self.offset_y


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Part of a frame in the form a model wants.

    `tensor` is (H, W, 3) uint8 in the channel order of `form`; `to_frame` leads its coordinates back to the frame;
    `bounds` is the part of the frame that it shows, to which boxes found in it are clipped.
    """

    tensor: UInt8Array
    form: SampleForm
    to_frame: Affine
    bounds: Region

    def __post_init__(self) -> None:
        expected = (self.form.size.height, self.form.size.width, 3)
        if self.tensor.shape != expected or self.tensor.dtype != np.uint8:
            raise ValueError(f"tensor must be uint8 {expected}, but is {self.tensor.dtype} {self.tensor.shape}")
        self.tensor.flags.writeable = False


class Picture(Protocol):
    """The decoded picture of a frame. Conversions happen on demand, straight from the decoded planes."""

    @property
    def size(self) -> Size:
        """Width and height in pixels."""

    def sample(self, region: Region | None, form: SampleForm) -> Sample:
        """Letterbox `region` (None: the whole picture) into `form`."""

    def bgr(self) -> UInt8Array:
        """The whole picture as (H, W, 3) uint8 BGR; costs a full conversion."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of one camera. `index` counts the frames read from the source from 0."""

    camera_id: str
    index: int
    t_s: float
    pts_s: float | None
    captured_at: str
    picture: Picture

    def __post_init__(self) -> None:
        if self.index < 0:
            raise ValueError(f"index must be 0 or more, but is {self.index}")
        if not math.isfinite(self.t_s):
            raise ValueError(f"t_s must be finite, but is {self.t_s}")


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Boxes found in one sample: `xyxy` (N, 4) float32, `confidence` (N,) float32 in [0, 1], `class_id` (N,) int64.

    >>> len(Detections.empty())
    0
    """

    xyxy: Float32Array
    confidence: Float32Array
    class_id: Int64Array

    def __post_init__(self) -> None:
        count = len(self.xyxy)
        _check_array(self.xyxy, "xyxy", (count, 4), np.float32)
        _check_array(self.confidence, "confidence", (count,), np.float32)
        _check_array(self.class_id, "class_id", (count,), np.int64)
        if not np.isfinite(self.xyxy).all():
            raise ValueError("xyxy must be finite, but holds NaN or infinity")
        if (self.xyxy[:, 2:] < self.xyxy[:, :2]).any():
            raise ValueError("xyxy must be left, top, right, bottom, but a right or bottom edge comes first")
        if not ((self.confidence >= 0.0) & (self.confidence <= 1.0)).all():
            raise ValueError("confidence must be in [0, 1]")
        for array in (self.xyxy, self.confidence, self.class_id):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> Detections:
        """No detections: said by a detector that looked, never by one that failed."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


class Detector(Protocol):
    """Finds objects in samples of any mix of cameras, whole frames, tiles and crops."""

    @property
    def form(self) -> SampleForm:
        """The form its samples must have."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class_id."""

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the model file, 64 hexadecimal digits."""

    def detect(self, samples: Sequence[Sample]) -> list[Detections]:
        """Boxes of each sample in pixels of its original frame. Raises ModelError when it fails, never "nothing"."""


class TrackState(Enum):
    """TENTATIVE: too few hits to count. CONFIRMED: seen in this frame. LOST: not seen in this frame, predicted."""

    TENTATIVE = "TENTATIVE"
    CONFIRMED = "CONFIRMED"
    LOST = "LOST"


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Track:
    """One object followed over frames of one camera. `xyxy` in pixels; `hits` counts frames in which it was seen."""

    track_id: int
    class_name: str
    group: str
    xyxy: Box
    confidence: float
    state: TrackState
    first_seen_s: float
    last_seen_s: float
    hits: int

    def __post_init__(self) -> None:
        if self.track_id < 1:
            raise ValueError(f"track_id must be 1 or more, but is {self.track_id}")
        left, top, right, bottom = self.xyxy
        if not all(map(math.isfinite, self.xyxy)) or right < left or bottom < top:
            raise ValueError(f"xyxy must be finite left, top, right, bottom, but is {self.xyxy}")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"confidence must be in [0, 1], but is {self.confidence}")
        if not (math.isfinite(self.first_seen_s) and math.isfinite(self.last_seen_s)):
            raise ValueError("first_seen_s and last_seen_s must be finite")
        if self.last_seen_s < self.first_seen_s:
            raise ValueError(f"last_seen_s must not be before first_seen_s, but is {self.last_seen_s}")


@dataclass(frozen=True, slots=True)
class Vitals:
    """Whether the picture is alive: state, reason in words, age of the frame, measured rate and dropped frames."""

    state: CameraState
    reason: str
    frame_age_s: float
    fps: float
    dropped: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.frame_age_s) and math.isfinite(self.fps)):
            raise ValueError("frame_age_s and fps must be finite")


@dataclass(frozen=True, slots=True)
class Observation:
    """What perception saw in one frame, and whether that frame is to be trusted.

    A failed detector, source or tracker says BLIND in `vitals`; an empty `tracks` with NOMINAL vitals means that
    somebody looked and saw nothing.
    """

    camera_id: str
    worker_epoch: int
    index: int
    t_s: float
    pts_s: float | None
    captured_at: str
    frame_size: Size
    tracks: tuple[Track, ...]
    truncated: bool
    vitals: Vitals

    def __post_init__(self) -> None:
        _check_size(self.frame_size, "frame_size")
        if not math.isfinite(self.t_s) or (self.pts_s is not None and not math.isfinite(self.pts_s)):
            raise ValueError("t_s and pts_s must be finite")
        if len(self.tracks) > MAX_TRACKS:
            raise ValueError(f"at most {MAX_TRACKS} tracks fit an Observation, but {len(self.tracks)} were given")


class ZoneKind(Enum):
    """What a zone marks: the track itself, the approach to it, a platform's edge, or a part to leave out."""

    TRACK = "track"
    APPROACH = "approach"
    PLATFORM_EDGE = "platform_edge"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Zone:
    """A polygon in the picture of one camera. `polygon_norm` is simple, has area, and lies within the frame.

    `blur`: what lies in it is made unrecognisable wherever people look; only a zone of kind ignore may be.
    """

    zone_id: str
    camera_id: str
    section_id: str
    rail_track_id: str | None
    kind: ZoneKind
    polygon_norm: tuple[Point, ...]
    blur: bool = False

    def __post_init__(self) -> None:
        check_polygon(self.polygon_norm)
        if self.blur and self.kind is not ZoneKind.IGNORE:
            raise ValueError(
                f"blur must be false in a zone of kind {self.kind.value}: only one of kind ignore may hide"
            )


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What one source says of the next train on one rail track. `eta_s`, `distance_m` to the reference point.

    `authoritative`: this source may be believed when it says that no train is coming (`eta_s` None). `age_s` is how old
    it was on arrival. Raises ValueError for a number that is negative or not finite: an age below 0 would keep "no
    train" alive.
    """

    rail_track_id: str
    direction: str
    eta_s: float | None
    distance_m: float | None
    speed_mps: float | None
    source: str
    seq: int
    age_s: float
    authoritative: bool

    def __post_init__(self) -> None:
        for name in ("eta_s", "distance_m", "speed_mps", "age_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} must be 0 or more and finite, but is {value}")
        if self.seq < 0:
            raise ValueError(f"seq must be 0 or more, but is {self.seq}")
        for name in ("rail_track_id", "direction", "source"):
            if not 1 <= len(getattr(self, name)) <= MAX_NAME_LENGTH:
                raise ValueError(
                    f"{name} must be 1 to {MAX_NAME_LENGTH} characters, but is {getattr(self, name)[:40]!r}"
                )


@dataclass(frozen=True, slots=True)
class Assessment:
    """How dangerous one object in one zone is, by which rule, and the sentence that tells why."""

    track_id: int
    zone_id: str
    severity: Severity
    rule: str
    dwell_s: float
    time_to_clear_s: float | None
    train_eta_s: float | None
    margin_s: float | None
    why: str


def _check_size(size: Size, name: str) -> None:
    if size.width < 1 or size.height < 1:
        raise ValueError(f"{name} must be at least 1 x 1 pixel, but is {size.width} x {size.height}")


def _check_array(array: npt.NDArray[np.generic], name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} must be {np.dtype(dtype)} {shape}, but is {array.dtype} {array.shape}")
