"""What a person sees while a command works: a bar in a terminal, a line an epoch elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from classifiers.survey import Progress as Told


def say(line: str) -> None:
    """A line for people."""
    sys.stderr.write(line + "\n")


@contextmanager
def counting(what: str, *, in_bytes: bool = False) -> Iterator[Told | None]:
    """A bar that counts pictures (or bytes) done of all, in a terminal; else nothing."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield None
        return
    size = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *size, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


class TrainingBar:
    """Steps of the epoch as a bar, and a line an epoch."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, epoch: int, done: int, steps: int) -> None:
        """A step was done."""
        if self._bar is not None and self._task is not None:
            name = f"epoch {epoch} of {self._epochs}"
            self._bar.update(self._task, completed=done, total=steps, description=name)

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch was done."""
        line = (
            f"epoch {epoch}/{self._epochs}  train loss {metrics['train_loss']:.4f} accuracy "
            f"{metrics['train_accuracy']:.3f}  validation loss {metrics['validation_loss']:.4f} accuracy "
            f"{metrics['validation_accuracy']:.3f}  rate {metrics['rate']:.2e}  "
            f"{metrics['pictures_per_s']:.0f} pictures/s"
        )
        if self._bar is not None:
            self._bar.console.print(line, soft_wrap=True)
        else:
            say(line)
