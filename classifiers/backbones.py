"""Networks of timm as classifiers of other classes: their own input and scaling, their blocks, new dense layers."""

from __future__ import annotations

import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Self

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from classifiers.errors import ConfigError
from classifiers.tuning import BackboneConfig


class Backbone(nn.Module):
    """A network of timm (`body`, without its last layer) and dense layers (`head`).

    Input: uint8 [N, 3, S, S] in 0 to 255 or floating point [N, 3, S, S] in 0 to 1, scaled inside as the network was
    trained; or bottleneck features, floating point [N, D], which go to the head alone. Output: logits [N, classes].
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: BackboneConfig, body: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.body = body
        self.head = _head(width_of(body), config)
        self._still: list[nn.Module] = []
        for name in ("mean", "deviation"):
            self.register_buffer(name, torch.tensor(getattr(config, name))[:, None, None], persistent=False)

    def forward(self, shown: Tensor) -> Tensor:
        """Logits [N, classes] of pictures [N, 3, S, S] or features [N, D]."""
        logits: Tensor = self.head(shown if shown.ndim == 2 else self.features(shown))
        return logits

    def features(self, pictures: Tensor) -> Tensor:
        """Bottleneck features [N, D] of pictures: what the network's own last layer would have seen."""
        part = pictures.to(self.mean.dtype) / 255 if pictures.dtype == torch.uint8 else pictures
        found: Tensor = self.body((part - self.mean) / self.deviation)
        return torch.flatten(found, 1)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, except for what is held still: its batch norm keeps its statistics."""
        super().train(mode)
        for module in self._still:
            module.eval()
        return self

    def hold_still(self, moves: Callable[[int], bool], *, norms: bool = False) -> None:
        """Let only the blocks of the body move for whose number from the end (0 is the last) `moves` is true.

        With `norms` batch norm keeps its statistics in the blocks that move, too. The head always moves.
        """
        depth = depths(self.body)
        for name, parameter in self.body.named_parameters():
            parameter.requires_grad_(moves(depth(name)))
        self._still = [
            module
            for name, module in self.body.named_modules()
            if _holds(module)
            and (not moves(depth(name)) or (norms and isinstance(module, nn.modules.batchnorm._NormBase)))  # noqa: SLF001
        ]
        self.train(self.training)

    @property
    def first_convolution(self) -> nn.Conv2d:
        """The layer whose filters see the picture itself."""
        return next(module for module in self.body.modules() if isinstance(module, nn.Conv2d))


def _holds(module: nn.Module) -> bool:
    """Whether a module has tensors of its own, or nothing below it: timm's norms have both tensors and children."""
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return bool(own) or not list(module.children())


def width_of(body: nn.Module) -> int:
    """Number of bottleneck features."""
    return int(getattr(body, "head_hidden_size", None) or body.num_features)  # type: ignore[arg-type] # timm's


def depths(body: nn.Module) -> Callable[[str], int]:
    """The number from the end (0 is the last) of the block that a parameter, buffer or module belongs to, by name.

    The blocks are those that timm's own machinery for layer-wise rates knows: the stem, then residual blocks or stages.
    What has no parameters of its own goes with the parameters nearest to it in the tree of modules.
    """
    blocks = group_parameters(body, body.group_matcher(coarse=False), reverse=True)  # type: ignore[operator] # timm's
    place = {number: depth for depth, number in enumerate(sorted(set(blocks.values()), reverse=True))}
    nearest: dict[str, int] = {}
    for name, number in blocks.items():
        parts = name.split(".")
        for end in range(len(parts) + 1):
            prefix = ".".join(parts[:end])
            nearest[prefix] = min(nearest.get(prefix, place[number]), place[number])

    def depth(name: str) -> int:
        while name not in nearest:
            name = name.rpartition(".")[0]
        return nearest[name]

    return depth


def count_blocks(body: nn.Module) -> int:
    """Blocks with parameters, the stem counted as one."""
    depth = depths(body)
    return 1 + max(depth(name) for name, _ in body.named_parameters())


def known(name: str) -> str:
    """The name, if timm has such a network; raises ConfigError with names that are like it."""
    if not timm.is_model(name):
        part = re.split(r"[._]", name)[0]
        close = timm.list_models(f"*{part}*")[:5] if part else []
        like = f", as {', '.join(close)}" if close else ""
        raise ConfigError(f"a backbone must be a network of timm{like}, but {name!r} is given")
    return name


def build(config: BackboneConfig, seed: int | None = None) -> Backbone:
    """The network with random weights: those of `seed` (torch's random state stays as it was), or by chance."""
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return Backbone(config, make_body(config.name, config.options))


def make_body(name: str, options: Any, **more: Any) -> nn.Module:  # noqa: ANN401 - timm takes what it takes
    """A network of timm without its last layer. Raises ConfigError where timm does not know the name or an option."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a name that timm has since changed
            body: nn.Module = timm.create_model(known(name), num_classes=0, **options, **more)
    except TypeError as error:
        raise ConfigError(f"{name} must take the options {dict(options)}, but does not: {error}") from error
    return body


def norms(network: nn.Module) -> Iterator[nn.Module]:
    """Every batch norm of a network."""
    yield from (m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))  # noqa: SLF001


def _head(width: int, config: BackboneConfig) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = width
    for number, neurons in enumerate(config.dense, start=1):
        layers[f"dense{number}"] = nn.Linear(inputs, neurons)
        layers[f"activation{number}"] = nn.ReLU()
        inputs = neurons
    layers["output"] = nn.Linear(inputs, config.classes)
    return nn.Sequential(layers)
