"""What a network and a training are: frozen values, checked when they are made, the same in files, options and sweeps.

Standard library only, so that a sweep or a command line can make thousands of them without loading torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from classifiers.errors import ConfigError

ACTIVATIONS: Final = ("relu", "elu", "selu", "gelu", "silu", "mish")
BATCH_NORM: Final = ("none", "before", "after")
POOLING: Final = ("max", "average")
OPTIMISERS: Final = ("adamw", "sgd", "nadam")
SCHEDULES: Final = ("constant", "cosine", "linear", "step")
PRECISIONS: Final = ("float32", "bfloat16", "float16")
RESIDENCES: Final = ("auto", "device", "host")
DEFAULT_SIZE: Final = 256
"""Side of the input in pixels where neither the user nor the data says another."""

_MAX_CONFIG_BYTES = 256 * 1024
_T = TypeVar("_T", "NetworkConfig", "TrainConfig")


def _must(holds: bool, what: str, given: object) -> None:
    if not holds:
        raise ConfigError(f"{what}, but {given!r} is given")


def must_be_one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless the value is one of the allowed."""
    _must(value in allowed, f"{name} must be one of {', '.join(allowed)}", value)


def must_be_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ConfigError unless the value is a whole number from low to high."""
    holds = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _must(holds, f"{name} must be a whole number from {low} to {high}", value)


def must_be_number(name: str, value: object, low: float, high: float, *, low_included: bool = True) -> None:
    """Raise ConfigError unless the value is a finite number from low to high."""
    holds = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    holds = holds and low <= float(value) <= high and (low_included or float(value) > low)  # type: ignore[arg-type]
    _must(holds, f"{name} must be a number from {low:g} to {high:g}", value)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A network of convolution blocks (convolution, activation, 2 x 2 pooling), dense layers and an output layer.

    Attributes:
        blocks: number of convolution blocks, 1 to 8. Each halves the side of the picture.
        filters: filters of the first block, 1 to 1,024.
        scheme: the factor by which the filters grow from block to block (0.5, 1, 2), or the filters of every block.
        kernel: side of the filters, odd, 1 to 15, "same" padding; or one for every block.
        activation: of every hidden layer, convolution and dense alike: one of ACTIVATIONS.
        batch_norm: none, or in every block before or after the activation.
        dropout: probability, 0 to 0.95, after every hidden dense layer.
        pooling: max or average.
        dense: neurons of every hidden dense layer; may be empty.
        input_size: side of the square input in pixels.
        classes: number of outputs.

    >>> NetworkConfig(filters=16, scheme=2.0).filters_of_blocks
    (16, 32, 64, 128, 256)
    """

    blocks: int = 5
    filters: int = 32
    scheme: float | tuple[int, ...] = 1.0
    kernel: int | tuple[int, ...] = 3
    activation: str = "relu"
    batch_norm: str = "none"
    dropout: float = 0.0
    pooling: str = "max"
    dense: tuple[int, ...] = (64,)
    input_size: int = DEFAULT_SIZE
    classes: int = 10

    def __post_init__(self) -> None:
        for name in ("scheme", "kernel", "dense"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        self._check_numbers()
        must_be_one_of("activation", self.activation, ACTIVATIONS)
        must_be_one_of("batch_norm", self.batch_norm, BATCH_NORM)
        must_be_one_of("pooling", self.pooling, POOLING)
        if self.input_size < 2**self.blocks:
            raise ConfigError(
                f"input_size must be at least 2^blocks = {2**self.blocks} pixels for {self.blocks} blocks, as each "
                f"halves the picture, but is {self.input_size}: take fewer blocks or a larger input_size"
            )

    def _check_numbers(self) -> None:
        must_be_whole("blocks", self.blocks, 1, 8)
        must_be_whole("filters", self.filters, 1, 1024)
        must_be_whole("input_size", self.input_size, 2, 2048)
        must_be_whole("classes", self.classes, 2, 100_000)
        must_be_number("dropout", self.dropout, 0.0, 0.95)
        if isinstance(self.scheme, tuple):
            _must(len(self.scheme) == self.blocks, f"scheme as a list must have {self.blocks} entries", self.scheme)
            for count in self.scheme:
                must_be_whole("each entry of scheme", count, 1, 8192)
        else:
            must_be_number("scheme", self.scheme, 0.0, 4.0, low_included=False)
            _must(max(self.filters_of_blocks) <= 8192, "filters of a block must be at most 8192", self.scheme)
        kernels = self.kernel if isinstance(self.kernel, tuple) else (self.kernel,)
        _must(len(kernels) in {1, self.blocks}, f"kernel as a list must have {self.blocks} entries", self.kernel)
        for side in kernels:
            must_be_whole("kernel", side, 1, 15)
            _must(side % 2 == 1, 'kernel must be odd, so that "same" padding is even on both sides', side)
        _must(len(self.dense) <= 8, "dense must list at most 8 layers", self.dense)
        for neurons in self.dense:
            must_be_whole("each entry of dense", neurons, 1, 65_536)

    @property
    def filters_of_blocks(self) -> tuple[int, ...]:
        """Filters of every block: filters x scheme^i rounded down, at least 1; or the list given as scheme."""
        if isinstance(self.scheme, tuple):
            return self.scheme
        return tuple(max(1, int(self.filters * self.scheme**i)) for i in range(self.blocks))

    @property
    def kernels_of_blocks(self) -> tuple[int, ...]:
        """Side of the filters of every block."""
        if isinstance(self.kernel, tuple) and len(self.kernel) == self.blocks:
            return self.kernel
        return (self.kernel if isinstance(self.kernel, int) else self.kernel[0],) * self.blocks

    @property
    def sides(self) -> tuple[int, ...]:
        """Side in pixels of the input of every block, and of the output of the last one."""
        return tuple(self.input_size // 2**i for i in range(self.blocks + 1))


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        epochs, batch, seed: passes over the training pictures, pictures a step over all processes, seed of all chance.
        optimiser, rate, weight_decay, momentum: one of OPTIMISERS; momentum is that of sgd.
        schedule, warmup_epochs: how the rate goes down after a linear rise over warmup_epochs (may be a fraction).
        augment: strength of augmentation of the training pictures, 0 (none) to 1.
        mixup, cutmix: alpha of their Beta distributions, 0 for none; with both, each batch takes one by chance.
        label_smoothing, class_weights: of the loss; class_weights weighs by inverse frequency.
        clip_norm: largest norm of the gradient, 0 for no clipping.
        ema: decay of the moving average of the weights that is evaluated and kept, 0 for none.
        patience: epochs without a better validation loss until training stops, 0 for never.
        keep: "best" keeps the weights of the best validation accuracy, "last" those of the last epoch.
        device: auto, cpu, cuda, cuda:N or mps.
        precision, channels_last, compile: how the step is computed.
        residence: where decoded pictures wait: on the device, in the host's file cache, or auto (device if they fit).

    >>> TrainConfig(optimiser="sgd", rate=0.1).schedule
    'cosine'
    """

    epochs: int = 10
    batch: int = 32
    seed: int = 0
    optimiser: str = "adamw"
    rate: float = 1e-3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup_epochs: float = 0.0
    augment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    label_smoothing: float = 0.0
    class_weights: bool = False
    clip_norm: float = 0.0
    ema: float = 0.0
    patience: int = 0
    keep: str = "best"
    device: str = "auto"
    precision: str = "float32"
    channels_last: bool = True
    compile: bool = False
    residence: str = "auto"

    def __post_init__(self) -> None:
        must_be_whole("epochs", self.epochs, 1, 100_000)
        must_be_whole("batch", self.batch, 1, 65_536)
        must_be_whole("seed", self.seed, 0, 2**31 - 1)
        must_be_whole("patience", self.patience, 0, 100_000)
        must_be_number("rate", self.rate, 0.0, 100.0, low_included=False)
        must_be_number("weight_decay", self.weight_decay, 0.0, 10.0)
        must_be_number("warmup_epochs", self.warmup_epochs, 0.0, float(self.epochs))
        for name in ("momentum", "ema", "label_smoothing"):
            must_be_number(name, getattr(self, name), 0.0, 0.99999)
        for name in ("mixup", "cutmix", "clip_norm"):
            must_be_number(name, getattr(self, name), 0.0, 1000.0)
        must_be_number("augment", self.augment, 0.0, 1.0)
        must_be_one_of("optimiser", self.optimiser, OPTIMISERS)
        must_be_one_of("schedule", self.schedule, SCHEDULES)
        must_be_one_of("precision", self.precision, PRECISIONS)
        must_be_one_of("residence", self.residence, RESIDENCES)
        must_be_one_of("keep", self.keep, ("best", "last"))
        for name in ("class_weights", "channels_last", "compile"):
            _must(isinstance(getattr(self, name), bool), f"{name} must be true or false", getattr(self, name))
        device = self.device
        known = device in {"auto", "cpu", "cuda", "mps"} or str(device).startswith("cuda:")
        _must(known, "device must be auto, cpu, cuda, cuda:N or mps", device)


REPORT_BEST: Final = (
    NetworkConfig(filters=32, scheme=1.0, kernel=3, activation="selu", batch_norm="after", dense=(64,)),
    TrainConfig(epochs=10, batch=32, augment=0.5),
)
REPORT_SWEEP: Final = (NetworkConfig(), TrainConfig(epochs=5, schedule="constant"))
PRESETS: Final[Mapping[str, tuple[NetworkConfig, TrainConfig]]] = {
    "report-best": REPORT_BEST,
    "report-sweep": REPORT_SWEEP,
}
"""report-best is the best model of the course report; report-sweep what each of its 20 runs of 5 epochs starts from."""


def to_dict(config: NetworkConfig | TrainConfig) -> dict[str, Any]:
    """A configuration as plain JSON values.

    >>> to_dict(NetworkConfig())["dense"]
    [64]
    """
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


def from_dict(kind: type[_T], values: Mapping[str, Any], start: _T | None = None) -> _T:
    """The configuration `start` (default: all defaults) with `values`. Raises ConfigError for an unknown key.

    >>> from_dict(TrainConfig, {"epochs": 3}).epochs
    3
    """
    known = {field.name for field in fields(kind)}
    for key in values:
        if key not in known:
            raise ConfigError(f"keys of {kind.__name__} must be among {', '.join(sorted(known))}, but {key!r} is given")
    base = asdict(start) if start is not None else {}
    try:
        return kind(**{**base, **values})
    except TypeError as error:
        raise ConfigError(f"values of {kind.__name__} must be of their kinds: {error}") from error


@dataclass(frozen=True, slots=True)
class Values:
    """What a configuration file says: a preset's name or None, and keys of the network and of the training."""

    preset: str | None
    network: Mapping[str, Any]
    train: Mapping[str, Any]


def read_values(path: Path) -> Values:
    """Read a JSON or YAML file with the keys `preset`, `network` and `train`, each optional.

    Raises ConfigError where the file cannot be read, is too large, or has another form; its keys and values are checked
    when a configuration is made of them.
    """
    document = _read_document(path)
    for key in document:
        _must(key in {"preset", "network", "train"}, f"keys of {path} must be among preset, network, train", key)
    for key in ("network", "train"):
        _must(isinstance(document.get(key, {}), dict), f"{key} in {path} must be a map of keys", document.get(key))
    name = document.get("preset")
    return Values(None if name is None else str(name), document.get("network", {}), document.get("train", {}))


def read_config(path: Path) -> tuple[NetworkConfig, TrainConfig]:
    """The configurations that a file describes; raises ConfigError as `read_values` does."""
    values = read_values(path)
    network, train = preset(values.preset) if values.preset else (NetworkConfig(), TrainConfig())
    return from_dict(NetworkConfig, values.network, network), from_dict(TrainConfig, values.train, train)


def preset(name: str) -> tuple[NetworkConfig, TrainConfig]:
    """The configurations of a preset. Raises ConfigError for an unknown name."""
    must_be_one_of("preset", name, tuple(PRESETS))
    return PRESETS[name]


def _read_document(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} must be a configuration file, but cannot be read: {error.strerror}") from error
    if len(data) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} must have at most {_MAX_CONFIG_BYTES} bytes, but has {len(data)}")
    try:
        text = data.decode("utf-8")
        document = json.loads(text) if path.suffix == ".json" else _yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path} must be valid JSON or YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must be a map of keys, but holds {type(document).__name__}")
    return document


def _yaml(text: str) -> object:
    import yaml  # noqa: PLC0415 - only those who bring a YAML file load it

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
