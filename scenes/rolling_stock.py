"""An electric locomotive with coaches, front at y = 0 and the body towards +y, rails' level z = 0. Numpy only."""

from __future__ import annotations

import numpy as np

from scenes.mesh import Builder, Floats, Mesh

HALF_WIDTH_M = 1.55
LOCO_M = 19.5
COACH_M = 23.1
GAP_M = 0.7
RAIL_TOP_M = 0.17
BUFFER_M = 0.58
"""How far the buffers stand out before y = 0."""

NOSE = ((0.06, 1.0), (0.0, 1.2), (0.02, 2.2), (0.62, 3.27), (1.0, 3.6), (1.6, 3.75))
"""The side view of the cab, (y, z) over the rail top, from the frame up to the roof."""


def _windscreen(share: float) -> tuple[float, float]:
    """A point (y, z) on the slope of the cab's front."""
    (y0, z0), (y1, z1) = NOSE[2], NOSE[3]
    return y0 + (y1 - y0) * share, z0 + (z1 - z0) * share


def _pane(builder: Builder, x: tuple[float, float], shares: tuple[float, float], lift_m: float, material: str) -> None:
    """A sheet lying on the slope of the front, lifted off it."""
    (ya, za), (yb, zb) = _windscreen(shares[0]), _windscreen(shares[1])
    length = np.hypot(yb - ya, zb - za)
    dy, dz = -(zb - za) / length * lift_m, (yb - ya) / length * lift_m
    corners = [(x[0], ya + dy, za + dz), (x[1], ya + dy, za + dz), (x[1], yb + dy, zb + dz), (x[0], yb + dy, zb + dz)]
    builder.sheet(corners, material)


def _front(b: Builder, *, lit: bool) -> None:
    lamp = "headlamp" if lit else "lens"
    for x in ((-1.32, -0.08), (0.08, 1.32)):
        _pane(b, (x[0] - 0.05, x[1] + 0.05), (0.08, 0.86), 0.015, "black")
        _pane(b, x, (0.13, 0.81), 0.03, "glass")
        middle, (ya, za), (yb, zb) = sum(x) / 2, _windscreen(0.13), _windscreen(0.7)
        b.tube((middle, ya - 0.06, za), (middle + 0.25, yb - 0.06, zb), 0.015, "black", 5)
    b.box((-0.32, 0.32), (0.42, 0.95), (3.3, 3.65), "dark")
    for x in (-0.14, 0.14):
        b.tube((x, 0.41, 3.47), (x, 0.39, 3.47), 0.12, lamp, 16)
    for x in (-1.1, 1.1):
        b.tube((x, 0.03, 1.4), (x, -0.05, 1.4), 0.17, "dark", 16)
        b.tube((x, -0.05, 1.4), (x, -0.06, 1.4), 0.12, lamp, 16)
    b.box((-0.55, 0.55), (-0.02, 0.05), (1.25, 1.55), "white")
    b.box((-1.45, 1.45), (-0.14, 0.3), (0.67, 1.0), "dark")
    for x in (-0.98, 0.98):
        b.tube((x, -0.14, 0.87), (x, 0.06 - BUFFER_M, 0.87), 0.09, "steel", 12)
        b.tube((x, 0.06 - BUFFER_M, 0.87), (x, -BUFFER_M, 0.87), 0.24, "dark", 18)
    b.box((-0.16, 0.16), (-0.5, 0), (0.75, 1.01), "steel")
    for x in (-0.4, 0.35):
        b.tube((x, -0.2, 0.75), (x, -0.25, 0.4), 0.03, "black", 6)
    b.prism([(-0.25, 0.15), (-0.1, 0.67), (0.2, 0.67), (0.2, 0.15)], (-1.35, 1.35), "yellow")
    for x in np.arange(-1.2, 1.3, 0.4):
        b.box((x - 0.09, x + 0.09), (-0.3, -0.14), (0.15, 0.65), "black")


