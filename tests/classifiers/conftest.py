"""Fixtures for the tests of classifiers: the command line in this process, small pictures in class folders."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

torch.set_num_threads(1)  # the tests run side by side, one on each core


@pytest.fixture
def classifiers():
    """Run a command in this process; raises what it raised, so that tests see the error itself."""
    from classifiers.cli.main import build_app

    app = build_app()

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return run
