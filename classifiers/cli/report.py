"""`classifiers report`: what a sweep's trials say, as one page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from classifiers.cli import options as o


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep, running or done.")],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the page goes.", show_default="DIR/report.html")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write every figure here as SVG too.", show_default=False)
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Write one HTML page that needs no other file: figures, trials, and the sentences that the data bear."""
    from classifiers.report import write_figures, write_report

    target, found = write_report(folder, out)
    if figures is not None:
        write_figures(found, figures)
    plain = found.to_plain()
    if as_json:
        sys.stdout.write(json.dumps({"report": str(target), **plain}) + "\n")
        return
    for inference in plain["inferences"]:
        sys.stdout.write(f"- {inference['sentence']} {inference['statistic']}\n")
    if plain["undecided"]:
        sys.stdout.write(f"- {plain['undecided']}\n")
    sys.stdout.write(f"{target}\n")
