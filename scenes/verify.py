"""Hold the truth of finished clips against pixels, by routes that share no code with it.

    python -m scenes.verify demo night      these; without names every clip in scenes/clips
    python -m scenes.verify --again demo    also renders the frames again and compares them with the clip (slow)

On three frames of every clip:
- ground points: Blender renders a small glowing ball at each in an otherwise black world; its centre of light must lie
  within 1 px of `ground_px`, and so must Blender's own `world_to_camera_view`;
- boxes: Blender renders each actor alone against nothing; the box around its pixels must overlap `xyxy_px` by
  IoU >= 0.9; and it renders the whole frame at once, four times as fine, with nothing pasted: the box around the pixels
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
from scenes.lighting import FOG_NODE
from scenes.masks import box_iou, mask_box
from scenes.picture import Bytes, finished
from scenes.render import for_numbers, numbers_of, render_background, render_frame, shot, whole
from scenes.workplace import CLIPS, SCENARIOS, Workplace, read_picture

WITHIN_PX = 1.0
LEAST_IOU = 0.9
LEAST_VISIBLE_PX = 40
LEAST_PSNR_DB = 33.0
FINER = 4
"""Another fineness than that of the masks behind the truth, so that the two fall on different pixels."""


class Finding(NamedTuple):
    """One comparison: `value` is pixels of distance, IoU or dB; `good` whether it is within the bar."""

    scene: str
    frame: int
    what: str
    value: float
    good: bool


def verify(name: str, clips: Path, folder: Path, threads: int, *, again: bool) -> list[Finding]:
    """All comparisons of a clip: first with the whole scene, then with all that stands still left out."""
    scene = script.load(SCENARIOS / f"{name}.yaml")
    truth = json.loads((clips / f"{name}.truth.json").read_text(encoding="utf-8"))
    puppets = stage.build(scene, cast_of(scene))
    stage.set_up_cycles(threads, scene.light.kind)
    stage.write_masks_to(folder)
    indices = (scene.frames // 4, scene.frames // 2, 3 * scene.frames // 4)
    found: list[Finding] = []

    def hold(index: int, rows: Rows) -> None:
        found.extend(Finding(name, index, what, value, _good(what, value)) for what, value in rows)

    for index in indices:
        stage.move(puppets, index / scene.fps)
        hold(index, _visible(scene, puppets, truth["frames"][index], folder))
        if again:
            hold(index, iter([("clip", _psnr(scene, puppets, clips / f"{name}.mp4", index, folder))]))
    show_only(None, puppets)
    for index in indices:
        stage.move(puppets, index / scene.fps)
        hold(index, _whole(scene, puppets, truth["frames"][index], folder))
        hold(index, _ground(scene, truth["frames"][index], folder))
    return sorted(found, key=lambda finding: finding.frame)


def _good(what: str, value: float) -> bool:
    if what.startswith("ground"):
        return value <= WITHIN_PX
    return value >= (LEAST_PSNR_DB if what == "clip" else LEAST_IOU)


Rows = Iterator[tuple[str, float]]
Frame = dict[str, Any]


def _sway(scene: script.Scenario, frame: Frame) -> Floats:
    return shaken(pinhole(scene.camera), shake_rad(scene.camera, scene.seed, frame["t_s"]))


def _visible(scene: script.Scenario, puppets: Sequence[stage.Puppet], frame: Frame, folder: Path) -> Rows:
    """IoU of the boxes of what is seen of every actor."""
    shown = _numbers(scene, folder)
    for row in frame["objects"]:
        number = next(puppet.actor.number for puppet in puppets if puppet.actor.id == row["id"])
        if row["visible_px"] >= LEAST_VISIBLE_PX:
            box = _swayed_box(mask_box(shown == number, FINER), _sway(scene, frame))
            yield f"visible {row['id']}", 0.0 if box is None else box_iou(box, row["visible_xyxy_px"])


def _whole(scene: script.Scenario, puppets: Sequence[stage.Puppet], frame: Frame, folder: Path) -> Rows:
    """IoU of the boxes of every actor, each rendered with nothing else in the world."""
    for row in frame["objects"]:
        show_only(row["id"], puppets)
        number = next(puppet.actor.number for puppet in puppets if puppet.actor.id == row["id"])
        box = _swayed_box(mask_box(_numbers(scene, folder) == number, FINER), _sway(scene, frame))
        yield f"box {row['id']}", 0.0 if box is None else box_iou(box, row["xyxy_px"])
    show_only(None, puppets)


def _swayed_box(box: Floats | None, sway: Floats) -> Floats | None:
    """A box of the resting camera moved to where the swaying one sees its middle; it turns too little to tell."""
    if box is None:
        return None
    middle = np.array([*(box[:2] + box[2:]) / 2, 1.0])
    moved = sway @ middle
    shift = moved[:2] / moved[2] - middle[:2]
    return box + np.concatenate([shift, shift])


def _numbers(scene: script.Scenario, folder: Path) -> Bytes:
    """The numbers of the actors (4 h, 4 w) in the whole frame."""
    with for_numbers(scene, FINER):
        return numbers_of(scene, folder, whole(scene), FINER)


def show_only(actor_id: str | None, puppets: Sequence[stage.Puppet]) -> None:
    """Leave everything out of the picture but one actor."""
    kept = {shown.name for puppet in puppets if puppet.actor.id == actor_id for shown in puppet.objects.values()}
    for shown in bpy.context.scene.objects:
        if shown.type in ("MESH", "LIGHT"):
            shown.hide_render = shown.name not in kept


def _ground(scene: script.Scenario, frame: Frame, folder: Path) -> Rows:
    """Pixels between `ground_px` and where Blender puts the same point, by its own projection and by rendering."""
    width, height = scene.camera.size_px
    for row in frame["objects"]:
        if "ground_m" not in row or not (0 <= row["ground_px"][0] < width and 0 <= row["ground_px"][1] < height):
            continue
        point = Vector(row["ground_m"])
        across, up, _ = world_to_camera_view(bpy.context.scene, bpy.context.scene.camera, point)
        light = _ball_px(scene, row["ground_m"], folder)
        for what, pixel in (("projected", np.array([across * width, (1 - up) * height])), ("rendered", light)):
            moved = _sway(scene, frame) @ np.array([*pixel, 1.0])
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
    fog = blender.node_tree.nodes.get(FOG_NODE)
    if fog is not None:
        through, fog.inputs[0].default_value = fog.inputs[0].default_value, 1.0
    world, blender.world = blender.world, bpy.data.worlds.new("black")
    blender.world.color = (0, 0, 0)
    try:
        picture, _ = shot(folder, (0, 0, *scene.camera.size_px), scene.camera.size_px, 16, seed=0)
    finally:
        bpy.data.objects.remove(ball)
        blender.world = world
        if fog is not None:
            fog.inputs[0].default_value = through
    light = picture.astype(float).sum(axis=2)
    light[light < light.max() * 0.2] = 0
    rows, columns = np.indices(light.shape)
    return np.array([((columns + 0.5) * light).sum(), ((rows + 0.5) * light).sum()]) / light.sum()


def _psnr(scene: script.Scenario, puppets: Sequence[stage.Puppet], clip: Path, index: int, folder: Path) -> float:
    """How near the clip's frame is to the frame rendered again from the scenario, in dB; the rest is the codec's."""
    place = Workplace(folder)
    render_background(scene, puppets, place)
    render_frame(scene, [puppet.actor for puppet in puppets], puppets, place, index)
    expected = finished(read_picture(place.frame(index)), scene, index).astype(float)
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
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found += verify(name, given.clips, Path(folder), given.threads, again=given.again)
    table = Table("scene", "frame", "what", "value", "")
    for row in found:
        table.add_row(row.scene, str(row.frame), row.what, f"{row.value:.3f}", "" if row.good else "BEYOND THE BAR")
    Console().print(table)
    bad = sum(not row.good for row in found)
    sys.exit(f"{bad} of {len(found)} comparisons are beyond their bar" if bad else 0)


if __name__ == "__main__":
    main()
