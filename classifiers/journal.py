"""A sweep on disk: its plan, its trials and its journal, which a kill cannot break.

sweep.json      the plan: space, sampler, pruner, seed and what every trial starts from
journal.log     Optuna's journal: a line when a trial is drawn (with all its parameters), its results when it has ended
trials/0007/    the trial's run; it appears whole, with its outcome, or not at all
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial

from classifiers.errors import ConfigError, OutputError
from classifiers.files import read_json, write_json, writing
from classifiers.space import Space, Value, from_json, size_of, to_json

SAMPLERS: Final = ("tpe", "random", "grid")
PRUNERS: Final = ("median", "hyperband", "none")
STUDY: Final = "sweep"
"""Name of the one study in a journal."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes a sweep this sweep. A folder with another plan is refused, so that trials never mix.

    Attributes:
        space: the declared space.
        sampler: tpe, random or grid.
        random_trials: how many trials are drawn at random before TPE chooses; these are what inferences rest on.
        pruner: median, hyperband or none.
        epochs: most epochs of a trial.
        warmup: epochs before the median pruner may stop a trial.
        seed: of the sweep.
        objective: plain JSON values that name what a trial does (configurations, split hash).
    """

    space: Space
    sampler: str = "tpe"
    random_trials: int = 10
    pruner: str = "median"
    epochs: int = 10
    warmup: int = 3
    seed: int = 0
    objective: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, allowed in (("sampler", self.sampler, SAMPLERS), ("pruner", self.pruner, PRUNERS)):
            if value not in allowed:
                raise ConfigError(f"{name} must be one of {', '.join(allowed)}, but is {value!r}")
        for name, low in (("random_trials", 1), ("epochs", 1), ("warmup", 0), ("seed", 0)):
            if getattr(self, name) < low:
                raise ConfigError(f"{name} must be at least {low}, but is {getattr(self, name)}")
        if self.sampler == "grid":
            size_of(self.space)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, as in sweep.json."""
        names = ("sampler", "random_trials", "pruner", "epochs", "warmup", "seed", "objective")
        return {"space": to_json(self.space), **{name: getattr(self, name) for name in names}}


@dataclass(frozen=True, slots=True)
class Task:
    """A trial to be run: its number, its parameters, and the seed of all its chance."""

    number: int
    parameters: Mapping[str, Value]
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        state: complete, pruned or failed.
        value: what is maximised; None if it failed.
        facts: plain JSON values beside it: seconds, epochs, parameters, why it failed ...
        files: the run's files by name, to be kept with the trial (weights and split: of the best trial only).
    """

    state: str
    value: float | None
    facts: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)


def trials_of(folder: Path) -> tuple[Plan, list[FrozenTrial]]:
    """The plan and the trials of a sweep's folder, for reading: the sweep may be running.

    Raises:
        ConfigError: the folder holds no sweep, or one that cannot be read.
    """
    plan_file, journal_file = folder / "sweep.json", folder / "journal.log"
    if not plan_file.is_file() or not journal_file.is_file():
        raise ConfigError(
            f"{folder} must be the folder of a sweep (classifiers sweep DATA --out {folder}), but has no journal"
        )
    document = read_json(plan_file, ConfigError)
    try:
        plan = Plan(**{**document, "space": from_json(document["space"])})
        storage = JournalStorage(JournalFileBackend(str(journal_file), lock_obj=_Alone()))
        return plan, storage.get_all_trials(storage.get_study_id_from_name(STUDY), deepcopy=False)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{folder} must hold a sweep's plan and journal, but they are damaged: {error!r}") from error


class _Alone(JournalFileSymlinkLock):
    """No lock: one process owns the folder. Optuna's own lock files outlive a kill and then hold the sweep up."""

    def __init__(self) -> None:
        super().__init__("")

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def own(folder: Path) -> IO[bytes]:
    """The open lock file of the folder; the system lets go of it when the process ends, however it ends."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - of that system only

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - of the other systems only

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise OutputError(f"{folder} must belong to one sweep at a time, but another process has it") from error
    return lock


def same_plan(folder: Path, plan: Plan) -> None:
    """Write the plan of a new sweep, or see that the folder's is the same. Raises ConfigError naming what differs."""
    file = folder / "sweep.json"
    wanted = json.loads(json.dumps(plan.to_json()))
    if not file.exists():
        write_json(file, wanted)
        return
    found = read_json(file, ConfigError)
    for key in wanted:
        if found.get(key) != wanted[key]:
            raise ConfigError(
                f"{folder} holds a sweep whose {key} is {found.get(key)}, but {wanted[key]} is asked for: take the "
                f"same options to go on with it, or another --out"
            )


def open_journal(file: Path) -> tuple[JournalStorage, int]:
    """The journal, without what a kill left of a line that was being written."""
    if file.exists():
        data = file.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with file.open("r+b") as journal:
                journal.truncate(whole)
    with quiet():
        storage = JournalStorage(JournalFileBackend(str(file), lock_obj=_Alone()))
        try:
            return storage, storage.get_study_id_from_name(STUDY)
        except KeyError:
            return storage, storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], STUDY)


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its log lines and without its warnings that parts of it may change."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
