"""Who runs the trials of a sweep: this process, processes beside it, or actors of a Ray cluster.

A worker is a loop that asks the desk for a trial, runs it, reports after every epoch and hands in the outcome. It says
all this as messages (name, arguments) and waits for the answer to each; the desk's process reads them one after the
other. What differs is only the wire: a call, a pipe, or a call of a Ray actor.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol, cast

from classifiers.desk import Desk
from classifiers.errors import ClassifierError, ConfigError, InstallError, TrainingError
from classifiers.journal import Outcome, Task
from classifiers.space import Value

Report = Callable[[int, float], bool]
"""A trial says (epoch, value) and hears whether it is to stop."""

Objective = Callable[[Mapping[str, Value], int, Report], Outcome]
"""Runs one trial: parameters, seed, report. For several workers it must be picklable."""

_Call = Callable[..., Any]
_ASKED: Final = ("take", "report", "finish", "give_up")
_OF_THE_TRIAL: Final = (TrainingError, ConfigError, ArithmeticError, MemoryError, RuntimeError, ValueError)


class _Channel(Protocol):
    """The desk's end of the wire to one worker."""

    def recv(self) -> tuple[str, tuple[Any, ...]]:
        """The next message; EOFError when the worker is gone."""

    def send(self, answer: object) -> None:
        """Answer it."""


class _Crew(Protocol):
    """Workers of one kind."""

    def start(self, index: int) -> _Channel: ...

    def ready(self, channels: Sequence[_Channel]) -> Sequence[_Channel]:
        """Those with a message, or gone; waits until there is one."""

    def stop(self) -> None:
        """End all of them now."""


def work(call: _Call, objective: Objective) -> None:
    """Run trials until the desk has none left.

    What is wrong with a trial's network makes a failed trial. What is wrong with the machine or the data would be wrong
    for every trial, so it ends the sweep, and the trial is run again when the sweep goes on.
    """
    while (task := cast("Task | None", call("take"))) is not None:
        number = task.number

        def report(epoch: int, value: float, number: int = number) -> bool:
            return bool(call("report", number, epoch, value))

        try:
            outcome = objective(task.parameters, task.seed, report)
        except _OF_THE_TRIAL as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())
            outcome = Outcome("failed", None, {"error": why[:500]})
        except ClassifierError as error:
            call("give_up", number, error)
            raise
        call("finish", number, outcome)


def run_here(desk: Desk, objective: Objective) -> None:
    """Run the sweep in this process, one trial after the other."""
    work(lambda name, *arguments: getattr(desk, name)(*arguments), objective)


def run_processes(desk: Desk, objective: Objective, jobs: int) -> None:
    """Run the sweep in `jobs` processes of this machine. They end with this process, even if that is killed."""
    _serve(desk, _Processes(objective, jobs), jobs)


def run_on_ray(desk: Desk, objective: Objective, address: str, jobs: int = 0) -> None:
    """Run the sweep on the Ray cluster at `address` ("auto", "local", or HOST:PORT), `jobs` trials at a time.

    Each worker takes one CPU, and one GPU where the cluster has any; without `jobs` there are as many as the cluster
    holds. What the objective reads must be found under the same path on every machine. The desk stays here.

    Raises:
        InstallError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray  # noqa: PLC0415 - of the extra `cluster` only
    except ImportError as error:
        raise InstallError("--ray needs Ray: pip install 'railwatch[classifiers,cluster]'") from error
    try:
        ray.init(address=None if address == "local" else address, include_dashboard=False, log_to_driver=False,
                 logging_level=logging.ERROR)  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InstallError(f"--ray must name a Ray cluster that answers, but {address}: {error}") from error
    try:
        held = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = int(held.get("GPU", 0))
        _serve(desk, _Ray(objective, gpu=gpus > 0), jobs or gpus or int(held.get("CPU", 1)))
    finally:
        ray.shutdown()


def _serve(desk: Desk, crew: _Crew, jobs: int) -> None:
    """Read the workers' messages one after the other and answer them; start another worker for one that died."""
    holds: dict[int, int] = {}  # the trial of each worker, by the identity of its channel
    channels: list[_Channel] = []
    try:
        channels = [crew.start(index) for index in range(jobs)]
        while channels:
            for channel in crew.ready(channels):
                try:
                    name, arguments = channel.recv()
                    channel.send(_answer(desk, holds, id(channel), name, arguments))
                except (EOFError, BrokenPipeError, ConnectionResetError):
                    channels.remove(channel)
                    number = holds.pop(id(channel), None)
                    if number is not None:
                        desk.lost(number)
                        channels.append(crew.start(len(channels)))
    finally:
        crew.stop()


