"""Render the person whom the self-test puts into the picture: cut out, with the light of an overcast day.

    python -m scenes.intruder        writes railwatch/perception/intruder.png

Needs the environment of scenes/requirements.txt (Python 3.11).
"""

from __future__ import annotations

from pathlib import Path

import bpy
import cv2
import numpy as np

from scenes import scenario as script
from scenes import stage
from scenes.cast import cast_of
from scenes.render import quiet
from scenes.workplace import scenario_paths

OUT = Path(__file__).resolve().parent.parent / "railwatch" / "perception" / "intruder.png"
SCENARIO = "stops"
AT_S = 1.0
SIZE_PX = (320, 512)
SAMPLES = 256


def main() -> None:
    """Render, and cut away what is empty around the person."""
    scene = script.load(next(iter(scenario_paths([SCENARIO]))))
    actors = [actor for actor in cast_of(scene) if actor.id == "walker"]
    centre = actors[0].thing.at(AT_S).ground_m
    eye = (float(centre[0]) - 2.2, float(centre[1]) - 9.0, 3.4)
    look_at = (float(centre[0]), float(centre[1]), float(centre[2]) + 0.85)
    camera = scene.camera.model_copy(
        update={"position_m": eye, "look_at_m": look_at, "hfov_deg": 9.5, "size_px": SIZE_PX}
    )
    light = scene.light.model_copy(update={"kind": "overcast"})
    scene = scene.model_copy(update={"camera": camera, "light": light})
    puppets = stage.build(scene, actors)
    stage.set_up_cycles(2, "overcast")
    stage.move(puppets, AT_S)
    shown = {made for puppet in puppets for made in puppet.objects.values()}
    for made in bpy.data.objects:
        if made.type == "MESH" and made not in shown:
            made.hide_render = True
    blender = bpy.context.scene
    blender.render.film_transparent = True
    blender.render.image_settings.color_mode = "RGBA"
    blender.cycles.samples = SAMPLES
    blender.render.filepath = str(OUT)
    with quiet():
        bpy.ops.render.render(write_still=True)
    cut_out(OUT)


def cut_out(path: Path) -> None:
    """Cut a PNG with alpha down to what is not empty."""
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    seen = picture[..., 3] > 8
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    kept = np.ascontiguousarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    path.write_bytes(cv2.imencode(".png", kept)[1].tobytes())


if __name__ == "__main__":
    main()
