"""The figures of a sweep's report. Each is made anew from a table, without pyplot and its global state."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from classifiers.analysis import Effect, Importance, Table
from classifiers.confirm import Confirmation
from classifiers.inference import words
from classifiers.space import Choice, Range, Value
from classifiers.stats import Floats

INK, MUTED, LINE = "#1f2933", "#7b8794", "#d9dee4"
BLUE, ORANGE = "#2563a8", "#d9730d"
WIDTH: Final = 8.6
"""Inches; every figure of the report has this width."""

STYLE: Final = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#eceff3",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "svg.hashsalt": "classifiers",
    "svg.fonttype": "path",
}


@contextmanager
def styled() -> Iterator[None]:
    """The report's look while figures are made and written; matplotlib's settings are left as they were."""
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]
        yield


def svg(make: Callable[[], Figure]) -> str:
    """A figure as SVG text, the same for the same data."""
    with styled():
        text = io.StringIO()
        make().savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    return text.getvalue()


def png(make: Callable[[], Figure], dpi: int = 110) -> bytes:
    """A figure as PNG."""
    with styled():
        data = io.BytesIO()
        make().savefig(data, format="png", bbox_inches="tight", dpi=dpi)
    return data.getvalue()


def _axes(height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _percent(axis: Axes, which: str = "y") -> None:
    (axis.yaxis if which == "y" else axis.xaxis).set_major_formatter(PercentFormatter(1.0))


def over_time(table: Table) -> Figure:
    """Accuracy against the time when each trial was drawn, with the best so far."""
    figure, (axis,) = _axes(3.3)
    begun = min(row.started for row in table.rows)
    minutes = np.array([(row.started - begun).total_seconds() / 60 for row in table.rows])
    for random, colour, name in ((True, BLUE, "drawn at random"), (False, ORANGE, "chosen by the sampler")):
        for pruned in (False, True):
            rows = [i for i, row in enumerate(table.rows) if row.random is random and row.pruned is pruned]
            if rows:
                axis.scatter(
                    minutes[rows], table.values[rows], s=34, facecolors="white" if pruned else colour,
                    edgecolors=colour, linewidths=1.3, zorder=3, label=f"{name}{', pruned' if pruned else ''}",
                )  # fmt: skip
    order = np.argsort(minutes, kind="stable")
    axis.step(
        minutes[order], np.maximum.accumulate(table.values[order]), where="post", color=INK, lw=1.1, label="best so far"
    )
    axis.set(xlabel="minutes since the first trial was drawn", ylabel="validation accuracy")
    _percent(axis)
    axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def parallel(table: Table) -> Figure:
    """Parallel coordinates: a line a trial through its values, coloured by its accuracy."""
    figure, (axis,) = _axes(4.0)
    names = list(table.space)
    heights = np.array([[_height(table.space[name], row.parameters[name]) for name in names] for row in table.rows])
    generator = np.random.default_rng(0)
    heights += generator.uniform(-0.018, 0.018, (len(table.rows), 1))  # lines of equal values stay apart
    low, high = float(table.values.min()), float(table.values.max())
    shade = Normalize(low, high if high > low else low + 1e-6)
    colours = mpl.colormaps["viridis"]
    ends = np.column_stack([heights, shade(table.values)])
    xs = np.arange(len(names) + 1, dtype=np.float64)
    smooth = np.linspace(0, len(names), 30 * len(names) + 1)
    for i in np.argsort(table.values):
        axis.plot(smooth, _eased(xs, ends[i], smooth), color=colours(shade(table.values[i])), lw=1.4, alpha=0.8)
    for x, name in enumerate(names):
        axis.axvline(x, color=LINE, lw=1, zorder=0)
        for height, label in _ticks(table.space[name]):
            axis.text(x + 0.05, height, label, fontsize=7.5, va="center", bbox=_PAPER, zorder=5)
    axis.set_xticks(xs, [words(name) for name in names] + ["accuracy"], rotation=28, ha="right")
    axis.set_yticks([])
    axis.set(xlim=(-0.2, len(names) + 0.1), ylim=(-0.06, 1.06))
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    _colour_bar(figure, axis, shade, colours)
    return figure


_PAPER: Final = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}


def _colour_bar(figure: Figure, axis: Axes, shade: Normalize, colours: Colormap) -> None:
    bar = figure.colorbar(ScalarMappable(shade, colours), ax=axis, fraction=0.025, pad=0.01)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.outline.set_visible(False)
    bar.set_label("validation accuracy")


def _eased(xs: Floats, ys: Floats, at: Floats) -> Floats:
    """Values between the axes, flat at each of them, so that a line is easy to follow through it."""
    left = np.minimum(at.astype(int), len(xs) - 2)
    part = at - left
    eased: Floats = ys[left] + (ys[left + 1] - ys[left]) * part * part * (3 - 2 * part)
    return eased


def _height(part: Choice | Range, value: Value) -> float:
    if isinstance(part, Choice):
        return part.values.index(value) / max(1, len(part.values) - 1)
    number, low, high = float(value), part.low, part.high
    if part.log:
        number, low, high = np.log(number), np.log(low), np.log(high)
    return float((number - low) / (high - low))


def _ticks(part: Choice | Range) -> list[tuple[float, str]]:
    values = part.values if isinstance(part, Choice) else (part.low, part.high)
    return [(_height(part, value), label(value)) for value in values]


def label(value: Value) -> str:
    """A value as it stands in a figure.

    >>> label(True), label(0.50), label("selu")
    ('yes', '0.5', 'selu')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:.3g}"


