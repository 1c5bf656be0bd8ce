"""The desk of a sweep: gives out trials, hears their reports, and keeps a journal that a kill cannot break.

One desk owns a sweep's folder; workers, wherever they run, only talk to it.

What a trial is depends on the plan, its number and the trials that ended before it, never on how often the sweep was
killed: the sampler is seeded by (seed, number), a trial's training too, and reports reach the journal only with the
end.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Final, Self

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from classifiers.errors import ClassifierError, ConfigError
from classifiers.files import read_json, write_json, writing
from classifiers.journal import STUDY, Outcome, Plan, Task, open_journal, own, quiet, same_plan
from classifiers.space import Choice, Range, Value, cells, size_of

MAX_DEATHS: Final = 2
"""A trial whose worker dies this often while the desk lives is a failed trial, not tried again."""


_DRAWING, _TRAINING = 0, 1
_KEEPING: Final = ".keeping-"
_RUNG: Final = "completed_rung_"
"""What Hyperband notes in a trial at each of its rungs."""

_STATES: Final = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class Desk:
    """Gives out the trials of one sweep until `total` are done. Not for several threads; used in a `with` statement.

    Raises:
        ConfigError: the folder holds a sweep with another plan, or the grid has fewer than `total` cells.
        OutputError: the folder cannot be written, or another process has the sweep.
    """

    def __init__(self, folder: Path, plan: Plan, total: int) -> None:
        self.folder, self.plan = folder, plan
        self.total = min(total, size_of(plan.space)) if plan.sampler == "grid" else total
        self._lock = own(folder)
        try:
            same_plan(folder, plan)
            self._journal, self._study_id = open_journal(folder / "journal.log")
            self._storage = InMemoryStorage()
            with quiet():
                self._live = optuna.create_study(storage=self._storage, study_name=STUDY, direction="maximize")
                self._live.pruner = _pruner(plan)
                for trial in self._journal.get_all_trials(self._study_id):
                    self._live.add_trial(_as_drawn(trial))
        except BaseException:
            self._lock.close()
            raise
        self._waiting: list[int] = []
        self._deaths: dict[int, int] = {}
        self._settle()
        self._tidy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number, running ones too."""
        return self._live.get_trials(deepcopy=False)

    @property
    def cut_off(self) -> int:
        """How many trials wait to be run again."""
        return len(self._waiting)

    @property
    def best(self) -> FrozenTrial | None:
        """The complete trial with the highest value, the first of equals; None before there is one."""
        complete = [trial for trial in self.trials if trial.state is TrialState.COMPLETE]
        # A loop's first maximum, and complete trials have a value.
        return max(complete, key=lambda trial: _number(trial.value), default=None)

    def take(self) -> Task | None:
        """The next trial to be run: first those that were cut off, as they were; None when none is left."""
        if self._waiting:
            return self._task(self._waiting.pop(0))
        if len(self.trials) >= self.total:
            return None
        return self._task(self._draw())

    def report(self, number: int, epoch: int, value: float) -> bool:
        """Hear a trial's value after an epoch; True if the trial is to be stopped."""
        identity = self._identity(number)
        self._storage.set_trial_intermediate_value(identity, epoch, value)
        with quiet():
            return bool(self._live.pruner.prune(self._live, self._storage.get_trial(identity)))

    def finish(self, number: int, outcome: Outcome) -> None:
        """Keep a trial's outcome: its run first, whole, then the journal."""
        best = self.best
        ahead = outcome.state == "complete" and (best is None or _number(outcome.value) > _number(best.value))
        self._keep(number, outcome, best=ahead)
        self._record(number, outcome)
        if ahead:
            self._tidy()

    def give_up(self, number: int, error: ClassifierError) -> None:
        """Hear that a trial met what would meet every trial: raises that error. The trial stays to be run again."""
        self._waiting.append(number)
        raise error

    def lost(self, number: int) -> None:
        """Hear that the worker of a trial died: the trial is run again, or failed after MAX_DEATHS deaths."""
        self._deaths[number] = self._deaths.get(number, 0) + 1
        if self._deaths[number] < MAX_DEATHS:
            self._waiting.append(number)
            return
        why = f"its worker died {MAX_DEATHS} times (out of memory?)"
        self.finish(number, Outcome("failed", None, {"error": why}))

    def _settle(self) -> None:
        """Sort out trials that were cut off: those whose run was kept are done, the others wait to be run again."""
        for trial in self._live.get_trials(states=(TrialState.RUNNING,)):
            finished = self.folder / "trials" / f"{trial.number:04d}" / "outcome.json"
            if not finished.is_file():
                self._waiting.append(trial.number)
                continue
            kept = read_json(finished, ConfigError)
            for epoch, value in kept.pop("reports"):
                self.report(trial.number, epoch, value)
            self._record(trial.number, Outcome(**kept))

    def _draw(self) -> int:
        number = len(self.trials)
        distributions = {name: _distribution(part) for name, part in self.plan.space.items()}
        with quiet():
            if self.plan.sampler == "grid":
                drawn = "grid"
                self._live.enqueue_trial(_cell(self.plan, number))
            else:
                drawn = "random" if self.plan.sampler == "random" or number < self.plan.random_trials else "tpe"
            seed = _seed(self.plan.seed, _DRAWING, number)
            self._live.sampler = (
                optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)
                if drawn == "tpe"
                else optuna.samplers.RandomSampler(seed=seed)
            )
            trial = self._live.ask(distributions)
            trial.set_user_attr("drawn", drawn)
        # One line of the journal: a trial is there with all its parameters, or not at all.
        self._journal.create_new_trial(self._study_id, template_trial=self._storage.get_trial(self._identity(number)))
        return number

    def _task(self, number: int) -> Task:
        trial = self.trials[number]
        return Task(number, dict(trial.params), seed_of_trial(self.plan.seed, number))

    def _identity(self, number: int) -> int:
        return self.trials[number]._trial_id  # noqa: SLF001 - optuna's storages have no other name for a trial

    def _keep(self, number: int, outcome: Outcome, *, best: bool) -> None:
        trials = self.folder / "trials"
        place = trials / f"{number:04d}"
        reports = sorted(self.trials[number].intermediate_values.items())
        document = {"state": outcome.state, "value": outcome.value, "facts": dict(outcome.facts), "reports": reports}
        with writing(place):
            trials.mkdir(exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=_KEEPING, dir=trials))
            for name, data in outcome.files.items():
                if best or not _is_heavy(name):
                    (fresh / Path(name).name).write_bytes(data)
            write_json(fresh / "outcome.json", document)
            fresh.chmod(0o755)
            shutil.rmtree(place, ignore_errors=True)
            fresh.rename(place)

    def _record(self, number: int, outcome: Outcome) -> None:
        identity = self._identity(number)
        values = None if outcome.value is None else [outcome.value]
        for name, value in outcome.facts.items():
            self._storage.set_trial_user_attr(identity, name, value)
        self._storage.set_trial_state_values(identity, _STATES[outcome.state], values)
        done = self._storage.get_trial(identity)
        durable = self._journal.get_trial_id_from_study_id_trial_number(self._study_id, number)
        with writing(self.folder / "journal.log"):
            for epoch, value in done.intermediate_values.items():
                self._journal.set_trial_intermediate_value(durable, epoch, value)
            for name, value in done.system_attrs.items():
                self._journal.set_trial_system_attr(durable, name, value)
            for name, value in done.user_attrs.items():
                self._journal.set_trial_user_attr(durable, name, value)
            self._journal.set_trial_state_values(durable, done.state, values)

    def _tidy(self) -> None:
        """Remove what a kill left half kept, and what is kept of the best trial only."""
        best = f"{self.best.number:04d}" if self.best is not None else None
        for place in (self.folder / "trials").glob("*"):
            if place.name.startswith(_KEEPING):
                shutil.rmtree(place, ignore_errors=True)
            elif place.name != best:
                for file in place.iterdir():
                    if _is_heavy(file.name):
                        file.unlink()


