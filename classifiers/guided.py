"""Run a network while watching every function it calls: keep its last convolution, and guide its gradients if asked.

Guided backpropagation (Springenberg et al. 2015) lets a gradient through an activation only where the unit was active
and the gradient that arrives is positive. Hooks on modules miss activations that are called as functions, and hooks
that know ReLU only give plain gradients for every other activation, without a word. Here every call is seen, and what
is not known is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from classifiers.errors import ConfigError

ACTIVATIONS: Final[Mapping[str, Callable[..., Tensor]]] = MappingProxyType(
    {
        "relu": functional.relu,
        "elu": functional.elu,
        "selu": functional.selu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "mish": functional.mish,
    }
)
"""Activations that can be guided. The rule needs no more than the function itself: a new one is one row here."""

_CONVOLUTIONS: Final = frozenset({"conv2d"})
_SCALED_BY: Final = frozenset({"mul", "__mul__", "__rmul__", "div", "__truediv__"})
_LINEAR: Final = _CONVOLUTIONS | {
    *(
        "linear",
        "batch_norm",
        "flatten",
        "reshape",
        "view",
        "squeeze",
        "unsqueeze",
        "permute",
        "transpose",
        "contiguous",
    ),
    *(
        "add",
        "__add__",
        "__radd__",
        "__iadd__",
        "sub",
        "__sub__",
        "__rsub__",
        "cat",
        "pad",
        "mean",
        "sum",
        "__getitem__",
    ),
    *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate", "dropout", "dropout2d"),
    *("to", "float", "dim", "size", "__get__", "clone", "__format__", "__repr__"),
}
"""What gradients pass as they are: linear maps, sums, and pooling, which chooses among its inputs."""


class _Guided(torch.autograd.Function):
    """An activation f whose gradient is max(f'(x), 0) max(g, 0): for ReLU exactly guided backpropagation."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:  # noqa: ANN401 - torch's own
        with torch.enable_grad():
            leaf = inputs.detach().requires_grad_()
            outputs = function(leaf)
            (slope,) = torch.autograd.grad(outputs.sum(), leaf)
        ctx.save_for_backward(slope)
        return outputs.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's own
        (slope,) = ctx.saved_tensors
        return slope.clamp(min=0) * gradients[0].clamp(min=0), None


class Watch(TorchFunctionMode):
    """While it is entered, keeps what the last convolution gave, and guides activations if `guided`.

    Attributes:
        kept: [N, C, h, w], what the last convolution of the forward pass gave, after its activation (and whatever
            normalises between the two); None before the first convolution.

    Raises ConfigError, while guided, when a function is called through which guided backpropagation is not defined.
    """

    def __init__(self, *, guided: bool) -> None:
        super().__init__()
        self.kept: Tensor | None = None
        self._guided = guided
        self._bare = False  # `kept` has not met its activation yet
        self._refused: str | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's own
        name = str(getattr(func, "__name__", func))
        outputs = self._call(name, func, args, dict(kwargs or {}))
        if name in _CONVOLUTIONS:
            self._refuse()
            self.kept, self._bare = outputs, True
        elif name in ACTIVATIONS and self._bare:
            self.kept, self._bare = outputs, False
        return outputs

    def _call(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        if not self._guided or not any(isinstance(value, Tensor) and value.requires_grad for value in args):
            return func(*args, **kwargs)
        if name in ACTIVATIONS:
            kwargs.pop("inplace", None)
            return _Guided.apply(args[0], partial(_bound, ACTIVATIONS[name], args[1:], kwargs))
        gates = name in _SCALED_BY and all(isinstance(value, Tensor) and value.requires_grad for value in args[:2])
        if gates or name not in _LINEAR | _SCALED_BY:
            self._refused = self._refused or name
        return func(*args, **kwargs)

    def _refuse(self) -> None:
        """What is not defined matters only when a convolution comes after it: before, it is not on any neuron's way."""
        if self._refused is not None:
            raise ConfigError(
                f"guided backpropagation is defined through convolutions, sums, pooling and the activations "
                f"{', '.join(ACTIVATIONS)}, but this network calls {self._refused!r}: take Grad-CAM "
                "or integrated gradients"
            )


def _bound(function: Callable[..., Tensor], rest: tuple[Any, ...], named: dict[str, Any], inputs: Tensor) -> Tensor:
    return function(inputs, *rest, **named)


def watched(network: nn.Module, pictures: Tensor, *, guided: bool = False) -> tuple[Tensor, Tensor]:
    """Logits [N, classes] and the last convolution's activation [N, C, h, w], both still joined to `pictures`.

    The network computes in evaluation mode and is left in the mode it was in.

    Raises:
        ConfigError: the network has no convolution, or `guided` and it calls what cannot be guided.
    """
    training = network.training
    network.eval()
    try:
        with Watch(guided=guided) as watch:
            logits = network(pictures)
    finally:
        network.train(training)
    if watch.kept is None:
        raise ConfigError("explanations look at the last convolution, but this network has none")
    return logits, watch.kept
