"""What fine-tuning is: a network trained elsewhere, and how it is moved to new classes. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

from classifiers.config import must_be_number, must_be_one_of, must_be_whole
from classifiers.errors import ConfigError

STRATEGIES: Final = ("svm", "last", "last-k", "fpt", "all")
RATES: Final[Mapping[str, float]] = {"svm": 1e-3, "last": 1e-3, "last-k": 3e-4, "fpt": 1e-3, "all": 1e-4}
EPOCHS: Final[Mapping[str, int]] = {"svm": 1, "last": 40, "last-k": 6, "fpt": 6, "all": 6}
"""What a strategy takes where nothing else is said. `all` at 1e-3 forgets what it was given (see docs/part-b.md)."""


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """A network of timm without its last layer, and the dense layers in its place.

    Attributes:
        name: as timm calls it.
        input_size: side of the square input in pixels.
        mean, deviation: of each channel, in 0 to 1, that the network was trained with.
        classes: number of outputs.
        dense: neurons of the hidden dense layers before the output; may be empty.
        options: what timm is told beside the name.
        weights: where the weights came from: "package", "hub", "none", or the name of a file.
        licence: of those weights, as their source says it.
    """

    name: str
    input_size: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    classes: int
    dense: tuple[int, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = "none"
    licence: str = ""

    def __post_init__(self) -> None:
        for name in ("mean", "deviation", "dense"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        must_be_whole("input_size", self.input_size, 8, 2048)
        must_be_whole("classes", self.classes, 2, 100_000)
        for name in ("mean", "deviation"):
            if len(getattr(self, name)) != 3:
                raise ConfigError(f"{name} must be three numbers, one a channel, but is {getattr(self, name)!r}")
        for neurons in self.dense:
            must_be_whole("each entry of dense", neurons, 1, 65_536)


@dataclass(frozen=True, slots=True)
class TuneConfig:
    """How a trained network is moved to new classes.

    Attributes:
        backbone: a network of timm, by its name there.
        weights: "auto" (an installed package that holds them, else timm's hub), "package", "hub", "none", or a file.
        strategy: one of STRATEGIES.
            svm: a linear support vector machine on bottleneck features becomes the last layer.
            last: a new last layer is trained, all else stays.
            last-k: the last `last_blocks` blocks are trained too; with `front_rate` the blocks before them move at
            rates that shrink by this factor from block to block.
            fpt: two dense layers are trained on the frozen network, then all layers at `fine_rate` times the rate.
            all: all layers are trained from the start.
        last_blocks, front_rate: of last-k.
        neurons, warm_epochs, fine_rate: of fpt.
        views: how many augmented views of each picture a frozen network sees once and keeps (one where nothing is
            augmented); 0 keeps nothing and shows every picture anew in every epoch.
        svm_c: inverse of the regularisation of svm.
        still_norm: batch norm keeps its statistics in layers that move, too.
        size: side of the input in pixels, 0 for the network's own.

    >>> TuneConfig(strategy="last").frozen, TuneConfig(strategy="fpt").frozen
    (True, False)
    """

    backbone: str = "efficientnet_lite0"
    weights: str = "auto"
    strategy: str = "last"
    last_blocks: int = 3
    front_rate: float = 0.0
    neurons: int = 256
    warm_epochs: int = 20
    fine_rate: float = 0.1
    views: int = 4
    svm_c: float = 0.01
    still_norm: bool = False
    size: int = 0

    def __post_init__(self) -> None:
        for name in ("backbone", "weights"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise ConfigError(f"{name} must be a name, but {value!r} is given")
        must_be_one_of("strategy", self.strategy, STRATEGIES)
        must_be_whole("last_blocks", self.last_blocks, 1, 1000)
        must_be_whole("neurons", self.neurons, 1, 65_536)
        must_be_whole("warm_epochs", self.warm_epochs, 1, 100_000)
        must_be_whole("views", self.views, 0, 1000)
        must_be_number("front_rate", self.front_rate, 0.0, 1.0)
        must_be_number("fine_rate", self.fine_rate, 0.0, 1.0, low_included=False)
        must_be_number("svm_c", self.svm_c, 0.0, 1e6, low_included=False)
        if not isinstance(self.still_norm, bool):
            raise ConfigError(f"still_norm must be true or false, but {self.still_norm!r} is given")
        if self.size:
            must_be_whole("size", self.size, 8, 2048)

    @property
    def frozen(self) -> bool:
        """Whether nothing but the new layers moves, so that features can be kept."""
        return self.strategy in {"svm", "last"}


def to_plain(config: BackboneConfig | TuneConfig) -> dict[str, Any]:
    """A configuration as plain JSON values."""
    return {
        key: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
        for key, value in asdict(config).items()
    }


def tune_config(values: Mapping[str, Any], start: TuneConfig | None = None) -> TuneConfig:
    """The configuration `start` (default: all defaults) with `values`. Raises ConfigError for an unknown key.

    >>> tune_config({"strategy": "fpt"}).strategy
    'fpt'
    """
    known = {entry.name for entry in fields(TuneConfig)}
    for key in values:
        if key not in known:
            raise ConfigError(f"keys of TuneConfig must be among {', '.join(sorted(known))}, but {key!r} is given")
    return TuneConfig(**{**(asdict(start) if start is not None else {}), **values})