def forest(found: Sequence[Effect]) -> Figure:
    """Every question's difference with its interval and its rank correlation; those that the data bear stand out."""
    figure = Figure(figsize=(WIDTH, 0.27 * len(found) + 1.1), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[2.2, 1])
    for y, effect in enumerate(reversed(found)):
        colour = ORANGE if effect.borne else MUTED
        difference = effect.difference
        left.plot([difference.low, difference.high], [y, y], color=colour, lw=2, solid_capstyle="round")
        left.plot(difference.value, y, "o", color=colour, ms=5)
        right.barh(y, effect.correlation, color=colour, height=0.55)
    names = [f"{words(e.contrast.name)}: {e.contrast.high} less {e.contrast.low}" for e in reversed(found)]
    left.set_yticks(range(len(found)), names, fontsize=8)
    left.axvline(0, color=INK, lw=0.8)
    left.set_xlabel("difference in accuracy (95 % interval)")
    _percent(left, "x")
    right.axvline(0, color=INK, lw=0.8)
    right.set(xlim=(-1, 1), xlabel="Spearman's rank correlation")
    for axis in (left, right):
        axis.grid(visible=False, axis="y")
    return figure


def importance_bars(shares: Importance) -> Figure:
    """Each hyperparameter's share of the variance with its interval, and what chance gives."""
    names = sorted(shares.shares, key=lambda name: shares.shares[name].value)
    figure, (axis,) = _axes(0.32 * len(names) + 1.0)
    for y, name in enumerate(names):
        share = shares.shares[name]
        colour = ORANGE if share.low > shares.chance else BLUE
        axis.barh(y, share.value, color=colour, alpha=0.85, height=0.6)
        axis.plot([share.low, share.high], [y, y], color=INK, lw=1.3)
    axis.axvline(shares.chance, color=MUTED, ls="--", lw=1, label="95th percentile of the largest by chance")
    axis.set_yticks(range(len(names)), [words(name) for name in names])
    axis.set_xlabel("share of the accuracy's variance explained alone (95 % interval)")
    _percent(axis, "x")
    axis.grid(visible=False, axis="y")
    axis.legend(frameon=False, fontsize=8.5, loc="lower right")
    return figure


