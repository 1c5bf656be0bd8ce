"""Motion of many boxes at once: a constant-velocity Kalman filter a coordinate, elementwise over arrays.

The state of a box is its centre, width and height and their rates. Because the noise is taken as independent a
coordinate, the 8 x 8 filter that SORT and ByteTrack keep for each track falls into four filters of two states, whose
covariance is three numbers: every step is a few operations over (N, 4) arrays, without a matrix or a loop.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

# All noise is in sizes of the box, sqrt(width * height), so that near and far objects behave alike; the order is
# centre x, centre y, width, height. The values were chosen on generated and real footage, see docs/tracking.md.

BOX_STD: Final = 0.07
"""Error of a box of confidence 1, sizes; yolox_nano on people of 60 to 110 px errs by about this much."""

SPEED_STD: Final = np.array([1.5, 1.5, 0.3, 0.3])
"""What is known of the rates of a new track, sizes a second: a walker covers about one size a second."""

ACCELERATION: Final = np.array([0.6, 0.6, 0.2, 0.2])
"""Root of the spectral density of the white acceleration, sizes a second to the power of 3/2."""

MAX_STEP_S: Final = 60.0
"""Longest time that motion is carried on in one step: beyond it a prediction means nothing and only overflows."""


def to_centre(xyxy: Float64Array) -> Float64Array:
    """Left, top, right, bottom (N, 4) as centre x, centre y, width, height.

    >>> to_centre(np.array([[0.0, 0.0, 4.0, 2.0]])).tolist()
    [[2.0, 1.0, 4.0, 2.0]]
    """
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.concatenate([(low + high) / 2.0, high - low], axis=1)


def to_corners(boxes: Float64Array) -> Float64Array:
    """Centre x, centre y, width, height (N, 4) as left, top, right, bottom.

    >>> to_corners(np.array([[2.0, 1.0, 4.0, 2.0]])).tolist()
    [[0.0, 0.0, 4.0, 2.0]]
    """
    half = boxes[:, 2:] / 2.0
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def sizes(boxes: Float64Array) -> Float64Array:
    """Size sqrt(width * height) of boxes given by centre, (N, 1) pixels; a side counts as at least one pixel."""
    sides = np.maximum(boxes[:, 2:], 1.0)
    size: Float64Array = np.sqrt(sides[:, :1] * sides[:, 1:])
    return size


class BoxMotion:
    """Filters of N boxes; row i of every array belongs to one box.

    `box` (N, 4) holds centre x, centre y, width, height in pixels, `rate` (N, 4) their rates a second, `variance`
    (N, 4) the variance of `box`. Source of the model: Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to
    Tracking and Navigation" (2001), section 6.2.2, continuous white noise acceleration.

    >>> motion = BoxMotion()
    >>> motion.append(np.array([[10.0, 20.0, 4.0, 8.0]]))
    >>> motion.predict(0.1, coasting=np.array([False]))
    >>> motion.box.tolist()
    [[10.0, 20.0, 4.0, 8.0]]
    """

    def __init__(self) -> None:
        self.box = np.zeros((0, 4))
        self.rate = np.zeros((0, 4))
        self.variance = np.zeros((0, 4))
        self._covariance = np.zeros((0, 4))
        self._rate_variance = np.zeros((0, 4))

    def __len__(self) -> int:
        return len(self.box)

    def append(self, boxes: Float64Array) -> None:
        """Add boxes (K, 4), centre form, at rest but with unknown speed."""
        size = sizes(boxes)
        self.box = np.concatenate([self.box, boxes])
        self.rate = np.concatenate([self.rate, np.zeros_like(boxes)])
        self.variance = np.concatenate([self.variance, np.broadcast_to((BOX_STD * size) ** 2, boxes.shape)])
        self._covariance = np.concatenate([self._covariance, np.zeros_like(boxes)])
        self._rate_variance = np.concatenate([self._rate_variance, (SPEED_STD * size) ** 2])

    def keep(self, rows: BoolArray) -> None:
        """Forget the boxes whose entry in `rows` (N,) is False."""
        self.box, self.rate, self.variance = self.box[rows], self.rate[rows], self.variance[rows]
        self._covariance, self._rate_variance = self._covariance[rows], self._rate_variance[rows]

    def predict(self, dt_s: float, coasting: BoolArray) -> None:
        """Carry all boxes `dt_s` seconds (0 or more) on; those in `coasting` (N,), not seen lately, keep their size.

        A size that grows on unseen would soon be anything; a place does not drift that fast.
        """
        dt = min(dt_s, MAX_STEP_S)
        self.rate[coasting, 2:] = 0.0
        noise = (ACCELERATION * sizes(self.box)) ** 2
        self.box = self.box + dt * self.rate
        np.maximum(self.box[:, 2:], 0.0, out=self.box[:, 2:])
        self.variance = self.variance + dt * (2.0 * self._covariance + dt * (self._rate_variance + noise * dt / 3.0))
        self._covariance = self._covariance + dt * (self._rate_variance + noise * dt / 2.0)
        self._rate_variance = self._rate_variance + noise * dt

    def update(self, rows: IndexArray, boxes: Float64Array, confidence: Float64Array) -> None:
        """Correct `rows` (K,) by the boxes (K, 4), centre form, that were seen.

        A box of low confidence (K,) weighs less, up to half the trust at 0: half hidden objects give such boxes (the
        idea is that of the NSA filter, Du et al., "GIAOTracker", 2021).
        """
        error = (BOX_STD * sizes(boxes) * (2.0 - confidence[:, None])) ** 2
        variance, covariance = self.variance[rows], self._covariance[rows]
        total = variance + error
        gain, rate_gain = variance / total, covariance / total
        residual = boxes - self.box[rows]
        self.box[rows] += gain * residual
        self.rate[rows] += rate_gain * residual
        self.variance[rows] = gain * error
        self._covariance[rows] = rate_gain * error
        self._rate_variance[rows] -= rate_gain * covariance
        np.maximum(self._rate_variance, 0.0, out=self._rate_variance)

    def corners(self) -> Float64Array:
        """The boxes as left, top, right, bottom (N, 4), always in order."""
        return to_corners(self.box)

    def expected_error(self) -> Float64Array:
        """Variance (N, 2), square pixels, of where the centre of the next box lies around the prediction."""
        return self.variance[:, :2] + (BOX_STD * sizes(self.box)) ** 2
