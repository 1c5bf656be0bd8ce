"""An epoch, step by step: the batch, augmented on the device; the loss; the gradient; the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from classifiers import chance
from classifiers.config import TrainConfig
from classifiers.errors import TrainingError
from classifiers.feed import Source
from classifiers.learning import Average, class_weights, losses, rate_factor
from classifiers.place import DTYPES
from classifiers.transforms import Mixed, augmented, draw, mix

_LOOK_EVERY: Final = 50
"""Steps between looks at the loss on a device where looking makes the host wait."""
_VALIDATION_BATCH: Final = 256


class Step:
    """Takes steps with one network; holds what stays the same from step to step."""

    def __init__(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        average: Average | None,
        feed: Source,
        config: TrainConfig,
        classes: Sequence[str],
    ) -> None:
        self._bare, self._optimiser, self._scaler, self._average = network, optimiser, scaler, average
        self._feed, self._config, self._place = feed, config, feed.place
        self._network = prepared(network, feed, config)
        labels = torch.from_numpy(np.array(feed.pictures.labels))
        self._weights = class_weights(labels, len(classes)).to(self._place.device) if config.class_weights else None

    def epoch(self, epoch: int, on_step: Callable[[int, int, int], None] | None = None) -> tuple[float, float, float]:
        """One pass in the order of this epoch: mean loss and accuracy on the batches as they were seen, and last rate.

        All chance of the epoch follows from (seed, epoch, step), so the pass is the same after a resume.
        """
        config, place = self._config, self._place
        order = chance.order(config.seed, epoch, len(self._feed))
        steps = -(-len(order) // config.batch)
        if 0 < len(order) % config.batch < place.world:
            steps -= 1  # fewer pictures than processes are left: they wait for another epoch
            order = order[: steps * config.batch]
        self._network.train()
        torch.manual_seed(chance.seed_of(config.seed, "dropout", epoch, place.rank))
        sums = torch.zeros(3, dtype=torch.float32 if place.device.type == "mps" else torch.float64, device=place.device)
        for number, (pictures, labels) in enumerate(self._feed.batches(order, config.batch, epoch)):
            rate = self._set_rate((epoch - 1) * steps + number, steps)
            whole = min(config.batch, len(order) - number * config.batch)
            sums += self._one(self._input(pictures, labels, epoch, number, whole), whole)
            if self._average is not None:
                self._average.follow(self._bare, (epoch - 1) * steps + number)
            if place.device.type == "cpu" or number % _LOOK_EVERY == 0 or number == steps - 1:
                self._look(sums[0], epoch, number + 1)
            if on_step is not None:
                on_step(epoch, number + 1, steps)
        loss, right, count = place.total(sums).tolist()
        return loss / count, right / count, rate

    def take(self, pictures: Tensor, labels: Tensor, epoch: int, number: int) -> Tensor:
        """One whole step with a batch, at the rate that is set; the sums of loss, right answers and pictures."""
        whole = len(labels) * self._place.world
        return self._one(self._input(pictures, labels, epoch, number, whole), whole)

    def at_rates(self, rates: Iterable[float]) -> Iterator[float]:
        """One step at each rate, and its loss; over the pictures as often as it takes."""
        self._network.train()
        batches = self._endless()
        for rate in rates:
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            loss, _, count = self.take(*next(batches)).tolist()
            yield loss / count

    def _endless(self) -> Iterator[tuple[Tensor, Tensor, int, int]]:
        epoch = 0
        while True:
            epoch += 1
            order = chance.order(self._config.seed, epoch, len(self._feed))
            for number, (pictures, labels) in enumerate(self._feed.batches(order, self._config.batch)):
                yield pictures, labels, epoch, number

    def _input(self, pictures: Tensor, labels: Tensor, epoch: int, number: int, whole: int) -> Mixed:
        """The batch as the network sees it."""
        config, place = self._config, self._place
        if config.augment and pictures.ndim == 4:  # bottleneck features come augmented
            draws = draw(whole, config.augment, chance.generator(config.seed, "augment", epoch, number))
            pictures = augmented(pictures, draws.part(slice(place.rank, None, place.world)))
        mixing = np.random.default_rng(chance.seed_of(config.seed, "mix", epoch, number, place.rank))
        batch = mix(pictures, labels, config.mixup, config.cutmix, mixing)
        if config.channels_last:
            return batch
        return Mixed(batch.pictures.contiguous(), batch.first, batch.second, batch.share)

    def _one(self, batch: Mixed, whole: int) -> Tensor:
        """One step; the sums of loss, right answers and pictures of this process."""
        config = self._config
        with torch.autocast(self._place.device.type, DTYPES[config.precision], enabled=config.precision != "float32"):
            logits = self._network(batch.pictures)
        each = losses(logits, batch, config.label_smoothing, self._weights)
        # Divided by the batch of all processes, times their number, as gradients are averaged over them.
        loss = each.sum() * (self._place.world / whole)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        if config.clip_norm:
            self._scaler.unscale_(self._optimiser)
            nn.utils.clip_grad_norm_(self._bare.parameters(), config.clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        likely = batch.first if batch.share >= 0.5 else batch.second
        right = (logits.detach().argmax(1) == likely).sum()
        count = torch.full_like(right, len(each))
        return torch.stack((each.detach().sum(), right.float(), count.float()))

    def _set_rate(self, step: int, steps: int) -> float:
        rate = self._config.rate * rate_factor(self._config, step, steps)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        return rate

    def _look(self, loss_sum: Tensor, epoch: int, step: int) -> None:
        if not bool(torch.isfinite(loss_sum)):
            raise TrainingError(f"the loss must stay a finite number, but is not by epoch {epoch}, step {step}")


def prepared(network: nn.Module, feed: Source, config: TrainConfig) -> nn.Module:
    """The network as it is called in training: compiled where asked, one of several where torchrun started several."""
    place = feed.place
    called: nn.Module = network
    if place.world > 1:
        ids = [place.device.index or 0] if place.device.type == "cuda" else None
        called = DistributedDataParallel(network, device_ids=ids)
    if config.compile:
        called = torch.compile(called)  # type: ignore[assignment] # a module goes in, a module comes out
    return called


@torch.inference_mode()
def logits_of(network: nn.Module, feed: Source, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """Logits float32 [N, classes] and labels [N] of this process's share of a feed, untouched by augmentation."""
    network.eval()
    device = feed.place.device
    logits, labels = [], []
    for pictures, truth in feed.batches(np.arange(len(feed)), _VALIDATION_BATCH):
        shown = pictures if config.channels_last else pictures.contiguous()
        with torch.autocast(device.type, DTYPES[config.precision], enabled=config.precision != "float32"):
            logits.append(network(shown).float())
        labels.append(truth)
    return torch.cat(logits), torch.cat(labels)


def validate(network: nn.Module, feed: Source, config: TrainConfig) -> tuple[float, float]:
    """Mean cross entropy in nats and accuracy over all processes, on the pictures as they are in the cache."""
    logits, labels = logits_of(network, feed, config)
    each = nn.functional.cross_entropy(logits, labels, reduction="none")
    right = (logits.argmax(1) == labels).sum()
    sums = torch.stack((each.sum(), right.float(), torch.tensor(float(len(labels)), device=each.device)))
    loss, correct, count = feed.place.total(sums).tolist()
    return loss / count, correct / count
