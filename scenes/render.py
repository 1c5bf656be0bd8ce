"""Render scenarios to frames, then to clips with their truth.

    python -m scenes.render                  every scenario of scenes/scenarios
    python -m scenes.render demo night       these; a run that was broken off goes on where it stopped
    python -m scenes.render demo --still 5   one frame, as PNG
    python -m scenes.render demo --truth     only the masks, and the truth that follows from them

Needs the environment of scenes/requirements.txt (Python 3.11).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scenes import scenario as script
from scenes import stage
from scenes.cast import Actor, cast_of
from scenes.encode import encode, write_truth
from scenes.masks import MASK_FINER
from scenes.picture import Bytes, pasted
from scenes.region import Region, changed
from scenes.workplace import BUILD, Workplace, read_picture, scenario_paths, workplace_of, write_picture

SAMPLES = {"sun": 12, "overcast": 12, "night": 14}
BACKGROUND_SAMPLES = {"sun": 64, "overcast": 64, "night": 96}
MASK_STEM = "rendered_mask_"


def render_scene(path: Path, build: Path, threads: int, *, fresh: bool = False, truth_only: bool = False) -> Workplace:
    """Render what is missing of a scene and encode it; with `truth_only` no pictures and no clip."""
    scene = script.load(path)
    if fresh:
        shutil.rmtree(build / scene.name, ignore_errors=True)
    place = workplace_of(scene, build)
    actors = cast_of(scene)
    frames, masks = [] if truth_only else place.missing(scene), place.missing_masks(scene)
    if frames or masks:
        puppets = set_stage(scene, actors, place, threads)
        if frames:
            render_background(scene, puppets, place)
        with progress_of(f"{scene.name} frames", len(frames)) as advance:
            for index in frames:
                render_frame(scene, actors, puppets, place, index)
                advance()
        with progress_of(f"{scene.name} masks", len(masks)) as advance, for_numbers(scene, MASK_FINER):
            for index in masks:
                render_mask(scene, actors, puppets, place, index)
                advance()
    if truth_only:
        write_truth(scene, actors, place)
    else:
        encode(scene, actors, place)
    return place


def set_stage(scene: script.Scenario, actors: Sequence[Actor], place: Workplace, threads: int) -> list[stage.Puppet]:
    """Build the Blender scene, ready to render with masks."""
    puppets = stage.build(scene, actors)
    stage.set_up_cycles(threads, scene.light.kind)
    stage.write_masks_to(place.folder)
    return puppets


def render_background(scene: script.Scenario, puppets: Sequence[stage.Puppet], place: Workplace) -> None:
    """The scene without what moves, once, with many samples."""
    if place.background.exists():
        return
    stage.hide(puppets, hidden=True)
    stage.move(puppets, 0.0)
    samples = BACKGROUND_SAMPLES[scene.light.kind]
    picture, _ = shot(place.folder, whole(scene), scene.camera.size_px, samples, seed=0)
    stage.hide(puppets, hidden=False)
    write_picture(place.background, picture)


def whole(scene: script.Scenario) -> Region:
    """The whole frame as a region."""
    return (0, 0, *scene.camera.size_px)


def render_frame(
    scene: script.Scenario, actors: Sequence[Actor], puppets: Sequence[stage.Puppet], place: Workplace, index: int
) -> None:
    """One frame: the background with the regions that actors change rendered anew."""
    t_s = index / scene.fps
    stage.move(puppets, t_s)
    picture = read_picture(place.background)
    for region in changed(scene, actors, t_s):
        samples = SAMPLES[scene.light.kind]
        patch, _ = shot(place.folder, region, scene.camera.size_px, samples, seed=scene.seed + index)
        picture = pasted(picture, patch, region)
    write_picture(place.frame(index), picture)


def render_mask(
    scene: script.Scenario, actors: Sequence[Actor], puppets: Sequence[stage.Puppet], place: Workplace, index: int
) -> None:
    """The numbers of the actors in one frame, under `for_numbers`: what is parked, and the regions that change."""
    if not place.background_mask.exists():
        stage.hide(puppets, hidden=True)
        write_picture(place.background_mask, numbers_of(scene, place.folder, whole(scene), MASK_FINER))
        stage.hide(puppets, hidden=False)
    t_s = index / scene.fps
    stage.move(puppets, t_s)
    mask = read_picture(place.background_mask).copy()
    for region in changed(scene, actors, t_s):
        left, top, right, bottom = (MASK_FINER * side for side in region)
        mask[top:bottom, left:right] = numbers_of(scene, place.folder, region, MASK_FINER)
    write_picture(place.mask(index), mask)


@contextmanager
def for_numbers(scene: script.Scenario, finer: int) -> Iterator[None]:
    """Render for the numbers of the actors: a finer frame, of whose colours nothing is wanted."""
    blender = bpy.context.scene
    width, height = scene.camera.size_px
    blender.render.resolution_x, blender.render.resolution_y = finer * width, finer * height
    blender.cycles.use_denoising = False
    try:
        yield
    finally:
        blender.render.resolution_x, blender.render.resolution_y = width, height
        blender.cycles.use_denoising = True


def numbers_of(scene: script.Scenario, folder: Path, region: Region, finer: int) -> Bytes:
    """The numbers of the actors in a region of the frame, `finer` times as fine, from one sample a pixel."""
    width, height = scene.camera.size_px
    left, top, right, bottom = (finer * side for side in region)
    return shot(folder, (left, top, right, bottom), (finer * width, finer * height), 1, seed=0)[1]


def shot(folder: Path, region: Region, size_px: tuple[int, int], samples: int, seed: int) -> tuple[Bytes, Bytes]:
    """Render a region: its colours (h, w, 3) and the numbers of the actors (h, w)."""
    scene = bpy.context.scene
    scene.cycles.samples, scene.cycles.seed = samples, seed
    width, height = size_px
    left, top, right, bottom = region
    render = scene.render
    render.use_border = render.use_crop_to_border = region != (0, 0, width, height)
    render.border_min_x, render.border_max_x = (left + 0.01) / width, (right + 0.01) / width
    render.border_min_y, render.border_max_y = 1 - (bottom - 0.01) / height, 1 - (top - 0.01) / height
    picture = folder / f"rendered_{os.getpid()}.png"
    mask = f"{MASK_STEM}{os.getpid()}_"
    scene.node_tree.nodes[stage.MASK_NODE].file_slots[0].path = mask
    render.filepath = str(picture)
    with quiet():
        bpy.ops.render.render(write_still=True)
    numbers = folder / f"{mask}{scene.frame_current:04d}.exr"
    try:
        return read_picture(picture)[..., :3], read_numbers(numbers)
    finally:
        picture.unlink(missing_ok=True)
        numbers.unlink(missing_ok=True)


def read_numbers(path: Path) -> Bytes:
    """The numbers of actors (h, w) in an EXR; Blender keeps pictures bottom up."""
    image = bpy.data.images.load(str(path))
    try:
        image.colorspace_settings.name = "Non-Color"
        width, height = image.size
        pixels = np.empty(width * height * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return np.round(pixels.reshape(height, width, -1)[::-1, :, 0]).astype(np.uint8)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Blender, which writes to the process's own output, from writing over the progress."""
    sys.stdout.flush()
    kept, sink = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(sink)


