"""Near-duplicates: pictures that are the same to the eye, found by a perceptual hash and confirmed by their colours.

The hash is the sign of the 64 lowest frequencies of the grey picture against their median (Zauner 2010, "Implementation
and Benchmarking of Perceptual Image Hash Functions", DCT variant). It stands scaling, recompression and small changes
of brightness. A mirrored copy is also found, since training mirrors pictures itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DISTANCE: Final = 10
"""Most of the 64 bits in which near-duplicates differ. Measured on 300 photographs: recompressed, scaled, mirrored,
brightened or cropped by a pixel they differ in at most 10 bits; two different ones in at least 16."""
COLOUR: Final = 8.0
"""Most mean difference of their 4 x 4 colours, in levels of 255, once the mean brightness is taken out."""
FLAT: Final = 2.0
"""Standard deviation of grey, in levels, below which a picture has nothing to recognise: only identical files match."""

_SIDE = 32
_KEPT = 8
_CHUNK = 2048


@dataclass(frozen=True, slots=True)
class Look:
    """What a picture looks like.

    Attributes:
        bits, mirrored: the hash of the picture and of its mirror image, 64 bits each.
        colours: 4 x 4 x 3 means of colour as 48 bytes, row by row.
        flat: there is nothing to recognise.
    """

    bits: int
    mirrored: int
    colours: bytes
    flat: bool


def look(picture: Image.Image) -> Look:
    """What an RGB picture looks like."""
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    grey = np.asarray(small.convert("L"), dtype=np.float64)
    colours = np.asarray(small.resize((4, 4), Image.Resampling.BOX), dtype=np.uint8)
    low = (_BASIS @ grey @ _BASIS.T)[:_KEPT, :_KEPT]
    # Mirroring changes the sign of every odd horizontal frequency.
    return Look(_bits(low), _bits(low * _MIRROR), colours.tobytes(), bool(grey.std() < FLAT))


def _basis() -> NDArray[np.float64]:
    """Rows of the discrete cosine transform of type II, unscaled."""
    at = np.arange(_SIDE)
    return np.cos(np.pi * np.outer(np.arange(_KEPT), 2 * at + 1) / (2 * _SIDE))


_BASIS = _basis()
_MIRROR = np.where(np.arange(_KEPT) % 2 == 1, -1.0, 1.0)


def _bits(low: NDArray[np.float64]) -> int:
    flat = low.ravel()
    signs = flat > np.median(flat[1:])  # the first is the mean brightness
    return int(np.packbits(signs).view(">u8")[0])


def pairs(looks: list[Look], others: list[Look] | None = None) -> Iterator[tuple[int, int]]:
    """Near-duplicates as pairs of indices: within `looks` (i < j), or of `looks` (i) and `others` (j)."""
    if not looks or (others is not None and not others):
        return
    right = looks if others is None else others
    mine = np.array([entry.bits for entry in looks], dtype=np.uint64)
    theirs = np.array([(entry.bits, entry.mirrored) for entry in right], dtype=np.uint64)
    for start in range(0, len(looks), _CHUNK):
        rows = mine[start : start + _CHUNK, None]
        near = np.zeros((len(rows), len(right)), dtype=bool)
        for column in (0, 1):
            near |= np.bitwise_count(rows ^ theirs[None, :, column]) <= DISTANCE
        for row, j in np.argwhere(near):
            i = start + int(row)
            if (others is not None or i < j) and _alike(looks[i], right[int(j)]):
                yield i, int(j)


def _alike(one: Look, other: Look) -> bool:
    if one.flat or other.flat:
        return False
    first, second = _colours(one), _colours(other)
    return min(_difference(first, second), _difference(first, second[:, ::-1])) <= COLOUR


def _colours(entry: Look) -> NDArray[np.float64]:
    values = np.frombuffer(entry.colours, dtype=np.uint8).reshape(4, 4, 3).astype(np.float64)
    centred: NDArray[np.float64] = values - values.mean()
    return centred


def _difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.abs(first - second).mean())
