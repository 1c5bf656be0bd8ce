"""The split: which picture is on which side, decided by content and seed, with no picture or likeness on two sides."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from classifiers.errors import ConfigError, DataError
from classifiers.files import read_json, write_json
from classifiers.likeness import COLOUR, DISTANCE, Look, pairs
from classifiers.survey import Seen

SIDES: Final = ("train", "validation", "test")
VERSION: Final = 1
DEFAULT_SHARE: Final = 0.15


@dataclass(frozen=True, slots=True)
class Placed:
    """One picture of a split: `size` is width and height in pixels, `look` is what evaluation finds leaks by."""

    path: str
    class_name: str
    sha256: str
    side: str
    size: tuple[int, int]
    look: Look


@dataclass(frozen=True, slots=True)
class Split:
    """A split of a data set.

    Attributes:
        classes: names in the order of the labels.
        pictures: every picture with its side, sorted by path.
        skipped: pictures left out with --skip-bad, with the reason.
        sealed: the folder beside train/ that is the test side ("val"), or None where test pictures were carved off.
        seed, validation, test: what it was made from.
    """

    classes: tuple[str, ...]
    pictures: tuple[Placed, ...]
    skipped: tuple[tuple[str, str], ...]
    sealed: str | None
    seed: int
    validation: float
    test: float

    def on(self, side: str) -> tuple[Placed, ...]:
        """The pictures of one side."""
        return tuple(picture for picture in self.pictures if picture.side == side)

    @property
    def hash(self) -> str:
        """SHA-256 over which content is on which side and how it is labelled; names of files do not count."""
        rows = sorted(f"{picture.sha256} {picture.class_name} {picture.side}" for picture in self.pictures)
        return hashlib.sha256("\n".join((*self.classes, *rows)).encode()).hexdigest()


def make_split(
    classes: Sequence[str],
    seen: Sequence[Seen],
    *,
    validation: float = DEFAULT_SHARE,
    test: float = DEFAULT_SHARE,
    seed: int = 0,
    sealed: str | None = None,
    skipped: Sequence[tuple[str, str]] = (),
) -> Split:
    """Split pictures by class, in an order that follows from content and seed alone.

    Near-duplicates form groups, and a group goes to one side as a whole. Raises DataError where a class cannot fill its
    sides, or where the same file stands in two classes.
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1 or validation + test >= 1:
            raise ConfigError(f"shares must be from 0 to below 1, together below 1, but {name} is {share}")
    _check_labels(classes, seen)
    sides: dict[int, str] = {}
    groups = _groups(seen)
    for label, name in enumerate(classes):
        mine = [group for group in groups if _label(seen, group) == label]
        sides |= _assign(name, [(group, _rank(seen, group, seed)) for group in mine], validation, test)
    pictures = tuple(
        sorted(
            (Placed(s.path, classes[s.label], s.sha256, sides[i], s.size, s.look) for i, s in enumerate(seen)),
            key=lambda placed: placed.path,
        )
    )
    return Split(tuple(classes), pictures, tuple(skipped), sealed, seed, validation, test)


def _check_labels(classes: Sequence[str], seen: Sequence[Seen]) -> None:
    first: dict[str, Seen] = {}
    for picture in seen:
        other = first.setdefault(picture.sha256, picture)
        if other.label != picture.label:
            raise DataError(
                f"a picture must have one class, but {other.path} ({classes[other.label]}) and {picture.path} "
                f"({classes[picture.label]}) are the same file: remove one"
            )
    counts = Counter(picture.label for picture in seen)
    for label, name in enumerate(classes):
        if not counts[label]:
            raise DataError(f"class {name!r} must have readable pictures, but has none")


