"""The training pictures in memory, and endless batches of crops of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from models.recipes.railwatch_nano import sources
from models.recipes.railwatch_nano.augment import CutOut, Pixels, outline_cut_outs, rendered_cut_outs, scene
from models.recipes.railwatch_nano.loss import Target
from models.recipes.railwatch_nano.network import grid
from models.recipes.railwatch_nano.sources import CLASSES, TRAIN, Example

SHARES = {"rail": 0.33, "tram": 0.1, "coco": 0.28, "clips": 0.05, "rendered": 0.24}
"""How often a picture of each source is drawn."""


class Inputs(IterableDataset):
    """Endless batches: pictures (B, 3, H, W) float32 and the truth of each. What is drawn depends on the seed alone."""

    def __init__(self, pool: list[tuple[Example, Pixels]], cuts: list[CutOut], options: argparse.Namespace) -> None:
        self.pool, self.cuts, self.options = pool, cuts, options
        self.cells, self.strides = grid(*options.crop)
        groups: dict[str, list[int]] = {}
        for index, (example, _) in enumerate(pool):
            groups.setdefault(example.source, []).append(index)
        self.groups = list(groups.values())
        shares = np.array([SHARES[source] for source in groups])
        self.shares = shares / shares.sum()

    def __iter__(self) -> Iterator[tuple[Tensor, list[Target]]]:
        """Batches, each from a generator of its own: what is in a batch does not depend on those before it."""
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        for step in range(10**9):
            rng = np.random.default_rng([self.options.seed, step])
            yield self.batch(rng)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, list[Target]]:
        """One batch."""
        pictures, targets = [], []
        for _ in range(self.options.batch):
            draw = [int(rng.choice(self.groups[rng.choice(len(self.groups), p=self.shares)])) for _ in range(4)]
            made = scene(self.pool, self.cuts, self.options.crop, self.options.size, draw, rng)
            pictures.append(torch.from_numpy(np.ascontiguousarray(made.picture.transpose(2, 0, 1))))
            targets.append(self.target(made.classes, made.xyxy, made.unknown, made.regions))
        return torch.stack(pictures).float(), targets

    def target(
        self, classes: npt.NDArray[np.int64], xyxy: npt.NDArray[np.float32], unknown: npt.NDArray[np.float32],
        regions: Sequence[tuple[tuple[int, int, int, int], frozenset[int]]],
    ) -> Target:  # fmt: skip
        """The truth as tensors."""
        middles = (self.cells + 0.5) * self.strides
        complete = torch.ones(len(middles), len(CLASSES), dtype=torch.bool)
        for (left, top, right, bottom), known in regions:
            x, y = middles[:, 0], middles[:, 1]
            inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
            complete[inside] = torch.tensor([index in known for index in range(len(CLASSES))])
        return Target(torch.from_numpy(classes), torch.from_numpy(xyxy).float(), torch.from_numpy(unknown), complete)


def as_taught(example: Example) -> Example:
    """What of an example is taught.

    Nothing of COCO: the start has learnt from these very pictures, and is to be kept there. No trains: what a train is
    the start knows; what is no train it is to learn where none is.
    """
    if example.source == "coco":
        return example.untold()
    return example.without(TRAIN) if TRAIN in example.classes else example


def pictures_of(options: argparse.Namespace) -> tuple[list[tuple[Example, Pixels]], list[CutOut]]:
    """All training pictures in memory, and the people cut out of them."""
    pool, cuts = [], []
    for example in sources.everything(options.shared / "data", options.rendering, "train"):
        picture = example.picture()
        pool.append((as_taught(example), picture))
        cuts += outline_cut_outs(example, picture)
        numbers = example.path.with_suffix(".png")
        if example.source == "rendered" and numbers.exists():
            cuts += rendered_cut_outs(example, picture, cv2.imread(str(numbers), cv2.IMREAD_UNCHANGED))
    return pool, cuts
