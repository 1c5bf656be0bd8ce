"""How many mutants of the decision do its tests notice?

    python tests/mutants.py [--only TEXT] [--jobs 2] [--longest 0.15]

Needs Linux, git, and mutmut 3.8 (`pip install mutmut`) in the environment of the tests. mutmut makes the mutants of
`railwatch/decision`; they are not run by its own loop, which starts pytest anew for each. Here the tests are collected
once and run once, to learn which functions each reaches and what it costs; then every mutant is a fork that runs the
tests of its function, those that killed its neighbours first, until one fails. `--longest` leaves out tests of more
processor seconds; `--only` takes mutants with TEXT in their names. Printed are the mutants that live, and the score.
As a proof that a kill is one, the tests of every function are run in the same way without a mutant: all must pass.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import wraps
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("railwatch", "tests", "models", "scenes", "docs", "README.md", "CONTRIBUTING.md", "pyproject.toml")
SETTINGS = """
[tool.mutmut]
paths_to_mutate = ["railwatch/decision"]
tests_dir = ["tests/decision"]
also_copy = ["railwatch", "tests", "models"]
mutate_only_covered_lines = false
"""
TESTS = (
    "tests/decision",
    "--ignore=tests/decision/test_world_properties.py",
    "--ignore=tests/decision/test_properties.py",
)
OPTIONS = (
    "-q",
    "-s",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:logging",
    "--tb=native",
    "--assert=plain",
)
NONE = "__mutmut_none"
"""The end of a name that is no mutant's: the function as it is."""


class Switch:
    """Which mutant is called in place of its function; and, while asked for, which functions are called at all."""

    def __init__(self):
        self.module = self.mutant = ""
        self.reached = None

    def set(self, name):
        """`name`: module and mutant."""
        self.module, _, self.mutant = name.rpartition(".")

    def wrap(self, mutants, is_classmethod=False):
        """What mutmut puts around every function."""

        def decorate(function):
            @wraps(function)
            def called(*args, **kwargs):
                original = mutants["_mutmut_orig"]
                if self.reached is not None:
                    self.reached.add(f"{function.__module__}.{function_of(original.__name__)}")
                chosen = mutants.get(self.mutant) if self.module == function.__module__ else None
                chosen = chosen or original
                if is_classmethod:
                    return getattr(args[0], chosen.__name__)(*args[1:], **kwargs)
                return chosen(*args, **kwargs)

            return called

        return decorate


def function_of(mutant):
    """The function that a mutant was made of, by their names."""
    return mutant.partition("__mutmut_")[0]


