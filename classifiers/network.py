"""The network: convolution blocks, dense layers and an output layer, every part named."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import torch
from torch import Tensor, nn

from classifiers.config import NetworkConfig

ACTIVATION_MODULES: Final[dict[str, type[nn.Module]]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
}
"""A new activation is one row here and one name in `config.ACTIVATIONS`."""

MEAN: Final = 0.5
DEVIATION: Final = 0.25


class Network(nn.Module):
    """A classifier of square RGB pictures.

    `features.block1.convolution` ... `features.blockN.pooling` and `classifier.dense1` ... `classifier.output`
    reach every layer by name. Every activation is a module of its own, so that hooks can act on each.

    Input: uint8 [N, 3, S, S] in 0 to 255, or floating point [N, 3, S, S] in 0 to 1. The scaling to -2 to 2
    is part of the network: no caller can forget it or do it twice. Output: logits [N, classes].
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.features = nn.Sequential(OrderedDict((f"block{i + 1}", _block(config, i)) for i in range(config.blocks)))
        self.classifier = _classifier(config)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits [N, classes] of pictures [N, 3, S, S]."""
        logits: Tensor = self.classifier(torch.flatten(self.features(scaled(pictures)), 1))
        return logits

    @property
    def first_convolution(self) -> nn.Conv2d:
        """The layer whose filters see the picture itself."""
        return self.convolution(0)

    @property
    def last_convolution(self) -> nn.Conv2d:
        """The deepest convolution, the one that explanations look at."""
        return self.convolution(-1)

    def convolution(self, index: int) -> nn.Conv2d:
        """The convolution of the block `index` (0 is the first, -1 the last)."""
        layer = self.features[index].convolution
        assert isinstance(layer, nn.Conv2d)  # noqa: S101 - _block makes it so
        return layer


def scaled(pictures: Tensor) -> Tensor:
    """Pictures in 0 to 255 (uint8) or 0 to 1 (floating point) as (x - 0.5) / 0.25.

    >>> scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == scaled(torch.tensor([0.0, 1.0])).tolist()
    True
    """
    if pictures.dtype == torch.uint8:
        return pictures.to(torch.get_default_dtype()).mul_(1 / (255 * DEVIATION)).sub_(MEAN / DEVIATION)
    return (pictures - MEAN) / DEVIATION


def build(config: NetworkConfig, seed: int | None = None) -> Network:
    """A network with fresh weights: those of `seed` (torch's random state stays as it was), or by chance.

    Convolutions and dense layers start with He's normal distribution (fan in), with LeCun's where the activation is
    SELU, which normalises itself only then (Klambauer et al. 2017); biases start at zero.
    """
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        network = Network(config)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear" if config.activation == "selu" else "relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return network


def _block(config: NetworkConfig, index: int) -> nn.Sequential:
    filters, kernel = config.filters_of_blocks, config.kernels_of_blocks[index]
    channels = 3 if index == 0 else filters[index - 1]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["convolution"] = nn.Conv2d(channels, filters[index], kernel, padding=kernel // 2)
    if config.batch_norm == "before":
        layers["norm"] = nn.BatchNorm2d(filters[index])
    layers["activation"] = ACTIVATION_MODULES[config.activation]()
    if config.batch_norm == "after":
        layers["norm"] = nn.BatchNorm2d(filters[index])
    layers["pooling"] = nn.MaxPool2d(2) if config.pooling == "max" else nn.AvgPool2d(2)
    return nn.Sequential(layers)


def _classifier(config: NetworkConfig) -> nn.Sequential:
    inputs = config.filters_of_blocks[-1] * config.sides[-1] ** 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, neurons in enumerate(config.dense, start=1):
        layers[f"dense{number}"] = nn.Linear(inputs, neurons)
        layers[f"activation{number}"] = ACTIVATION_MODULES[config.activation]()
        if config.dropout:
            layers[f"dropout{number}"] = nn.Dropout(config.dropout)
        inputs = neurons
    layers["output"] = nn.Linear(inputs, config.classes)
    return nn.Sequential(layers)
