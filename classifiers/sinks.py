"""Where metrics go besides the run's own metrics.jsonl: TensorBoard, and Weights & Biases for those who have it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from classifiers.engine import OnEpoch
from classifiers.errors import InstallError
from classifiers.files import writing

_TAGS: Final = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "rate": "rate",
    "pictures_per_s": "pictures_per_s",
}


@contextmanager
def tensorboard(folder: Path, epochs_done: int) -> Iterator[OnEpoch]:
    """Write events into `folder`; what an interrupted run wrote beyond `epochs_done` is taken back."""
    if importlib.util.find_spec("tensorboard") is None:
        raise InstallError("TensorBoard must be installed (pip install tensorboard), or --no-tensorboard be given")
    writers: list[Any] = []

    def write(epoch: int, metrics: Mapping[str, float]) -> None:
        with writing(folder):
            if not writers:  # made with the first epoch: a training that is refused leaves nothing
                from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow to load

                writers.append(SummaryWriter(str(folder), purge_step=epochs_done + 1))
            for key, tag in _TAGS.items():
                writers[0].add_scalar(tag, metrics[key], epoch)
            writers[0].flush()

    try:
        yield write
    finally:
        for writer in writers:
            writer.close()


@contextmanager
def weights_and_biases(project: str, name: str, config: Mapping[str, Any], folder: Path) -> Iterator[OnEpoch]:
    """Log every epoch to a run of Weights & Biases. Raises InstallError where its library is missing."""
    if importlib.util.find_spec("wandb") is None:
        raise InstallError("--wandb must find the library wandb, but it is not installed: pip install wandb")
    wandb: Any = importlib.import_module("wandb")
    run = wandb.init(project=project, name=name, config=dict(config), dir=str(folder), resume="allow")
    try:
        yield lambda epoch, metrics: run.log(dict(metrics), step=epoch)
    finally:
        run.finish()
