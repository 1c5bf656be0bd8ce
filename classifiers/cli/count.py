"""`classifiers count`: how many parameters and multiply-adds a network has."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from classifiers.cli import options as o


def count(
    filters: o.Filters = None,
    scheme: o.Scheme = None,
    kernel: o.Kernel = None,
    dense: o.Dense = None,
    batch_norm: o.BatchNorm = None,
    norm_place: o.NormPlace = None,
    blocks: o.Blocks = None,
    size: o.Size = None,
    activation: o.Activation = None,
    dropout: o.Dropout = None,
    pooling: o.Pooling = None,
    classes: o.Classes = None,
    config: o.ConfigFile = None,
    preset: o.Preset = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Count parameters and multiply-adds of a picture: by the closed formula, and layer by layer."""
    from dataclasses import asdict

    from classifiers.counting import formula, layers, symbolic
    from classifiers.errors import ClassifierError

    network, _ = o.configured(
        config,
        preset,
        o.network_values(
            filters=filters, scheme=scheme, kernel=kernel, dense=dense, batch_norm=batch_norm, norm_place=norm_place,
            blocks=blocks, input_size=size, activation=activation, dropout=dropout, pooling=pooling, classes=classes,
        ),
    )  # fmt: skip
    parameters, multiply_adds = formula(network)
    rows = layers(network)
    counted = sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)
    if counted != (parameters, multiply_adds):
        raise ClassifierError(
            f"the formula gives {parameters, multiply_adds}, but counting gives {counted}: report this"
        )
    symbols = symbolic(network)
    if as_json:
        document = {
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "formula": {"parameters": symbols[0], "multiply_adds": symbols[1]} if symbols else None,
            "layers": [asdict(row) for row in rows],
        }
        sys.stdout.write(json.dumps(document) + "\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in ("layer", "kind", "output", "parameters", "multiply-adds"):
        table.add_column(
            heading, no_wrap=True, justify="right" if heading in {"parameters", "multiply-adds"} else "left"
        )
    for row in rows:
        shape = " x ".join(map(str, row.output))
        table.add_row(row.name, row.kind, shape, f"{row.parameters:,}", f"{row.multiply_adds:,}")
    table.add_row("sum", "", "", f"{parameters:,}", f"{multiply_adds:,}")
    out = Console(highlight=False, soft_wrap=True, width=100)
    out.print(table)
    if symbols:
        out.print(f"parameters    = {symbols[0]}\nmultiply-adds = {symbols[1]}")
        first = network.filters_of_blocks[0], network.kernels_of_blocks[0], network.dense[0]
        out.print("m = {}, k = {}, n = {}".format(*first))
