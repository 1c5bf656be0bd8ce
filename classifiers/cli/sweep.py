"""`classifiers sweep`: train many networks, and keep what each of them gave."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from classifiers.config import TrainConfig
    from classifiers.desk import Desk
    from classifiers.journal import Outcome, Plan, Task
    from classifiers.space import Space
    from classifiers.sweep import Training
    from classifiers.workers import Objective


def sweep(
    root: o.Root,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the sweep; one that is there is gone on with.")],
    *,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, those already done included.")] = 20,
    space: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON or YAML with the space.", show_default="the report's ten")
    ] = None,
    sampler: Annotated[str, typer.Option(help="tpe, random or grid.")] = "tpe",
    random_trials: Annotated[
        int, typer.Option(min=1, help="Trials at random before TPE chooses; inferences rest on these.")
    ] = 16,
    pruner: Annotated[str, typer.Option(help="median, hyperband or none.")] = "median",
    pruner_warmup: Annotated[
        int | None, typer.Option(help="Epochs before the median pruner stops a trial.", show_default="a third")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Trials at a time, each in a process of its own.")] = 1,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on this Ray cluster: HOST:PORT, auto or local.")
    ] = None,
    confirm: Annotated[
        int, typer.Option(min=0, help="Train the best and the untuned network anew from this many seeds.")
    ] = 0,
    epochs: o.Epochs = None,
    batch: o.Batch = None,
    rate: o.Rate = None,
    seed: o.Seed = None,
    size: o.Size = None,
    config: o.ConfigFile = None,
    preset: o.Preset = None,
    device: o.Device = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Manifest of `data split`.", show_default="made anew")
    ] = None,
    skip_bad: o.SkipBad = False,
    cache: o.Cache = None,
) -> None:
    """Search a space of networks. Killed at any time, the same command goes on: no trial is lost, none is run twice.

    The test side stays sealed. `classifiers report DIR` tells what the trials say.
    """
    from classifiers.cli.progress import counting, say
    from classifiers.data import open_data
    from classifiers.desk import Desk
    from classifiers.errors import ConfigError
    from classifiers.space import REPORT_SPACE, most_blocks, of_tuning, read_space
    from classifiers.split import save_split
    from classifiers.sweep import plan_sweep

    if confirm == 1:
        raise ConfigError("--confirm must be 0 or at least 2 seeds, to see how much they matter, but is 1")
    network, training = o.configured(
        config, preset, {}, {"epochs": epochs, "batch": batch, "rate": rate, "seed": seed, "device": device}
    )
    chosen = REPORT_SPACE if space is None else read_space(space)
    manifest = out / "split.json"
    if of_tuning(chosen):
        if confirm:
            raise ConfigError("--confirm must be 0 for fine-tunings: `classifiers finetune --seeds N` compares them")
        plans: dict[str, Any] = {
            "sampler": sampler, "pruner": pruner, "seed": training.seed, "random_trials": random_trials,
            "warmup": pruner_warmup if pruner_warmup is not None else -(-training.epochs // 3),
        }  # fmt: skip
        _tunings(root, out, chosen, training, plans, split or (manifest if manifest.is_file() else None), trials, jobs,
                 ray, cache, size, skip_bad=skip_bad)  # fmt: skip
        return
    with counting("opening pictures") as progress:
        data = open_data(
            root, size=size, at_least=2 ** most_blocks(chosen, network), seed=training.seed, skip_bad=skip_bad,
            split=split or (manifest if manifest.is_file() else None), cache=cache, progress=progress,
        )  # fmt: skip
    plan, objective = plan_sweep(
        data, chosen, network, training, cache, sampler=sampler, pruner=pruner, seed=training.seed,
        random_trials=random_trials,
        warmup=pruner_warmup if pruner_warmup is not None else -(-training.epochs // 3),
    )  # fmt: skip
    with Desk(out, plan, trials) as desk:
        save_split(manifest, data.split)
        done = len(desk.trials) - desk.cut_off
        again = f", {desk.cut_off} were cut off and are run again" if desk.cut_off else ""
        say(f"{done} of {desk.total} trials are done{again}; split {data.split_hash[:12]}")
        _run(desk, objective, jobs, ray)
        _conclude(desk, objective, confirm)


def _tunings(
    root: Path,
    out: Path,
    space: Space,
    training: TrainConfig,
    plans: dict[str, Any],
    manifest: Path | None,
    trials: int,
    jobs: int,
    ray: str | None,
    cache: Path | None,
    size: int | None,
    *,
    skip_bad: bool,
) -> None:
    """The same over networks that were trained elsewhere, their strategies and rates."""
    from classifiers.cli.progress import counting, say
    from classifiers.data import split_root
    from classifiers.desk import Desk
    from classifiers.split import load_split, save_split
    from classifiers.tuning import TuneConfig
    from classifiers.tuning_sweep import plan_tuning

    with counting("opening pictures") as progress:
        made = load_split(manifest) if manifest is not None else split_root(
            root, seed=training.seed, skip_bad=skip_bad, cache=cache, progress=progress)  # fmt: skip
    plan: Plan
    plan, objective = plan_tuning(root, made, space, TuneConfig(size=size or 0), training, cache, **plans)
    with Desk(out, plan, trials) as desk:
        save_split(out / "split.json", made)
        say(f"{len(desk.trials) - desk.cut_off} of {desk.total} trials are done; split {made.hash[:12]}")
        _run(desk, objective, jobs, ray)
        _best(desk)


def _run(desk: Desk, objective: Objective, jobs: int, ray: str | None) -> None:
    from classifiers.cli.progress import say
    from classifiers.sweep import run_sweep

    try:
        run_sweep(_telling(desk), objective, jobs=jobs, ray=ray)
    except KeyboardInterrupt:
        say(f"classifiers: stopped by Ctrl-C; the same command goes on with the sweep in {desk.folder}")
        raise


def _telling(desk: Desk) -> Desk:
    """The desk, saying a line for every trial that begins and ends."""
    from classifiers.cli.progress import say

    take, finish = desk.take, desk.finish

    def told_take() -> Task | None:
        task = take()
        if task is not None:
            say(f"trial {task.number}: {', '.join(f'{name} {value}' for name, value in task.parameters.items())}")
        return task

    def told_finish(number: int, outcome: Outcome) -> None:
        finish(number, outcome)
        end = f"accuracy {outcome.value:.4f}" if outcome.value is not None else str(outcome.facts.get("error"))
        say(f"trial {number}: {outcome.state}, {end}")

    desk.take, desk.finish = told_take, told_finish  # type: ignore[method-assign]
    return desk


def _conclude(desk: Desk, objective: Training, seeds: int) -> None:
    from classifiers.cli.progress import say
    from classifiers.confirm import confirm
    from classifiers.inference import points

    best = _best(desk)
    if seeds:
        found = confirm(
            desk.folder, objective, best.number, best.params, seeds,
            lambda name, index, accuracy: say(f"{name}, seed {index}: accuracy {accuracy:.4f}"),
        )  # fmt: skip
        say(f"best less untuned default: {points(found.difference)}")


def _best(desk: Desk) -> FrozenTrial:
    """The best trial, told."""
    from classifiers.cli.progress import say
    from classifiers.errors import TrainingError

    best = desk.best
    if best is None or best.value is None:
        raise TrainingError(
            f"a sweep must have a trial that ends, but none of {len(desk.trials)} did: "
            f"{desk.trials[-1].user_attrs.get('error', 'all were pruned')}"
        )
    run = desk.folder / "trials" / f"{best.number:04d}"
    say(f"best: trial {best.number}, validation accuracy {best.value:.4f}, in {run}")
    say(f"`classifiers report {desk.folder}` tells what the trials say")
    return best
