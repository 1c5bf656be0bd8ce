"""Everything that stands still and was built: ballast, sleepers, rails, platform, station, masts, fence. Numpy only."""

from __future__ import annotations

import numpy as np

from scenes.mesh import Builder, Mesh
from scenes.rolling_stock import RAIL_TOP_M
from scenes.scenario import Platform, Scenario

NEAR_M, FAR_M = -30.0, 900.0
SLEEPER_SPACING_M = 0.65
SHOULDER_M = 3.1
"""How far ballast reaches beyond the centre of the outermost track."""


def ballast_edges_m(scene: Scenario) -> tuple[float, float]:
    """Left and right edge of the ballast."""
    centres = [track.centre_m for track in scene.tracks]
    right = max(centres) + SHOULDER_M
    return min(centres) - SHOULDER_M, min(right, scene.platform.edge_m) if scene.platform else right


def ground(scene: Scenario) -> Mesh:
    """Soil, ballast with its shoulders, and a trodden path that leads to the tracks."""
    left, right = ballast_edges_m(scene)
    b = Builder()
    b.sheet([(-300, NEAR_M, -0.1), (300, NEAR_M, -0.1), (300, FAR_M, -0.1), (-300, FAR_M, -0.1)], "soil")
    b.sheet([(left, NEAR_M, -0.01), (right, NEAR_M, -0.01), (right, FAR_M, -0.01), (left, FAR_M, -0.01)], "ballast")
    for edge, out in ((left, -0.8), (right, 0.8)):
        corners = [(edge, NEAR_M, -0.01), (edge, FAR_M, -0.01), (edge + out, FAR_M, -0.11), (edge + out, NEAR_M, -0.11)]
        b.sheet(corners if out < 0 else corners[::-1], "ballast")
    y = scene.reference_m
    path = [(-14, y - 1.6, -0.09), (left - 0.5, y - 1.6, -0.08), (left - 0.4, y + 0.7, -0.08), (-14, y + 1.5, -0.09)]
    b.sheet(path, "path")
    return b.mesh()


def sleepers(scene: Scenario) -> Mesh:
    """Concrete sleepers whose top is the ground plane, with the fastenings of the nearer ones."""
    b = Builder()
    for track in scene.tracks:
        half = track.gauge_mm / 2000
        for y in np.arange(-5, 260, SLEEPER_SPACING_M):
            b.box(
                (track.centre_m - half - 0.54, track.centre_m + half + 0.54),
                (y - 0.125, y + 0.125),
                (-0.18, 0),
                "sleeper",
            )
    return b.mesh()


def rails(scene: Scenario) -> Mesh:
    """Rails of 172 mm with rusty flanks and a bright running surface."""
    b = Builder()
    for track in scene.tracks:
        for side in (-1, 1):
            x = track.centre_m + side * (track.gauge_mm / 2000 + 0.036)
            b.box((x - 0.075, x + 0.075), (NEAR_M, FAR_M), (0.0, 0.025), "rail_side")
            b.box((x - 0.01, x + 0.01), (NEAR_M, FAR_M), (0.025, RAIL_TOP_M - 0.04), "rail_side")
            b.box((x - 0.036, x + 0.036), (NEAR_M, FAR_M), (RAIL_TOP_M - 0.04, RAIL_TOP_M - 0.002), "rail_side")
            b.box((x - 0.028, x + 0.028), (NEAR_M, FAR_M), (RAIL_TOP_M - 0.003, RAIL_TOP_M), "rail_top")
            for y in np.arange(-5, 90, SLEEPER_SPACING_M):
                b.box((x - 0.13, x + 0.13), (y - 0.05, y + 0.05), (0.0, 0.045), "rail_side")
    return b.mesh()


def station(platform: Platform) -> Mesh:
    """The platform with its edge line, the building with a canopy, benches and a name board."""
    b = Builder()
    x, y0, y1, z = platform.edge_m, platform.from_m, platform.to_m, platform.height_m
    b.box((x, x + 9), (y0, y1), (-0.3, z - 0.05), "concrete")
    b.box((x - 0.06, x + 0.45), (y0, y1), (z - 0.05, z), "concrete")
    b.box((x + 0.45, x + 0.62), (y0, y1), (z - 0.05, z + 0.002), "yellow")
    b.box((x + 0.62, x + 9), (y0, y1), (z - 0.05, z), "paving")
    for y in np.arange(y0 + 28, y1 - 70, 7):
        b.box((x + 3.9, x + 4.1), (y - 0.1, y + 0.1), (z, z + 3.7), "steel")
    b.box((x + 1.6, x + 7), (y0 + 25, y1 - 69), (z + 3.65, z + 3.77), "tin")
    b.box((x + 1.55, x + 1.65), (y0 + 25, y1 - 69), (z + 3.45, z + 3.77), "tin")
    b.box((x + 6.5, x + 16), (y0 + 22, y1 - 66), (-0.3, z + 4.95), "wall")
    b.box((x + 6.1, x + 16.4), (y0 + 21.5, y1 - 65.5), (z + 4.95, z + 5.25), "roof")
    for y in np.arange(y0 + 26, y1 - 70, 6):
        b.box((x + 6.4, x + 6.5), (y - 0.1, y + 1.7), (z + 0.85, z + 2.65), "white")
        b.box((x + 6.38, x + 6.41), (y, y + 1.6), (z + 0.95, z + 2.55), "glass")
    for y in (y0 + 6, y0 + 14, y0 + 20):
        _bench(b, x + 5, y, z)
    for y in (y0 + 9.0, y0 + 11.4):
        b.box((x + 2.2, x + 2.3), (y, y + 0.1), (z, z + 2.75), "steel")
    b.box((x + 2.15, x + 2.35), (y0 + 8.6, y0 + 11.9), (z + 1.75, z + 2.75), "yellow")
    return b.mesh()


