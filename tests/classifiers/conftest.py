"""Fixtures for the tests of classifiers: the command line in this process, small pictures in class folders."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from classifiers.config import NetworkConfig, TrainConfig
from classifiers.data import open_data

torch.set_num_threads(1)  # the tests run side by side, one on each core

CLASSES = ("Aves", "Fungi", "Insecta")
SIDE = 16
SMALL = ("--blocks", "2", "--filters", "4", "--dense", "8", "--epochs", "2", "--device", "cpu", "--no-tensorboard")


def draw_picture(label, rng, side=SIDE):
    """A picture of noise with a stripe whose direction and colour belong to its class."""
    pixels = rng.integers(0, 256, (side, side, 3))
    at = rng.integers(2, side - 4)
    stripe = [slice(None), slice(None)]
    stripe[label % 2] = slice(at, at + 3)
    pixels[tuple(stripe)] = (255 * (label == 0), 255 * (label == 1), 255 * (label == 2))
    return Image.fromarray(pixels.astype(np.uint8))


def fill(folder, count, seed=0, side=SIDE, classes=CLASSES):
    """Class folders with `count` pictures each; other seeds give other pictures."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            draw_picture(label, rng, side).save(folder / name / f"{number:03}.png")
    return folder


@pytest.fixture(autouse=True)
def _cache_of_the_test(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CLASSIFIERS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Three classes of 20 pictures of 16 x 16 pixels; not to be changed."""
    return fill(tmp_path_factory.mktemp("folders"), 20)


@pytest.fixture(scope="session")
def rooted(tmp_path_factory):
    """A root with train/ (16 a class) and val/ (5 a class); not to be changed."""
    root = tmp_path_factory.mktemp("rooted")
    fill(root / "train", 16, seed=1)
    fill(root / "val", 5, seed=2)
    return root


@pytest.fixture(scope="session")
def small_data(folders, tmp_path_factory):
    """The folders, opened: 42 pictures to train on, 9 to validate."""
    return open_data(folders, cache=tmp_path_factory.mktemp("small-cache"))


@pytest.fixture
def tiny():
    """A network and a training that take a fraction of a second."""
    network = NetworkConfig(blocks=2, filters=4, dense=(8,), input_size=SIDE, classes=len(CLASSES))
    return network, TrainConfig(epochs=3, batch=16, rate=0.01, device="cpu")


@pytest.fixture
def said(monkeypatch, capfd):
    """Run the command line as the shell does; gives exit code and what was said on stdout and stderr."""

    from classifiers.cli.main import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["classifiers", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        out, err = capfd.readouterr()
        return code, out, err

    return run


@pytest.fixture
def classifiers():
    """Run a command in this process; raises what it raised, so that tests see the error itself."""
    from classifiers.cli.main import build_app

    app = build_app()

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)

    return run
