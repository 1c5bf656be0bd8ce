"""`classifiers export`: a run as one ONNX file, which is written only if it answers as the run does."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from classifiers.cli import options as o


def export(
    run: o.RunFolder,
    root: o.Root,
    *,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file, NAME.onnx.")],
    precision: Annotated[str, typer.Option(help="fp32, fp16 or int8.")] = "fp32",
    trust: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of answers that must be right above the abstention.")
    ] = 0.9,
    cache: o.Cache = None,
    as_json: o.AsJson = False,
) -> None:
    """Export a run as one file with its facts: scaling, network, softmax. It must answer as the run does."""
    from classifiers.checkpoint import load_run
    from classifiers.cli.progress import counting
    from classifiers.data import open_data
    from classifiers.export import export as make

    loaded = load_run(run)
    with counting("opening pictures") as progress:
        data = open_data(
            root, size=loaded.meta.network.input_size, split=loaded.split, cache=cache, progress=progress
        )  # fmt: skip
    found = make(run, data, out, precision, trust=trust)
    if as_json:
        sys.stdout.write(json.dumps({**asdict(found), "path": str(found.path)}) + "\n")
        return
    parity = found.parity
    sys.stdout.write(
        f"{found.path}: {precision}, {found.bytes / 1e6:.1f} MB; logits within {parity.logits:.1e} of the largest; "
        f"{parity.same:.2%} of {parity.pictures} pictures answered alike; validation accuracy {parity.accuracy:.4f} "
        f"(run {parity.run_accuracy:.4f}); temperature {found.temperature:.2f}, abstains below "
        f"{found.abstain_below:.2f}"
        f"{f'; {len(found.left_float)} layers in float' if found.left_float else ''}\n"
    )