class Loop:
    """The plugin: what pytest does with the collected tests."""

    def __init__(self, switch, only, jobs, longest_s):
        self.switch, self.only, self.jobs, self.longest_s = switch, only, jobs, longest_s
        self.cost_s = defaultdict(dict)
        self.killers = defaultdict(list)
        self.results = {}

    def pytest_runtestloop(self, session):
        """Learn, then try."""
        if session.testsfailed:
            raise session.Interrupted("the tests must be collected")
        items = {item.nodeid: item for item in session.items}
        self._learn(list(items.values()))
        names = [name for name in all_mutants() if self.only in name]
        proofs = sorted({function_of(name) + NONE for name in names if self.cost_s.get(function_of(name))})
        gc.collect()
        gc.freeze()
        self._try(items, proofs)
        unsound = [name for name, said in self.results.items() if said != "survived"]
        self.results.clear()
        if unsound:
            raise session.Interrupted(f"the tests must pass without a mutant, but not those of {', '.join(unsound)}")
        say(f"{len(items)} tests; those of {len(proofs)} functions pass without a mutant")
        self._try(items, names)
        return True

    def _learn(self, items):
        from _pytest.runner import runtestprotocol

        for place, item in enumerate(items):
            self.switch.reached, begun = set(), time.process_time()
            following = items[place + 1] if place + 1 < len(items) else None
            if any(report.failed for report in runtestprotocol(item, nextitem=following, log=False)):
                sys.exit(f"{item.nodeid} must pass without a mutant")
            for function in self.switch.reached:
                self.cost_s[function][item.nodeid] = time.process_time() - begun
        self.switch.reached = None

    def _try(self, items, names):
        running, waiting = {}, list(reversed(names))
        while waiting or running:
            while waiting and len(running) < self.jobs:
                name = waiting.pop()
                if tests := self._tests_of(name):
                    pid, pipe = self._forked(name, [items[test] for test in tests])
                    running[pid] = name, pipe
                else:
                    self.results[name] = "no test"
            if running:
                pid, status = os.wait()
                name, pipe = running.pop(pid)
                self._take(name, pipe, status)

    def _tests_of(self, name):
        """The tests of its function that are short enough: what killed a neighbour first, then by their cost."""
        function = function_of(name)
        cost_s, killers = self.cost_s.get(function, {}), self.killers[function]
        short = [test for test, seconds in cost_s.items() if seconds <= self.longest_s]
        return sorted(short, key=lambda test: (killers.index(test) if test in killers else len(killers), cost_s[test]))

    def _forked(self, name, tests):
        from _pytest.runner import runtestprotocol

        reading, writing = os.pipe()
        if pid := os.fork():
            os.close(writing)
            return pid, reading
        code = 3
        try:
            os.close(reading)
            expected_s = sum(self.cost_s[function_of(name)][test.nodeid] for test in tests)
            for timer, kind, seconds in (
                (signal.ITIMER_PROF, signal.SIGPROF, 5.0 + 4.0 * expected_s),
                (signal.ITIMER_REAL, signal.SIGALRM, 120.0 + 40.0 * expected_s),
            ):
                signal.signal(kind, signal.SIG_DFL)
                signal.setitimer(timer, seconds)
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            self.switch.set(name)
            code = 0
            for test in tests:
                # No next one: what a test was given is torn down within its own time.
                if any(report.failed for report in runtestprotocol(test, nextitem=None, log=False)):
                    os.write(writing, test.nodeid.encode()[:4000])
                    code = 1
                    break
        finally:
            os._exit(code)

    def _take(self, name, pipe, status):
        by = os.read(pipe, 4096).decode()
        os.close(pipe)
        alive = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        self.results[name] = "survived" if alive else "killed"
        if by:
            killers = self.killers[function_of(name)]
            killers[:] = [by, *(test for test in killers if test != by)]
        if alive and not name.endswith(NONE):
            say(f"alive: {name}")


def all_mutants():
    """Names of all mutants, in order."""
    names = []
    for path in sorted(Path("railwatch/decision").glob("*.meta")):
        names += json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return names


def make(folder):
    """A copy of the checkout with mutmut's settings, and the mutants in `mutants` below it."""
    git = shutil.which("git") or sys.exit("git must be installed")
    listed = subprocess.run([git, "ls-files", "-z", *COPIED], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0")[:-1]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    program = (
        "import mutmut.__main__ as m; m.set_mutant_under_test('mutant_generation'); m.Path('mutants').mkdir(); "
        "m.copy_src_dir(); m.copy_also_copy_files(); m.setup_source_paths(); m.create_mutants(1)"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "mutants"


def run(options):
    """In the folder of the mutants: learn, try, print."""
    import mutmut.mutation.trampoline as around
    import pytest

    switch = Switch()
    around.wrap_in_trampoline = switch.wrap
    loop = Loop(switch, options.only, options.jobs, options.longest)
    pytest.main([*OPTIONS, "-o", "addopts=--import-mode=importlib", *TESTS], plugins=[loop])
    said = list(loop.results.values())
    if said:
        killed = said.count("killed")
        say(
            f"{len(said)} mutants, {killed} killed ({100 * killed / len(said):.1f} %), "
            f"{said.count('survived')} alive, {said.count('no test')} that no short test reaches"
        )


def say(text):
    """One line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main():
    """Make the mutants, and run this program again beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--longest", type=float, default=0.15)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        run(options)
        return
    with tempfile.TemporaryDirectory() as text:
        mutants = make(Path(text))
        environment = {**os.environ, "PYTHONPATH": str(mutants)}
        command = [sys.executable, __file__, "--here", *sys.argv[1:]]
        sys.exit(subprocess.run(command, cwd=mutants, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
