"""How fast a training step is, and what each way of feeding it costs: all ways in one run, taken in turns."""

from __future__ import annotations

import io
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from classifiers.cache import decoded
from classifiers.config import NetworkConfig, TrainConfig
from classifiers.data import Pictures
from classifiers.feed import Feed
from classifiers.files import write_bytes
from classifiers.learning import optimiser_of
from classifiers.network import build
from classifiers.pictures import decode, read_bytes, square
from classifiers.place import Place, device_of
from classifiers.step import Step

PASSES_OF_A_MAP: Final = 6
"""How often a fused step moves each full map of a block: written, and read by the pooling; on the way back read, its
gradient written and read twice, for the weights and for the inputs."""
PASSES_OF_A_POOLED_MAP: Final = 4

_COPIED_BYTES = 256 * 1024**2
Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True)
class Speed:
    """Pictures a second of one way: median, lowest and highest of the rounds."""

    pictures_per_s: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bench:
    """What was measured.

    Attributes:
        rows: speed by way of feeding.
        resident_to_synthetic: median over the rounds of device-resident over synthetic.
        roof_pictures_per_s: what the memory's speed allows a fused step of this network, by its traffic.
        memory_gb_per_s: speed of a large copy on the device, read and written bytes counted.
        machine, settings: what it was measured on and with.
    """

    rows: dict[str, Speed]
    resident_to_synthetic: float
    roof_pictures_per_s: float
    memory_gb_per_s: float
    machine: str
    settings: dict[str, object]


def bench(
    network: NetworkConfig, config: TrainConfig, *, pictures: int = 256, steps: int = 4, rounds: int = 5
) -> Bench:
    """Measure `rounds` rounds of `steps` steps for each way of feeding the same training step.

    synthetic: one batch of numbers that stays in place. +augmentation: the same, augmented. device-resident: batches
    gathered from all pictures in the device's memory; with augmentation, too. host-cache: gathered from the map of the
    cache by a thread. jpeg-loader: read and decoded every time.
    """
    place = Place(device_of(config.device))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="classifiers-bench-")))
        ways = _ways(network, config, place, folder, pictures)
        times: dict[str, list[float]] = {name: [] for name in ways}
        runs = {
            name: _runner(network, settings, place, feed, batches) for name, (settings, feed, batches) in ways.items()
        }
        for run in runs.values():
            run(2)  # warm-up: memory, compilation, the page cache
        for number in range(rounds):
            names = list(runs)
            # Each round begins elsewhere, so that no way always follows the same one.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                times[name].append(config.batch * steps / runs[name](steps))
    speed = _memory_speed(place.device)
    pairs = zip(times["device-resident"], times["synthetic"], strict=True)
    return Bench(
        rows={name: Speed(statistics.median(values), min(values), max(values)) for name, values in times.items()},
        resident_to_synthetic=statistics.median(resident / synthetic for resident, synthetic in pairs),
        roof_pictures_per_s=speed / traffic(network, config.precision),
        memory_gb_per_s=speed / 1e9,
        machine=_machine(place.device),
        settings={"batch": config.batch, "steps": steps, "rounds": rounds, "input_size": network.input_size,
                  "precision": config.precision, "channels_last": config.channels_last, "compile": config.compile,
                  "threads": torch.get_num_threads()},
    )  # fmt: skip


