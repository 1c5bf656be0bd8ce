"""`railwatch bench`: what each stage costs beside the bare model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from railwatch.core.provider import Provider


def bench(
    video: Annotated[Path, typer.Option(help="The clip to run on.")],
    model: Annotated[
        str | None, typer.Option(help="Name or ONNX file of the detector.", show_default="the shipped one")
    ] = None,
    provider: Annotated[Provider | None, typer.Option(help="What must run the model.", show_default="cpu")] = None,
    zone: Annotated[
        list[str] | None, typer.Option(help="Zones as in `railwatch watch`.", show_default="the whole frame")
    ] = None,
    frames: Annotated[int, typer.Option(help="Most frames of the clip to measure.", min=1, max=100_000)] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure the whole way against the floor: the bare model on the same tensors and threads, in the same run.

    ratio_to_floor is the time of a frame, everything included, over that of the bare model. cpu_ms_beyond_inference
    is the processor time that everything else costs, also where it runs beside the model.
    """
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from railwatch.app.bench import bench as measure

    console = Console(stderr=True, highlight=False)
    with console.status("measuring"):
        report = measure(video, model, tuple(zone or ()), frames, provider=provider)
    if as_json:
        sys.stdout.write(json.dumps(asdict(report), allow_nan=False) + "\n")
        return
    table = Table("stage", "ms a frame", "share of the floor")
    for stage, stage_ms in report.stages_ms.items():
        table.add_row(stage, f"{stage_ms:.2f}", f"{stage_ms / report.floor_ms_per_frame:.0%}")
    table.add_row("whole way", f"{report.ms_per_frame:.2f}", f"{report.ratio_to_floor:.0%}")
    table.add_row("floor: bare model", f"{report.floor_ms_per_frame:.2f}", "100%")
    out = Console(highlight=False, soft_wrap=True)
    out.print(table)
    low, high = report.ratio_spread
    out.print(f"ratio_to_floor {report.ratio_to_floor:.3f} (median of {report.rounds}, {low:.3f} to {high:.3f})")
    out.print(f"cpu_ms_beyond_inference {report.cpu_ms_beyond_inference:.2f}")
    out.print(
        f"{report.video}, {report.frames} frames, model sha256 {report.model_sha256}, "
        f"provider {report.provider}, {report.machine}"
    )
