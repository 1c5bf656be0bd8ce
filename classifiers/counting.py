"""Parameters and multiply-adds of a network: by the closed formula, and by counting layer by layer.

The course's first question. One multiply-add is one multiplication with its addition; biases, activations, batch
norm and softmax add none here, as in
torch.utils.flop_counter, whose figure is twice this.
Standard library only for the formula; counting builds the network on torch's meta device, so nothing is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from classifiers.config import NetworkConfig
from classifiers.tuning import BackboneConfig


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: its name, kind, output (channels, side) or (features,), parameters and multiply-adds a picture."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def formula(config: NetworkConfig) -> tuple[int, int]:
    """Parameters and multiply-adds of one picture by the closed formula.

    A convolution from c to m channels with k x k filters at s x s pixels has (c k^2 + 1) m parameters and c k^2 m s^2
    multiply-adds; a dense layer from p to n has (p + 1) n and p n; batch norm has 2 m parameters.

    >>> formula(NetworkConfig(filters=32, kernel=3, dense=(64,), batch_norm="before"))
    (169994, 257294976)
    """
    parameters = multiply_adds = 0
    channels = 3
    norm = 2 if config.batch_norm != "none" else 0
    for filters, kernel, side in zip(config.filters_of_blocks, config.kernels_of_blocks, config.sides, strict=False):
        parameters += (channels * kernel**2 + 1 + norm) * filters
        multiply_adds += channels * kernel**2 * filters * side**2
        channels = filters
    inputs = channels * config.sides[-1] ** 2
    for neurons in (*config.dense, config.classes):
        parameters += (inputs + 1) * neurons
        multiply_adds += inputs * neurons
        inputs = neurons
    return parameters, multiply_adds


def symbolic(config: NetworkConfig) -> tuple[str, str] | None:
    """The formula with the symbols m (filters), k (side of a filter), n (neurons); None where they do not suffice.

    They suffice when every block has the same number and size of filters and there is one dense layer.

    >>> symbolic(NetworkConfig())[0]
    '(3k^2 + 1)m + 4(mk^2 + 1)m + (64m + 1)n + 10(n + 1)'
    """
    if len(set(config.filters_of_blocks)) > 1 or len(set(config.kernels_of_blocks)) > 1 or len(config.dense) != 1:
        return None
    area, classes, more = config.sides[-1] ** 2, config.classes, config.blocks - 1
    flat = "m" if area == 1 else f"{area}m"
    parameters = ["(3k^2 + 1)m"]
    work = [f"3k^2 m {config.input_size}^2"]
    if more:
        parameters.append(f"{more if more > 1 else ''}(mk^2 + 1)m")
        work.append("m^2 k^2 (" + " + ".join(f"{side}^2" for side in config.sides[1:-1]) + ")")
    parameters += [f"({flat} + 1)n", f"{classes}(n + 1)"]
    if config.batch_norm != "none":
        parameters.append(f"{2 * config.blocks}m")
    return " + ".join(parameters), " + ".join([*work, f"{flat} n", f"{classes}n"])


def layers(config: NetworkConfig) -> tuple[Row, ...]:
    """Every layer with what it really holds and does, pooling and softmax as rows of their own.

    The network is built and run on the meta device; parameters are those torch counts, multiply-adds come from
    the shapes that each layer really saw.
    """
    import torch  # noqa: PLC0415 - the formula alone needs no torch
    from torch import nn  # noqa: PLC0415

    from classifiers.network import Network  # noqa: PLC0415

    rows: list[Row] = []
    with torch.device("meta"):
        network = Network(config).eval()
        pictures = torch.empty(1, 3, config.input_size, config.input_size)

    def note(name: str, module: nn.Module, output: torch.Tensor) -> None:
        parameters = sum(parameter.numel() for parameter in module.parameters())
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert isinstance(weight, torch.Tensor)  # noqa: S101 - both kinds have one
            work = output[0].numel() * weight[0].numel()
        else:
            work = 0
        rows.append(Row(name.partition(".")[2], type(module).__name__, tuple(output.shape[1:]), parameters, work))

    handles = [
        module.register_forward_hook(lambda module, _inputs, output, name=name: note(name, module, output))
        for name, module in network.named_modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        logits = network(pictures)
    for handle in handles:
        handle.remove()
    rows.append(Row("softmax", "Softmax", tuple(logits.shape[1:]), 0, 0))
    return tuple(rows)


def cost(config: NetworkConfig | BackboneConfig) -> tuple[int, int]:
    """Parameters and multiply-adds of a picture, of a network from scratch (the formula) or of timm (counted)."""
    return formula(config) if isinstance(config, NetworkConfig) else _counted(config)


def _counted(config: BackboneConfig) -> tuple[int, int]:
    """Counted by torch on its meta device, where nothing is computed: convolutions and matrix products."""
    import torch  # noqa: PLC0415 - the formula needs no torch
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    from classifiers.backbones import build  # noqa: PLC0415

    with torch.device("meta"), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network = build(config).eval()
        network(torch.empty(1, 3, config.input_size, config.input_size))
    return sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() // 2
