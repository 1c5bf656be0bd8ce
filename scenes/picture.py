"""What the camera adds to a rendered frame: sway, rain before the lens, sensor noise. Numpy and Pillow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

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


def swayed(picture: Bytes, scene: Scenario, t_s: float, *, smooth: bool = True) -> Bytes:
    """A picture (h, w) or (h, w, 3) as the camera sees it when it has swayed; edges are drawn out."""
    if not scene.camera.shake_deg:
        return picture
    view = pinhole(scene.camera)
    homography = shaken(view, shake_rad(scene.camera, scene.seed, t_s))
    border = 32
    padded = np.pad(picture, [(border, border), (border, border)] + [(0, 0)] * (picture.ndim - 2), mode="edge")
    shift = np.array([[1, 0, border], [0, 1, border], [0, 0, 1.0]])
    back = shift @ np.linalg.inv(homography)
    kind = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    numbers = (back / back[2, 2]).ravel()[:8].tolist()
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(Image.fromarray(padded).transform(size, Image.Transform.PERSPECTIVE, numbers, kind))


def rained_on(picture: Bytes, rng: np.random.Generator) -> Bytes:
    """Streaks of falling drops, near ones long and faint, and the contrast they take."""
    height, width = picture.shape[:2]
    streaks = Image.new("L", (width, height))
    draw = ImageDraw.Draw(streaks)
    for _ in range(width * height // 700):
        nearness = float(rng.beta(1, 3))
        length = 3 + 22 * nearness
        x, y = float(rng.uniform(-10, width)), float(rng.uniform(-20, height))
        light = int(rng.uniform(35, 80) * (1 - 0.5 * nearness))
        draw.line([(x, y), (x + 0.12 * length, y + length)], fill=light, width=2 if nearness > 0.6 else 1)
    veil = np.asarray(streaks.filter(ImageFilter.GaussianBlur(0.7)), float)[..., None] / 255
    flat = picture * 0.88 + 0.12 * picture.mean(axis=(0, 1))
    return np.round(np.clip(flat + veil * (215 - flat), 0, 255)).astype(np.uint8)


def finished(picture: Bytes, scene: Scenario, index: int) -> Bytes:
    """The frame (h, w, 3) as the camera would deliver it."""
    rng = np.random.default_rng([scene.seed, 41, index])
    result = swayed(picture, scene, index / scene.fps)
    if scene.weather.rain:
        result = rained_on(result, rng)
    height, width = result.shape[:2]
    noise = rng.normal(0, scene.camera.noise, (height, width, 1)) + rng.normal(0, scene.camera.noise / 2, (height, width, 3))
    return np.round(np.clip(result + noise, 0, 255)).astype(np.uint8)
