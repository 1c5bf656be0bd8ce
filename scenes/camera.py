"""The pinhole camera of a scene: matrices, projection, and what of the ground it sees. Numpy only.

Pixels: origin at the top left corner of the top left pixel, u to the right, v down, so that the centre of that pixel
is (0.5, 0.5). Formulas: Hartley and Zisserman, Multiple View Geometry, chapter 6.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scenes.scenario import Camera

Floats = npt.NDArray[np.float64]

NEAR_M = 0.5
"""Nothing nearer than this to the image plane is projected."""


class Pinhole(NamedTuple):
    """`k` (3, 3), `rotation` (3, 3) from world to camera axes (x right, y down, z ahead), `position_m` (3,)."""

    k: Floats
    rotation: Floats
    position_m: Floats
    size_px: tuple[int, int]

    @property
    def matrix(self) -> Floats:
        """P (3, 4): homogeneous world metres to homogeneous pixels."""
        translation = -self.rotation @ self.position_m
        return self.k @ np.column_stack([self.rotation, translation])


def pinhole(camera: Camera) -> Pinhole:
    """The camera of a scenario, level about its axis, without its shake.

    >>> pinhole(Camera()).matrix.shape
    (3, 4)
    """
    width, height = camera.size_px
    focal = width / 2 / np.tan(np.radians(camera.hfov_deg) / 2)
    position = np.array(camera.position_m, float)
    ahead = np.array(camera.look_at_m, float) - position
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    k = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return Pinhole(k, rotation, position, (width, height))


def project(matrix: Floats, points_m: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Pixels (N, 2) and depths (N,) in metres of world points (N, 3); pixels mean nothing where depth <= 0.

    >>> view = pinhole(Camera())
    >>> pixels, depth = project(view.matrix, [Camera().look_at_m])
    >>> pixels.round(6).tolist()
    [[320.0, 180.0]]
    """
    points = np.atleast_2d(np.asarray(points_m, float))
    homogeneous = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    depth = homogeneous[:, 2]
    safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    return homogeneous[:, :2] / safe[:, None], depth


def ground_to_image(matrix: Floats) -> Floats:
    """The homography (3, 3) from the ground plane z = 0, (x, y, 1) in metres, to homogeneous pixels."""
    return matrix[:, [0, 1, 3]]


def shaken(view: Pinhole, angles_rad: npt.ArrayLike) -> Floats:
    """The homography (3, 3) between pixels when the camera turns about its own axes by small angles (x, y, z).

    A pure turn moves pixels without parallax: K R K^-1 (Hartley and Zisserman, 8.4.2).
    """
    x, y, z = np.asarray(angles_rad, float)
    cosine, sine = np.cos([x, y, z]), np.sin([x, y, z])
    about_x = np.array([[1, 0, 0], [0, cosine[0], -sine[0]], [0, sine[0], cosine[0]]])
    about_y = np.array([[cosine[1], 0, sine[1]], [0, 1, 0], [-sine[1], 0, cosine[1]]])
    about_z = np.array([[cosine[2], -sine[2], 0], [sine[2], cosine[2], 0], [0, 0, 1]])
    return view.k @ about_z @ about_y @ about_x @ np.linalg.inv(view.k)


def shake_rad(camera: Camera, seed: int, t_s: float) -> Floats:
    """How far the camera has swayed (3,) at a time, about its axes x, y, z: slow swing and quick tremble."""
    rng = np.random.default_rng([seed, 13])
    hertz, phase = rng.uniform((0.5, 1.4), (1.1, 3.2), (3, 2)), rng.uniform(0, 2 * np.pi, (3, 2))
    waves = np.sin(2 * np.pi * hertz * t_s + phase) * [1.0, 0.6] * np.sqrt(2 / 1.36)
    return np.radians(camera.shake_deg) * waves.sum(axis=1) * [1.0, 1.0, 0.4]


def frame_matrix(camera: Camera, seed: int, t_s: float) -> Floats:
    """P (3, 4) at a time, shake included."""
    view = pinhole(camera)
    return shaken(view, shake_rad(camera, seed, t_s)) @ view.matrix if camera.shake_deg else view.matrix


def box_of(matrix: Floats, points_m: npt.ArrayLike) -> Floats | None:
    """The box (4,) xyxy in pixels around the projected points, not clipped to the frame; None when all are behind."""
    pixels, depth = project(matrix, points_m)
    ahead = pixels[depth > NEAR_M]
    if not len(ahead):
        return None
    return np.concatenate([ahead.min(axis=0), ahead.max(axis=0)])


def clipped_box(box: npt.ArrayLike, size_px: tuple[int, int]) -> Floats | None:
    """The part of a box (4,) xyxy inside the frame, None when nothing of it is.

    >>> clipped_box([-5.0, 2.0, 5.0, 9.0], (640, 360)).tolist()
    [0.0, 2.0, 5.0, 9.0]
    """
    left, top, right, bottom = np.asarray(box, float)
    width, height = size_px
    clipped = np.array([max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)])
    return clipped if clipped[0] < clipped[2] and clipped[1] < clipped[3] else None


def visible_ground_polygon(view: Pinhole, polygon_m: npt.ArrayLike) -> Floats:
    """A convex polygon (N, 2) of the ground as polygon (M, 2) in pixels, cut at the image plane and at the frame.

    M is 0 when the camera sees nothing of it. Clipping is Sutherland and Hodgman's, in homogeneous coordinates.
    """
    ring = np.asarray(polygon_m, float)
    homogeneous = np.column_stack([ring, np.ones(len(ring))]) @ ground_to_image(view.matrix).T
    width, height = view.size_px
    halves = np.array([[0, 0, 1.0], [1, 0, 0], [-1, 0, width], [0, 1, 0], [0, -1, height]])
    offsets = np.array([-NEAR_M, 0, 0, 0, 0])
    for half, offset in zip(halves, offsets, strict=True):
        homogeneous = _cut(homogeneous, homogeneous @ half + offset)
        if len(homogeneous) < 3:
            return np.zeros((0, 2))
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _cut(ring: Floats, inside: Floats) -> Floats:
    """The part of a ring where the linear function with values `inside` at its corners is not negative."""
    kept = []
    for here, after in zip(range(len(ring)), np.roll(range(len(ring)), -1), strict=True):
        if inside[here] >= 0:
            kept.append(ring[here])
        if (inside[here] >= 0) != (inside[after] >= 0):
            share = inside[here] / (inside[here] - inside[after])
            kept.append(ring[here] + share * (ring[after] - ring[here]))
    return np.array(kept).reshape(-1, ring.shape[1])
