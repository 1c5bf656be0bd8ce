"""From examples to training inputs: crops at many scales, mosaics, people pasted in, weather, night, camera faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from models.recipes.railwatch_nano.sources import PERSON, Example

Pixels = npt.NDArray[np.uint8]
PAD = 114
LEAST_PX = 7.0
"""Objects lower than this in the input are neither asked for nor forbidden."""

LEAST_SEEN = 0.3
"""So much of an object must lie in the crop to be asked for."""


class Scene(NamedTuple):
    """A training input: `picture` (H, W, 3) BGR, `classes` (N,), `xyxy` (N, 4), and where nothing is known (M, 4).

    `complete` (15,) tells of which classes every object is boxed; `regions` lists parts of the input (left, top,
    right, bottom) with the `complete` of each, when they differ.
    """

    picture: Pixels
    classes: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float32]
    unknown: npt.NDArray[np.float32]
    regions: list[tuple[tuple[int, int, int, int], frozenset[int]]]


class CutOut(NamedTuple):
    """A person cut out: `picture` (h, w, 3) and its share of each pixel `alpha` (h, w), 0 to 1."""

    picture: Pixels
    alpha: npt.NDArray[np.float32]


def scene(
    pool: Sequence[tuple[Example, Pixels]], cut_outs: Sequence[CutOut], crop: tuple[int, int], size: tuple[int, int],
    draw: Sequence[int], rng: np.random.Generator,
) -> Scene:  # fmt: skip
    """One crop (width, height) from the drawn members of the pool: the first alone, or four as a mosaic.

    Pictures are scaled as for an input of `size`, so that objects in the crop are as large as they will be in service.
    """
    width, height = crop
    canvas = np.full((height, width, 3), PAD, np.uint8)
    if rng.random() < 0.8:
        parts = [(draw[0], (0, 0, width, height))]
    else:
        x, y = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
        corners = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
        parts = list(zip(draw[:4], corners, strict=True))
    placed = [_placed(canvas, *pool[index], region, size, rng) for index, region in parts]
    regions = [(region, pool[index][0].complete) for index, region in parts]
    classes = np.concatenate([part[0] for part in placed])
    xyxy = np.concatenate([part[1] for part in placed])
    unknown = np.concatenate([part[2] for part in placed])
    if cut_outs and rng.random() < 0.25:
        xyxy, classes = _peopled(canvas, classes, xyxy, regions, cut_outs, rng)
    if rng.random() < 0.5:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
        xyxy, unknown = _mirrored(xyxy, width), _mirrored(unknown, width)
        regions = [((width - r[2], r[1], width - r[0], r[3]), complete) for r, complete in regions]
    return Scene(spoilt(canvas, rng), classes, xyxy, unknown, regions)


def _placed(
    canvas: Pixels, example: Example, picture: Pixels, region: tuple[int, int, int, int], size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]:  # fmt: skip
    """Show a picture in a region of the canvas, scaled at random: classes, boxes, boxes of what is not asked for."""
    left, top, right, bottom = region
    wide, tall = right - left, bottom - top
    fit = min(size[0] / picture.shape[1], size[1] / picture.shape[0])
    zoom = fit * float(np.exp(rng.uniform(np.log(0.5), np.log(1.6)))) if rng.random() < 0.7 else fit
    zoom = max(zoom, 0.6 * max(wide / picture.shape[1], tall / picture.shape[0]))
    stretch = float(np.exp(rng.normal(0, 0.12)))
    if picture.shape[0] == picture.shape[1] and rng.random() < 0.35:  # stretched by who published it: undone
        stretch = float(rng.uniform(1.15, 1.45))
    scale = np.array([zoom * stretch, zoom / stretch])
    shift = _shift(example, picture, scale, (wide, tall), rng)
    x, y = int(shift[0]), int(shift[1])
    matrix = np.array([[scale[0], 0, x + 0.5 * scale[0] - 0.5], [0, scale[1], y + 0.5 * scale[1] - 0.5]])
    if zoom < 0.55:  # half size first: linear interpolation alone would skip pixels
        picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        matrix[:, :2] *= 2
        matrix[:, 2] += 0.5 * np.diag(matrix[:, :2]) / 2 - 0.25 * np.diag(matrix[:, :2])
    canvas[top:bottom, left:right] = cv2.warpAffine(picture, matrix, (wide, tall), borderValue=(PAD, PAD, PAD))
    whole = example.xyxy * np.tile(scale, 2) + np.tile([x, y], 2)
    seen = whole.copy()
    seen[:, [0, 2]], seen[:, [1, 3]] = seen[:, [0, 2]].clip(0, wide), seen[:, [1, 3]].clip(0, tall)
    share = _areas(seen) / np.maximum(_areas(whole), 1e-6)
    asked = (share >= LEAST_SEEN) & (seen[:, 3] - seen[:, 1] >= LEAST_PX) & (seen[:, 2] - seen[:, 0] >= 2.5)
    seen = (seen + np.tile([left, top], 2)).astype(np.float32)
    return example.classes[asked], seen[asked], seen[~asked & (share > 0)]


def _shift(
    example: Example, picture: Pixels, scale: npt.NDArray[np.float64], room: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float]:
    """Where the picture's corner goes: anywhere, but a crop shows one of its objects more often than not."""
    size = np.array([picture.shape[1], picture.shape[0]]) * scale
    free = np.array(room) - size
    chosen = rng.random(2) * free
    if len(example.xyxy) and rng.random() < 0.7:
        box = example.xyxy[rng.integers(len(example.xyxy))]
        middle = (box[:2] + box[2:]) / 2 * scale
        wanted = np.array(room) * rng.uniform(0.15, 0.85, 2) - middle
        chosen = np.where(free < 0, np.clip(wanted, free, 0), chosen)
    return float(chosen[0]), float(chosen[1])


