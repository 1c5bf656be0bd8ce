"""Batches out of decoded pictures: from the device's memory, or from the host with the next batches on their way."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifiers.data import Pictures
from classifiers.place import Place

_AHEAD = 2
_SHARE_OF_DEVICE = 0.4
_SHARE_OF_HOST = 0.25


class Source(Protocol):
    """Batches of one side, in the form that the network is shown."""

    @property
    def place(self) -> Place:
        """Where the batches are."""

    @property
    def pictures(self) -> Pictures:
        """What they are made of."""

    def __len__(self) -> int: ...

    def batches(self, order: NDArray[np.int64], batch: int, epoch: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of every batch of `order`, as it is shown in an epoch, with its labels."""


class Feed:
    """Pictures of one side, ready to be taken in any order.

    `take(rows)` gives uint8 [N, 3, S, S] (channels last in memory, as the cache is) and labels int64 [N] on the device.
    """

    def __init__(self, pictures: Pictures, place: Place, residence: str = "auto") -> None:
        self.place = place
        self.pictures = pictures
        self._labels = torch.from_numpy(np.array(pictures.labels)).to(place.device)
        self._pixels: Tensor | None = None
        if residence == "device" or (residence == "auto" and pictures.pixels.nbytes <= room(place.device)):
            # A copy in memory: a tensor over the read-only map of the cache would be writable.
            self._pixels = torch.from_numpy(np.array(pictures.pixels)).to(place.device)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def resident(self) -> bool:
        """Whether all pictures are in the device's own memory."""
        return self._pixels is not None

    def batches(self, order: NDArray[np.int64], batch: int, epoch: int = 1) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        """This process's share of every batch of `order`: of the rows of a batch it takes every world-th."""
        rank, world = self.place.rank, self.place.world
        parts = [order[start : start + batch][rank::world] for start in range(0, len(order), batch)]
        if self._pixels is not None:
            where = torch.from_numpy(np.ascontiguousarray(order)).to(self.place.device)
            for start in range(0, len(order), batch):
                rows = where[start : start + batch][rank::world]
                yield self._pixels.index_select(0, rows).permute(0, 3, 1, 2), self._labels.index_select(0, rows)
            return
        yield from self._from_host(parts)

    def _from_host(self, parts: list[NDArray[np.int64]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows are gathered from the map of the cache in a thread of their own, two batches ahead."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="feed")
        coming: deque[Future[Tensor]] = deque()
        try:
            for part in parts[:_AHEAD]:
                coming.append(pool.submit(self._gather, part))
            for number, part in enumerate(parts):
                if number + _AHEAD < len(parts):
                    coming.append(pool.submit(self._gather, parts[number + _AHEAD]))
                pixels = coming.popleft().result().to(self.place.device, non_blocking=True)
                rows = torch.from_numpy(part).to(self.place.device)
                yield pixels.permute(0, 3, 1, 2), self._labels.index_select(0, rows)
        finally:
            pool.shutdown(cancel_futures=True)

    def _gather(self, rows: NDArray[np.int64]) -> Tensor:
        pixels = torch.from_numpy(self.pictures.pixels[rows])
        return pixels.pin_memory() if self.place.device.type == "cuda" else pixels


def room(device: torch.device) -> int:
    """Bytes of pictures that may stay on a device: part of what is free now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * _SHARE_OF_DEVICE)
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _SHARE_OF_HOST)
    except (ValueError, OSError, AttributeError):
        return 1 << 30  # a system that does not say: a gibibyte is modest everywhere