def _answer(desk: Desk, holds: dict[int, int], who: int, name: str, arguments: tuple[Any, ...]) -> object:
    if name not in _ASKED:
        raise ValueError(f"a worker may ask for {', '.join(_ASKED)}, but asks for {name!r}")
    answer = getattr(desk, name)(*arguments)
    if name == "take" and answer is not None:
        holds[who] = answer.number
    elif name in {"finish", "give_up"}:
        holds.pop(who, None)
    return answer


class _Processes:
    """Processes of this machine, each at the end of a pipe."""

    def __init__(self, objective: Objective, jobs: int) -> None:
        self._objective, self._jobs = objective, jobs
        self._context = multiprocessing.get_context("spawn")  # forked, torch's threads would hang
        self._processes: list[multiprocessing.process.BaseProcess] = []

    def start(self, index: int) -> _Channel:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_in_process, args=(theirs, self._objective, index, self._jobs), daemon=True
        )
        process.start()
        theirs.close()
        self._processes.append(process)
        return cast("_Channel", ours)

    def ready(self, channels: Sequence[_Channel]) -> Sequence[_Channel]:
        return cast("list[_Channel]", wait(cast("Sequence[Connection]", channels)))

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join()


def _in_process(pipe: Connection, objective: Objective, index: int, jobs: int) -> None:
    """What a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the desk's process decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _share_machine(index, jobs)

    def call(name: str, *arguments: object) -> object:
        pipe.send((name, arguments))
        return pipe.recv()

    with contextlib.suppress(EOFError, BrokenPipeError):
        work(call, objective)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - a spawned process has one
    parent.join()
    os._exit(1)


def _share_machine(index: int, jobs: int) -> None:
    """One GPU a worker where there are several, and its share of the cores."""
    import torch  # noqa: PLC0415 - the desk needs no torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    if torch.cuda.is_available():
        torch.cuda.set_device(index % torch.cuda.device_count())


class _Ray:
    """Actors of a Ray cluster."""

    def __init__(self, objective: Objective, *, gpu: bool) -> None:
        import ray  # noqa: PLC0415 - of the extra `cluster` only

        self._ray, self._objective = ray, objective
        self._actor = ray.remote(num_cpus=1, num_gpus=int(gpu))(_Far)
        self._channels: list[_RayChannel] = []

    def start(self, index: int) -> _Channel:
        del index
        channel = _RayChannel(self._ray, self._actor.remote(self._objective))
        self._channels.append(channel)
        return channel

    def ready(self, channels: Sequence[_Channel]) -> Sequence[_Channel]:
        waited = {channel.next: channel for channel in cast("Sequence[_RayChannel]", channels)}
        done, _ = self._ray.wait(list(waited), num_returns=1)
        return [waited[reference] for reference in done]

    def stop(self) -> None:
        for channel in self._channels:
            self._ray.kill(channel.actor)


class _RayChannel:
    """The desk's end of a Ray actor: each answer is a call whose result is the next message."""

    def __init__(self, ray: Any, actor: Any) -> None:  # noqa: ANN401 - Ray is optional and has no types here
        self._ray, self.actor = ray, actor
        self.next = actor.next.remote(None, first=True)

    def recv(self) -> tuple[str, tuple[Any, ...]]:
        try:
            message = self._ray.get(self.next)
        except self._ray.exceptions.RayActorError as error:
            raise EOFError from error
        if message is None:
            raise EOFError
        return cast("tuple[str, tuple[Any, ...]]", message)

    def send(self, answer: object) -> None:
        self.next = self.actor.next.remote(answer, first=False)


class _Far:
    """The worker's end: the loop runs in a thread, its messages leave through `next`."""

    def __init__(self, objective: Objective) -> None:
        self._questions: queue.Queue[Any] = queue.Queue(1)
        self._answers: queue.Queue[Any] = queue.Queue(1)
        self._thread = threading.Thread(target=self._run, args=(objective,), daemon=True)
        self._thread.start()

    def next(self, answer: object, *, first: bool) -> object:
        """Give the answer to the last message and get the next one; None when the loop has ended."""
        if not first:
            self._answers.put(answer)
        return self._questions.get()

    def _call(self, name: str, *arguments: object) -> object:
        self._questions.put((name, arguments))
        return self._answers.get()

    def _run(self, objective: Objective) -> None:
        try:
            work(self._call, objective)
        finally:
            self._questions.put(None)