@contextmanager
def progress_of(name: str, count: int) -> Iterator[Callable[[], object]]:
    """A progress bar on a terminal, else a line every tenth frame with the seconds a frame took."""
    console = Console()
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), *Progress.get_default_columns()[1:2], MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(name, total=count)
            yield lambda: bar.advance(task)
        return
    start, done = time.monotonic(), 0

    def advance() -> None:
        nonlocal done
        done += 1
        if done % 10 == 0 or done == count:
            console.print(f"{name}: {done} of {count} frames, {(time.monotonic() - start) / done:.2f} s a frame")

    yield advance


def still(path: Path, t_s: float, out: Path, threads: int, samples: int) -> None:
    """Render one whole frame at a time to a PNG."""
    scene = script.load(path)
    puppets = set_stage(scene, cast_of(scene), Workplace(out.parent), threads)
    stage.move(puppets, t_s)
    picture, _ = shot(out.parent, whole(scene), scene.camera.size_px, samples, seed=scene.seed)
    write_picture(out, picture)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="scenarios, by name or file; all when none is given")
    parser.add_argument("--build", type=Path, default=BUILD, help="where frames are kept")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--fresh", action="store_true", help="render everything again")
    parser.add_argument("--truth", action="store_true", help="only masks and truth: no pictures, no clip")
    parser.add_argument("--still", type=float, metavar="T_S", help="only the frame at this time")
    parser.add_argument("--samples", type=int, default=16, help="samples a pixel of a still")
    given = parser.parse_args()
    try:
        for path in scenario_paths(given.names):
            if given.still is None:
                place = render_scene(path, given.build, given.threads, fresh=given.fresh, truth_only=given.truth)
                Console().print(str(place.truth if given.truth else place.clip) + " is ready")
            else:
                given.build.mkdir(parents=True, exist_ok=True)
                out = given.build / f"{path.stem}_{given.still:g}s.png"
                still(path, given.still, out, given.threads, given.samples)
                Console().print(str(out))
    except script.ScenarioError as error:
        sys.exit(f"scenes: {error}")


if __name__ == "__main__":
    main()
