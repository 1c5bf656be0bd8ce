"""The pictures a network learns from: decoded, of one size, in two sides that share nothing. The test side stays shut.

`open_data` gives what training may see. `classifiers.sealed` opens the test side, and only evaluation calls it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifiers.cache import decoded
from classifiers.config import DEFAULT_SIZE
from classifiers.errors import DataError
from classifiers.folders import list_root
from classifiers.split import DEFAULT_SHARE, Placed, Split, load_split, make_split
from classifiers.survey import Progress, survey

_NAMED = 5


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Decoded pictures of one side of a split.

    Attributes:
        pixels: uint8 [N, S, S, 3] RGB, read-only, usually a memory map of the cache.
        labels: int64 [N], 0 to number of classes - 1.
        paths: where each picture comes from, relative to the data's root.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    paths: tuple[str, ...] = field(repr=False)

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
    """What training may see: two sides, names of the classes, the split they come from. There is no test side here.

    Attributes:
        train, validation: the two sides.
        classes: names in the order of the labels.
        size: side S of the pictures in pixels.
        split: which picture is where; it is written into every run.
        root: the folder the pictures come from.
    """

    train: Pictures
    validation: Pictures
    classes: tuple[str, ...]
    size: int
    split: Split = field(repr=False)
    root: Path

    @property
    def split_hash(self) -> str:
        """SHA-256 of the split, in hexadecimal."""
        return self.split.hash


def open_data(  # noqa: PLR0913 - each is one choice of the user
    root: Path,
    *,
    size: int | None = None,
    at_least: int = 2,
    split: Path | Split | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Data:
    """Open class folders, or a root with train/ and val/, for training.

    Without `split` one is made: val/ beside train/ is the sealed test side and is not looked into; otherwise 15 % of
    each class are carved off as test side. 15 % are the validation side. Without `size` the pictures' own size is
    taken (see `natural_size`), and never less than `at_least` pixels.

    Raises DataError (unreadable picture without `skip_bad`, empty class, ...) or OutputError (no cache can be written).
    """
    if split is None:
        split = split_root(root, seed=seed, skip_bad=skip_bad, cache=cache, progress=progress)
    elif isinstance(split, Path):
        split = load_split(split)
    learnt = [picture for picture in split.pictures if picture.side != "test"]
    side = size if size is not None else max(at_least, natural_size([picture.size for picture in learnt]))
    return Data(
        train=open_side(root, split, split.on("train"), side, cache, progress),
        validation=open_side(root, split, split.on("validation"), side, cache, progress),
        classes=split.classes,
        size=side,
        split=split,
        root=root,
    )


def split_root(
    root: Path,
    *,
    validation: float = DEFAULT_SHARE,
    test: float | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Split:
    """Split what lies in `root`. Without `test` nothing is carved off where a sealed val/ is there, else 15 %."""
    listing = list_root(root)
    found = survey(root, listing.entries, cache, progress)
    if found.bad and not skip_bad:
        raise bad_pictures(found.bad)
    return make_split(
        listing.classes,
        found.seen,
        validation=validation,
        test=(0.0 if listing.sealed else DEFAULT_SHARE) if test is None else test,
        seed=seed,
        sealed=listing.sealed.name if listing.sealed else None,
        skipped=found.bad,
    )


def bad_pictures(bad: Sequence[tuple[str, str]]) -> DataError:
    """The error that names pictures which cannot be used, the first few with their reason."""
    named = "; ".join(reason for _, reason in bad[:_NAMED])
    more = f"; and {len(bad) - _NAMED} more (`classifiers data check` lists all)" if len(bad) > _NAMED else ""
    return DataError(
        f"every picture must be readable, but {len(bad)} are not (--skip-bad leaves them out): {named}{more}"
    )


def open_side(
    root: Path,
    split: Split,
    pictures: Sequence[Placed],
    side: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Pictures:
    """Decode pictures of a split that lie under `root`."""
    missing = [picture.path for picture in pictures if not (root / picture.path).is_file()]
    if missing:
        raise DataError(f"{root} must hold the pictures of the split, but {len(missing)} are missing, as {missing[0]}")
    number = {name: label for label, name in enumerate(split.classes)}
    pixels = decoded([(root / picture.path, picture.sha256) for picture in pictures], side, cache, progress)
    labels = np.array([number[picture.class_name] for picture in pictures], dtype=np.int64)
    return Pictures(pixels, labels, tuple(picture.path for picture in pictures))


def natural_size(sizes: Sequence[tuple[int, int]]) -> int:
    """The side that pictures ask for: the median of their shorter sides, at most 256.

    >>> natural_size([(64, 64), (64, 64), (80, 64)]), natural_size([(800, 600)])
    (64, 256)
    """
    return min(DEFAULT_SIZE, int(statistics.median_low([min(pair) for pair in sizes])))
