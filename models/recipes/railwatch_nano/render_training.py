"""Render pictures for training, with boxes: random layouts of `layouts.py`, a few moments of each.

    python -m models.recipes.railwatch_nano.render_training OUT [--layouts 120] [--moments 6] [--first 0]

Runs in the environment of the scenes (scenes/requirements.txt, Python 3.11). A layout costs one still background and
then, for each moment, the regions in which somebody moves. Writes OUT/NNNN_M.jpg with its boxes (.json) and the numbers
of its actors at every pixel (.png); what is there is not rendered again, so that a run that was broken off goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import bpy
import cv2
import numpy as np

from models.recipes.railwatch_nano.layouts import layout
from scenes import stage
from scenes.cast import Actor, cast_of
from scenes.masks import mask_box
from scenes.picture import Bytes, finished, pasted
from scenes.region import changed
from scenes.render import shot
from scenes.scenario import Scenario

BACKGROUND_SAMPLES, SAMPLES = 16, 5
LEAST_PX = 10
"""Fewer visible pixels than this are no object: the box would be noise."""


def main() -> None:
    """Read the command line and render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layouts", type=int, default=120)
    parser.add_argument("--moments", type=int, default=6)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in range(given.first, given.first + given.layouts):
        if (given.out / f"{seed:04d}_{given.moments}.json").exists():
            continue
        start = time.monotonic()
        try:
            render_layout(seed, given.out, given.moments, given.threads)
        except ValueError as error:  # a person would have to jump: the scenario is refused, the next seed is as good
            print(f"{seed}: left out, {error}", file=sys.stderr)
            continue
        print(f"{seed}: {time.monotonic() - start:.1f} s", flush=True)


def render_layout(seed: int, out: Path, moments: int, threads: int) -> None:
    """The empty scene as moment 0, then `moments` pictures spread over its time."""
    scene = layout(seed)
    actors = cast_of(scene)
    puppets = stage.build(scene, actors)
    stage.set_up_cycles(threads, scene.light.kind)
    stage.write_masks_to(out)
    width, height = scene.camera.size_px
    stage.hide(puppets, hidden=True)
    stage.move(puppets, 0.0)
    background, empty = shot(out, (0, 0, width, height), (width, height), BACKGROUND_SAMPLES, seed=seed)
    stage.hide(puppets, hidden=False)
    write(out / f"{seed:04d}_0", scene, actors, background, empty, 0)
    for moment in range(1, moments + 1):
        index = round((moment - 0.5) / moments * (scene.frames - 1))
        stage.move(puppets, index / scene.fps)
        picture, mask = background, empty.copy()
        for region in changed(scene, actors, index / scene.fps):
            patch, numbers = shot(out, region, (width, height), SAMPLES, seed=index)
            picture = pasted(picture, patch, region)
            mask[region[1] : region[3], region[0] : region[2]] = numbers
        write(out / f"{seed:04d}_{moment}", scene, actors, picture, mask, index)


def write(stem: Path, scene: Scenario, actors: list[Actor], picture: Bytes, mask: Bytes, index: int) -> None:
    """The picture as the camera gives it, and a box around the visible pixels of every actor."""
    boxes = []
    for actor in actors:
        mine = mask == actor.number
        box = mask_box(mine)
        if box is not None and int(mine.sum()) >= LEAST_PX:
            boxes.append({"number": actor.number, "class_name": actor.class_name, "xyxy": box.tolist()})
    done, data = cv2.imencode(".jpg", finished(picture, scene, index)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise OSError(f"{stem}.jpg could not be written")
    stem.with_suffix(".jpg").write_bytes(data.tobytes())
    notes = {"light": scene.light.kind, "fog_m": scene.weather.fog_visibility_m, "boxes": boxes}
    done, data = cv2.imencode(".png", mask)
    stem.with_suffix(".png").write_bytes(data.tobytes())
    stem.with_suffix(".json").write_text(json.dumps(notes), encoding="utf-8")


if __name__ == "__main__":
    bpy.context.preferences.edit.undo_steps = 0
    np.seterr(invalid="ignore")
    main()
