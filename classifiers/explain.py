"""What a network looks at: guided backpropagation, Grad-CAM, integrated gradients, and whether each is to be believed.

A map that stays the same when the weights are shuffled shows the picture, not the network (Adebayo et al. 2018, "Sanity
checks for saliency maps"). So every method comes with that check: the layers are shuffled one after the other from the
output down, and the map is compared with the one of the trained network.

Pictures are floating point [N, 3, S, S] in 0 to 1, as the network takes them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from classifiers.errors import ConfigError
from classifiers.guided import watched
from classifiers.stats import spearman

Floats = NDArray[np.float32]
Maps = Callable[[nn.Module, Tensor], Floats]
"""A network and one picture [3, S, S] to maps [M, S, S], M fixed for the method."""

STEPS: Final = 64
_CHUNK: Final = 32


@dataclass(frozen=True, slots=True)
class Neuron:
    """One unit of the last convolution: a channel and a place in its map."""

    channel: int
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class Check:
    """How a method's maps change as the weights are shuffled, layer after layer from the output down.

    Attributes:
        layers: names of the layers in the order they were shuffled; each entry has all before it shuffled too.
        similarity: Spearman's rank correlation, -1 to 1, of the absolute map with the trained network's, mean of all
        maps. edges: the same correlation of the trained network's map with the picture's edges (Sobel).
    """

    layers: tuple[str, ...]
    similarity: tuple[float, ...]
    edges: float

    @property
    def verdict(self) -> str:
        """One sentence on what the check bears.

        >>> Check(("output", "convolution"), (0.9, 0.1), 0.3).verdict
        'depends on the weights: similarity 0.10 once every layer is shuffled (edges of the picture: 0.30)'
        """
        last = self.similarity[-1]
        figures = f"similarity {last:.2f} once every layer is shuffled (edges of the picture: {self.edges:.2f})"
        if last < 0.3:
            return f"depends on the weights: {figures}"
        if last < 0.6:
            return f"depends on the weights in part, on the picture in part: {figures}"
        return f"shows the picture more than the network: {figures}"


def strongest_neurons(network: nn.Module, picture: Tensor, count: int = 10) -> tuple[Neuron, ...]:
    """The `count` units of the last convolution that `picture` excites most, of different channels if there are enough.

    Raises:
        ConfigError: the last convolution has fewer than `count` units.
    """
    with torch.no_grad():
        units = watched(network, picture[None])[1][0]
    channels, rows, columns = units.shape
    if count < 1 or count > units.numel():
        raise ConfigError(
            f"neurons must be from 1 to the {units.numel()} units of the last convolution, but {count} is given"
        )
    each = min(-(-count // channels), rows * columns)
    values, places = units.flatten(1).topk(each, dim=1)
    # Every channel's best unit comes before any channel's second best.
    order = sorted(((-rank, float(values[c, rank]), c) for c in range(channels) for rank in range(each)), reverse=True)
    chosen = [(c, int(places[c, -rank])) for rank, _, c in order[:count]]
    return tuple(Neuron(c, place // columns, place % columns) for c, place in chosen)


def guided_backpropagation(network: nn.Module, picture: Tensor, neurons: tuple[Neuron, ...]) -> Floats:
    """Maps [M, 3, S, S] of what in `picture` [3, S, S] excites each of M neurons of the last convolution.

    Through an activation f only max(f'(x), 0) max(g, 0) of a gradient g passes, which for ReLU is Springenberg et al.
    2015.

    Raises:
        ConfigError: a neuron is outside the last convolution, or the network cannot be guided.
    """
    copies = picture.detach().expand(len(neurons), -1, -1, -1).clone().requires_grad_()
    units = watched(network, copies, guided=True)[1]
    for neuron in neurons:
        if not (neuron.channel < units.shape[1] and neuron.row < units.shape[2] and neuron.column < units.shape[3]):
            raise ConfigError(
                f"a neuron must lie within channels, rows, columns {tuple(units.shape[1:])}, not {neuron}"
            )
    excited = [units[i, n.channel, n.row, n.column] for i, n in enumerate(neurons)]
    (gradients,) = torch.autograd.grad(torch.stack(excited).sum(), copies)
    return gradients.numpy(force=True).astype(np.float32)


def grad_cam(network: nn.Module, picture: Tensor, target: int) -> Floats:
    """Map [S, S], at least 0, of where the last convolution speaks for class `target` (Selvaraju et al. 2017)."""
    logits, units = watched(network, picture.detach()[None].requires_grad_())
    (gradients,) = torch.autograd.grad(logits[0, target], units)
    coarse = functional.relu((gradients.mean((2, 3), keepdim=True) * units).sum(1, keepdim=True))
    side = [int(length) for length in picture.shape[-2:]]
    full = functional.interpolate(coarse.detach(), size=side, mode="bilinear", align_corners=False)
    return full[0, 0].numpy(force=True).astype(np.float32)


def integrated_gradients(
    network: nn.Module, picture: Tensor, target: int, *, baseline: float = 0.5, steps: int = STEPS
) -> tuple[Floats, float]:
    """Map [3, S, S] of what each value adds to the logit of `target`, and the gap to completeness.

    The mean gradient on the straight line from a picture of one grey (`baseline`) times the difference (Sundararajan et
    al. 2017), by the midpoint rule. The sum of an exact map is the logit's difference to the baseline's; the gap is the
    error of that sum, as a share of the difference.
    """
    training = network.training
    network.eval()
    try:
        start = torch.full_like(picture, baseline)
        places = (torch.arange(steps, dtype=picture.dtype, device=picture.device) + 0.5) / steps
        total = torch.zeros_like(picture)
        for part in torch.split(places, _CHUNK):
            points = (start + part.view(-1, 1, 1, 1) * (picture.detach() - start)).requires_grad_()
            (gradients,) = torch.autograd.grad(network(points)[:, target].sum(), points)
            total += gradients.sum(0)
        values = total / steps * (picture - start)
        with torch.no_grad():
            ends = network(torch.stack([picture, start]))[:, target]
    finally:
        network.train(training)
    difference = float(ends[0] - ends[1])
    gap = abs(float(values.sum()) - difference) / max(abs(difference), 1e-6)
    return values.numpy(force=True).astype(np.float32), gap


def shuffled_from_the_top(network: nn.Module, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Copies of the network with the last 1, 2, ... all layers shuffled, and the name of the layer that is new in each.

    Shuffling a tensor's entries keeps their distribution, so that activations neither die nor blow up.
    """
    layers = [name for name, module in network.named_modules() if any(True for _ in module.parameters(recurse=False))]
    generator = torch.Generator().manual_seed(seed)
    current = copy.deepcopy(network)
    for name in reversed(layers):
        with torch.no_grad():
            for values in current.get_submodule(name).parameters(recurse=False):
                order = torch.randperm(values.numel(), generator=generator).to(values.device)
                values.copy_(values.flatten()[order].view_as(values))
        yield name, copy.deepcopy(current)


def similarity(first: Floats, second: Floats) -> float:
    """Spearman's correlation of two absolute maps where either is not zero; 0 if one of them is constant.

    >>> similarity(np.float32([[1, -2], [3, 0]]), np.float32([[2, 4], [6, 0]]))
    1.0
    """
    one, two = (np.abs(np.asarray(values, dtype=np.float64)) for values in (first, second))
    where = (one > 0) | (two > 0)
    return spearman(one[where], two[where])


def check(network: nn.Module, pictures: Tensor, maps: Maps, seed: int = 0) -> Check:
    """The weight-randomisation check of a method on pictures [N, 3, S, S]."""
    trained = [maps(network, picture) for picture in pictures]
    layers, values = [], []
    for name, shuffled in shuffled_from_the_top(network, seed):
        layers.append(name)
        pairs = zip(trained, (maps(shuffled, picture) for picture in pictures), strict=True)
        values.append(
            float(np.mean([similarity(a, b) for ones, twos in pairs for a, b in zip(ones, twos, strict=True)]))
        )
    outlines = [edges(picture) for picture in pictures]
    by_edges = [similarity(one, line) for ones, line in zip(trained, outlines, strict=True) for one in ones]
    return Check(tuple(layers), tuple(values), float(np.mean(by_edges)))


def edges(picture: Tensor) -> Floats:
    """Strength [S, S] of the edges of a picture [3, S, S], by Sobel's operator on its grey values."""
    operator = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]], dtype=picture.dtype)
    kernels = torch.stack([operator, operator.T])[:, None].to(picture.device)
    grey = functional.pad(picture.detach().mean(0)[None, None], (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(grey, kernels)[0].square().sum(0).sqrt().numpy(force=True).astype(np.float32)


def methods(neurons: tuple[Neuron, ...], target: int) -> dict[str, Maps]:
    """The three methods for one picture, by name, each as maps [M, S, S]: M neurons, or 1."""
    return {
        "guided backpropagation": lambda network, picture: np.abs(
            guided_backpropagation(network, picture, neurons)
        ).sum(1),
        "Grad-CAM": lambda network, picture: grad_cam(network, picture, target)[None],
        "integrated gradients": lambda network, picture: np.abs(integrated_gradients(network, picture, target)[0]).sum(
            0
        )[None],
    }


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One picture explained: maps of the trained network, and the same of the network with all weights shuffled.

    Attributes:
        name, picture: [3, S, S] in 0 to 1; edges: [S, S].
        predicted, confidence: the class that Grad-CAM and integrated gradients explain, and its probability.
        neurons: units of the last convolution; guided: [M, 3, S, S], a map each.
        cam: [S, S]; integrated: [3, S, S]; gap: how far integrated gradients are from complete, as a share.
    """

    name: str
    picture: Tensor
    edges: Floats
    predicted: str
    confidence: float
    neurons: tuple[Neuron, ...]
    guided: Floats
    guided_shuffled: Floats
    cam: Floats
    cam_shuffled: Floats
    integrated: Floats
    integrated_shuffled: Floats
    gap: float


def explain(
    network: nn.Module, picture: Tensor, name: str, classes: tuple[str, ...], neurons: int = 10, seed: int = 0
) -> Explained:
    """Explain one picture [3, S, S] by all three methods."""
    with torch.no_grad():
        probabilities = torch.softmax(watched(network, picture[None])[0][0], 0)
    target = int(probabilities.argmax())
    shuffled = list(shuffled_from_the_top(network, seed))[-1][1]
    chosen = strongest_neurons(network, picture, neurons)
    integrated, gap = integrated_gradients(network, picture, target)
    return Explained(
        name=name,
        picture=picture,
        edges=edges(picture),
        predicted=classes[target],
        confidence=float(probabilities[target]),
        neurons=chosen,
        guided=guided_backpropagation(network, picture, chosen),
        guided_shuffled=guided_backpropagation(shuffled, picture, chosen),
        cam=grad_cam(network, picture, target),
        cam_shuffled=grad_cam(shuffled, picture, target),
        integrated=integrated,
        integrated_shuffled=integrated_gradients(shuffled, picture, target)[0],
        gap=gap,
    )


def check_all(
    network: nn.Module, several: Sequence[Explained], classes: tuple[str, ...], seed: int = 0
) -> dict[str, Check]:
    """The weight-randomisation check of every method, the mean over explained pictures."""
    each = [
        {
            name: check(network, e.picture[None], maps, seed)
            for name, maps in methods(e.neurons, classes.index(e.predicted)).items()
        }
        for e in several
    ]
    found = {}
    for name, first in each[0].items():
        similar = np.mean([checks[name].similarity for checks in each], axis=0)
        by_edges = float(np.mean([checks[name].edges for checks in each]))
        found[name] = Check(first.layers, tuple(map(float, similar)), by_edges)
    return found
