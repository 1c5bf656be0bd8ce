"""Objectives that other processes can import: `python -m pytest` gives test modules no name of their own there."""

from __future__ import annotations

import os
from pathlib import Path

from classifiers.errors import OutputError
from classifiers.journal import Outcome


def counted(parameters, seed, report):
    """A value out of what the trial is given."""
    value = parameters["kernel"] + seed % 100 / 1000
    for epoch in (1, 2):
        report(epoch, value * epoch)
    return Outcome("complete", value * 2, {"process": os.getpid()})


def broken(parameters, seed, report):
    """Meets what would meet every trial."""
    raise OutputError("the disk is full")


class DiesOnce:
    """Ends its process the first time that it runs at all, as if memory had run out."""

    def __init__(self, mark):
        self.mark = mark

    def __call__(self, parameters, seed, report):
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os._exit(9)
        return counted(parameters, seed, report)
