"""`classifiers finetune`: move a network that was trained elsewhere to the classes at hand."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    from classifiers.config import NetworkConfig, TrainConfig
    from classifiers.contest import Entrant, Standing
    from classifiers.engine import Result
    from classifiers.split import Split
    from classifiers.tuning import TuneConfig


def finetune(
    root: o.Root,
    out: Annotated[Path, typer.Option(metavar="RUN", help="A new folder for the run, or for all runs.")],
    *,
    backbone: Annotated[str, typer.Option(help="A network of timm.")] = "efficientnet_lite0",
    weights: Annotated[str, typer.Option(help="auto, package, hub, none, or a file.")] = "auto",
    strategy: Annotated[
        str, typer.Option(help="svm, last, last-k, fpt or all; several with commas, or every.")
    ] = "last",
    seeds: Annotated[int, typer.Option(min=1, help="Train from so many seeds, and compare.")] = 1,
    scratch: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Compare with this network from scratch (config.json of a run).")
    ] = None,
    last_blocks: Annotated[int | None, typer.Option(help="Blocks that last-k moves.", show_default="3")] = None,
    front_rate: Annotated[
        float | None, typer.Option(help="Factor of the rate from block to block before those.", show_default="0")
    ] = None,
    neurons: Annotated[int | None, typer.Option(help="Of the hidden dense layer of fpt.", show_default="256")] = None,
    warm_epochs: Annotated[int | None, typer.Option(help="Of fpt's dense layers alone.", show_default="20")] = None,
    fine_rate: Annotated[
        float | None, typer.Option(help="Factor of fpt's rate after that.", show_default="0.1")
    ] = None,
    views: Annotated[
        int | None, typer.Option(help="Augmented views kept as features; 0 keeps none.", show_default="4")
    ] = None,
    svm_c: Annotated[float | None, typer.Option(help="Inverse regularisation of svm.", show_default="0.01")] = None,
    still_norm: Annotated[
        bool | None, typer.Option("--still-norm", help="Keep the statistics of batch norm everywhere.")
    ] = None,
    size: o.Size = None,
    epochs: Annotated[int | None, typer.Option(help="Passes.", show_default="by strategy")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate.", show_default="by strategy")] = None,
    batch: o.Batch = None,
    seed: o.Seed = None,
    optimiser: o.Optimiser = None,
    weight_decay: o.WeightDecay = None,
    schedule: o.Schedule = None,
    augment: o.Augment = None,
    mixup: o.Mixup = None,
    label_smoothing: o.LabelSmoothing = None,
    clip_norm: o.ClipNorm = None,
    keep: o.Keep = None,
    device: o.Device = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the CPU.", show_default="all")] = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Manifest of `data split`.", show_default="made anew")
    ] = None,
    skip_bad: o.SkipBad = False,
    cache: o.Cache = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in RUN.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Fine-tune a trained network by one strategy, or by several side by side; the test side stays sealed."""
    from classifiers.config import TrainConfig, from_dict
    from classifiers.errors import ConfigError
    from classifiers.tuning import EPOCHS, RATES, STRATEGIES, tune_config

    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    names = STRATEGIES if strategy == "every" else tuple(part.strip() for part in strategy.split(","))
    tuning = _given(
        backbone=backbone, weights=weights, last_blocks=last_blocks, front_rate=front_rate, neurons=neurons,
        warm_epochs=warm_epochs, fine_rate=fine_rate, views=views, svm_c=svm_c, still_norm=still_norm, size=size,
    )  # fmt: skip
    training = _given(
        batch=batch, seed=seed, optimiser=optimiser, weight_decay=weight_decay, schedule=schedule, augment=augment,
        mixup=mixup, label_smoothing=label_smoothing, clip_norm=clip_norm, keep=keep, device=device,
    )  # fmt: skip
    tunes = [tune_config({**tuning, "strategy": name}) for name in names]
    trains = [
        from_dict(TrainConfig, {**training, "epochs": epochs or EPOCHS[name], "rate": rate or RATES[name]})
        for name in names
    ]
    made = _split(root, split or (out / "split.json" if (out / "split.json").is_file() else None),
                  trains[0].seed, cache, skip_bad=skip_bad)  # fmt: skip
    if len(names) == 1 and seeds == 1 and scratch is None:
        _tell(_one(tunes[0], trains[0], root, made, out, cache, resume=resume), as_json=as_json)
        return
    if seeds < 2:
        raise ConfigError(f"--seeds must be at least 2 to compare strategies, but is {seeds}")
    _compare(_entrants(tunes, trains, made, scratch, device, cache), root, made, seeds, out, cache, as_json=as_json)


