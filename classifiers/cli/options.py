"""Options that several commands share, and how they change a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from classifiers.config import NetworkConfig, TrainConfig, Values, from_dict, preset, read_values
from classifiers.errors import ConfigError

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="JSON or YAML with preset, network and train.")
]
Preset = Annotated[str | None, typer.Option(help="report-best or report-sweep.", show_default=False)]
Blocks = Annotated[int | None, typer.Option(help="Convolution blocks.", show_default="5")]
Filters = Annotated[int | None, typer.Option(help="Filters of the first block.", show_default="32")]
Scheme = Annotated[
    str | None,
    typer.Option(help="Factor from block to block (0.5, 1, 2), or filters of each: 16,32,64.", show_default="1"),
]
Kernel = Annotated[str | None, typer.Option(help="Side of the filters; one, or one a block: 5,3,3.", show_default="3")]
Activation = Annotated[
    str | None, typer.Option(help="relu, elu, selu, gelu, silu or mish, of every hidden layer.", show_default="relu")
]
BatchNorm = Annotated[
    bool | None, typer.Option("--batch-norm/--no-batch-norm", help="Batch norm in every block.", show_default="no")
]
NormPlace = Annotated[
    str | None, typer.Option(help="Batch norm before or after the activation.", show_default="before")
]
Dropout = Annotated[float | None, typer.Option(help="Probability after every hidden dense layer.", show_default="0")]
Pooling = Annotated[str | None, typer.Option(help="max or average.", show_default="max")]
Dense = Annotated[
    str | None,
    typer.Option(help="Neurons of the hidden dense layers: 64, or 128,64, or none.", show_default="64"),
]
Size = Annotated[int | None, typer.Option(help="Side of the input in pixels.", show_default=False)]
Classes = Annotated[int | None, typer.Option(help="Number of classes.", show_default="10")]

Root = Annotated[Path, typer.Argument(metavar="DATA", help="Class folders, or a root with train/ and val/.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out unreadable pictures, naming them.")]
Cache = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where decoded pictures are kept.", show_default="~/.cache/classifiers"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

Epochs = Annotated[int | None, typer.Option(help="Passes over the training pictures.", show_default="10")]
Seed = Annotated[int | None, typer.Option(help="Of all chance.", show_default="0")]
Batch = Annotated[int | None, typer.Option(help="Pictures a step, over all processes.", show_default="32")]
Rate = Annotated[float | None, typer.Option(help="Learning rate.", show_default="0.001")]
Optimiser = Annotated[str | None, typer.Option(help="adamw, sgd or nadam.", show_default="adamw")]
WeightDecay = Annotated[float | None, typer.Option(help="Of weights, not of biases.", show_default="0.0001")]
Momentum = Annotated[float | None, typer.Option(help="Of sgd.", show_default="0.9")]
Schedule = Annotated[str | None, typer.Option(help="constant, cosine, linear or step.", show_default="cosine")]
WarmupEpochs = Annotated[float | None, typer.Option(help="Epochs of linear rise first.", show_default="0")]
Augment = Annotated[float | None, typer.Option(help="Strength of augmentation, 0 to 1.", show_default="0")]
Mixup = Annotated[float | None, typer.Option(help="Alpha of mixup, 0 for none.", show_default="0")]
Cutmix = Annotated[float | None, typer.Option(help="Alpha of CutMix, 0 for none.", show_default="0")]
LabelSmoothing = Annotated[float | None, typer.Option(help="Share given to the other classes.", show_default="0")]
ClassWeights = Annotated[
    bool | None, typer.Option("--class-weights/--no-class-weights", help="Weigh rare classes more.", show_default="no")
]
ClipNorm = Annotated[float | None, typer.Option(help="Largest norm of the gradient, 0 for any.", show_default="0")]
Ema = Annotated[float | None, typer.Option(help="Decay of averaged weights, 0 for none.", show_default="0")]
Patience = Annotated[int | None, typer.Option(help="Epochs without progress until it stops.", show_default="0: never")]
Keep = Annotated[str | None, typer.Option(help="best or last weights.", show_default="best")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", show_default="auto")]
Precision = Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.", show_default="float32")]
ChannelsLast = Annotated[
    bool | None, typer.Option("--channels-last/--no-channels-last", help="Memory format.", show_default="yes")
]
Compile = Annotated[bool | None, typer.Option("--compile/--no-compile", help="torch.compile.", show_default="no")]
Residence = Annotated[str | None, typer.Option(help="device, host or auto: where pictures wait.", show_default="auto")]


def configured(
    config: Path | None,
    preset_name: str | None,
    network: dict[str, Any],
    train: dict[str, Any] | None = None,
    base: tuple[NetworkConfig, TrainConfig] | None = None,
) -> tuple[NetworkConfig, TrainConfig]:
    """Base or preset, then file, then options, each over the one before; None means "not given"."""
    file = read_values(config) if config is not None else Values(None, {}, {})
    named = preset_name or file.preset
    start = preset(named) if named is not None else base or (NetworkConfig(), TrainConfig())
    # Put together before anything is checked: a file may be right only with the options beside it.
    return (
        from_dict(NetworkConfig, {**file.network, **_given(network)}, start[0]),
        from_dict(TrainConfig, {**file.train, **_given(train or {})}, start[1]),
    )


def network_values(
    *,
    scheme: str | None = None,
    kernel: str | None = None,
    dense: str | None = None,
    batch_norm: bool | None = None,
    norm_place: str | None = None,
    **plain: object,
) -> dict[str, Any]:
    """The options of a network as keys of NetworkConfig."""
    values: dict[str, Any] = dict(plain)
    values["scheme"] = _scheme(scheme)
    sides = whole_numbers("--kernel", kernel)
    values["kernel"] = sides[0] if sides is not None and len(sides) == 1 else sides
    values["dense"] = whole_numbers("--dense", dense)
    if norm_place is not None and norm_place not in {"before", "after"}:
        raise ConfigError(f"--norm-place must be before or after, but {norm_place!r} is given")
    if batch_norm is not None or norm_place is not None:
        values["batch_norm"] = "none" if batch_norm is False else norm_place or "before"
    return values


def whole_numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """Whole numbers separated by commas; "none" is the empty list.

    >>> whole_numbers("--dense", "128,64"), whole_numbers("--dense", "none")
    ((128, 64), ())
    """
    if text is None:
        return None
    if text.strip().lower() == "none":
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} must be whole numbers separated by commas, but {text!r} is given") from None


def _scheme(text: str | None) -> float | tuple[int, ...] | None:
    if text is None:
        return None
    if "," in text:
        return whole_numbers("--scheme", text)
    try:
        return float(text.removeprefix("x"))
    except ValueError:
        raise ConfigError(f"--scheme must be a factor or a list of filters, but {text!r} is given") from None


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