def _groups(seen: Sequence[Seen]) -> list[list[int]]:
    """Indices that belong together: the same file, or near-duplicates, also over several steps."""
    parent = list(range(len(seen)))

    def top(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    by_content: dict[str, int] = {}
    for index, picture in enumerate(seen):
        parent[top(index)] = top(by_content.setdefault(picture.sha256, index))
    for one, other in pairs([picture.look for picture in seen]):
        parent[top(one)] = top(other)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for index in range(len(seen)):
        groups[top(index)].append(index)
    return list(groups.values())


def _label(seen: Sequence[Seen], group: list[int]) -> int:
    """The class that a group counts for: its most frequent one, the first of equals."""
    counts = Counter(seen[index].label for index in group)
    return min(counts, key=lambda label: (-counts[label], label))


def _rank(seen: Sequence[Seen], group: list[int], seed: int) -> str:
    """A number drawn by content and seed: the same pictures are ordered alike wherever they lie."""
    return hashlib.sha256(f"{seed} {min(seen[index].sha256 for index in group)}".encode()).hexdigest()


def _assign(name: str, ranked: list[tuple[list[int], str]], validation: float, test: float) -> dict[int, str]:
    total = sum(len(group) for group, _ in ranked)
    wanted = {"test": test, "validation": validation}
    room = {side: max(1, round(share * total)) if share else 0 for side, share in wanted.items()}
    sides: dict[int, str] = {}
    for group, _ in sorted(ranked, key=lambda item: item[1]):
        side = next((side for side, left in room.items() if left >= len(group)), "train")
        if side != "train":
            room[side] -= len(group)
        sides |= dict.fromkeys(group, side)
    needed = {"train", *(side for side, share in wanted.items() if share)}
    missing = sorted(needed - set(sides.values()))
    if missing:
        raise DataError(
            f"class {name!r} must fill every side of the split, but has {total} pictures in {len(ranked)} groups of "
            f"near-duplicates and leaves {' and '.join(missing)} empty: add pictures that differ"
        )
    return sides


def save_split(path: Path, split: Split) -> None:
    """Write the manifest. Raises OutputError."""
    write_json(path, to_plain(split), indent=1)


def load_split(path: Path) -> Split:
    """Read a manifest; raises DataError where it is damaged, of another version, or changed since it was written."""
    return from_plain(read_json(path, DataError), str(path))


def to_plain(split: Split) -> dict[str, Any]:
    """The manifest as plain JSON values, with its hash."""
    return {
        "version": VERSION,
        "hash": split.hash,
        "seed": split.seed,
        "validation": split.validation,
        "test": split.test,
        "near_duplicates": {"distance_bits": DISTANCE, "colour_levels": COLOUR},
        "sealed": split.sealed,
        "classes": list(split.classes),
        "skipped": [list(pair) for pair in split.skipped],
        "pictures": [
            [p.path, p.class_name, p.side, p.sha256, *p.size, f"{p.look.bits:016x}", f"{p.look.mirrored:016x}",
             p.look.colours.hex(), int(p.look.flat)]
            for p in split.pictures
        ],
    }  # fmt: skip


def _look(bits: str, mirrored: str, colours: str, flat: int) -> Look:
    return Look(int(bits, 16), int(mirrored, 16), bytes.fromhex(colours), bool(flat))


def from_plain(value: dict[str, Any], name: str) -> Split:
    """The reverse of `to_plain`; `name` is what messages call it."""
    if value.get("version") != VERSION:
        raise DataError(f"{name} must be a split of version {VERSION}, but is {value.get('version')!r}")
    try:
        pictures = tuple(
            Placed(path, class_name, sha, side, (width, height), _look(*rest))
            for path, class_name, side, sha, width, height, *rest in value["pictures"]
        )
        split = Split(
            classes=tuple(value["classes"]),
            pictures=pictures,
            skipped=tuple((path, reason) for path, reason in value["skipped"]),
            sealed=value["sealed"],
            seed=value["seed"],
            validation=value["validation"],
            test=value["test"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name} must be a split, but is damaged: {error!r}") from error
    if any(picture.side not in SIDES or picture.class_name not in split.classes for picture in split.pictures):
        raise DataError(f"{name} must place every picture of a class on a side, but one has neither")
    if split.hash != value.get("hash"):
        raise DataError(f"{name} must be as it was written, but its hash is {split.hash}, not {value.get('hash')}")
    return split
