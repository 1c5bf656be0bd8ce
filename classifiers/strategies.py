"""Strategies of fine-tuning: what of a trained network moves, and how fast. All behind one name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from classifiers.backbones import Backbone, count_blocks, depths
from classifiers.chance import seed_of
from classifiers.config import TrainConfig
from classifiers.data import Data
from classifiers.engine import OnEpoch, OnStep, Result, fit
from classifiers.errors import ConfigError, TrainingError
from classifiers.features import FeatureFeed, bottleneck
from classifiers.feed import Feed, Source
from classifiers.learning import optimiser_of
from classifiers.place import Place
from classifiers.step import Step, validate
from classifiers.tuning import BackboneConfig, TuneConfig, to_plain
from classifiers.weights import describe, pretrained


@dataclass(slots=True)
class Tuned:
    """The subject of a fine-tuning: a network with trained weights of which a strategy lets some move.

    Attributes:
        tune: the strategy.
        config: the network it begins with.
        cache: where features are kept.
    """

    tune: TuneConfig
    config: BackboneConfig
    cache: Path | None = None
    _facts: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def every_epoch(self) -> bool:
        """A frozen network's epochs cost less than to write them down: killed, it begins again."""
        return not (self.tune.frozen and self.tune.views)

    def identity(self) -> Mapping[str, Any]:
        """The strategy."""
        return to_plain(self.tune)

    def network(self, train: TrainConfig, data: Data, place: Place) -> nn.Module:
        """The network with its trained weights; for `svm` and `fpt` the head has learnt already."""
        network = pretrained(self.tune, self.config, seed_of(train.seed, "weights")).to(place.device)
        network.hold_still(lambda _: False)
        self._facts = {"trained_parameters": 0}
        if self.tune.strategy == "svm":
            self._support_vectors(network, train, data, place)
        elif self.tune.strategy == "fpt":
            self._warm(network, train, data, place)
        network.hold_still(self._moves(network), norms=self.tune.still_norm)
        return network

    def optimiser(self, network: nn.Module, train: TrainConfig) -> torch.optim.Optimizer:
        """Over what the strategy lets move, each at its rate."""
        backbone = cast("Backbone", network)
        return optimiser_of(backbone, train, self._factors(backbone))

    def feeds(self, network: nn.Module, train: TrainConfig, data: Data, place: Place) -> tuple[Source, Source]:
        """Features where nothing but the head moves, else pictures."""
        if self.every_epoch:
            return Feed(data.train, place, train.residence), Feed(data.validation, place, train.residence)
        return self._features(cast("Backbone", network), train, data, place)

    def facts(self, network: nn.Module) -> Mapping[str, Any]:
        """The strategy, and how many parameters it moved."""
        moved = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
        return {**self.identity(), **self._facts, "trained_parameters": moved}

    def _moves(self, network: Backbone) -> Any:  # noqa: ANN401 - a function of the block's number
        tune = self.tune
        if tune.frozen:
            return lambda _: False
        if tune.strategy == "last-k" and not tune.front_rate:
            blocks = count_blocks(network.body)
            if tune.last_blocks > blocks:
                raise ConfigError(
                    f"last_blocks must be at most {blocks}, as {tune.backbone} has no more, but is {tune.last_blocks}"
                )
            return lambda depth: depth < tune.last_blocks
        return lambda _: True

    def _factors(self, network: Backbone) -> dict[Tensor, float]:
        """The rate of each parameter in times of the rate that is set."""
        tune = self.tune
        if tune.strategy == "svm":
            return dict.fromkeys(network.parameters(), 0.0)  # it has learnt; its one epoch only measures
        if tune.strategy == "fpt":
            return dict.fromkeys(network.parameters(), tune.fine_rate)
        if tune.strategy == "last-k" and tune.front_rate:
            depth = depths(network.body)
            named = ((parameter, depth(name)) for name, parameter in network.body.named_parameters())
            return {p: tune.front_rate ** max(0, at + 1 - tune.last_blocks) for p, at in named}
        return {}

    def _features(self, network: Backbone, train: TrainConfig, data: Data, place: Place) -> tuple[Source, Source]:
        sides = {side: [picture.sha256 for picture in data.split.on(side)] for side in ("train", "validation")}
        views = [
            bottleneck(network, data.train, sides["train"], place, augment=train.augment, view=view, cache=self.cache)
            for view in range(max(1, self.tune.views) if train.augment else 1)
        ]
        still = bottleneck(network, data.validation, sides["validation"], place, cache=self.cache)
        return FeatureFeed(views, data.train, place), FeatureFeed([still], data.validation, place)

    def _warm(self, network: Backbone, train: TrainConfig, data: Data, place: Place) -> None:
        """Train the head alone, on features: the first half of FPT."""
        config = replace(train, epochs=self.tune.warm_epochs, ema=0.0, warmup_epochs=0.0, cutmix=0.0)
        learn, judge = self._features(network, config, data, place)
        scaler = torch.amp.GradScaler(place.device.type, enabled=config.precision == "float16")
        step = Step(network, optimiser_of(network, config), scaler, None, learn, config, data.classes)
        for epoch in range(1, config.epochs + 1):
            step.epoch(epoch)
        self._facts["warm_accuracy"] = validate(network, judge, config)[1]

    def _support_vectors(self, network: Backbone, train: TrainConfig, data: Data, place: Place) -> None:
        learn, _ = self._features(network, train, data, place)
        views = range(max(1, self.tune.views) if train.augment else 1)
        parts = [next(learn.batches(np.arange(len(learn)), len(learn), view + 1)) for view in views]
        features = torch.cat([part for part, _ in parts]).cpu().numpy()
        labels = torch.cat([part for _, part in parts]).cpu().numpy()
        weight, bias = support_vectors(features, labels, self.tune.svm_c, train.seed)
        output = cast("nn.Linear", network.head[-1])
        with torch.no_grad():
            output.weight.copy_(torch.from_numpy(weight))
            output.bias.copy_(torch.from_numpy(bias))


