"""Hold the truth of finished clips against pixels, by routes that share no code with it.

    python -m scenes.verify demo night      these; without names every clip in scenes/clips
    python -m scenes.verify --again demo    also renders the frames again and compares them with the clip

On three frames of every clip:
- ground points: Blender renders a small glowing ball at each in an otherwise black world; its centre of light must lie
  within 1 px of `ground_px`, and so must Blender's own `world_to_camera_view`;
- boxes: Blender renders each actor alone against nothing; the box around its pixels must overlap `xyxy_px` by
  IoU >= 0.9; and it renders the whole frame at once, at twice the size, with nothing pasted: the box around the pixels
  of each actor there must overlap `visible_xyxy_px` by IoU >= 0.9 where at least 40 pixels are seen.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import bpy
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from rich.console import Console
from rich.table import Table

from scenes import scenario as script
from scenes import stage
from scenes.camera import Floats, pinhole, shake_rad, shaken
from scenes.cast import cast_of
from scenes.masks import box_iou, mask_box
from scenes.picture import Bytes, finished
from scenes.render import BACKGROUND_SAMPLES, shot
from scenes.workplace import CLIPS, SCENARIOS

WITHIN_PX = 1.0
LEAST_IOU = 0.9
LEAST_VISIBLE_PX = 40
LEAST_PSNR_DB = 28.0


class Finding(NamedTuple):
    """One comparison: `value` is pixels of distance, IoU or dB; `good` whether it is within the bar."""

    scene: str
    frame: int
    what: str
    value: float
    good: bool


def verify(name: str, clips: Path, folder: Path, threads: int, *, again: bool) -> list[Finding]:
    """All comparisons of a clip."""
    scene = script.load(SCENARIOS / f"{name}.yaml")
    truth = json.loads((clips / f"{name}.truth.json").read_text(encoding="utf-8"))
    puppets = stage.build(scene, cast_of(scene))
    stage.set_up_cycles(threads, scene.light.kind)
    stage.write_masks_to(folder)
    found: list[Finding] = []
    for index in (scene.frames // 4, scene.frames // 2, 3 * scene.frames // 4):
        frame = truth["frames"][index]
        stage.move(puppets, index / scene.fps)
        sway = shaken(pinhole(scene.camera), shake_rad(scene.camera, scene.seed, index / scene.fps))
        rows = [*_boxes(scene, puppets, frame, folder, sway), *_ground(scene, puppets, frame, folder, sway)]
        if again:
            rows.append(("clip", _psnr(scene, clips / f"{name}.mp4", index, folder)))
        found += [Finding(name, index, what, value, _good(what, value)) for what, value in rows]
    return found


def _good(what: str, value: float) -> bool:
    if what.startswith("ground"):
        return value <= WITHIN_PX
    return value >= (LEAST_PSNR_DB if what == "clip" else LEAST_IOU)


Rows = Iterator[tuple[str, float]]


def _boxes(scene: script.Scenario, puppets: Sequence[stage.Puppet], frame: Any, folder: Path, sway: Floats) -> Rows:  # noqa: ANN401
    """IoU of the boxes of every actor in the frame."""
    whole = _numbers(scene, folder, scale=2)
    for row in frame["objects"]:
        actor = next(puppet.actor for puppet in puppets if puppet.actor.id == row["id"])
        if row["visible_px"] >= LEAST_VISIBLE_PX:
            box = _swayed_box(mask_box(whole == actor.number, 2), sway)
            yield f"visible {actor.id}", 0.0 if box is None else box_iou(box, row["visible_xyxy_px"])
        with _alone(puppets, actor.id):
            box = _swayed_box(mask_box(_numbers(scene, folder, scale=2) == actor.number, 2), sway)
        yield f"box {actor.id}", 0.0 if box is None else box_iou(box, row["xyxy_px"])


def _swayed_box(box: Floats | None, sway: Floats) -> Floats | None:
    """A box of the resting camera moved to where the swaying one sees its middle; it turns too little to tell."""
    if box is None:
        return None
    middle = np.array([*(box[:2] + box[2:]) / 2, 1.0])
    moved = sway @ middle
    shift = moved[:2] / moved[2] - middle[:2]
    return box + np.concatenate([shift, shift])


def _numbers(scene: script.Scenario, folder: Path, scale: int) -> Bytes:
    """The numbers of the actors (h, w), from one sample a pixel of a larger frame."""
    blender = bpy.context.scene
    width, height = (scale * side for side in scene.camera.size_px)
    blender.render.resolution_x, blender.render.resolution_y = width, height
    blender.cycles.use_denoising = False
    try:
        return shot(folder, (0, 0, width, height), (width, height), 1, seed=0)[1]
    finally:
        blender.render.resolution_x, blender.render.resolution_y = scene.camera.size_px
        blender.cycles.use_denoising = True


class _alone:  # noqa: N801 - used like a function in a with statement
    """Within it only one actor, or none, is rendered."""

    def __init__(self, puppets: Sequence[stage.Puppet], actor_id: str | None) -> None:
        self._kept = {obj for puppet in puppets if puppet.actor.id == actor_id for obj in puppet.objects.values()}
        self._hidden: list[Any] = []

    def __enter__(self) -> None:
        for shown in bpy.context.scene.objects:
            if shown.type in ("MESH", "LIGHT") and not shown.hide_render and shown not in self._kept:
                shown.hide_render = True
                self._hidden.append(shown)

    def __exit__(self, *_: object) -> None:
        for shown in self._hidden:
            shown.hide_render = False


def _ground(scene: script.Scenario, puppets: Sequence[stage.Puppet], frame: Any, folder: Path, sway: Floats) -> Rows:  # noqa: ANN401
    """Pixels between `ground_px` and where Blender puts the same point, by its own projection and by rendering."""
    width, height = scene.camera.size_px
    for row in frame["objects"]:
        if "ground_m" not in row or not (0 <= row["ground_px"][0] < width and 0 <= row["ground_px"][1] < height):
            continue
        point = Vector(row["ground_m"])
        across, up, _ = world_to_camera_view(bpy.context.scene, bpy.context.scene.camera, point)
        with _alone(puppets, None):
            light = _ball_px(scene, row["ground_m"], folder)
        for what, pixel in (("projected", np.array([across * width, (1 - up) * height])), ("rendered", light)):
            moved = sway @ np.array([*pixel, 1.0])
            distance = float(np.linalg.norm(moved[:2] / moved[2] - row["ground_px"]))
            yield f"ground {what} {row['id']}", distance


def _ball_px(scene: script.Scenario, place_m: Sequence[float], folder: Path) -> Floats:
    """The centre of light (2,) of a glowing ball about three pixels wide at a place, in a black world."""
    blender = bpy.context.scene
    view = pinhole(scene.camera)
    distance = float(np.linalg.norm(np.array(place_m) - view.position_m))
    bpy.ops.mesh.primitive_uv_sphere_add(
        segments=16, ring_count=8, radius=3.0 * distance / view.k[0, 0], location=place_m
    )
    ball = bpy.context.object
    glow = bpy.data.materials.new("glow")
    glow.use_nodes = True
    glow.node_tree.nodes["Principled BSDF"].inputs["Emission Color"].default_value = (1, 1, 1, 1)
    glow.node_tree.nodes["Principled BSDF"].inputs["Emission Strength"].default_value = 5
    ball.data.materials.append(glow)
    world, blender.world = blender.world, bpy.data.worlds.new("black")
    nodes, blender.use_nodes = blender.use_nodes, True
    try:
        picture, _ = shot(folder, (0, 0, *scene.camera.size_px), scene.camera.size_px, 16, seed=0)
    finally:
        bpy.data.objects.remove(ball)
        blender.world, blender.use_nodes = world, nodes
    light = picture.astype(float).sum(axis=2)
    light[light < light.max() * 0.2] = 0
    rows, columns = np.indices(light.shape)
    return np.array([((columns + 0.5) * light).sum(), ((rows + 0.5) * light).sum()]) / light.sum()


def _psnr(scene: script.Scenario, clip: Path, index: int, folder: Path) -> float:
    """How near the clip's frame is to the frame rendered again as a whole, in dB."""
    samples = BACKGROUND_SAMPLES[scene.light.kind] // 2
    picture, _ = shot(folder, (0, 0, *scene.camera.size_px), scene.camera.size_px, samples, seed=index)
    quiet_scene = scene.model_copy(update={"camera": scene.camera.model_copy(update={"noise": 0.0})})
    expected = finished(picture, quiet_scene, index).astype(float)
    with av.open(str(clip)) as container:
        shown = next(f for number, f in enumerate(container.decode(video=0)) if number == index)
    error = float(np.mean((shown.to_ndarray(format="rgb24").astype(float) - expected) ** 2))
    return 10 * np.log10(255**2 / max(error, 1e-9))


def main() -> None:
    """Read the command line; exit with 1 when anything is beyond its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    names = given.names or sorted(path.name.split(".")[0] for path in given.clips.glob("*.truth.json"))
    found: list[Finding] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            found += verify(name, given.clips, Path(folder), given.threads, again=given.again)
    table = Table("scene", "frame", "what", "value", "")
    for row in found:
        table.add_row(row.scene, str(row.frame), row.what, f"{row.value:.3f}", "" if row.good else "BEYOND THE BAR")
    Console().print(table)
    bad = sum(not row.good for row in found)
    sys.exit(f"{bad} of {len(found)} comparisons are beyond their bar" if bad else 0)


if __name__ == "__main__":
    main()
