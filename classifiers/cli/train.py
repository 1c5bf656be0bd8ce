"""`classifiers train`: pictures in, a run out."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from classifiers.config import NetworkConfig, TrainConfig
    from classifiers.data import Data
    from classifiers.engine import OnEpoch, Result


def train(
    root: o.Root,
    out: Annotated[Path, typer.Option(metavar="RUN", help="A new folder for the run.")],
    *,
    epochs: o.Epochs = None,
    seed: o.Seed = None,
    config: o.ConfigFile = None,
    preset: o.Preset = None,
    blocks: o.Blocks = None,
    filters: o.Filters = None,
    scheme: o.Scheme = None,
    kernel: o.Kernel = None,
    activation: o.Activation = None,
    batch_norm: o.BatchNorm = None,
    norm_place: o.NormPlace = None,
    dropout: o.Dropout = None,
    pooling: o.Pooling = None,
    dense: o.Dense = None,
    size: o.Size = None,
    batch: o.Batch = None,
    rate: o.Rate = None,
    optimiser: o.Optimiser = None,
    weight_decay: o.WeightDecay = None,
    momentum: o.Momentum = None,
    schedule: o.Schedule = None,
    warmup_epochs: o.WarmupEpochs = None,
    augment: o.Augment = None,
    mixup: o.Mixup = None,
    cutmix: o.Cutmix = None,
    label_smoothing: o.LabelSmoothing = None,
    class_weights: o.ClassWeights = None,
    clip_norm: o.ClipNorm = None,
    ema: o.Ema = None,
    patience: o.Patience = None,
    keep: o.Keep = None,
    device: o.Device = None,
    precision: o.Precision = None,
    channels_last: o.ChannelsLast = None,
    compile_: o.Compile = None,
    residence: o.Residence = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Manifest of `data split`.", show_default="made anew")
    ] = None,
    skip_bad: o.SkipBad = False,
    cache: o.Cache = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in RUN.")] = False,
    find_rate: Annotated[bool, typer.Option("--find-rate", help="Only look for a learning rate.")] = False,
    tensorboard: Annotated[bool, typer.Option(help="Write events into RUN/tensorboard.")] = True,
    wandb: Annotated[str | None, typer.Option(metavar="PROJECT", help="Log to Weights & Biases.")] = None,
    as_json: o.AsJson = False,
) -> None:
    """Train a network from scratch; the test side stays sealed.

    Under torchrun each process trains on its share of every batch: torchrun --nproc-per-node 2 -m classifiers train ...
    """
    network_values = o.network_values(
        blocks=blocks, filters=filters, scheme=scheme, kernel=kernel, activation=activation, batch_norm=batch_norm,
        norm_place=norm_place, dropout=dropout, pooling=pooling, dense=dense, input_size=size,
    )  # fmt: skip
    train_values = {
        "epochs": epochs, "seed": seed, "batch": batch, "rate": rate, "optimiser": optimiser, "schedule": schedule,
        "weight_decay": weight_decay, "momentum": momentum, "warmup_epochs": warmup_epochs, "augment": augment,
        "mixup": mixup, "cutmix": cutmix, "label_smoothing": label_smoothing, "class_weights": class_weights,
        "clip_norm": clip_norm, "ema": ema, "patience": patience, "keep": keep, "device": device,
        "precision": precision, "channels_last": channels_last, "compile": compile_, "residence": residence,
    }  # fmt: skip
    network, training = o.configured(config, preset, network_values, train_values, _begun(out) if resume else None)
    fixed = _fixed_size(config, size, network, resume=resume and _begun(out) is not None)
    opened = _open(root, fixed, network, training, split or _split_of(out, resume=resume), skip_bad, cache)
    network = replace(network, classes=len(opened.classes), input_size=opened.size)
    if find_rate:
        _find_rate(network, training, opened, as_json=as_json)
        return
    result = _train(network, training, opened, out, tensorboard=tensorboard, wandb=wandb, resume=resume)
    if int(os.environ.get("RANK", "0")) == 0:
        _tell(result, network, as_json=as_json)


def _begun(out: Path) -> tuple[NetworkConfig, TrainConfig] | None:
    """The configuration that a run was begun with."""
    from classifiers.config import read_config

    return read_config(out / "config.json") if (out / "config.json").is_file() else None


def _split_of(out: Path, *, resume: bool) -> Path | None:
    return out / "split.json" if resume and (out / "split.json").is_file() else None


def _fixed_size(config: Path | None, size: int | None, network: NetworkConfig, *, resume: bool) -> int | None:
    """The input size that was asked for, or None where the data says it."""
    from classifiers.config import read_values

    asked = size is not None or resume or (config is not None and "input_size" in read_values(config).network)
    return network.input_size if asked else None


def _open(
    root: Path,
    size: int | None,
    network: NetworkConfig,
    training: TrainConfig,
    split: Path | None,
    skip_bad: bool,
    cache: Path | None,
) -> Data:
    from classifiers.cli.progress import counting, say
    from classifiers.data import open_data

    with counting("opening pictures") as progress:
        opened = open_data(
            root, size=size, at_least=2**network.blocks, split=split, seed=training.seed, skip_bad=skip_bad,
            cache=cache, progress=progress,
        )  # fmt: skip
    if int(os.environ.get("RANK", "0")) == 0:
        say(
            f"{len(opened.train)} pictures to train on, {len(opened.validation)} to validate, "
            f"{len(opened.classes)} classes, {opened.size} x {opened.size}; split {opened.split_hash[:12]}"
        )
        for path, reason in opened.split.skipped:
            say(f"skipped {path}: {reason}")
    return opened


def _find_rate(network: NetworkConfig, training: TrainConfig, opened: Data, *, as_json: bool) -> None:
    from classifiers.rates import find_rate

    found = find_rate(network, training, opened)
    if as_json:
        document = {"suggestion": found.suggestion, "rates": found.rates, "losses": found.losses}
        sys.stdout.write(json.dumps(document) + "\n")
        return
    sys.stdout.writelines(
        f"rate {rate:.2e}  loss {loss:.4f}\n" for rate, loss in zip(found.rates, found.losses, strict=True)
    )
    sys.stdout.write(f"the loss falls fastest at --rate {found.suggestion:.2e}\n")


def _train(
    network: NetworkConfig,
    training: TrainConfig,
    opened: Data,
    out: Path,
    *,
    tensorboard: bool,
    wandb: str | None,
    resume: bool,
) -> Result:
    from classifiers.cli.progress import TrainingBar, say
    from classifiers.config import to_dict
    from classifiers.engine import fit

    leads = int(os.environ.get("RANK", "0")) == 0
    configs = {"network": to_dict(network), "train": to_dict(training)}
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(TrainingBar(training.epochs)) if leads else None
        told: list[OnEpoch] = [bar.epoch] if bar is not None else []
        if leads:
            told += stack.enter_context(_sinks(out, configs, tensorboard=tensorboard, wandb=wandb, resume=resume))

        def on_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
            for tell in told:
                tell(epoch, metrics)

        try:
            return fit(network, training, opened, out, on_epoch, bar.step if bar else None, resume=resume)
        except KeyboardInterrupt:
            done = "the last whole epoch is kept" if (out / "state.pt").is_file() else "no epoch was finished"
            say(f"classifiers: stopped by Ctrl-C; {done}; go on with --resume --out {out}")
            raise


@contextlib.contextmanager
def _sinks(
    out: Path, configs: dict[str, Any], *, tensorboard: bool, wandb: str | None, resume: bool
) -> Iterator[list[OnEpoch]]:
    from classifiers import sinks
    from classifiers.checkpoint import require_unused

    if not resume:
        require_unused(out)  # before anything is written beside another run
    with contextlib.ExitStack() as stack:
        found: list[OnEpoch] = []
        if tensorboard:
            lines = out / "metrics.jsonl"
            done = len(lines.read_bytes().splitlines()) if lines.is_file() else 0
            found.append(stack.enter_context(sinks.tensorboard(out / "tensorboard", done)))
        if wandb is not None:
            found.append(stack.enter_context(sinks.weights_and_biases(wandb, out.name, configs, out)))
        yield found


def _tell(result: Result, network: NetworkConfig, *, as_json: bool) -> None:
    from classifiers.counting import formula

    parameters, multiply_adds = formula(network)
    if as_json:
        document = {
            "run": str(result.out), "epochs": result.epochs, "best_epoch": result.best_epoch,
            "accuracy": result.validation_accuracy, "loss": result.validation_loss, "side": "validation",
            "stopped": result.stopped, "seconds": result.seconds, "parameters": parameters,
            "multiply_adds": multiply_adds,
        }  # fmt: skip
        sys.stdout.write(json.dumps(document) + "\n")
        return
    sys.stdout.write(
        f"{result.out}: validation accuracy {result.validation_accuracy:.4f}, loss {result.validation_loss:.4f} "
        f"at epoch {result.best_epoch} of {result.epochs}; {parameters:,} parameters; `classifiers evaluate "
        f"{result.out} DATA` opens the test side\n"
    )
