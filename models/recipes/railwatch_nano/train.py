"""Train railwatch-nano from the published YOLOX-Nano: one command, seeded.

    python -m models.recipes.railwatch_nano.train --out DIR [--shared ../shared] [--rendering DIR]
        [--minutes 60 | --steps N] [--rate 2e-3] [--seed 1] [--resume DIR/last.pt]

Writes DIR/last.pt now and then, and DIR/log.txt; export.py makes the ONNX file of it. `--minutes` are minutes of the
clock, for a machine that others use too; with `--steps` the same seed gives the same weights on the same machine.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from models.recipes.railwatch_nano.inputs import Inputs, pictures_of
from models.recipes.railwatch_nano.loss import Parts, Target, corners, picture_loss
from models.recipes.railwatch_nano.network import Nano, boxes, grid, load_onnx, rows, with_classes
from models.recipes.railwatch_nano.optimiser import ChannelAdam
from models.recipes.railwatch_nano.sources import COCO_IDS

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
SAVE_EVERY_S = 180.0


def train(options: argparse.Namespace) -> None:
    """Train until steps or minutes are used up."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    teacher = start_of(options.shared / "models" / "yolox_nano_416.onnx")
    network = copy.deepcopy(teacher)
    if options.resume:
        network.load_state_dict(torch.load(options.resume, weights_only=True)["weights"])
    teacher.requires_grad_(requires_grad=False)
    network.train()
    mean = copy.deepcopy(network).eval()
    optimiser = ChannelAdam(network)
    pool, cuts = pictures_of(options)
    note(options, f"{len(pool)} pictures, {len(cuts)} people cut out; {vars(options)}")
    batches = iter(DataLoader(Inputs(pool, cuts, options), batch_size=None, num_workers=1, prefetch_factor=4))
    begun = saved = time.monotonic()
    shown: list[list[float]] = []
    step = 0
    while (share := share_done(step, time.monotonic() - begun, options)) < 1:
        rate = rate_at(share, step, options)
        pictures, targets = next(batches)
        pictures = pictures.to(memory_format=torch.channels_last)
        total, sums = batch_loss(network, teacher, pictures, targets, early=share >= options.early_from)
        optimiser.clear()
        total.backward()
        optimiser.step(rate)
        follow(network, teacher, options.pull * rate)
        follow(mean, network, 1 - min(0.998, (1 + step) / (10 + step)))
        step += 1
        shown.append([float(value.detach()) / max(sums.positives, 1) for value in sums[:4]])
        if step % 25 == 0:
            parts = " ".join(f"{value:.3f}" for value in np.mean(shown, axis=0))
            minutes = (time.monotonic() - begun) / 60
            note(options, f"step {step}, {minutes:.1f} min, box obj cls kept {parts}, rate {rate:.2g}")
            shown.clear()
        if time.monotonic() - saved > SAVE_EVERY_S:
            save(mean, options, step)
            saved = time.monotonic()
    save(mean, options, step)
    note(options, f"done after {step} steps")


def start_of(path: Path) -> Nano:
    """The published network with our classes only: where training begins, and what it is held to."""
    start = Nano()
    load_onnx(start, path)
    return with_classes(start, COCO_IDS).eval().to(memory_format=torch.channels_last)


def batch_loss(
    network: Nano, teacher: Nano, pictures: Tensor, targets: Sequence[Target], *, early: bool
) -> tuple[Tensor, Parts]:
    """The loss of a batch and its parts.

    Without `early` the first stages are still the start's, and run once for both.
    """
    cells, strides = grid(pictures.shape[3], pictures.shape[2])
    middles = (cells + 0.5) * strides
    with torch.no_grad():
        features = teacher.early(pictures)
        theirs = rows(teacher.late(features))
    mine = rows(network(pictures) if early else network.late(features))
    my_boxes, their_boxes = corners(boxes(mine, cells, strides)), corners(boxes(theirs, cells, strides))
    each = [
        picture_loss(*row, middles, strides, target)
        for *row, target in zip(mine, my_boxes, theirs, their_boxes, targets, strict=True)
    ]
    sums = Parts(*(sum(part) for part in zip(*each, strict=True)))
    total = (5 * sums.box + sums.objectness + sums.classes + sums.kept) / max(sums.positives, 1)
    return total, sums


def share_done(step: int, spent_s: float, options: argparse.Namespace) -> float:
    """Which part of the run is over, 0 to 1."""
    return step / options.steps if options.steps else spent_s / 60 / options.minutes


def rate_at(share: float, step: int, options: argparse.Namespace) -> float:
    """The learning rate: a short rise, then half a cosine down to a twentieth."""
    rise = min(1.0, (step + 1) / 60)
    return float(options.rate * rise * (0.05 + 0.95 * (1 + math.cos(math.pi * min(share, 1.0))) / 2))


def follow(network: nn.Module, other: nn.Module, share: float) -> None:
    """Draw the weights of a network towards those of another."""
    with torch.no_grad():
        for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
            mine.lerp_(theirs, share)


def save(network: nn.Module, options: argparse.Namespace, step: int) -> None:
    """Write the averaged weights; a broken-off write leaves the last one whole."""
    kept: dict[str, Any] = {"weights": network.state_dict(), "size": list(options.size), "step": step}
    draft = options.out / "draft.pt"
    torch.save(kept, draft)
    draft.replace(options.out / "last.pt")


def note(options: argparse.Namespace, text: str) -> None:
    """Print a line and keep it."""
    print(text, flush=True)
    with (options.out / "log.txt").open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--shared", type=Path, default=SHARED)
    parser.add_argument("--rendering", type=Path, help="pictures of render_training.py; without them it learns less")
    parser.add_argument("--resume", type=Path, help="begin from the weights of another run")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=0, help="bound the run by steps instead")
    parser.add_argument("--size", type=int, nargs=2, default=(480, 416), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--crop", type=int, nargs=2, default=(352, 288), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--early-from", type=float, default=0.6, help="share of the run after which all stages learn")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rate", type=float, default=2e-3, help="step, as a share of the size of the weights")
    parser.add_argument("--pull", type=float, default=0.2, help="how strongly weights are drawn back to the start's")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.size, options.crop = tuple(options.size), tuple(options.crop)
    train(options)


if __name__ == "__main__":
    main()
