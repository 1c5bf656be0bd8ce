"""Frames and masks to an H.264 clip and its truth.

python -m scenes.encode demo     again, after a change that needs no rendering
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from scenes import scenario as script
from scenes.cast import Actor, cast_of
from scenes.picture import finished
from scenes.truth import truth_of
from scenes.workplace import BUILD, Workplace, read_picture, scenario_paths, seen_in_masks, workplace_of

CRF = 21


def encode(scene: script.Scenario, actors: Sequence[Actor], place: Workplace) -> None:
    """Write the clip and then its truth; raises ScenarioError while frames are missing."""
    missing = place.missing(scene)
    if missing:
        raise script.ScenarioError(f"{scene.name}: {len(missing)} frames are still to be rendered")
    write_clip(scene, place)
    write_truth(scene, actors, place)


def write_truth(scene: script.Scenario, actors: Sequence[Actor], place: Workplace) -> None:
    """Write the truth, for which the masks are enough; raises ScenarioError while masks are missing."""
    missing = place.missing_masks(scene)
    if missing:
        raise script.ScenarioError(f"{scene.name}: {len(missing)} masks are still to be rendered")
    truth = truth_of(scene, actors, lambda index, actor: seen_in_masks(place, scene, index, actor))
    draft = place.truth.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(as_text(truth), encoding="utf-8")
    draft.replace(place.truth)


def as_text(truth: dict[str, object]) -> str:
    """JSON with a line for every frame, so that a difference can be read."""
    frames = truth["frames"]
    head = json.dumps({**truth, "frames": []}, indent=1, allow_nan=False)
    lines = ",\n  ".join(json.dumps(frame, allow_nan=False) for frame in frames)  # type: ignore[attr-defined]
    return head.replace('"frames": []', f'"frames": [\n  {lines}\n ]') + "\n"


def write_clip(scene: script.Scenario, place: Workplace) -> None:
    """One thread and fixed settings: the same frames give the same file."""
    draft = place.clip.with_suffix(f".{os.getpid()}.tmp")
    with av.open(str(draft), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=scene.fps)
        stream.width, stream.height = scene.camera.size_px
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, scene.fps)
        stream.options = {"crf": str(CRF), "preset": "slow", "threads": "1"}
        for index in range(scene.frames):
            picture = finished(read_picture(place.frame(index)), scene, index)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, scene.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    Path(draft).replace(place.clip)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", type=Path, default=BUILD)
    given = parser.parse_args()
    for path in scenario_paths(given.names):
        scene = script.load(path)
        encode(scene, cast_of(scene), workplace_of(scene, given.build))


if __name__ == "__main__":
    main()
