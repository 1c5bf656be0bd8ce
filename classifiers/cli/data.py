"""`classifiers data fetch|check|split`: get pictures, look at every one, decide which side each is on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    from classifiers.folders import Listing
    from classifiers.split import Split
    from classifiers.survey import Survey

data = typer.Typer(help="Get pictures, check them, split them.", no_args_is_help=True)


@data.command()
def fetch(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the pictures.")],
    *,
    url: Annotated[str | None, typer.Option(help="A zip archive (https).", show_default="inaturalist_12K")] = None,
    sha256: Annotated[str | None, typer.Option(help="The hash that the archive must have.", show_default=False)] = None,
) -> None:
    """Download the data set of the course (3.6 GB), or another archive; a download that broke off is gone on with."""
    from classifiers.cli.progress import counting
    from classifiers.fetch import URL
    from classifiers.fetch import fetch as get

    with counting("downloading", in_bytes=True) as progress:
        fetched = get(url or URL, out, sha256, progress)
    sys.stdout.write(f"{fetched.folder} is there; the archive's SHA-256 is {fetched.sha256}\n")


@data.command()
def check(
    root: o.Root,
    *,
    cache: o.Cache = None,
    as_json: o.AsJson = False,
) -> None:
    """Look at every picture that may be trained on: unreadable ones, near-duplicates, labels that contradict."""
    from classifiers.cli.progress import counting
    from classifiers.errors import DataError
    from classifiers.folders import list_root
    from classifiers.survey import survey

    listing = list_root(root)
    with counting("looking") as progress:
        found = survey(root, listing.entries, cache, progress)
    report = _report(listing, found)
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        _print_report(report)
    if found.bad:
        raise DataError(f"every picture in {root} must be readable, but {len(found.bad)} are not, listed above")


def _report(listing: Listing, found: Survey) -> dict[str, object]:
    from classifiers.data import natural_size
    from classifiers.likeness import pairs

    seen, names = found.seen, listing.classes
    alike = [(seen[i], seen[j]) for i, j in pairs([picture.look for picture in seen])]
    counts = Counter(picture.label for picture in seen)
    return {
        "pictures": len(seen),
        "classes": {name: counts[label] for label, name in enumerate(names)},
        "input_size": natural_size([picture.size for picture in seen]) if seen else None,
        "bad": [{"path": path, "reason": reason} for path, reason in found.bad],
        "near_duplicates": [[one.path, other.path] for one, other in alike],
        "contradictions": [[one.path, other.path] for one, other in alike if one.label != other.label],
        "not_pictures": list(listing.ignored),
        "sealed": str(listing.sealed) if listing.sealed else None,
    }


def _print_report(report: dict[str, object]) -> None:
    out = sys.stdout.write
    classes, bad, alike = report["classes"], report["bad"], report["near_duplicates"]
    assert isinstance(classes, dict)  # noqa: S101 - _report makes it so
    assert isinstance(bad, list)  # noqa: S101
    assert isinstance(alike, list)  # noqa: S101
    out(f"{report['pictures']} pictures of {len(classes)} classes, input size {report['input_size']}\n")
    for name, count in classes.items():
        out(f"  {name}: {count}\n")
    for entry in bad:
        out(f"unreadable: {entry['reason']}\n")
    for one, other in alike:
        out(f"near-duplicates: {one} and {other}\n")
    contradictions, strangers = report["contradictions"], report["not_pictures"]
    if contradictions:
        out(f"{len(contradictions)} near-duplicates have different classes\n")  # type: ignore[arg-type]
    if strangers:
        out(f"{len(strangers)} files in class folders are no pictures by their names and are left out\n")  # type: ignore[arg-type]
    if report["sealed"]:
        out(f"{report['sealed']} is the sealed test side: it was not looked into\n")


@data.command()
def split(
    root: o.Root,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the manifest goes.")],
    *,
    validation: Annotated[float, typer.Option(help="Share of the validation side.")] = 0.15,
    test: Annotated[
        float | None, typer.Option(help="Share carved off as test side.", show_default="0.15, or 0 beside a val/")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    skip_bad: o.SkipBad = False,
    cache: o.Cache = None,
    as_json: o.AsJson = False,
) -> None:
    """Split by class, content and seed; near-duplicates stay on one side. Training takes the file with --split."""
    from classifiers.cli.progress import counting
    from classifiers.data import split_root
    from classifiers.split import save_split

    with counting("looking") as progress:
        made = split_root(
            root, validation=validation, test=test, seed=seed, skip_bad=skip_bad, cache=cache, progress=progress
        )
    save_split(out, made)
    summary = _summary(made)
    if as_json:
        sys.stdout.write(json.dumps({"file": str(out), **summary}) + "\n")
        return
    sides = ", ".join(f"{name} {count}" for name, count in Counter(p.side for p in made.pictures).items())
    sys.stdout.write(f"{out}: {sides}; hash {made.hash}\n")
    for path, reason in made.skipped:
        sys.stdout.write(f"skipped {path}: {reason}\n")
    if made.sealed:
        sys.stdout.write(f"{root / made.sealed} is the sealed test side: it was not looked into\n")


def _summary(made: Split) -> dict[str, object]:
    counts = Counter(picture.side for picture in made.pictures)
    return {"hash": made.hash, **counts, "skipped": [path for path, _ in made.skipped], "sealed": made.sealed}
