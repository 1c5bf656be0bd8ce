"""`classifiers evaluate`: the scores of a run, and the only command that opens the test side."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    from classifiers.evaluate import Evaluation


def evaluate(
    run: o.RunFolder,
    root: o.Root,
    *,
    side: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where figures go.", show_default="the run")
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw predictions and filters.")] = True,
    device: o.Device = None,
    drop_leaks: Annotated[bool, typer.Option("--drop-leaks", help="Leave out what training saw.")] = False,
    skip_bad: o.SkipBad = False,
    cache: o.Cache = None,
    as_json: o.AsJson = False,
) -> None:
    """Score a run on test pictures: accuracy, loss, F1, calibration, each class, with intervals and figures.

    Opening the test side is written into the run. Pictures that training saw are refused.
    """
    from classifiers.cli.progress import counting
    from classifiers.errors import ConfigError
    from classifiers.evaluate import evaluate as measure
    from classifiers.split import SIDES

    if side not in SIDES:
        raise ConfigError(f"--side must be one of {', '.join(SIDES)}, but {side!r} is given")
    with counting("looking") as progress:
        found = measure(
            run, root, side=side, device=device or "auto", drop_leaks=drop_leaks, skip_bad=skip_bad,
            figures=(out or run) if figures else None, cache=cache, progress=progress,
        )  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(found.to_plain(), allow_nan=False) + "\n")
    else:
        _print(found)


def _print(found: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    out = Console(highlight=False, soft_wrap=True)
    scores = found.scores
    out.print(f"{found.pictures} pictures of {found.source}")
    if found.opened:
        times = "for the first time" if found.opened == 1 else f"for the {found.opened}th time: choose nothing by it"
        out.print(f"the test side was opened {times}; it is written in test_openings.jsonl of the run")
    for name, value in (("accuracy", scores.accuracy), ("macro_f1", scores.macro_f1), ("loss", scores.loss)):
        low, high = scores.intervals[name]
        out.print(f"{name:9} {value:.4f}  (95 % interval {low:.4f} to {high:.4f})")
    out.print(f"{'ece':9} {scores.ece:.4f}")
    out.print(f"parameters {found.parameters:,}, multiply-adds a picture {found.multiply_adds:,}")
    table = Table("class", "pictures", "precision", "recall", "F1")
    for entry in scores.classes:
        numbers = (f"{value:.3f}" for value in (entry.precision, entry.recall, entry.f1))
        table.add_row(entry.name, str(entry.pictures), *numbers)
    out.print(table)
    if found.leaks or found.skipped:
        out.print(f"left out: {found.leaks} that training saw, {found.skipped} unreadable")
