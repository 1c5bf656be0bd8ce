"""Every material of the scenes as a row of numbers; how Cycles shows them is in `materials`."""

from __future__ import annotations

from typing import NamedTuple

Rgb = tuple[float, float, float]


class Paint(NamedTuple):
    """Linear colours and surface of one material.

    `second` and `scale` mix another colour in by noise of so many spots a metre; `cells` adds grains of that many a
    metre; `bump` is the depth of the relief, `glow` the strength of its own light, `sharp` patches have edges.
    """

    colour: Rgb
    rough: float = 0.8
    second: Rgb | None = None
    scale: float = 0.0
    cells: float = 0.0
    bump: float = 0.0
    metal: float = 0.0
    glow: float = 0.0
    shine: float = 0.3
    sharp: bool = False


CLOTH: dict[str, Rgb] = {
    "white": (0.62, 0.61, 0.58), "cream": (0.55, 0.47, 0.31), "grey": (0.2, 0.2, 0.2),
    "charcoal": (0.035, 0.037, 0.042),
    "black": (0.012, 0.012, 0.013), "red": (0.36, 0.03, 0.028), "maroon": (0.13, 0.015, 0.022),
    "orange": (0.5, 0.13, 0.02), "mustard": (0.45, 0.24, 0.03), "olive": (0.09, 0.09, 0.035),
    "green": (0.03, 0.16, 0.05), "teal": (0.02, 0.17, 0.18), "sky": (0.2, 0.36, 0.52), "blue": (0.03, 0.1, 0.36),
    "navy": (0.018, 0.027, 0.07), "indigo": (0.035, 0.035, 0.13), "violet": (0.16, 0.04, 0.22),
    "brown": (0.1, 0.052, 0.028), "khaki": (0.26, 0.2, 0.11), "ballast": (0.135, 0.122, 0.105),
}  # fmt: skip

SKIN: tuple[Rgb, ...] = ((0.36, 0.19, 0.115), (0.2, 0.095, 0.055), (0.11, 0.05, 0.03), (0.5, 0.3, 0.21))
HAIR: tuple[Rgb, ...] = ((0.008, 0.006, 0.005), (0.02, 0.012, 0.007), (0.2, 0.19, 0.18))

PAINTS: dict[str, Paint] = {
    "ballast": Paint((0.075, 0.068, 0.06), 0.95, (0.19, 0.175, 0.155), 0.6, cells=14, bump=0.9),
    "stone": Paint((0.07, 0.062, 0.055), 0.95, (0.24, 0.22, 0.195), 3),
    "sleeper": Paint((0.15, 0.145, 0.135), 0.9, (0.3, 0.29, 0.27), 5, bump=0.3),
    "rail_side": Paint((0.075, 0.035, 0.02), 0.75, (0.14, 0.07, 0.045), 8),
    "rail_top": Paint((0.55, 0.55, 0.56), 0.28, metal=1.0),
    "soil": Paint((0.06, 0.075, 0.022), 0.98, (0.17, 0.135, 0.07), 0.35, bump=0.2),
    "path": Paint((0.17, 0.125, 0.08), 0.98, (0.25, 0.2, 0.135), 1.5, bump=0.2),
    "grass": Paint((0.045, 0.09, 0.018), 0.9, (0.16, 0.16, 0.045), 0.5),
    "leaf": Paint((0.018, 0.05, 0.012), 0.8, (0.055, 0.105, 0.025), 0.8),
    "bark": Paint((0.06, 0.042, 0.028), 0.9),
    "concrete": Paint((0.24, 0.235, 0.22), 0.9, (0.36, 0.35, 0.33), 2, bump=0.1),
    "paving": Paint((0.2, 0.19, 0.175), 0.9, (0.29, 0.275, 0.25), 0.9, cells=3.5, bump=0.12),
    "steel": Paint((0.19, 0.2, 0.2), 0.55, metal=0.6),
    "white": Paint((0.7, 0.7, 0.68), 0.6),
    "yellow": Paint((0.7, 0.44, 0.03), 0.6),
    "dark": Paint((0.018, 0.018, 0.02), 0.6),
    "black": Paint((0.006, 0.006, 0.007), 0.5),
    "glass": Paint((0.012, 0.017, 0.022), 0.06, shine=0.8),
    "cream": Paint((0.68, 0.6, 0.42), 0.4),
    "livery_red": Paint((0.42, 0.018, 0.014), 0.32, (0.34, 0.024, 0.02), 1.2, shine=0.5),
    "livery_blue": Paint((0.03, 0.09, 0.3), 0.32, (0.028, 0.075, 0.24), 1.2, shine=0.5),
    "livery_green": Paint((0.025, 0.15, 0.06), 0.32, (0.024, 0.12, 0.05), 1.2, shine=0.5),
    "livery_yellow": Paint((0.62, 0.36, 0.02), 0.35, (0.52, 0.3, 0.025), 1.2, shine=0.5),
    "coach": Paint((0.035, 0.1, 0.28), 0.38, (0.03, 0.085, 0.22), 0.8, shine=0.5),
    "coach_band": Paint((0.35, 0.46, 0.54), 0.45),
    "roof": Paint((0.22, 0.22, 0.22), 0.8, (0.13, 0.13, 0.13), 0.7),
    "headlamp": Paint((1.0, 0.93, 0.75), glow=14.0),
    "lens": Paint((0.5, 0.5, 0.48), 0.1, shine=0.8),
    "signal_red": Paint((1.0, 0.03, 0.02), glow=9.0),
    "lamp": Paint((1.0, 0.72, 0.4), glow=30.0),
    "wall": Paint((0.5, 0.38, 0.25), 0.85, (0.4, 0.3, 0.2), 0.6),
    "tin": Paint((0.26, 0.31, 0.34), 0.5, metal=0.3),
    "bench": Paint((0.035, 0.1, 0.28), 0.4),
    "shoe": Paint((0.02, 0.015, 0.012), 0.5),
    "vest_orange": Paint((0.85, 0.16, 0.01), 0.6, glow=0.12),
    "vest_yellow": Paint((0.6, 0.75, 0.03), 0.6, glow=0.12),
    "helmet_white": Paint((0.72, 0.72, 0.7), 0.25, shine=0.5),
    "helmet_yellow": Paint((0.8, 0.5, 0.02), 0.25, shine=0.5),
    "helmet_orange": Paint((0.8, 0.2, 0.02), 0.25, shine=0.5),
    "reflective": Paint((0.75, 0.75, 0.72), 0.4, glow=0.25),
    "hide_brown": Paint((0.11, 0.045, 0.018), 0.85, (0.6, 0.56, 0.48), 1.6, sharp=True),
    "hide_white": Paint((0.55, 0.51, 0.44), 0.85, (0.42, 0.38, 0.31), 2),
    "hide_black": Paint((0.015, 0.013, 0.012), 0.8, (0.6, 0.57, 0.5), 1.6, sharp=True),
    "udder": Paint((0.5, 0.26, 0.2), 0.7),
    "horn": Paint((0.3, 0.25, 0.18), 0.5),
}


def cloth(colour: str) -> Paint:
    """The material of a garment: a weave that is a little darker in its folds."""
    red, green, blue = CLOTH[colour]
    return Paint((red, green, blue), 0.88, (red * 0.72, green * 0.72, blue * 0.72), 11)