def _given(**values: object) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _split(root: Path, manifest: Path | None, seed: int, cache: Path | None, *, skip_bad: bool) -> Split:
    from classifiers.cli.progress import counting
    from classifiers.data import split_root
    from classifiers.split import load_split

    if manifest is not None:
        return load_split(manifest)
    with counting("opening pictures") as progress:
        return split_root(root, seed=seed, skip_bad=skip_bad, cache=cache, progress=progress)


def _one(
    tune: TuneConfig, train: TrainConfig, root: Path, split: Split, out: Path, cache: Path | None, *, resume: bool
) -> Result:  # fmt: skip
    from classifiers.checkpoint import require_unused
    from classifiers.cli.progress import TrainingBar, counting
    from classifiers.data import open_data
    from classifiers.strategies import finetune as tuned
    from classifiers.strategies import subject

    what = subject(tune, len(split.classes), cache)
    if not resume:
        require_unused(out)
    with counting("opening pictures") as progress:
        data = open_data(root, size=what.config.input_size, split=split, cache=cache, progress=progress)
    with TrainingBar(train.epochs) as bar:
        return tuned(what, train, data, out, bar.epoch, bar.step, resume=resume)


def _tell(result: Result, *, as_json: bool) -> None:
    from classifiers.checkpoint import read_meta

    moved = read_meta(result.out).facts["trained_parameters"]
    if as_json:
        document = {
            "run": str(result.out), "epochs": result.epochs, "best_epoch": result.best_epoch, "side": "validation",
            "accuracy": result.validation_accuracy, "loss": result.validation_loss, "seconds": result.seconds,
            "trained_parameters": moved,
        }  # fmt: skip
        sys.stdout.write(json.dumps(document) + "\n")
        return
    sys.stdout.write(
        f"{result.out}: validation accuracy {result.validation_accuracy:.4f}, loss {result.validation_loss:.4f} at "
        f"epoch {result.best_epoch} of {result.epochs}; {moved:,} parameters moved; {result.seconds:.1f} s\n"
    )


def _entrants(
    tunes: list[TuneConfig],
    trains: list[TrainConfig],
    split: Split,
    scratch: Path | None,
    device: str | None,
    cache: Path | None,
) -> list[Entrant]:
    from dataclasses import replace

    from classifiers.config import read_config
    from classifiers.contest import Entrant
    from classifiers.strategies import subject

    classes = len(split.classes)
    found = [Entrant(t.strategy, subject(t, classes, cache), train) for t, train in zip(tunes, trains, strict=True)]
    if scratch is not None:
        network, train = read_config(scratch)
        plain: NetworkConfig = replace(network, classes=classes)
        found.append(Entrant("scratch", plain, replace(train, device=device or train.device)))
    return found


def _compare(
    entrants: list[Entrant], root: Path, split: Split, seeds: int, out: Path, cache: Path | None, *, as_json: bool
) -> None:  # fmt: skip
    from classifiers.cli.progress import say
    from classifiers.contest import contest
    from classifiers.contest_figure import draw
    from classifiers.split import save_split

    save_split(out / "split.json", split)
    first = entrants[0].train.seed
    rows = contest(
        entrants, root, split, range(first, first + seeds), out, cache=cache,
        told=lambda name, seed, accuracy: say(f"{name}, seed {seed}: accuracy {accuracy:.4f}"),
    )  # fmt: skip
    draw(rows, out, range(first, first + seeds))
    if as_json:
        sys.stdout.write(json.dumps({"rows": [asdict(row) for row in rows]}) + "\n")
        return
    _table(rows)


def _table(rows: list[Standing]) -> None:
    from rich.console import Console
    from rich.table import Table

    from classifiers.inference import interval, points

    table = Table("strategy", "validation accuracy", "less the network from scratch", "seconds", "epochs", "trained")
    for row in rows:
        gain = points(row.gain) if row.gain is not None else ""
        table.add_row(row.name, interval(row.accuracy), gain, f"{row.seconds:.1f}", str(row.epochs),
                      f"{row.trained_parameters:,}")  # fmt: skip
    Console(highlight=False, soft_wrap=True, width=140).print(table)