def _as_drawn(trial: FrozenTrial) -> FrozenTrial:
    """A trial of the journal; one whose end was cut off while it was written, as it was when it was drawn.

    Its reports are heard anew, one after the other: a pruner that finds the later ones there already would take the
    last for the first, and judge all that follow by it.
    """
    if trial.state is TrialState.RUNNING:
        trial.intermediate_values = {}
        attributes = trial.system_attrs.items()
        trial.system_attrs = {name: value for name, value in attributes if not name.startswith(_RUNG)}
    return trial


def seed_of_trial(seed: int, number: int) -> int:
    """The seed of a trial's training, 0 to 2^31 - 1: always the same for the same sweep."""
    return _seed(seed, _TRAINING, number)


def _seed(seed: int, purpose: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, purpose, number)).generate_state(1)[0]) >> 1


def _is_heavy(name: str) -> bool:
    """What is kept of the best trial only: its weights, and the split they were trained on."""
    return name.endswith(".safetensors") or name == "split.json"


def _number(value: float | None) -> float:
    return float("-inf") if value is None else value


def _distribution(part: Choice | Range) -> BaseDistribution:
    if isinstance(part, Choice):
        return CategoricalDistribution(part.values)
    if part.whole:
        return IntDistribution(int(part.low), int(part.high), step=int(part.step))
    return FloatDistribution(part.low, part.high, log=part.log, step=part.step or None)


def _cell(plan: Plan, number: int) -> dict[str, Value]:
    """The cell of the grid for a trial: all cells in an order that the seed shuffles, so that a part of it is fair."""
    return Random(plan.seed).sample(list(cells(plan.space)), size_of(plan.space))[number]  # noqa: S311 - not a secret


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if plan.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=plan.warmup)
    if plan.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=plan.epochs, reduction_factor=3)
    return optuna.pruners.NopPruner()