def _peopled(
    canvas: Pixels, classes: npt.NDArray[np.int64], xyxy: npt.NDArray[np.float32],
    regions: list[tuple[tuple[int, int, int, int], frozenset[int]]], cut_outs: Sequence[CutOut],
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:  # fmt: skip
    """Paste people, mostly small ones, where people are boxed and where they hide nobody."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        cut = cut_outs[rng.integers(len(cut_outs))]
        tall = float(np.exp(rng.uniform(np.log(13), np.log(75))))
        scale = tall / cut.picture.shape[0]
        wide = max(round(cut.picture.shape[1] * scale * float(np.exp(rng.normal(0, 0.1)))), 3)
        tall = round(tall)
        if scale > 1.6 or wide >= width // 2:
            continue
        x, y = int(rng.integers(0, width - wide)), int(rng.integers(int(height * 0.15), height - tall))
        box = np.array([x, y, x + wide, y + tall], np.float32)
        inside = [c for r, c in regions if r[0] <= x and r[1] <= y and x + wide <= r[2] and y + tall <= r[3]]
        if not inside or PERSON not in inside[0] or (len(xyxy) and _covered(box, xyxy) > 0.15):
            continue
        _paste(canvas, cut, (x, y, wide, tall), rng)
        xyxy, classes = np.concatenate((xyxy, box[None])), np.append(classes, PERSON)
    return xyxy, classes


def _covered(box: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> float:
    """The largest share of another box, or of this one, that both have in common."""
    shared = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None).prod(axis=1)
    return float((shared / np.minimum(_areas(others), _areas(box[None])).clip(1e-6)).max())


def _paste(canvas: Pixels, cut: CutOut, place: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x, y, wide, tall = place
    method = cv2.INTER_AREA if tall < cut.picture.shape[0] else cv2.INTER_LINEAR
    person = cv2.resize(cut.picture, (wide, tall), interpolation=method).astype(np.float32)
    alpha = cv2.resize(cut.alpha, (wide, tall), interpolation=method)[..., None]
    under = canvas[y : y + tall, x : x + wide].astype(np.float32)
    light = (under.mean() + 25) / (person.mean() + 25)
    person = np.clip(person * light ** float(rng.uniform(0.2, 0.9)), 0, 255)
    canvas[y : y + tall, x : x + wide] = np.round(under * (1 - alpha) + person * alpha).astype(np.uint8)


def spoilt(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """What light, weather, lens, sensor and coding do to a picture (H, W, 3)."""
    result = _lit(picture, rng)
    if rng.random() < 0.08:
        result = _fogged(result, rng)
    if rng.random() < 0.25:
        result = cv2.GaussianBlur(result, (0, 0), float(rng.uniform(0.4, 1.2)))
    if rng.random() < 0.05:
        result = cv2.filter2D(result, -1, _smear(float(rng.uniform(0, 180))))
    if rng.random() < 0.3:
        grain = (rng.standard_normal(result.shape[:2], np.float32) * float(rng.uniform(1, 11))).astype(np.int16)
        result = np.clip(result + grain[..., None], 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        coded = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 85))])[1]
        result = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    return result


def _smear(angle_deg: float) -> npt.NDArray[np.float32]:
    """A kernel (7, 7) of movement in one direction."""
    line = np.zeros((7, 7), np.float32)
    line[3] = 1.0
    line = cv2.warpAffine(line, cv2.getRotationMatrix2D((3, 3), angle_deg, 1), (7, 7))
    return line / line.sum()


def _lit(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Exposure, contrast, colour; sometimes night, sometimes the grey of an infrared camera."""
    kind = rng.random()
    levels = np.linspace(0, 1, 256)
    if kind < 0.09:  # night: dark, little colour
        curve = float(rng.uniform(0.35, 0.8)) * levels ** float(rng.uniform(1.2, 2.2))
        colour, tint = float(rng.uniform(0.2, 0.8)), np.ones(3)
    elif kind < 0.8:
        middle = picture[::8, ::8].mean() / 255
        curve = (levels ** float(np.exp(rng.normal(0, 0.22))) - middle) * float(rng.uniform(0.7, 1.25)) + middle
        curve = curve + float(rng.normal(0, 0.05))
        colour, tint = float(rng.uniform(0.5, 1.4)), np.exp(rng.normal(0, 0.05, 3))
    else:
        return picture
    if rng.random() < 0.05:
        colour = 0.0
    table = np.clip(255 * curve[:, None] * tint, 0, 255).astype(np.uint8)[None]
    result = cv2.LUT(picture, np.ascontiguousarray(table))
    if abs(colour - 1) > 0.1:
        grey = cv2.cvtColor(cv2.cvtColor(result, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        result = cv2.addWeighted(result, colour, grey, 1 - colour, 0)
    return result


def _fogged(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """A veil that thickens upwards, as if the ground rose into the distance."""
    far = np.linspace(1.0, 0.0, picture.shape[0], dtype=np.float32)[:, None, None] ** float(rng.uniform(0.7, 2))
    share = np.clip(far * float(rng.uniform(0.4, 0.85)) + float(rng.uniform(0, 0.15)), 0, 0.9)
    return (picture * (1 - share) + float(rng.uniform(150, 215)) * share).astype(np.uint8)


def _mirrored(xyxy: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    return np.stack((width - xyxy[:, 2], xyxy[:, 1], width - xyxy[:, 0], xyxy[:, 3]), axis=1)


def _areas(xyxy: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return (xyxy[:, 2:] - xyxy[:, :2]).clip(0).prod(axis=1)


def outline_cut_outs(example: Example, picture: Pixels) -> list[CutOut]:
    """People of an example whose outlines are known, at least 60 px tall and whole."""
    height, width = picture.shape[:2]
    found = []
    for outline in example.outlines:
        points = outline * [width, height]
        x0, y0 = np.floor(points.min(axis=0)).astype(int).clip(0)
        x1, y1 = np.ceil(points.max(axis=0)).astype(int).clip(0, [width, height])
        if y1 - y0 < 60 or not 1.3 < (y1 - y0) / max(x1 - x0, 1) < 5 or y1 > height - 4 or x0 < 3 or x1 > width - 3:
            continue
        mask = np.zeros((height, width), np.float32)
        cv2.fillPoly(mask, [points.round().astype(np.int32)], 1.0)
        soft = cv2.GaussianBlur(mask, (0, 0), 1.0)
        found.append(CutOut(picture[y0:y1, x0:x1].copy(), soft[y0:y1, x0:x1].copy()))
    return found


def rendered_cut_outs(example: Example, picture: Pixels, numbers: Pixels, least: float = 34.0) -> list[CutOut]:
    """People of a rendered picture that are tall enough, from the numbers of its actors (H, W)."""
    found = []
    for box, kind in zip(example.xyxy.astype(int), example.classes, strict=True):
        x0, y0, x1, y1 = box
        if kind != PERSON or y1 - y0 < least or y1 > picture.shape[0] - 3:
            continue
        inner = numbers[y0:y1, x0:x1]
        number = np.bincount(inner[inner > 0]).argmax() if (inner > 0).any() else 0
        mask = (inner == number).astype(np.float32)
        if number and mask.mean() > 0.25:
            found.append(CutOut(picture[y0:y1, x0:x1].copy(), mask))
    return found
