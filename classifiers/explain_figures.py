"""Explanations as figures: each map beside the one of the network with shuffled weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from classifiers.explain import Check, Explained, Floats

_COLOURS: Final = ("#2563a8", "#d9730d", "#2f855a")


def guided(explained: Explained) -> Figure:
    """A picture and, for each neuron, its map: from the trained network above, from the shuffled one below."""
    count = len(explained.neurons)
    figure = Figure(figsize=(1.25 * (count + 1), 3.0), layout="constrained")
    axes = figure.subplots(2, count + 1, squeeze=False)
    _show(axes[0][0], _rgb(explained.picture), "picture")
    _show(axes[1][0], _grey(explained.edges), "its edges")
    for column, neuron in enumerate(explained.neurons, start=1):
        title = f"channel {neuron.channel}\nat {neuron.row}, {neuron.column}"
        _show(axes[0][column], _signed(explained.guided[column - 1]), title)
        _show(axes[1][column], _signed(explained.guided_shuffled[column - 1]), "")
    axes[1][1].set_xlabel("same neurons, weights shuffled", loc="left", fontsize=8)
    figure.suptitle(f"Guided backpropagation: {explained.name}", fontsize=10)
    return figure


def methods(several: Sequence[Explained]) -> Figure:
    """A row a picture: Grad-CAM and integrated gradients, each beside the one of the shuffled network."""
    titles = ("picture", "Grad-CAM", "weights shuffled", "integrated gradients", "weights shuffled")
    figure = Figure(figsize=(9.0, 1.95 * len(several) + 0.3), layout="constrained")
    axes = figure.subplots(len(several), len(titles), squeeze=False)
    for row, explained in zip(axes, several, strict=True):
        picture = _rgb(explained.picture)
        _show(row[0], picture, f"{explained.predicted}, {explained.confidence:.2f}")
        for column, (heat, overlay) in enumerate(
            ((explained.cam, True), (explained.cam_shuffled, True), (explained.integrated, False),
             (explained.integrated_shuffled, False)), start=1,
        ):  # fmt: skip
            _show(row[column], _heat(picture, heat) if overlay else _grey(np.abs(heat).sum(0)), "")
    for axis, title in zip(axes[0][1:], titles[1:], strict=True):
        axis.set_title(title, fontsize=8.5)
    return figure


def checks(found: Mapping[str, Check]) -> Figure:
    """Similarity of each method's maps to the trained network's as layer after layer is shuffled."""
    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    axis = figure.subplots()
    for (name, check), colour in zip(found.items(), _COLOURS, strict=False):
        places = range(len(check.layers) + 1)
        axis.plot(places, [1.0, *check.similarity], "o-", color=colour, ms=4, lw=1.6, label=name)
        axis.axhline(check.edges, color=colour, lw=1, ls=":")
    layers = next(iter(found.values())).layers
    short = [layer.removeprefix("features.").removeprefix("classifier.") for layer in layers]
    axis.set_xticks(range(len(layers) + 1), ["none", *short], rotation=40, ha="right", fontsize=8)
    axis.axhline(0, color="#7b8794", lw=0.8)
    axis.set(ylim=(-1.05, 1.05), ylabel="rank correlation of maps")
    axis.set_xlabel("shuffled, from the output down to this layer")
    axis.plot([], [], color="#7b8794", ls=":", label="with the picture's edges")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _show(axis: Axes, values: Floats, title: str) -> None:
    axis.imshow(values, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axis.set_title(title, fontsize=7.5)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def _rgb(picture: Tensor) -> Floats:
    values: Floats = picture.permute(1, 2, 0).numpy(force=True)
    return values


def _signed(values: Floats) -> Floats:
    """A signed map [3, S, S] as colours around grey."""
    largest = float(np.abs(values).max())
    shown: Floats = 0.5 + values.transpose(1, 2, 0) / (2 * largest if largest > 0 else 1.0)
    return shown


def _grey(values: Floats) -> Floats:
    """A map [S, S], at least 0, up to its 99th percentile."""
    largest = float(np.quantile(values, 0.99))
    shown: Floats = np.clip(values / (largest if largest > 0 else 1.0), 0, 1)
    return shown


def _heat(picture: Floats, values: Floats) -> Floats:
    largest = float(values.max())
    colours = mpl.colormaps["inferno"](values / (largest if largest > 0 else 1.0))[..., :3]
    shown: Floats = np.clip(0.45 * picture + 0.55 * colours, 0, 1).astype(np.float32)
    return shown
