"""Chance that follows from a seed and a place in the training, so that a resumed run draws what the whole one drew."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray


def seed_of(*parts: object) -> int:
    """A 63-bit seed out of the parts, which may be numbers and words.

    >>> seed_of(0, "order", 1) != seed_of(0, "order", 2)
    True
    """
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of `count` pictures in an epoch: a permutation that follows from seed and epoch alone."""
    return np.random.default_rng(seed_of(seed, "order", epoch)).permutation(count)


def generator(*parts: object) -> torch.Generator:
    """A generator on the host, seeded from the parts."""
    return torch.Generator().manual_seed(seed_of(*parts))
