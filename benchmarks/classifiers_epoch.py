"""The time of an epoch of the same training: ours, a plain PyTorch script, and Keras 3 on torch, in one run.

    KERAS_BACKEND=torch python benchmarks/classifiers_epoch.py DATA [--epochs 3] [--json]

DATA are class folders or a root with train/. Same pictures, same network (5 blocks of 32 filters, 3 x 3, batch norm, 64
neurons), same batch, optimiser and number of threads; each takes its turn, epoch by epoch, in a new order every round;
the median counts. Validation is left out everywhere. The ways:

    ours                 classifiers: pictures resident, channels last, fused optimiser
    plain, in memory     a loop over a TensorDataset of float32 pictures
    plain, JPEG          ImageFolder and DataLoader with two workers, as tutorials have it
    keras, in memory     model.fit on float32 arrays, the way of the course (where keras is installed)
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from classifiers.config import NetworkConfig, TrainConfig
from classifiers.data import Data, open_data
from classifiers.feed import Feed
from classifiers.learning import optimiser_of
from classifiers.network import build
from classifiers.place import Place
from classifiers.step import Step

BATCH = 32
RATE = 1e-3
Epoch = Callable[[], None]


def ours(data: Data, network: NetworkConfig) -> Epoch:
    config = TrainConfig(batch=BATCH, rate=RATE, weight_decay=0.0, schedule="constant", device="cpu", epochs=1000)
    place = Place(torch.device("cpu"))
    built = build(network, 0).to(memory_format=torch.channels_last)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    step = Step(built, optimiser_of(built, config), scaler, None, Feed(data.train, place), config, data.classes)
    epochs = iter(range(1, 1000))
    return lambda: print_nothing(step.epoch(next(epochs)))


def print_nothing(_: object) -> None:
    """An epoch's figures are of no interest here."""


def plain_network(side: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for _ in range(5):
        layers += [nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)]
        channels = 32
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(32 * (side // 32) ** 2, 64), nn.ReLU(), nn.Linear(64, classes)
    )


def plain(loader: DataLoader, side: int, classes: int) -> Epoch:
    model = plain_network(side, classes)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    criterion = nn.CrossEntropyLoss()

    def epoch() -> None:
        model.train()
        for pictures, labels in loader:
            optimiser.zero_grad()
            loss = criterion(model(pictures), labels)
            loss.backward()
            optimiser.step()

    return epoch


def in_memory(data: Data) -> DataLoader:
    pictures = torch.from_numpy(np.array(data.train.pixels)).permute(0, 3, 1, 2).float().div(255).contiguous()
    labels = torch.from_numpy(np.array(data.train.labels))
    return DataLoader(TensorDataset(pictures, labels), batch_size=BATCH, shuffle=True)


def from_jpeg(data: Data) -> DataLoader:
    root = data.root / "train" if (data.root / "train").is_dir() else data.root
    shape = transforms.Compose([transforms.Resize((data.size, data.size)), transforms.ToTensor()])
    folder = ImageFolder(str(root), shape)
    wanted = {str(data.root / path) for path in data.train.paths}
    rows = [row for row, (path, _) in enumerate(folder.samples) if path in wanted]
    return DataLoader(Subset(folder, rows), batch_size=BATCH, shuffle=True, num_workers=2, persistent_workers=True)


def keras_fit(data: Data) -> Epoch | None:
    try:
        import keras
    except ImportError:
        return None
    layers = keras.layers
    model = keras.Sequential([keras.Input((data.size, data.size, 3))])
    for _ in range(5):
        model.add(layers.Conv2D(32, 3, padding="same"))
        model.add(layers.BatchNormalization())
        model.add(layers.Activation("relu"))
        model.add(layers.MaxPooling2D(2))
    for layer in (layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(len(data.classes), "softmax")):
        model.add(layer)
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    pictures = np.array(data.train.pixels, dtype=np.float32) / 255
    labels = np.array(data.train.labels)
    return lambda: print_nothing(model.fit(pictures, labels, batch_size=BATCH, epochs=1, verbose=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        data = open_data(options.data, at_least=32, cache=Path(cache))
        network = NetworkConfig(batch_norm="before", input_size=data.size, classes=len(data.classes))
        sides = {
            "ours": ours(data, network),
            "plain, in memory": plain(in_memory(data), data.size, len(data.classes)),
            "plain, JPEG": plain(from_jpeg(data), data.size, len(data.classes)),
            "keras, in memory": keras_fit(data),
        }
        times = measure({name: epoch for name, epoch in sides.items() if epoch is not None}, options.epochs)
    report(times, data, as_json=options.json)


def measure(sides: dict[str, Epoch], epochs: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(epochs + 1):  # the first round warms up and does not count
        names = list(sides)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            begun = time.perf_counter()
            sides[name]()
            if number:
                times[name].append(time.perf_counter() - begun)
    return times


def report(times: dict[str, list[float]], data: Data, *, as_json: bool) -> None:
    best = statistics.median(times["ours"])
    rows = {
        name: {"s_per_epoch": statistics.median(values), "low": min(values), "high": max(values)}
        for name, values in times.items()
    }
    if as_json:
        print(json.dumps(rows))
        return
    print(f"{len(data.train)} pictures of {data.size} x {data.size}, batch {BATCH}, {torch.get_num_threads()} threads, "
          f"torch {torch.__version__}, {len(times['ours'])} epochs each")  # fmt: skip
    for name, row in rows.items():
        times_ours = row["s_per_epoch"] / best
        print(
            f"{name:18} {row['s_per_epoch']:7.2f} s  ({row['low']:.2f} to {row['high']:.2f})  {times_ours:.2f} x ours"
        )


if __name__ == "__main__":
    main()
