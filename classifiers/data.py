"""The pictures a network learns from: decoded, of one size, in two sides that share nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import DataError


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Decoded pictures of one side of a split.

    Attributes:
        pixels: uint8 [N, S, S, 3] RGB, read-only, usually a memory map of the cache.
        labels: int64 [N], 0 to number of classes - 1.
        paths: where each picture comes from, relative to the data's root.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    paths: tuple[str, ...]

    def __post_init__(self) -> None:
        count = len(self.labels)
        if self.pixels.ndim != 4 or self.pixels.shape[0] != count or self.pixels.shape[3] != 3:
            raise DataError(f"pixels must be [{count}, S, S, 3], but are {list(self.pixels.shape)}")
        if len(self.paths) != count:
            raise DataError(f"there must be a path for each of {count} pictures, but {len(self.paths)} are given")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What training may see: two sides, names of the classes, the hash of the split. There is no test side here.

    Attributes:
        train, validation: the two sides.
        classes: names in the order of the labels.
        size: side S of the pictures in pixels.
        split_hash: SHA-256 of the split's manifest, in hexadecimal.
        manifest: the split itself, as plain JSON values; goes into every run.
    """

    train: Pictures
    validation: Pictures
    classes: tuple[str, ...]
    size: int
    split_hash: str
    manifest: dict[str, object]
