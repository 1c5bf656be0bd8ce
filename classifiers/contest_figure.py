"""The figure of a comparison: what each way of training reaches, with intervals, and how fast it gets there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter, ScalarFormatter

from classifiers.charts import BLUE, INK, MUTED, ORANGE, WIDTH, svg
from classifiers.contest import Standing
from classifiers.files import write_bytes
from classifiers.stats import Floats

_COLOURS = (BLUE, ORANGE, "#2f8f5b", "#8a4fa3", "#b42318", MUTED)


def draw(rows: Sequence[Standing], folder: Path, seeds: Sequence[int]) -> None:
    """Write table.svg into the folder of a comparison, from the runs that lie there."""
    curves = {row.name: _curve([folder / f"{row.name}-{seed}" for seed in seeds]) for row in rows}
    write_bytes(folder / "table.svg", svg(lambda: contest_figure(rows, curves)).encode())


def _curve(runs: Sequence[Path]) -> Floats:
    """Validation accuracy [seeds, epochs], cut to the shortest run."""
    rows = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    epochs = min(map(len, rows))
    return np.array([[row["validation_accuracy"] for row in lines[:epochs]] for lines in rows])


def contest_figure(rows: Sequence[Standing], curves: Mapping[str, Floats]) -> Figure:
    """Accuracy of every row with its interval; beside it the mean validation accuracy by epoch.

    `curves` are accuracies [seeds, epochs], 0 to 1, by the rows' names.
    """
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = {row.name: _COLOURS[number % len(_COLOURS)] for number, row in enumerate(rows)}
    _accuracies(left, rows, colours)
    for name, values in curves.items():
        epochs = np.arange(1, values.shape[1] + 1)
        right.plot(epochs, values.mean(0), color=colours[name], marker="o", markersize=2.5, label=name)
    right.set(xscale="log", xlabel="epoch", ylabel="validation accuracy, mean over seeds")
    right.xaxis.set_major_formatter(ScalarFormatter())
    right.xaxis.set_minor_locator(NullLocator())
    right.set_xticks([tick for tick in (1, 2, 5, 10, 20, 40, 100) if tick <= max(v.shape[1] for v in curves.values())])
    right.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.legend(frameon=False, fontsize=8)
    return figure


def _accuracies(axis: Axes, rows: Sequence[Standing], colours: Mapping[str, str]) -> None:
    for place, row in enumerate(reversed(rows)):
        estimate = row.accuracy
        axis.plot([estimate.low, estimate.high], [place, place], color=colours[row.name], linewidth=2)
        axis.plot(row.accuracies, [place] * len(row.accuracies), "|", color=INK, markersize=7)
        axis.plot(estimate.value, place, "o", color=colours[row.name], markersize=6)
    axis.set_yticks(range(len(rows)), [row.name for row in reversed(rows)])
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set(xlabel="validation accuracy, 95 % interval, a stroke a seed", ylim=(-0.6, len(rows) - 0.4))
