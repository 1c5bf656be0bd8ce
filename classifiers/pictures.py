"""One picture file: read within bounds, turned upright, made RGB, cut to a square. What cannot be trusted raises."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from classifiers.errors import DataError

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"})
MAX_BYTES: Final = 100 * 1024 * 1024
MAX_PIXELS: Final = 50_000_000
"""Most pixels of a picture, checked in its header: a small file can claim more than a machine has memory."""

_FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
_SIXTEEN_BIT: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})


def read_bytes(path: Path) -> bytes:
    """The content of a file of at most MAX_BYTES. Raises DataError."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path} must have at most {MAX_BYTES} bytes, but has {size}")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} must be a picture, but cannot be read: {error.strerror or error}") from error


def decode(path: Path, content: bytes, least_side: int | None = None) -> Image.Image:
    """The picture as 8-bit RGB, upright. Raises DataError, naming the file and what must hold.

    16-bit grey is scaled to 8 bit, CMYK and palettes are converted, transparency is laid over white. With `least_side`
    a JPEG may be decoded at a fraction of its size, with no side below it.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            _check_header(path, picture)
            if least_side is not None and picture.format == "JPEG" and picture.mode in {"RGB", "L"}:
                picture.draft(picture.mode, (least_side, least_side))
            return _rgb(path, ImageOps.exif_transpose(picture))
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} must have at most {MAX_PIXELS} pixels, but its header claims far more") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path} must be a {', '.join(_FORMATS)} picture, but does not begin like one") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, MemoryError) as error:
        raise DataError(f"{path} must be a whole picture, but cannot be decoded: {error}") from error


def _check_header(path: Path, picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path} must have at most {MAX_PIXELS} pixels, but has {width} x {height}: scale it down, or leave it out "
            f"with --skip-bad"
        )
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{path} must be a still picture, but is animated with {frames} frames")


def _rgb(path: Path, picture: Image.Image) -> Image.Image:
    if picture.mode in _SIXTEEN_BIT:
        return Image.fromarray((np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode in {"I", "F"}:
        raise DataError(f"{path} must have 8 or 16 bits a channel, but has 32: convert it, or leave it out")
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")


def square(picture: Image.Image, side: int) -> NDArray[np.uint8]:
    """The middle square, scaled with antialiasing to [side, side, 3] uint8; a picture of that size stays as it is."""
    if picture.size != (side, side):
        picture = ImageOps.fit(picture, (side, side), method=Image.Resampling.BICUBIC)
    return np.asarray(picture, dtype=np.uint8)


def stored_size(path: Path, content: bytes) -> tuple[int, int]:
    """Width and height as the header says, upright. Raises DataError for anything that is no picture."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            width, height = picture.size
            turned = picture.getexif().get(0x0112, 1) in {5, 6, 7, 8}
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{path} must be a picture, but cannot be read: {error}") from error
    return (height, width) if turned else (width, height)
