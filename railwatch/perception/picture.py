"""The decoded picture of a frame, and letterboxed samples of it straight from the decoded planes.

Video is stored as luma (Y) and chroma (U, V) planes. Resizing the planes and converting colour at the size of the
model touches a fraction of the bytes that converting the whole picture first would: benchmarks/sampling_parity.py
holds the detections equal and tells the times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from railwatch.core.types import Affine, Region, Sample, SampleForm, Size, UInt8Array

SUBSAMPLING: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "yuv420p": (2, 2), "yuvj420p": (2, 2), "nv12": (2, 2), "yuv422p": (2, 1), "yuvj422p": (2, 1),
        "yuv444p": (1, 1), "yuvj444p": (1, 1),
    }
)  # fmt: skip
"""Pixel formats that are sampled plane by plane: luma pixels a chroma pixel covers, across and down."""

_LUMA_WEIGHTS: Final[Mapping[int, tuple[float, float]]] = MappingProxyType({1: (0.2126, 0.0722), 9: (0.2627, 0.0593)})
"""Weights of red and blue in luma by the colour space number of ITU-T H.273: 1 is BT.709, 9 BT.2020."""

_BT601: Final = (0.299, 0.114)
"""Weights of red and blue in luma of BT.601: what OpenCV converts, and what an unmarked stream is taken for."""

_FULL_RANGE: Final = 2
"""AVCOL_RANGE_JPEG: luma and chroma fill 0 to 255."""

INTERPOLATION: Final = cv2.INTER_LINEAR
"""How samples are resized."""

Matrix: TypeAlias = npt.NDArray[np.float64]


class Colour(NamedTuple):
    """How the planes mean colour: the weights of red and blue in luma, and whether values fill 0 to 255."""

    red: float = _BT601[0]
    blue: float = _BT601[1]
    full_range: bool = False


UNMARKED: Final = Colour()
"""What planes without a mark mean: BT.601 in limited range, as OpenCV and libav take it."""


@dataclass(frozen=True, slots=True, eq=False)
class BgrPicture:
    """A picture from an array: (H, W, 3) uint8 BGR. The array is used as it is and made read-only."""

    array: UInt8Array

    def __post_init__(self) -> None:
        if self.array.ndim != 3 or self.array.shape[2] != 3 or self.array.dtype != np.uint8 or not self.array.size:
            raise ValueError(f"array must be uint8 (H, W, 3), but is {self.array.dtype} {self.array.shape}")
        self.array.flags.writeable = False

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return Size(self.array.shape[1], self.array.shape[0])

    def sample(self, region: Region | None, form: SampleForm) -> Sample:
        """Letterbox `region` (None: the whole picture), clipped to the picture, into `form`.

        Raises ValueError when nothing of the region lies in the picture.

        >>> picture = BgrPicture(np.zeros((100, 200, 3), np.uint8))
        >>> picture.sample(None, SampleForm(Size(64, 64), "bgr", "top_left")).to_frame.scale_x
        3.125
        """
        bounds = _clipped(region, self.size, (1, 1))
        box = _target(bounds, form)
        tensor, shown = _canvas(form, box)
        crop = self.array[bounds.top : bounds.bottom, bounds.left : bounds.right]
        small = _resize(crop, _size_of(box))
        if form.channels == "rgb":
            cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=shown)
        else:
            np.copyto(shown, small)
        return Sample(tensor, form, _affine(bounds, box), bounds)

    def bgr(self) -> UInt8Array:
        """The array itself, read-only."""
        return self.array


@dataclass(frozen=True, slots=True, eq=False)
class YuvPicture:
    """A picture from decoded planes, which it keeps alive and never writes to.

    `luma` is (H, W) uint8; `chroma` is U and V, each (h, w) uint8, or one (h, w, 2) array of both (NV12), where h and
    w are H and W divided by `subsampling` (across, down), rounded up. Lines may be padded: views are used as they are.
    Nothing is kept between calls, so any thread may sample.
    """

    luma: UInt8Array
    chroma: tuple[UInt8Array, ...]
    subsampling: tuple[int, int] = (2, 2)
    colour: Colour = UNMARKED

    def __post_init__(self) -> None:
        across, down = self.subsampling
        expected = (-(-self.luma.shape[0] // down), -(-self.luma.shape[1] // across))
        shapes = [plane.shape for plane in self.chroma]
        if shapes not in ([expected, expected], [(*expected, 2)]):
            raise ValueError(f"chroma of luma {self.luma.shape} must be twice {expected}, but is {shapes}")

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return Size(self.luma.shape[1], self.luma.shape[0])

    def sample(self, region: Region | None, form: SampleForm) -> Sample:
        """Letterbox `region` (None: the whole picture), clipped to the picture, into `form`.

        The region grows by up to a pixel a side to begin and end on whole chroma pixels (`bounds` says how far);
        `to_frame` is exact for that. Chroma is taken to lie in the middle of its luma pixels, as in JPEG; where it
        lies at their left (H.264), colour, not shape, is off by half a pixel of the frame. Raises ValueError when
        nothing of the region lies in the picture.
        """
        bounds = _clipped(region, self.size, self.subsampling)
        box = _target(bounds, form)
        tensor, shown = _canvas(form, box)
        _converted(self._planes(bounds), _size_of(box), _decoding(self.colour, form.channels), shown)
        return Sample(tensor, form, _affine(bounds, box), bounds)

    def bgr(self) -> UInt8Array:
        """The whole picture as (H, W, 3) uint8 BGR; costs a full conversion each time."""
        return _converted(self._planes(Region(0, 0, *self.size)), self.size, _decoding(self.colour, "bgr"), None)

    def _planes(self, bounds: Region) -> tuple[UInt8Array, ...]:
        across, down = self.subsampling
        rows = slice(bounds.top // down, -(-bounds.bottom // down))
        columns = slice(bounds.left // across, -(-bounds.right // across))
        luma = self.luma[bounds.top : bounds.bottom, bounds.left : bounds.right]
        return luma, *(plane[rows, columns] for plane in self.chroma)


def picture_of(frame: av.VideoFrame, *, turn_degrees: int = 0) -> YuvPicture:
    """The picture of a decoded video frame, turned anticlockwise by a multiple of 90 degrees.

    The planes are used where the decoder wrote them; the picture keeps them alive. Formats that are not in
    `SUBSAMPLING` are converted first. Raises ValueError for another angle, av.FFmpegError when converting fails.
    """
    if turn_degrees % 90:
        raise ValueError(f"a picture can be turned by multiples of 90 degrees, but not by {turn_degrees}")
    if frame.format.name not in SUBSAMPLING or any(plane.line_size < plane.width for plane in frame.planes):
        frame = VideoReformatter().reformat(frame, format="yuv420p")
    name = frame.format.name
    full_range = name.startswith("yuvj") or int(frame.color_range) == _FULL_RANGE
    red, blue = _LUMA_WEIGHTS.get(int(frame.colorspace), _BT601)
    luma, *chroma = (_plane_view(plane, 2 if name == "nv12" and i else 1) for i, plane in enumerate(frame.planes))
    turns = turn_degrees // 90 % 4
    across, down = SUBSAMPLING[name]
    if turns:
        luma, *chroma = (np.ascontiguousarray(np.rot90(plane, turns)) for plane in (luma, *chroma))
    return YuvPicture(
        luma, tuple(chroma), (down, across) if turns % 2 else (across, down), Colour(red, blue, full_range)
    )


def _plane_view(plane: VideoPlane, channels: int) -> UInt8Array:
    """The plane where it lies: (height, width) or, with 2 channels, (height, width, 2); lines may be padded."""
    content = np.frombuffer(memoryview(plane), np.uint8, plane.height * plane.line_size)
    used = content.reshape(plane.height, plane.line_size)[:, : plane.width * channels]
    return used if channels == 1 else used.reshape(plane.height, plane.width, channels)


def _clipped(region: Region | None, size: Size, grid: tuple[int, int]) -> Region:
    """The part of `region` in the picture, grown to begin and end on multiples of `grid` (or at the picture's edge)."""
    if region is None:
        return Region(0, 0, *size)
    across, down = grid
    left, top = max(0, region.left), max(0, region.top)
    right, bottom = min(size.width, region.right), min(size.height, region.bottom)
    if left >= right or top >= bottom:
        raise ValueError(
            f"a region must have an area within the picture of {size.width} x {size.height}, but is {region}"
        )
    return Region(
        left // across * across,
        top // down * down,
        min(size.width, -(-right // across) * across),
        min(size.height, -(-bottom // down) * down),
    )


def _target(bounds: Region, form: SampleForm) -> Region:
    """Where `bounds` comes to lie in the sample: as large as fits with its aspect ratio, to the nearest pixel."""
    given, most = _size_of(bounds), form.size
    scale = min(most.width / given.width, most.height / given.height)
    width, height = max(1, round(given.width * scale)), max(1, round(given.height * scale))
    left, top = 0, 0
    if form.letterbox == "center":
        left, top = (most.width - width) // 2, (most.height - height) // 2
    return Region(left, top, left + width, top + height)


def _size_of(region: Region) -> Size:
    return Size(region.right - region.left, region.bottom - region.top)


def _affine(bounds: Region, box: Region) -> Affine:
    shown, given = _size_of(box), _size_of(bounds)
    scale_x, scale_y = given.width / shown.width, given.height / shown.height
    return Affine(scale_x, scale_y, bounds.left - box.left * scale_x, bounds.top - box.top * scale_y)


def _canvas(form: SampleForm, box: Region) -> tuple[UInt8Array, UInt8Array]:
    """A new padded tensor, and the view of it into which the picture goes; only the padding is written."""
    tensor = np.empty((form.size.height, form.size.width, 3), np.uint8)
    tensor[: box.top] = form.pad_value
    tensor[box.bottom :] = form.pad_value
    tensor[box.top : box.bottom, : box.left] = form.pad_value
    tensor[box.top : box.bottom, box.right :] = form.pad_value
    return tensor, tensor[box.top : box.bottom, box.left : box.right]


def _resize(plane: UInt8Array, size: Size, into: UInt8Array | None = None) -> UInt8Array:
    return np.asarray(cv2.resize(plane, size, dst=into, interpolation=INTERPOLATION), np.uint8)


def _converted(planes: tuple[UInt8Array, ...], size: Size, decoding: Matrix, into: UInt8Array | None) -> UInt8Array:
    """Luma and chroma brought to one size and turned into colour, (H, W, 3) uint8, written to `into` if given."""
    resized = [_resize(plane, size) for plane in planes]
    return np.asarray(cv2.transform(cv2.merge(resized), decoding, dst=into), np.uint8)


@lru_cache(maxsize=32)
def _decoding(colour: Colour, channels: Literal["rgb", "bgr"]) -> Matrix:
    """Matrix (3, 4) from (Y, U, V, 1) in bytes to channels in 0 to 255 (ITU-T H.273, 8.3)."""
    red, blue, full_range = colour
    luma = np.array([red, 1.0 - red - blue, blue])
    to_cb, to_cr = ([0.0, 0.0, 1.0] - luma) / (2 * (1 - blue)), ([1.0, 0.0, 0.0] - luma) / (2 * (1 - red))
    luma_range, chroma_range, black = (255.0, 255.0, 0.0) if full_range else (219.0, 224.0, 16.0)
    encoding = np.stack((luma * luma_range, to_cb * chroma_range, to_cr * chroma_range)) / 255.0
    matrix = np.linalg.inv(encoding)[:: 1 if channels == "rgb" else -1]
    result = np.column_stack((matrix, matrix @ [-black, -128.0, -128.0]))
    result.flags.writeable = False
    return result
