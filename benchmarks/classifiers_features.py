"""An epoch of a frozen network with and without kept features, side by side: the second epoch of each, and their ratio.

python benchmarks/classifiers_features.py DATA [--size 128] [--rounds 3]

The network is efficientnet_lite0 with the weights of its package, strategy `last`, one thread. Every round trains two
epochs without kept features (--views 0) and two with them, on the same split; validation counts as part of an epoch.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch

from classifiers.config import TrainConfig
from classifiers.data import open_data
from classifiers.strategies import finetune, subject
from classifiers.tuning import TuneConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = open_data(given.data, size=given.size)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.rounds):
            seconds = {}
            for views in (0, 1):
                what = subject(
                    TuneConfig(strategy="last", size=given.size, views=views), len(data.classes), Path(folder)
                )
                run = Path(folder) / f"{number}-{views}"
                result = finetune(what, TrainConfig(epochs=2, device="cpu"), data, run)
                seconds[views] = result.history[1]["seconds"]
            ratios.append(seconds[0] / seconds[1])
            print(
                f"second epoch of {len(data.train)} pictures: {seconds[0]:.2f} s anew, {1e3 * seconds[1]:.1f} ms kept, "
                f"ratio {ratios[-1]:.0f}",
                flush=True,
            )
    print(f"ratio, median of {given.rounds}: {statistics.median(ratios):.0f}")


if __name__ == "__main__":
    main()
