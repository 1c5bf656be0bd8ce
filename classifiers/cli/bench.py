"""`classifiers bench`: pictures a second for every way of feeding the training step."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from classifiers.cli import options as o


def bench(
    size: o.Size = None,
    filters: o.Filters = None,
    kernel: o.Kernel = None,
    batch: o.Batch = None,
    device: o.Device = None,
    precision: o.Precision = None,
    channels_last: o.ChannelsLast = None,
    compile_: o.Compile = None,
    pictures: Annotated[int, typer.Option(help="Pictures that are made for it.", min=64, max=100_000)] = 256,
    steps: Annotated[int, typer.Option(help="Steps a round.", min=1, max=10_000)] = 4,
    rounds: Annotated[int, typer.Option(help="Rounds; the median counts.", min=1, max=1000)] = 5,
    as_json: o.AsJson = False,
) -> None:
    """Measure the training step fed in every way, in turns in one run, beside what the memory's speed allows."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from classifiers.bench import bench as measure
    from classifiers.errors import ConfigError

    network, training = o.configured(
        None,
        None,
        o.network_values(filters=filters, kernel=kernel, input_size=size),
        {"batch": batch, "device": device, "precision": precision, "channels_last": channels_last, "compile": compile_},
    )
    if pictures < training.batch:
        raise ConfigError(f"--pictures must be at least the batch, {training.batch}, but is {pictures}")
    with Console(stderr=True, highlight=False).status("measuring"):
        found = measure(network, training, pictures=pictures, steps=steps, rounds=rounds)
    if as_json:
        sys.stdout.write(json.dumps(asdict(found), allow_nan=False) + "\n")
        return
    table = Table("way", "pictures/s", "lowest to highest", "of synthetic", "of the memory roof")
    synthetic = found.rows["synthetic"].pictures_per_s
    for name, speed in found.rows.items():
        rate = speed.pictures_per_s
        share, roof = f"{rate / synthetic:.0%}", f"{rate / found.roof_pictures_per_s:.1%}"
        table.add_row(name, f"{rate:.1f}", f"{speed.low:.1f} to {speed.high:.1f}", share, roof)
    out = Console(highlight=False, soft_wrap=True, width=110)
    out.print(table)
    out.print(f"device-resident to synthetic, median of the rounds: {found.resident_to_synthetic:.3f}")
    out.print(f"memory {found.memory_gb_per_s:.1f} GB/s; {found.machine}; {found.settings}")
