"""What happens to cameras, done to the luma of real clips: for benchmarks/vitals.py and the tests of vitals.

A fault is a function of the picture's luma ((H, W) uint8) and of a (H, W) float32 field of normal noise; it gives the
luma from then on. Noise stays where a sensor would go on making it: a covered lens does not stop the sensor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Luma = npt.NDArray[np.uint8]
Noise = npt.NDArray[np.float32]
Fault = Callable[[Luma, Noise], Luma]


def ping_pong(count: int) -> Iterator[int]:
    """Numbers of frames for ever: forwards, then backwards. No frame follows one that it did not lie beside, so the rig
    itself makes no jump; only motion turns round.
    """
    order = [*range(count), *range(count - 2, 0, -1)]
    while True:
        yield from order


def _noisy(levels: npt.NDArray[np.float32], noise: Noise, sigma: float) -> Luma:
    return np.clip(levels + sigma * noise, 0, 255).astype(np.uint8)


def _ramp(shape: tuple[int, ...], dark: float, bright: float) -> npt.NDArray[np.float32]:
    height, width = shape
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (dark + (bright - dark) * (x + y) / 2).astype(np.float32)


def _blobs(shape: tuple[int, ...], seed: int) -> npt.NDArray[np.float32]:
    """A soft random field, 0 to 1, whose patches are about a fifth of the picture wide."""
    height, width = shape
    coarse = np.random.default_rng(seed).random((6, 9)).astype(np.float32)
    soft = cv2.GaussianBlur(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), (0, 0), width / 40)
    return np.asarray((soft - soft.min()) / (soft.max() - soft.min()), np.float32)


def black(luma: Luma, noise: Noise) -> Luma:
    """The lens cap: black, with the noise of a sensor in the dark."""
    return _noisy(np.full(luma.shape, 16, np.float32), noise, 1.0)


def white(luma: Luma, noise: Noise) -> Luma:
    """Overdriven."""
    return _noisy(np.full(luma.shape, 235, np.float32), noise, 0.5)


def hand(luma: Luma, noise: Noise) -> Luma:
    """A hand or paint on the lens: grey, out of focus, brighter to one side."""
    return _noisy(_ramp(luma.shape, 60, 130), noise, 2.0)


def bag(luma: Luma, noise: Noise) -> Luma:
    """A bag over the camera: soft folds."""
    return _noisy(60 + 120 * _blobs(luma.shape, 3), noise, 2.0)


def spray(luma: Luma, noise: Noise) -> Luma:
    """Sprayed: opaque with soft edges over nine tenths of the picture, the rest blurred by fine drops."""
    field = _blobs(luma.shape, 5)
    edge = float(np.quantile(field, 0.1))
    opaque = np.clip((field - edge) / 0.08 + 0.5, 0, 1)
    around = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), luma.shape[1] / 300)
    return _noisy(opaque * 70 + (1 - opaque) * around, noise, 1.5)


def defocus(share: float) -> Fault:
    """Out of focus: a Gaussian of `share` of the width."""

    def fault(luma: Luma, noise: Noise) -> Luma:
        return _noisy(cv2.GaussianBlur(luma.astype(np.float32), (0, 0), share * luma.shape[1]), noise, 1.0)

    return fault


def dim(part: float) -> Fault:
    """So much of the light is left."""

    def fault(luma: Luma, noise: Noise) -> Luma:
        return _noisy(16 + (luma.astype(np.float32) - 16) * part, noise, 0.5)

    return fault


def view(luma: Luma, shift: float = 0.0, degrees: float = 0.0) -> Luma:
    """The middle 88 % of the picture, shifted to the right by a share of its width and turned: what a camera sees of a
    scene that goes on beyond its picture.
    """
    height, width = luma.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.136)
    turn[0, 2] -= shift * width
    return np.asarray(cv2.warpAffine(luma, turn, (width, height), flags=cv2.INTER_LINEAR), np.uint8)


def colour_bars(luma: Luma, noise: Noise) -> Luma:
    """A test card: seven bars."""
    levels = np.linspace(180, 35, 7).repeat(-(-luma.shape[1] // 7))[: luma.shape[1]]
    return np.ascontiguousarray(np.broadcast_to(levels.astype(np.uint8), luma.shape))


def blue(luma: Luma, noise: Noise) -> Luma:
    """What a recorder shows without a signal: one level, no noise."""
    return np.full(luma.shape, 41, np.uint8)


COVERS: Final[Mapping[str, Fault]] = MappingProxyType({"hand": hand, "bag": bag, "spray": spray})


def wagons(luma: Luma, moved_s: float, noise: Noise, share: float = 0.9) -> Luma:
    """A train close by that goes through the picture at a third of its width a second and fills `share` of its height:
    smooth walls with doors, windows and a sill. Sky and ballast stay at its edges.
    """
    height, width = luma.shape
    top = round(height * (1 - share) / 2)
    x = (np.arange(width) / width + moved_s / 3.0) % 0.5
    y = np.arange(height - 2 * top) / (height - 2 * top)
    wall = np.full((len(y), width), 110, np.float32)
    wall[(y[:, None] > 0.2) & (y[:, None] < 0.5) & (x[None, :] % 0.125 < 0.09) & (x[None, :] < 0.4)] = 40
    wall[(y[:, None] > 0.1) & (y[:, None] < 0.9) & (abs(x[None, :] - 0.45) < 0.02)] = 170
    wall[y > 0.85] = 60
    wall[:, x < 0.01] = 20
    picture = luma.copy()
    picture[top : height - top] = _noisy(cv2.GaussianBlur(wall, (0, 0), 0.7), noise[top : height - top], 1.0)
    # It comes in from the right and goes from there.
    picture[:, : round(width * max(0.0, 1.0 - moved_s))] = luma[:, : round(width * max(0.0, 1.0 - moved_s))]
    return picture
