"""`classifiers bench-onnx`: pictures a second of exported files, in turns in one run."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from classifiers.cli import options as o


def bench_onnx(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Files of `classifiers export`.")],
    *,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Pictures at a time.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Batches a round.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the CPU, 0 for all.")] = 0,
    provider: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: o.AsJson = False,
) -> None:
    """Measure exported files side by side on pictures of their own size, all inside."""
    import numpy as np

    from classifiers.runtime import Model

    ready = [Model(path, provider, threads) for path in models]
    speeds: list[list[float]] = [[] for _ in ready]
    shown = [
        np.random.default_rng(0).integers(0, 256, (batch, m.facts.size, m.facts.size, 3), dtype=np.uint8) for m in ready
    ]
    for number in range(rounds + 1):
        for model, pictures, found in zip(ready, shown, speeds, strict=True):
            begun = time.perf_counter()
            for _ in range(steps):
                model.run(pictures)
            if number:  # the first round warms up
                found.append(steps * batch / (time.perf_counter() - begun))
    rows = [
        {"model": str(path), "precision": model.facts.precision, "batch": batch, "provider": provider,
         "pictures_per_s": statistics.median(found), "low": min(found), "high": max(found)}
        for path, model, found in zip(models, ready, speeds, strict=True)
    ]  # fmt: skip
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    for row in rows:
        sys.stdout.write(
            f"{row['model']} ({row['precision']}, batch {batch}, {provider}): {row['pictures_per_s']:.1f} pictures/s, "
            f"lowest {row['low']:.1f}, highest {row['high']:.1f}\n"
        )
