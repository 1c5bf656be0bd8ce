"""Still pictures: which files of a folder are some, and reading one safely."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from railwatch.core.errors import SourceError
from railwatch.core.geometry import Point
from railwatch.core.privacy import blurred
from railwatch.core.types import Picture
from railwatch.perception.files import checked_size, existing_file
from railwatch.perception.image_header import image_size
from railwatch.perception.picture import BgrPicture

PICTURE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""Endings, in small letters, of the picture files that can be read."""

MAX_PICTURE_BYTES: Final = 256 * 1024 * 1024
"""Largest picture file that is read: a BMP of the most pixels allowed, in true colour, fits."""


def read_picture(path: Path | str) -> BgrPicture:
    """A picture file (`PICTURE_SUFFIXES`), turned as its EXIF orientation says; 16 bits become 8, alpha is dropped.

    Raises SourceError when it is missing, no picture, cut off, damaged, or has more than `MAX_PIXELS`, which is known
    from its header before anything is decoded.
    """
    path = existing_file(path)
    try:
        if path.stat().st_size > MAX_PICTURE_BYTES:
            raise SourceError(f"the picture {path} must have at most {MAX_PICTURE_BYTES:,} bytes, but has more")
        content = path.read_bytes()
        checked_size(image_size(content), str(path))
        array = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, ValueError, cv2.error) as error:
        raise SourceError(f"the picture {path} cannot be read: {error}") from error
    if array is None:
        raise SourceError(f"the picture {path} cannot be decoded: it is damaged or cut off")
    return BgrPicture(np.asarray(array, np.uint8))


def pictures_in(folder: Path | str) -> list[Path]:
    """The picture files of a folder (not of folders in it), numbers in their names in order: 2.jpg before 10.jpg.

    Raises SourceError when it is not a folder or holds no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SourceError(f"a folder of pictures must be given, but {folder} is not a folder")
    try:
        found = [item for item in folder.iterdir() if item.suffix.lower() in PICTURE_SUFFIXES and item.is_file()]
    except OSError as error:
        raise SourceError(f"the folder {folder} cannot be read: {error}") from error
    if not found:
        raise SourceError(
            f"the folder {folder} must hold pictures ({', '.join(sorted(PICTURE_SUFFIXES))}), but has none"
        )
    return sorted(found, key=_natural)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Digits compare as numbers, the rest as text; the name itself decides between 1.jpg and 01.jpg."""
    parts = re.split(r"([0-9]+)", path.name)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)], path.name


def encode_jpeg(picture: Picture, quality: int = 85, private: Sequence[tuple[Point, ...]] = ()) -> bytes:
    """The picture as JPEG; `quality` 1 to 100; `private`: polygons in fractions of the frame to be blurred.

    Raises SourceError when OpenCV cannot encode it.

    >>> encode_jpeg(BgrPicture(np.zeros((4, 4, 3), np.uint8)))[:2].hex()
    'ffd8'
    """
    done, encoded = cv2.imencode(".jpg", blurred(picture.bgr(), private), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise SourceError(f"a picture of {picture.size.width} x {picture.size.height} pixels cannot be written as JPEG")
    return encoded.tobytes()
