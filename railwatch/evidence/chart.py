"""Axes, lines and texts on a BGR picture: what the drawings of explanations and coverage maps share. OpenCV only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np

from railwatch.core.types import UInt8Array

Colour = tuple[int, int, int]
Place = tuple[float, float]

FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
INK: Final[Colour] = (40, 40, 40)
FAINT: Final[Colour] = (215, 215, 215)
PAPER: Final[Colour] = (250, 250, 250)


class Axes(NamedTuple):
    """A rectangle of a picture (left, top, right, bottom in pixels) that shows x0 to x1 and y0 to y1, y upwards."""

    area: tuple[int, int, int, int]
    x0: float
    x1: float
    y0: float
    y1: float

    def at(self, x: float, y: float) -> tuple[int, int]:
        """The pixel of a place; far outside it is drawn at most one rectangle beyond the edge.

        >>> Axes((0, 0, 100, 50), 0.0, 10.0, 0.0, 5.0).at(5.0, 5.0)
        (50, 0)
        """
        left, top, right, bottom = self.area
        across = min(2.0, max(-1.0, (x - self.x0) / (self.x1 - self.x0)))
        up = min(2.0, max(-1.0, (y - self.y0) / (self.y1 - self.y0)))
        return round(left + across * (right - left)), round(bottom - up * (bottom - top))


def ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Round numbers between two, at most `most` + 1 of them.

    >>> ticks(0.0, 10.0, 5)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    raw = max((high - low) / most, 1e-9)
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 9) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def sheet(width: int, height: int) -> UInt8Array:
    """An empty picture, (height, width, 3) uint8."""
    return np.full((height, width, 3), PAPER, np.uint8)


def grid(picture: UInt8Array, axes: Axes, x_unit: str, y_unit: str) -> None:
    """Lines at round numbers with their values, and a frame around them."""
    left, top, right, bottom = axes.area
    for x in ticks(axes.x0, axes.x1):
        column = axes.at(x, axes.y0)[0]
        cv2.line(picture, (column, top), (column, bottom), FAINT, 1)
        text(picture, f"{x:g}", (column - 6, bottom + 16))
    for y in ticks(axes.y0, axes.y1):
        row = axes.at(axes.x0, y)[1]
        cv2.line(picture, (left, row), (right, row), FAINT, 1)
        text(picture, f"{y:g}", (left - 42, row + 4))
    cv2.rectangle(picture, (left, top), (right, bottom), INK, 1)
    text(picture, x_unit, (right - 12 * len(x_unit), bottom + 16))
    text(picture, y_unit, (left - 42, top - 6))


def clipped(picture: UInt8Array, axes: Axes) -> UInt8Array:
    """The part of the picture inside the axes: what is drawn into it cannot leave it."""
    left, top, right, bottom = axes.area
    return picture[top:bottom, left:right]


def inside(axes: Axes) -> Axes:
    """The same axes in the pixels of `clipped`."""
    left, top, right, bottom = axes.area
    return axes._replace(area=(0, 0, right - left, bottom - top))


def line(picture: UInt8Array, axes: Axes, places: Sequence[Place], colour: Colour, thickness: int = 1) -> None:
    """A line through places in the units of the axes."""
    points = np.array([axes.at(x, y) for x, y in places], np.int32).reshape(-1, 1, 2)
    cv2.polylines(picture, [points], isClosed=False, color=colour, thickness=thickness, lineType=cv2.LINE_AA)


def area(picture: UInt8Array, axes: Axes, places: Sequence[Place], colour: Colour) -> None:
    """A polygon, tinted inside, with its outline."""
    points = np.array([axes.at(x, y) for x, y in places], np.int32).reshape(-1, 1, 2)
    tint = picture.copy()
    cv2.fillPoly(tint, [points], colour)
    cv2.addWeighted(tint, 0.2, picture, 0.8, 0.0, dst=picture)
    cv2.polylines(picture, [points], isClosed=True, color=colour, thickness=1, lineType=cv2.LINE_AA)


def text(picture: UInt8Array, words: str, at: tuple[int, int], scale: float = 0.42, colour: Colour = INK) -> None:
    """One line of text; what the font does not have becomes a question mark."""
    cv2.putText(picture, words.encode("ascii", "replace").decode(), at, FONT, scale, colour, 1, cv2.LINE_AA)


def label(picture: UInt8Array, words: str, at: tuple[int, int], colour: Colour, scale: float = 0.42) -> None:
    """One line of text on a dark ground: readable on gravel and on snow. `at` is its lower left corner."""
    (width, height), below = cv2.getTextSize(words.encode("ascii", "replace").decode(), FONT, scale, 1)
    cv2.rectangle(picture, (at[0], at[1] - height - 2), (at[0] + width, at[1] + below), INK, cv2.FILLED)
    text(picture, words, at, scale, colour)


def wrapped(words: str, width: int) -> Iterable[str]:
    """The words in lines of at most `width` letters.

    >>> list(wrapped("a train in 38 s", 8))
    ['a train', 'in 38 s']
    """
    held = ""
    for word in words.split():
        if held and len(held) + 1 + len(word) > width:
            yield held
            held = word
        else:
            held = f"{held} {word}".strip()
    if held:
        yield held