def traffic(network: NetworkConfig, precision: str) -> int:
    """Bytes that a fused training step moves for one picture, counted by the maps of its blocks.

    >>> traffic(NetworkConfig(filters=32, kernel=3), "bfloat16") / 1e6
    39.108608
    """
    width = 4 if precision == "float32" else 2
    total = 0
    for filters, side in zip(network.filters_of_blocks, network.sides, strict=False):
        total += filters * side**2 * PASSES_OF_A_MAP + filters * (side // 2) ** 2 * PASSES_OF_A_POOLED_MAP
    return total * width


Way = tuple[TrainConfig, Feed, Callable[[Feed], Batches]]


def _ways(network: NetworkConfig, config: TrainConfig, place: Place, folder: Path, count: int) -> dict[str, Way]:
    files = _jpegs(folder, count, network.input_size)
    pixels = decoded(files, network.input_size, folder / "cache")
    labels = np.arange(count, dtype=np.int64) % network.classes
    pictures = Pictures(pixels, labels, tuple(path.name for path, _ in files))
    resident, host = (Feed(pictures, place, residence) for residence in ("device", "host"))
    plain = replace(config, augment=0.0)
    changed = replace(config, augment=config.augment or 0.5)
    ways: dict[str, Way] = {
        "synthetic": (plain, resident, lambda feed: _synthetic(feed, config.batch, network.classes)),
        "synthetic + augmentation": (changed, resident, lambda feed: _synthetic(feed, config.batch, network.classes)),
        "device-resident": (plain, resident, lambda feed: _endless(feed, config.batch)),
        "device-resident + augmentation": (changed, resident, lambda feed: _endless(feed, config.batch)),
        "host-cache": (plain, host, lambda feed: _endless(feed, config.batch)),
        "jpeg-loader": (plain, host, lambda feed: _from_files([path for path, _ in files], feed, config.batch)),
    }
    if place.device.type == "cuda":
        eager = replace(plain, precision="float32", channels_last=False, compile=False)
        tuned = replace(plain, precision="bfloat16", channels_last=True, compile=True)
        ways["eager float32"] = (eager, resident, lambda feed: _endless(feed, config.batch))
        ways["bfloat16 + compile + channels last"] = (tuned, resident, lambda feed: _endless(feed, config.batch))
    return ways


def _jpegs(folder: Path, count: int, side: int) -> list[tuple[Path, str]]:
    """JPEG pictures that compress like photographs: smooth colours with some noise."""
    import hashlib  # noqa: PLC0415

    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((side, side), 3)
        noisy = np.asarray(coarse, dtype=np.int16) + rng.integers(-12, 13, (side, side, 3))
        buffer = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        path = folder / f"{number}.jpg"
        write_bytes(path, buffer.getvalue())
        files.append((path, hashlib.sha256(buffer.getvalue()).hexdigest()))
    return files


def _runner(
    network: NetworkConfig, config: TrainConfig, place: Place, feed: Feed, batches: Callable[[Feed], Batches]
) -> Callable[[int], float]:
    """A function that takes so many steps and gives the seconds they took."""
    built = build(network, 0).to(place.device).train()
    if config.channels_last:
        built.to(memory_format=torch.channels_last)
    optimiser = optimiser_of(built, config)
    scaler = torch.amp.GradScaler(place.device.type, enabled=config.precision == "float16")
    step = Step(built, optimiser, scaler, None, feed, config, tuple(map(str, range(network.classes))))
    source = batches(feed)

    def run(steps: int) -> float:
        begun = time.perf_counter()
        for number, (pictures, labels) in enumerate(itertools.islice(source, steps)):
            step.take(pictures, labels, 1, number)
        if place.device.type == "cuda":
            torch.cuda.synchronize(place.device)
        return time.perf_counter() - begun

    return run


def _synthetic(feed: Feed, batch: int, classes: int) -> Batches:
    """The same batch of ready numbers for ever, in the memory format of the feed: nothing is fetched or converted."""
    first, _ = next(iter(feed.batches(np.zeros(batch, dtype=np.int64), batch)))
    first = first.float() / 255
    labels = torch.arange(batch, device=first.device) % classes
    while True:
        yield first, labels


def _endless(feed: Feed, batch: int) -> Batches:
    for epoch in itertools.count():
        order = np.random.default_rng(epoch).permutation(len(feed) // batch * batch)
        yield from feed.batches(order, batch)


def _from_files(files: Sequence[Path], feed: Feed, batch: int) -> Batches:
    """Every picture read and decoded anew, on all cores, a batch ahead."""
    side, device = feed.pictures.pixels.shape[1], feed.place.device
    labels = torch.arange(batch, device=device) % int(feed.pictures.labels.max() + 1)

    def load(path: Path) -> Tensor:
        return torch.from_numpy(square(decode(path, read_bytes(path)), side).copy())

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        endless = itertools.cycle(files)
        coming = [pool.submit(load, path) for path in itertools.islice(endless, batch)]
        while True:
            ready, coming = coming, [pool.submit(load, path) for path in itertools.islice(endless, batch)]
            pixels = torch.stack([future.result() for future in ready]).to(device)
            yield pixels.permute(0, 3, 1, 2), labels


def _memory_speed(device: torch.device) -> float:
    """Bytes a second, read and written, of the fastest of five large copies."""
    source = torch.zeros(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(5):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        begun = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * _COPIED_BYTES / (time.perf_counter() - begun))
    return best


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
