"""Figures of a trained network, as PNG files: pictures with predictions, and the filters of the first layer."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from classifiers.backbones import Backbone
from classifiers.data import Pictures
from classifiers.files import write_bytes
from classifiers.network import Network

ROWS: Final = 10
COLUMNS: Final = 3


def prediction_grid(
    path: Path, pictures: Pictures, probabilities: NDArray[np.float64], names: tuple[str, ...], seed: int = 0
) -> None:
    """Three pictures of each of up to ten classes, each with what was predicted, how surely, and the truth."""
    rows = min(ROWS, len(names))
    rng = np.random.default_rng(seed)
    figure = Figure(figsize=(COLUMNS * 2.2, rows * 2.3), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    for label in range(rows):
        mine = np.flatnonzero(pictures.labels == label)
        shown = rng.permutation(mine)[:COLUMNS]
        for column in range(COLUMNS):
            axis = axes[label, column]
            axis.set_axis_off()
            if column >= len(shown):
                continue
            row = int(shown[column])
            said = int(probabilities[row].argmax())
            title = f"{names[said]} {probabilities[row, said]:.0%}"
            axis.imshow(pictures.pixels[row])
            colour = "#1a7f37" if said == label else "#b42318"
            axis.set_title(title if said == label else f"{title}\n(is {names[label]})", fontsize=8, color=colour)
    save(path, figure)


def first_filters(path: Path, network: Network | Backbone) -> None:
    """Every filter of the first convolution as a picture, each stretched over its own range around zero."""
    weight = network.first_convolution.weight.detach().float().cpu().numpy()
    columns = math.ceil(math.sqrt(len(weight)))
    rows = math.ceil(len(weight) / columns)
    figure = Figure(figsize=(columns * 0.9, rows * 1.0 + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for number, axis in enumerate(axes[: len(weight)]):
        filter_ = weight[number].transpose(1, 2, 0)
        axis.imshow(0.5 + filter_ / (2 * max(float(np.abs(filter_).max()), 1e-12)), interpolation="nearest")
        axis.set_title(str(number), fontsize=6)
    side = weight.shape[-1]
    figure.suptitle(f"{len(weight)} filters of the first layer, {side} x {side} x RGB; grey is zero", fontsize=8)
    save(path, figure)


def save(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all. Raises OutputError."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_bytes(path, buffer.getvalue())
