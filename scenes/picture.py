"""What the camera adds to a rendered frame: sway, rain before the lens, sensor noise. Numpy and OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from scenes.camera import Floats, pinhole, shake_rad, shaken
from scenes.region import Region
from scenes.scenario import Scenario

Bytes = npt.NDArray[np.uint8]
FEATHER_PX = 6


def pasted(background: Bytes, patch: Bytes, region: Region) -> Bytes:
    """A background (h, w, 3) with a patch in it, softened at edges that are not the frame's."""
    height, width = background.shape[:2]
    left, top, right, bottom = region
    if patch.shape[:2] != (bottom - top, right - left):
        raise ValueError(f"the patch must fill {region}, but has shape {patch.shape}")
    across = _ramp(right - left, soft=(left > 0, right < width))
    down = _ramp(bottom - top, soft=(top > 0, bottom < height))
    share = (down[:, None] * across[None, :])[..., None]
    result = background.copy()
    under = background[top:bottom, left:right].astype(float)
    result[top:bottom, left:right] = np.round(under * (1 - share) + patch * share).astype(np.uint8)
    return result


def _ramp(length: int, soft: tuple[bool, bool]) -> Floats:
    rise = np.clip((np.arange(length) + 0.5) / FEATHER_PX, 0, 1)
    return (rise if soft[0] else np.ones(length)) * (rise[::-1] if soft[1] else np.ones(length))


def swayed(picture: Bytes, scene: Scenario, t_s: float, *, finer: int = 1, smooth: bool = True) -> Bytes:
    """A picture (h, w) or (h, w, 3) as the camera sees it when it has swayed; edges are drawn out.

    `finer` says how many of its pixels are one of the frame's, across and down.
    """
    if not scene.camera.shake_deg:
        return picture
    view = pinhole(scene.camera)
    homography = shaken(view, shake_rad(scene.camera, scene.seed, t_s))
    # Our pixel centres lie at halves, OpenCV's at whole numbers.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    size = (picture.shape[1], picture.shape[0])
    kind = cv2.INTER_CUBIC if smooth else cv2.INTER_NEAREST
    scale = np.diag([finer, finer, 1.0])
    centred = np.linalg.inv(half) @ scale @ homography @ np.linalg.inv(scale) @ half
    return cv2.warpPerspective(picture, centred, size, flags=kind, borderMode=cv2.BORDER_REPLICATE)


def rained_on(picture: Bytes, rng: np.random.Generator) -> Bytes:
    """Streaks of falling drops, near ones long and faint, and the contrast they take."""
    height, width = picture.shape[:2]
    streaks = np.zeros((height, width), np.uint8)
    for _ in range(width * height // 700):
        nearness = float(rng.beta(1, 3))
        length = 3 + 22 * nearness
        x, y = float(rng.uniform(-10, width)), float(rng.uniform(-20, height))
        light = int(rng.uniform(35, 80) * (1 - 0.5 * nearness))
        end = (round(x + 0.12 * length), round(y + length))
        cv2.line(streaks, (round(x), round(y)), end, light, 2 if nearness > 0.6 else 1, cv2.LINE_AA)
    veil = cv2.GaussianBlur(streaks, (0, 0), 0.7).astype(float)[..., None] / 255
    flat = picture * 0.88 + 0.12 * picture.mean(axis=(0, 1))
    return np.round(np.clip(flat + veil * (215 - flat), 0, 255)).astype(np.uint8)


def finished(picture: Bytes, scene: Scenario, index: int) -> Bytes:
    """The frame (h, w, 3) as the camera would deliver it."""
    rng = np.random.default_rng([scene.seed, 41, index])
    result = swayed(picture, scene, index / scene.fps)
    if scene.weather.rain:
        result = rained_on(result, rng)
    height, width = result.shape[:2]
    noise = rng.normal(0, scene.camera.noise, (height, width, 1)) + rng.normal(
        0, scene.camera.noise / 2, (height, width, 3)
    )
    return np.round(np.clip(result + noise, 0, 255)).astype(np.uint8)
