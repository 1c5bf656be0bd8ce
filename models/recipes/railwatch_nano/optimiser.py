"""Adam in which every output channel moves in steps of its own size.

With batch norm folded in, the weights of one layer are a thousand times those of another (0.01 in the first, 20 in a
depthwise convolution). Plain Adam moves all of them by the same amount: it wrecks the small ones before the large
ones have moved at all. Here a step is a share of the channel's root mean square at the start.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEAST_OF_TENSOR = 0.25
"""A channel that is nearly dead moves as if it had this share of its tensor's size."""

BIAS_RANGE = (0.1, 1.5)
"""Between these bounds lies the size by which biases move: what they shift is of the order of one."""


class ChannelAdam:
    """Adam (Kingma and Ba 2015) on weights measured in the size of their output channel."""

    def __init__(self, network: nn.Module, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self._parameters = list(network.parameters())
        self._sizes = [_size(parameter.detach()) for parameter in self._parameters]
        self._betas = betas
        self._state: dict[int, tuple[Tensor, Tensor, int]] = {}

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter that has a gradient by about `rate` of its size."""
        fast, slow = self._betas
        for index, (parameter, size) in enumerate(zip(self._parameters, self._sizes, strict=True)):
            if parameter.grad is None:
                continue
            slope = parameter.grad * size
            first, second, count = self._state.get(index) or (torch.zeros_like(slope), torch.zeros_like(slope), 0)
            first.lerp_(slope, 1 - fast)
            second.lerp_(slope.square(), 1 - slow)
            count += 1
            self._state[index] = (first, second, count)
            spread = (second / (1 - slow**count)).sqrt_().add_(1e-8)
            parameter.sub_(first / spread * size, alpha=rate / (1 - fast**count))


def _size(parameter: Tensor) -> Tensor:
    """The root mean square of each output channel, shaped to multiply the parameter."""
    if parameter.ndim == 1:
        return parameter.square().mean().sqrt().clamp(*BIAS_RANGE)
    channels = parameter.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return channels.clamp(min=LEAST_OF_TENSOR * float(parameter.square().mean().sqrt()))
