"""Export whole networks and hold the files against torch: the course's four, EfficientNet-Lite 0, every activation.

python scripts/export_parity.py [NAME ...]

Random weights; batch norm is calibrated first on smooth random pictures, or values would grow from layer to layer and
the comparison would say nothing. Prints the largest difference of logits at batches of 1, 2 and 7 as a share of the
largest logit, and exits with 1 where one is above 1e-4. Minutes, and up to 4 GB of memory: no part of `make test`.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from classifiers import backbones, graph, network
from classifiers.config import ACTIVATIONS, NetworkConfig
from classifiers.export import BATCHES, LOGITS_WITHIN, asking
from classifiers.runtime import session
from classifiers.strategies import subject
from classifiers.tuning import TuneConfig

BACKBONES = ("resnet50", "inception_v3", "inception_resnet_v2", "legacy_xception", "efficientnet_lite0")


def pictures(count: int, size: int, seed: int) -> NDArray[np.uint8]:
    """Smooth random pictures, uint8 [N, S, S, 3]."""
    rough = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 255
    smooth = functional.interpolate(rough, size=(size, size), mode="bicubic").clamp(0, 255)
    found: NDArray[np.uint8] = smooth.permute(0, 2, 3, 1).to(torch.uint8).numpy()
    return found


def calibrate(model: nn.Module, size: int) -> None:
    """Give every batch norm the statistics of pictures."""
    for norm in backbones.norms(model):
        norm.reset_running_stats()  # type: ignore[operator] # every batch norm has it
        norm.momentum = None  # type: ignore[assignment] # the mean of all batches
    model.train()
    with torch.no_grad():
        for seed in range(3):
            model(torch.from_numpy(pictures(8, size, seed)).permute(0, 3, 1, 2))
    model.eval()


def made(name: str) -> tuple[nn.Module, int]:
    """A network with calibrated random weights, and the side of its input."""
    if name in ACTIVATIONS:
        config = NetworkConfig(activation=name, batch_norm="before", input_size=128)
        model: nn.Module = network.build(config, 0)
        size = config.input_size
    else:
        described = subject(TuneConfig(backbone=name, weights="none"), 10).config
        model, size = backbones.build(described, 0), described.input_size
    calibrate(model, size)
    return model, size


def difference(model: nn.Module, size: int) -> float:
    """The largest difference of logits as a share of the largest, over the batches."""
    ready = session(graph.whole(graph.core(model, size), size, 10, 1.0).SerializeToString())
    ask, worst, largest = asking(model), 0.0, 0.0
    for batch in BATCHES:
        shown = pictures(batch, size, 100 + batch)
        mine = ask(shown)
        theirs = ready.run(["logits"], {"image": shown})[0]
        worst, largest = max(worst, float(np.abs(theirs - mine).max())), max(largest, float(np.abs(mine).max()))
    return worst / largest


def main() -> None:
    """Compare what is named, or everything."""
    failed = False
    for name in sys.argv[1:] or (*ACTIVATIONS, *BACKBONES):
        found = difference(*made(name))
        failed |= not found <= LOGITS_WITHIN
        print(f"{name:22} {found:.1e} of the largest logit", flush=True)
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