def slices(table: Table) -> Figure:
    """Accuracy against each hyperparameter: every trial, and the mean of the random trials of each value."""
    names = list(table.space)
    columns = 4
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(WIDTH, 2.05 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    generator = np.random.default_rng(0)
    for axis, name in zip(axes, names, strict=False):
        _slice(axis, table, name, generator)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    for axis in axes[::columns]:
        axis.set_ylabel("accuracy")
    return figure


def _slice(axis: Axes, table: Table, name: str, generator: np.random.Generator) -> None:
    part = table.space[name]
    column = table.column(name)
    random = np.array([row.random for row in table.rows])
    if isinstance(part, Choice):
        xs = np.array([part.values.index(value) for value in column], dtype=np.float64)
        for x in range(len(part.values)):
            here = table.values[(xs == x) & random]
            if here.size:
                axis.plot([x - 0.3, x + 0.3], [here.mean()] * 2, color=INK, lw=1.8, zorder=4, solid_capstyle="round")
        axis.set_xticks(range(len(part.values)), [label(value) for value in part.values], fontsize=7.5)
        xs += generator.uniform(-0.14, 0.14, len(xs))
        axis.set_xlim(-0.6, len(part.values) - 0.4)
    else:
        xs = np.array([float(value) for value in column])
        axis.set_xscale("log" if part.log else "linear")
    for chosen, colour in ((random, BLUE), (~random, ORANGE)):
        axis.scatter(xs[chosen], table.values[chosen], s=13, color=colour, alpha=0.7, linewidths=0)
    axis.set_title(words(name), fontsize=9, loc="left", color=INK)
    axis.grid(visible=False, axis="x")
    _percent(axis)


def cost(table: Table) -> Figure:
    """Accuracy against multiply-adds a picture, and against seconds of training."""
    figure, axes = _axes(2.9, 2)
    for axis, name, scale, title in (
        (axes[0], "multiply_adds", 1e6, "million multiply-adds a picture"),
        (axes[1], "seconds", 1.0, "seconds of training"),
    ):
        for random, colour in ((True, BLUE), (False, ORANGE)):
            rows = [r for r in table.rows if r.random is random and isinstance(r.facts.get(name), int | float)]
            xs = [float(str(row.facts[name])) / scale for row in rows]
            axis.scatter(xs, [row.value for row in rows], s=26, color=colour, alpha=0.8, linewidths=0)
        _few_log_ticks(axis)
        axis.set_xlabel(title)
        _percent(axis)
    axes[0].set_ylabel("validation accuracy")
    return figure


def _few_log_ticks(axis: Axes) -> None:
    """A logarithmic axis with four plain numbers, whatever it spans."""
    low, high = axis.get_xlim()
    points = axis.collections[0].get_offsets()
    spread = [float(x) for x, _ in np.asarray(points)] or [max(low, 1e-9), high]
    axis.set_xscale("log")
    marks = np.unique([float(f"{mark:.2g}") for mark in np.geomspace(min(spread), max(spread), 4)])
    axis.set_xticks(marks, [f"{mark:g}" for mark in marks])
    axis.xaxis.set_minor_locator(NullLocator())


def curves(table: Table) -> Figure:
    """Validation accuracy of every trial, epoch by epoch; the best one and where others were pruned stand out."""
    figure, (axis,) = _axes(3.2)
    best = table.best
    for row in sorted(table.rows, key=lambda row: row is best):
        epochs, values = [epoch for epoch, _ in row.curve], [value for _, value in row.curve]
        ahead = row is best
        axis.plot(epochs, values, color=ORANGE if ahead else BLUE, lw=2.2 if ahead else 1, alpha=1 if ahead else 0.35)
        if row.pruned and epochs:
            axis.plot(epochs[-1], values[-1], "x", color=MUTED, ms=5)
    axis.plot([], [], color=ORANGE, lw=2.2, label=f"trial {best.number}, the best")
    axis.plot([], [], "x", color=MUTED, label="pruned here")
    axis.set(xlabel="epoch", ylabel="validation accuracy")
    _percent(axis)
    axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def confirmation(found: Confirmation) -> Figure:
    """Accuracy of every new seed of the best and the default configuration, and their difference."""
    figure = Figure(figsize=(WIDTH, 2.3), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.6, 1])
    for y, (name, values, colour) in enumerate(
        (("untuned default", found.default, BLUE), (f"trial {found.trial}", found.best, ORANGE))
    ):
        left.scatter(values, [y] * len(values), s=44, color=colour, alpha=0.8, linewidths=0)
        left.plot([np.mean(values)] * 2, [y - 0.22, y + 0.22], color=INK, lw=2)
        left.text(-0.01, y, name, transform=left.get_yaxis_transform(), ha="right", va="center")
    left.set_yticks([])
    left.set(ylim=(-0.6, 1.6), xlabel="validation accuracy, one point a seed")
    _percent(left, "x")
    difference = found.difference
    right.plot([difference.low, difference.high], [0, 0], color=ORANGE, lw=3, solid_capstyle="round")
    right.plot(difference.value, 0, "o", color=ORANGE, ms=8)
    right.axvline(0, color=INK, lw=0.8)
    right.set_yticks([])
    right.set(ylim=(-1, 1), xlabel="difference (95 % interval)")
    _percent(right, "x")
    return figure
