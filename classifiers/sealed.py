"""The test side. Only `classifiers evaluate` opens it, and every opening is written down in the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from classifiers.data import Pictures, bad_pictures, open_side
from classifiers.errors import DataError
from classifiers.folders import SEALED, Listing, list_classes, list_sealed
from classifiers.likeness import pairs
from classifiers.split import Placed, Split
from classifiers.survey import Progress, Seen, survey


@dataclass(frozen=True, slots=True, eq=False)
class TestSide:
    """Decoded test pictures, where they come from, and those left out as training had seen them (path, seen path)."""

    pictures: Pictures
    source: str
    leaks: tuple[tuple[str, str], ...]
    skipped: tuple[tuple[str, str], ...]


def open_test(
    root: Path,
    split: Split,
    size: int,
    *,
    drop_leaks: bool = False,
    skip_bad: bool = False,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> TestSide:
    """Open the test pictures that belong to a split: its carved test side, the sealed val/, or other class folders.

    Raises DataError where a test picture is, or looks like, one that training or validation saw, unless `drop_leaks`.
    """
    carved = split.on("test")
    if carved and all((root / picture.path).is_file() for picture in carved):
        return _without_leaks(
            root, split, carved, (), f"the test side of the split under {root}", size, drop_leaks, cache
        )
    listing = _elsewhere(root, split)
    found = survey(listing.root, listing.entries, cache, progress)
    if found.bad and not skip_bad:
        raise bad_pictures(found.bad)
    placed = tuple(_placed(listing, seen) for seen in found.seen)
    source = f"{root / SEALED if listing.entries[0].path.startswith(f'{SEALED}/') else root}"
    return _without_leaks(root, split, placed, found.bad, source, size, drop_leaks, cache)


def _elsewhere(root: Path, split: Split) -> Listing:
    if (root / "train").is_dir():
        if not (root / SEALED).is_dir():
            raise DataError(
                f"{root} must hold the test side, but has no folder {SEALED}/ and not all test pictures of the split"
            )
        listing = list_sealed(root)
    else:
        listing = list_classes(root)
    unknown = sorted(set(listing.classes) - set(split.classes))
    if unknown:
        raise DataError(
            f"classes must be among those of the run ({', '.join(split.classes)}), but {unknown[0]!r} is not"
        )
    return listing


def _placed(listing: Listing, seen: Seen) -> Placed:
    return Placed(seen.path, listing.classes[seen.label], seen.sha256, "test", seen.size, seen.look)


def _without_leaks(  # noqa: PLR0913, PLR0917 - the two callers pass what they were asked
    root: Path,
    split: Split,
    placed: tuple[Placed, ...],
    skipped: tuple[tuple[str, str], ...],
    source: str,
    size: int,
    drop_leaks: bool,
    cache: Path | None,
) -> TestSide:
    leaks = find_leaks(split, placed)
    if leaks and not drop_leaks:
        path, seen = leaks[0]
        raise DataError(
            f"test pictures must be new to the run, but {len(leaks)} of {len(placed)} are or look like pictures that "
            f"training or validation saw, as {path} like {seen}: take other pictures, or --drop-leaks to leave them out"
        )
    known = {path for path, _ in leaks}
    kept = tuple(picture for picture in placed if picture.path not in known)
    if not kept:
        raise DataError(f"{source} must hold pictures that are new to the run, but all {len(placed)} are known to it")
    pictures = open_side(root, split, kept, size, cache)
    return TestSide(pictures, source, leaks, skipped)


def find_leaks(split: Split, test: tuple[Placed, ...]) -> tuple[tuple[str, str], ...]:
    """Test pictures that are, or look like, pictures of the train or validation side: pairs (test path, seen path)."""
    learnt = [picture for picture in split.pictures if picture.side != "test"]
    by_content = {picture.sha256: picture.path for picture in learnt}
    found = {picture.path: by_content[picture.sha256] for picture in test if picture.sha256 in by_content}
    for i, j in pairs([picture.look for picture in test], [picture.look for picture in learnt]):
        found.setdefault(test[i].path, learnt[j].path)
    return tuple(sorted(found.items()))
