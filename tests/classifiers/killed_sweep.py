"""Run a sweep that is killed again and again: `python killed_sweep.py FOLDER TRIALS KILLS SEED SAMPLER PRUNER`.

In FOLDER/killed every kill is SIGKILL at a random place of a random trial, and prints how often that was before the
end; FOLDER/whole is the same sweep, left alone. A program, as
forking is safe only where no thread has started.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from random import Random

from classifiers.desk import Desk
from classifiers.journal import Outcome, Plan
from classifiers.space import Choice, Range
from classifiers.workers import run_here

SPACE = {
    "kernel": Choice((3, 5, 7)),
    "activation": Choice(("relu", "elu", "selu")),
    "dropout": Choice((0.0, 0.25)),
    "rate": Range(1e-4, 1e-1, log=True),
}


def objective(parameters, seed, report):
    """A value that depends on all that a trial is given, over five epochs."""
    value = 0.0
    for epoch in range(1, 6):
        if not os.read(0, 1):
            os._exit(1)
        os.write(1, b"e")
        value = Random(f"{sorted(parameters.items())} {seed} {epoch}").random() + epoch  # noqa: S311
        if report(epoch, value) and epoch < 5:
            return Outcome("pruned", value, {"epochs": epoch})
    return Outcome(
        "complete", value, {"epochs": 5}, {"weights.safetensors": b"w", "metrics.jsonl": repr(seed).encode()}
    )


def sweep(folder, trials, sampler, pruner):
    """The whole sweep, to its end."""
    space = SPACE if sampler != "grid" else {name: part for name, part in SPACE.items() if name != "rate"}
    plan = Plan(space, sampler=sampler, pruner=pruner, random_trials=5, epochs=5, warmup=1, seed=3)
    with Desk(folder, plan, trials) as desk:
        run_here(desk, objective)


def killed_after(arguments, epochs, pause_s):
    """Run the sweep in a child that may do so many epochs and is then killed; whether that was before its end."""
    (permits, grant), (heard, say) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(permits, 0)
        os.dup2(say, 1)
        for end in (permits, grant, heard, say):
            os.close(end)
        sweep(*arguments)
        os._exit(0)
    os.close(permits)
    os.close(say)
    os.write(grant, b"g" * epochs)
    while epochs > 0 and (said := os.read(heard, 1)):
        epochs -= len(said)
    time.sleep(pause_s)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(grant)
    os.close(heard)
    return os.WIFSIGNALED(status)


def main() -> None:
    """Kill, kill, kill; then let it finish."""
    folder, trials, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance, sampler, pruner = Random(int(sys.argv[4])), sys.argv[5], sys.argv[6]  # noqa: S311
    arguments = (folder / "killed", trials, sampler, pruner)
    killed = sum(killed_after(arguments, chance.randint(0, 6), chance.uniform(0, 0.005)) for _ in range(kills))
    out = os.dup(1)
    os.dup2(os.open("/dev/zero", os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sweep(*arguments)
    sweep(folder / "whole", *arguments[1:])
    os.write(out, json.dumps({"killed": killed}).encode())


if __name__ == "__main__":
    main()