def support_vectors(
    features: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], c: float, seed: int
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A linear SVM, one class against the rest, as a layer on the raw features: weight [classes, D] and bias [classes].

    It is fitted on features of mean 0 and deviation 1; the layer takes that in. Raises TrainingError where it does not
    converge.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - of this strategy only
    from sklearn.svm import LinearSVC  # noqa: PLC0415

    mean, deviation = features.mean(0), features.std(0)
    deviation = np.where(deviation > 1e-6, deviation, 1.0)
    machine = LinearSVC(C=c, dual="auto", random_state=seed, max_iter=20_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            machine.fit((features - mean) / deviation, labels)
        except ConvergenceWarning as error:
            raise TrainingError(
                f"the support vector machine must converge, but does not: lower svm_c from {c}"
            ) from error
    weight, bias = machine.coef_, machine.intercept_
    if len(weight) == 1:  # of two classes it gives one row
        weight, bias = np.concatenate((-weight, weight)), np.concatenate((-bias, bias))
    weight = weight / deviation
    return weight.astype(np.float32), (bias - weight @ mean).astype(np.float32)


def subject(tune: TuneConfig, classes: int, cache: Path | None = None) -> Tuned:
    """What `fit` trains for a strategy."""
    return Tuned(tune, describe(tune, classes), cache)


def finetune(
    what: Tuned, train: TrainConfig, data: Data, out: Path,
    on_epoch: OnEpoch | None = None, on_step: OnStep | None = None, *, resume: bool = False,
) -> Result:  # fmt: skip
    """Fine-tune as `fit` trains, and promise what it does. Raises ConfigError where strategy and training clash."""
    if what.tune.frozen and what.tune.views and train.cutmix:
        raise ConfigError("cutmix must be 0 with kept features, as it cuts pictures: take --views 0, or mixup")
    if what.tune.strategy == "svm":
        train = replace(train, epochs=1, warmup_epochs=0.0, mixup=0.0, ema=0.0)
    return fit(what, train, data, out, on_epoch, on_step, resume=resume)
