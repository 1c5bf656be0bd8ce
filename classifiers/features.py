"""Bottleneck features: what a frozen network makes of each picture, computed once and kept on the disk.

A file holds one view of one list of pictures: float32 [N, D], named by a hash of everything it follows from: weights of
the body, scaling and size, content and order of the pictures, strength and number of the augmentation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifiers import chance
from classifiers.backbones import Backbone
from classifiers.data import Pictures
from classifiers.files import write_with
from classifiers.place import Place
from classifiers.survey import cache_folder
from classifiers.transforms import augmented, draw
from classifiers.tuning import to_plain

_VERSION = 1
_BATCH = 64


class FeatureFeed:
    """Features of one side in K views, in the device's memory; the epoch says which view is shown."""

    def __init__(self, views: Sequence[NDArray[np.float32]], pictures: Pictures, place: Place) -> None:
        self.place, self.pictures = place, pictures
        self._views = [torch.from_numpy(np.array(view)).to(place.device) for view in views]
        self._labels = torch.from_numpy(np.array(pictures.labels)).to(place.device)

    def __len__(self) -> int:
        return len(self._labels)

    def batches(self, order: NDArray[np.int64], batch: int, epoch: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of every batch: features float32 [N, D] and labels int64 [N]."""
        place = self.place
        features = self._views[(epoch - 1) % len(self._views)]
        where = torch.from_numpy(np.ascontiguousarray(order)).to(place.device)
        for start in range(0, len(order), batch):
            rows = where[start : start + batch][place.rank :: place.world]
            yield features.index_select(0, rows), self._labels.index_select(0, rows)


def bottleneck(
    network: Backbone,
    pictures: Pictures,
    contents: Sequence[str],
    place: Place,
    *,
    augment: float = 0.0,
    view: int = 0,
    cache: Path | None = None,
) -> NDArray[np.float32]:
    """Features float32 [N, D] of pictures, read-only; from the cache where they were computed before.

    `contents` are the SHA-256 of the pictures' files, in their order. With `augment` they are augmented as number
    `view` says: what chance draws follows from it alone, so that trainings of several seeds share a view.
    """
    key = _key(network, contents, augment, view, place)
    kept = cache_folder(cache) / f"features-{key}.npy"
    if (found := _mapped(kept, len(pictures))) is not None:
        return found
    computed = _compute(network, pictures, place, augment, view)
    write_with(kept, lambda file: np.lib.format.write_array(file, computed, allow_pickle=False))
    again = _mapped(kept, len(pictures))
    return computed if again is None else again


@torch.inference_mode()
def _compute(
    network: Backbone, pictures: Pictures, place: Place, augment: float, view: int
) -> NDArray[np.float32]:  # fmt: skip
    network.eval()
    parts = []
    for number, start in enumerate(range(0, len(pictures), _BATCH)):
        pixels = torch.from_numpy(pictures.pixels[start : start + _BATCH].copy()).to(place.device).permute(0, 3, 1, 2)
        if augment:
            draws = draw(len(pixels), augment, chance.generator("view", view, number))
            pixels = augmented(pixels, draws)
        parts.append(network.features(pixels).float().cpu())
    found: NDArray[np.float32] = torch.cat(parts).numpy()
    return found


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors: names, kinds, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _key(network: Backbone, contents: Sequence[str], augment: float, view: int, place: Place) -> str:
    config = to_plain(network.config)
    follows_from = {
        "version": _VERSION,
        "body": digest_of(network.body.state_dict()),
        "input": {key: config[key] for key in ("name", "input_size", "mean", "deviation", "options")},
        "augment": [augment, view, _BATCH] if augment else None,
        "device": place.device.type,
        "pictures": hashlib.sha256("\n".join(contents).encode()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(follows_from, sort_keys=True).encode()).hexdigest()[:32]


def _mapped(path: Path, count: int) -> NDArray[np.float32] | None:
    try:
        array: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return array if array.ndim == 2 and len(array) == count and array.dtype == np.float32 else None