def _bench(b: Builder, x: float, y: float, z: float) -> None:
    b.box((x, x + 0.5), (y, y + 1.8), (z + 0.35, z + 0.42), "bench")
    b.box((x + 0.5, x + 0.56), (y, y + 1.8), (z + 0.35, z + 0.85), "bench")
    for end in (y + 0.2, y + 1.5):
        b.box((x + 0.05, x + 0.45), (end, end + 0.1), (z, z + 0.35), "dark")


def lineside(scene: Scenario) -> Mesh:
    """Masts with wires, the fence with its gap at the path, a signal, a cabinet."""
    b = Builder()
    left, right = ballast_edges_m(scene)
    fence = left - 5.9
    for y in range(12, 240, 3):
        if abs(y - scene.reference_m) > 3:
            b.box((fence - 0.05, fence + 0.05), (y - 0.05, y + 0.05), (-0.15, 1.25), "concrete")
    for z in (0.35, 0.75, 1.1):
        for y in ((12, scene.reference_m - 3), (scene.reference_m + 3, 240)):
            b.box((fence - 0.01, fence + 0.01), y, (z - 0.012, z + 0.012), "steel")
    mast_right = scene.platform.edge_m + 2.6 if scene.platform else right + 2.2
    for y in np.arange(43, 520, 48):
        _mast(b, left - 2.3, y, scene.tracks[0].centre_m)
        _mast(b, mast_right, y, scene.tracks[-1].centre_m)
    for track in scene.tracks:
        for z in (5.55, 6.5):
            b.tube((track.centre_m, NEAR_M, z), (track.centre_m, FAR_M, z), 0.012, "dark", 4)
    x = left - 2.6
    b.tube((x, 75, -0.1), (x, 75, 4.6), 0.08, "steel")
    b.box((x - 0.25, x + 0.25), (74.85, 75.1), (3.3, 4.6), "black")
    b.tube((x, 74.84, 3.65), (x, 74.8, 3.65), 0.1, "signal_red", 14)
    b.box((left - 0.25, left + 0.35), (31.0, 31.6), (-0.12, 1.0), "tin")
    b.box((left - 0.28, left + 0.38), (30.97, 31.63), (1.0, 1.05), "steel")
    return b.mesh()


def lamp_places(scene: Scenario) -> list[tuple[float, float, float]]:
    """Where the lamps of the platform are; without one, of the path beside the line."""
    platform = scene.platform
    if platform is None:
        right = ballast_edges_m(scene)[1]
        return [(right + 2.5, float(y), 5.2) for y in range(24, 130, 20)]
    ys = range(round(platform.from_m) + 3, round(min(platform.to_m, 150)), 16)
    return [(platform.edge_m + 3.4, float(y), platform.height_m + 4.4) for y in ys]


def lamps(scene: Scenario) -> Mesh:
    """Lamp posts; their heads glow at night."""
    b = Builder()
    head = "lamp" if scene.light.kind == "night" else "lens"
    for x, y, z in lamp_places(scene):
        b.tube((x + 0.7, y, -0.1), (x + 0.7, y, z + 0.1), 0.05, "steel", 8)
        b.tube((x + 0.7, y, z + 0.1), (x, y, z + 0.06), 0.035, "steel", 6)
        b.box((x - 0.28, x + 0.2), (y - 0.09, y + 0.09), (z, z + 0.09), "steel")
        b.box((x - 0.25, x + 0.17), (y - 0.07, y + 0.07), (z - 0.03, z), head)
    return b.mesh()


def _mast(b: Builder, x: float, y: float, wire_x: float) -> None:
    b.box((x - 0.13, x + 0.13), (y - 0.13, y + 0.13), (-0.3, 7.6), "steel")
    b.box((x - 0.35, x + 0.35), (y - 0.35, y + 0.35), (-0.3, 0.2), "concrete")
    b.tube((x, y, 6.6), (wire_x, y, 6.5), 0.035, "steel", 6)
    b.tube((x, y, 5.7), (wire_x + 0.2 * np.sign(x - wire_x), y, 6.4), 0.03, "steel", 6)
