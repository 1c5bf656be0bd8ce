"""Random layouts of trackside scenes for training: never those of scenes/scenarios, whose clips are for testing.

Seeds begin at `FIRST_SEED`; the scenarios that are tested use seeds below it, and their cameras and people are written
by hand. Needs only the light part of `scenes` (pydantic, numpy).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from scenes.camera import pinhole, project
from scenes.scenario import Camera, Scenario

FIRST_SEED = 100_000
FPS, DURATION_S = 10, 40.0
COLOURS = (
    "white", "cream", "grey", "charcoal", "black", "red", "maroon", "orange", "mustard", "olive",
    "green", "teal", "sky", "blue", "navy", "indigo", "violet", "brown", "khaki", "ballast",
)  # fmt: skip
LIVERIES = ("red", "blue", "green", "yellow")
FIGURES = ("man", "woman", "stout_man", "slim_man", "stout_woman", "child")


def layout(seed: int) -> Scenario:
    """The scenario of a seed: camera, light, weather, tracks, and who is there.

    >>> layout(FIRST_SEED) == layout(FIRST_SEED)
    True
    """
    rng = np.random.default_rng([FIRST_SEED, seed])
    tracks, platform = _tracks(rng)
    camera = _camera(rng, tracks)
    light, weather = _light(rng)
    far = 30.0 if light["kind"] == "night" else 95.0
    return Scenario.model_validate(
        {
            "name": f"training_{seed}",
            "title": f"Training layout {seed}",
            "negative": True,
            "duration_s": DURATION_S,
            "fps": FPS,
            "seed": FIRST_SEED + seed,
            "camera": camera,
            "light": light,
            "weather": weather,
            "tracks": tracks,
            "platform": platform,
            "reference_m": float(rng.uniform(18, 45)),
            "people": _people(rng, camera, platform, far),
            "trains": _trains(rng, tracks),
            "animals": _animals(rng, camera, platform),
        }
    )


def _tracks(rng: np.random.Generator) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    count = int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
    apart = float(rng.uniform(4.2, 5.2))
    gauge = int(rng.choice([1000, 1435, 1676]))
    tracks = [{"id": f"t{n}", "centre_m": round(n * apart, 2), "gauge_mm": gauge} for n in range(count)]
    if rng.random() < 0.5:
        return tracks, None
    edge = round((count - 1) * apart + float(rng.uniform(1.65, 1.9)), 2)
    return tracks, {
        "edge_m": edge,
        "height_m": round(float(rng.uniform(0.3, 1.1)), 2),
        "from_m": round(float(rng.uniform(15, 40)), 1),
        "to_m": round(float(rng.uniform(150, 220)), 1),
    }


def _camera(rng: np.random.Generator, tracks: list[dict[str, Any]]) -> dict[str, Any]:
    last = tracks[-1]["centre_m"]
    place = rng.choice(["left", "above", "right", "cab"], p=[0.45, 0.2, 0.15, 0.2])
    across = {"left": (-9.0, -2.5), "above": (-1.5, last + 1.5), "right": (last + 2.5, last + 5.5), "cab": (-0.3, 0.3)}
    height = {"left": (2.2, 8.0), "above": (4.5, 9.0), "right": (2.5, 7.0), "cab": (2.0, 3.2)}
    x, z = float(rng.uniform(*across[place])), float(rng.uniform(*height[place]))
    distance = float(rng.uniform(16, 60))
    target = float(rng.uniform(-3.0, last + 3.0)) if place != "cab" else float(rng.uniform(-1, 1))
    return {
        "position_m": (x, 0.0, z),
        "look_at_m": (target, distance, float(rng.uniform(0.0, 2.0))),
        "hfov_deg": float(rng.choice([rng.uniform(22, 40), rng.uniform(40, 72)])),
        "noise": float(rng.uniform(0.5, 5.0)),
    }


def _light(rng: np.random.Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    kind = str(rng.choice(["sun", "overcast", "night"], p=[0.5, 0.3, 0.2]))
    light = {"kind": kind, "strength": float(rng.uniform(0.5, 1.4))}
    if kind == "sun":
        light |= {"sun_elevation_deg": float(rng.uniform(8, 75)), "sun_azimuth_deg": float(rng.uniform(-180, 180))}
    if kind == "night":
        light |= {"sun_elevation_deg": 5.0, "sun_azimuth_deg": 200.0}
    foggy = kind != "night" and rng.random() < (0.35 if kind == "overcast" else 0.1)
    weather = {"fog_visibility_m": float(rng.uniform(90, 500)) if foggy else None, "rain": bool(rng.random() < 0.12)}
    return light, weather


def _somewhere(
    rng: np.random.Generator, camera: dict[str, Any], platform: dict[str, Any] | None, near: float, far: float
) -> tuple[float, float]:
    """A ground point that the camera sees, near ones as likely as far ones on the scale of sizes."""
    view = pinhole(Camera.model_validate(camera))
    x = y = 0.0
    for _ in range(60):
        y = near * (far / near) ** float(rng.random())
        x = float(rng.uniform(-13, platform["edge_m"] + 5.8 if platform else 20))
        pixels, depth = project(view.matrix, [[x, y, 0.0], [x, y, 1.5]])
        if (depth > 1).all() and ((pixels > 4) & (pixels < np.array(view.size_px) - 4)).all():
            break
    return round(x, 2), round(y, 2)


def _people(
    rng: np.random.Generator, camera: dict[str, Any], platform: dict[str, Any] | None, far: float
) -> list[dict[str, Any]]:
    if rng.random() < 0.06:
        return []
    count = int(rng.choice([2, 4, 7, 11, 16], p=[0.2, 0.25, 0.25, 0.2, 0.1]))
    near = max(9.0, 1.7 * 320 / float(np.tan(np.radians(camera["hfov_deg"]) / 2)) / 230)
    together = _somewhere(rng, camera, platform, near, far) if rng.random() < 0.3 else None
    people = []
    for number in range(count):
        x, y = _somewhere(rng, camera, platform, near, far)
        if together and rng.random() < 0.7:
            x = round(together[0] + float(rng.normal(0, 1.2)), 2)
            y = round(max(together[1] + float(rng.normal(0, 1.5)), near), 2)
        people.append(_person(rng, number, (x, y), platform))
    return people


def _person(
    rng: np.random.Generator, number: int, place: tuple[float, float], platform: dict[str, Any] | None
) -> dict[str, Any]:
    wears = {"shirt": str(rng.choice(COLOURS)), "trousers": str(rng.choice(COLOURS))}
    if rng.random() < 0.15:
        wears |= {"vest": str(rng.choice(["orange", "yellow"])), "helmet": str(rng.choice(["white", "yellow"]))}
    return {
        "id": f"p{number}",
        "at_m": place,
        "facing_deg": float(rng.uniform(-180, 180)),
        "figure": str(rng.choice(FIGURES)),
        "clothing": wears,
        "actions": _actions(rng, *place, platform),
    }


def _actions(rng: np.random.Generator, x: float, y: float, platform: dict[str, Any] | None) -> list[dict[str, Any]]:
    does = rng.choice(["walk", "stand", "fall", "lie"], p=[0.6, 0.22, 0.08, 0.1])
    if does == "stand":
        return [
            {"do": "stand", "for_s": 14.0, "facing_deg": float(rng.uniform(-180, 180))},
            {"do": "stand", "for_s": 26.0, "facing_deg": float(rng.uniform(-180, 180))},
        ]
    if does == "lie":
        return [{"do": "lie", "for_s": DURATION_S, "facing_deg": float(rng.uniform(-180, 180))}]
    if does == "fall":
        return [{"do": "stand", "for_s": float(rng.uniform(5, 25))}, {"do": "fall"}, {"do": "lie", "for_s": DURATION_S}]
    raised = platform is not None and x >= platform["edge_m"] and platform["from_m"] <= y <= platform["to_m"]
    low = platform["edge_m"] + 0.4 if platform and raised else -14.0
    high = platform["edge_m"] - 0.3 if platform and not raised else 20.0
    points = []
    for _ in range(3):
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(3, 10)
        x = float(np.clip(x + length * np.cos(angle), low, max(high, low + 1)))
        y = float(max(y + length * np.sin(angle), 9.0))
        points.append((round(x, 2), round(y, 2)))
    return [{"do": "walk", "through_m": points, "speed_mps": float(rng.uniform(0.7, 1.7))}]


def _trains(rng: np.random.Generator, tracks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if rng.random() < 0.55:
        return []
    train = {
        "id": "train",
        "track": str(rng.choice([track["id"] for track in tracks])),
        "livery": str(rng.choice(LIVERIES)),
        "coaches": int(rng.integers(0, 10)),
        "headlights": bool(rng.random() < 0.7),
    }
    if rng.random() < 0.3:
        return [train | {"front_m": float(rng.uniform(25, 150)), "speed_mps": 0.0}]
    speed = float(rng.uniform(6, 14))
    if rng.random() < 0.7:
        return [train | {"front_m": float(rng.uniform(100, 420)), "speed_mps": speed}]
    return [train | {"front_m": float(rng.uniform(-20, 40)), "speed_mps": speed, "heading": "away"}]


def _animals(rng: np.random.Generator, camera: dict[str, Any], platform: dict[str, Any] | None) -> list[dict[str, Any]]:
    if rng.random() < 0.65:
        return []
    return [
        {
            "id": f"cow{n}",
            "at_m": _somewhere(rng, camera, platform, 12.0, 70.0),
            "facing_deg": float(rng.uniform(-180, 180)),
            "speed_mps": float(rng.choice([0.0, 0.1, 0.3])),
            "colour": str(rng.choice(["brown", "white", "black"])),
        }
        for n in range(int(rng.integers(1, 4)))
    ]