def _flanks(b: Builder, paint: str) -> None:
    for side in (-1, 1):
        wall = side * (HALF_WIDTH_M + 0.006)

        def plate(
            y: tuple[float, float],
            z: tuple[float, float],
            paint: str,
            thick: float = 0.006,
            s: int = side,
            w: float = wall,
        ) -> None:
            b.box((w, w + s * thick), y, z, paint)

        plate((1.15, 1.95), (2.3, 3.05), "glass")
        plate((2.3, 3.0), (1.05, 3.15), "dark", 0.003)
        plate((2.36, 2.94), (1.09, 3.1), paint, 0.008)
        plate((2.45, 2.85), (2.35, 2.95), "glass", 0.014)
        for y in np.arange(4, LOCO_M - 3, 2.2):
            plate((y, y + 1.7), (2.35, 3.15), "dark")
        for y in (2.2, 3.1):
            b.tube((side * (HALF_WIDTH_M + 0.06), y, 1.15), (side * (HALF_WIDTH_M + 0.06), y, 2.95), 0.02, "white", 6)
        b.tube((side * 1.4, 0.1, 1.05), (side * 1.4, -0.04, 2.05), 0.018, "white", 6)


def _bogies(b: Builder, places: tuple[float, ...], gauge_m: float, radius: float) -> None:
    for y in places:
        for x in (-gauge_m / 2, gauge_m / 2):
            b.tube((x - 0.07, y, radius), (x + 0.07, y, radius), radius, "steel", 20)
        b.tube((-gauge_m / 2, y, radius), (gauge_m / 2, y, radius), 0.09, "dark", 8)


def _roof(b: Builder) -> None:
    b.box((-1.0, 1.0), (2.5, LOCO_M - 2), (3.75, 3.95), "roof")
    for x in (-0.5, 0.5):
        b.tube((x, 5, 3.95), (x, 6.4, 4.75), 0.03, "dark", 6)
        b.tube((x, 6.4, 4.75), (x, 5.2, 5.35), 0.03, "dark", 6)
    b.tube((-0.9, 5.2, 5.37), (0.9, 5.2, 5.37), 0.03, "dark", 6)


def _coach(b: Builder, start: float, paint: str, gauge_m: float) -> None:
    end = start + COACH_M
    b.box((-1.6, 1.6), (start, end), (0.95, 3.05), paint)
    b.prism([(start, 3.05), (start, 3.6), (end, 3.6), (end, 3.05)], (-1.45, 1.45), "roof")
    b.box((-1.607, 1.607), (start, end), (1.85, 2.85), "coach_band")
    b.box((-1.3, 1.3), (start + 6, end - 6), (0.35, 0.95), "dark")
    b.box((-0.9, 0.9), (start - GAP_M, start), (1.05, 3.25), "black")
    _bogies(b, (start + 2.4, start + 5.0, end - 5.0, end - 2.4), gauge_m, 0.46)
    for y in np.arange(start + 2, end - 2, 1.5):
        b.box((-1.613, 1.613), (y, y + 0.9), (2.0, 2.7), "glass")


def train_mesh(livery: str, coaches: int, gauge_m: float = 1.676, *, lit: bool = True) -> Mesh:
    """A whole train; `livery` names a material for the locomotive, `lit` its lamps.

    >>> bool(train_mesh("livery_red", 0).vertices_m[:, 1].min() == -BUFFER_M)
    True
    """
    b = Builder()
    b.prism([*NOSE, (LOCO_M, NOSE[-1][1]), (LOCO_M, NOSE[0][1])], (-HALF_WIDTH_M, HALF_WIDTH_M), livery)
    b.box((-HALF_WIDTH_M - 0.012, HALF_WIDTH_M + 0.012), (-0.012, LOCO_M), (1.63, 1.97), "cream")
    b.box((-HALF_WIDTH_M - 0.008, HALF_WIDTH_M + 0.008), (-0.008, LOCO_M), (1.0, 1.17), "dark")
    _front(b, lit=lit)
    _flanks(b, livery)
    b.box((-1.25, 1.25), (1.5, LOCO_M - 1), (0.3, 1.01), "dark")
    _bogies(b, (2.4, 4.3, 6.2, 13.0, 14.9, 16.8), gauge_m, 0.54)
    _roof(b)
    for number in range(coaches):
        _coach(b, LOCO_M + GAP_M + number * (COACH_M + GAP_M), "coach", gauge_m)
    built = b.mesh()
    return built._replace(vertices_m=built.vertices_m + np.array([0, 0, RAIL_TOP_M]))


def placed(vertices_m: Floats, centre_m: float, front_m: float, *, away: bool) -> Floats:
    """Vertices of a train in the world: front buffers at y = `front_m`, turned round when it runs away."""
    turned = vertices_m * ([-1, -1, 1] if away else [1, 1, 1])
    offset = BUFFER_M if not away else -BUFFER_M
    return turned + np.array([centre_m, front_m + offset, 0])
