"""Where the frames of a scene lie while it is rendered: build/scenes/<name>/, outside version control."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from scenes.body import ASSET
from scenes.camera import frame_matrix
from scenes.cast import Actor
from scenes.masks import MASK_FINER, Seen, seen, silhouette
from scenes.picture import swayed
from scenes.scenario import Scenario, ScenarioError

ROOT = Path(__file__).resolve().parents[1]
SCENARIOS = ROOT / "scenes" / "scenarios"
CLIPS = ROOT / "scenes" / "clips"
BUILD = ROOT / "build" / "scenes"
Bytes = npt.NDArray[np.uint8]


class Workplace(NamedTuple):
    """The files of one scene on their way to a clip."""

    folder: Path

    def frame(self, index: int) -> Path:
        """A rendered frame, without noise and sway."""
        return self.folder / f"frame_{index:04d}.png"

    def mask(self, index: int) -> Path:
        """The numbers of the actors in a frame, twice as fine as it."""
        return self.folder / f"mask_{index:04d}_x{MASK_FINER}.png"

    @property
    def background(self) -> Path:
        """The scene without what moves."""
        return self.folder / "background.png"

    @property
    def background_mask(self) -> Path:
        """The numbers of what is parked, as fine as `mask`."""
        return self.folder / f"background_mask_x{MASK_FINER}.png"

    @property
    def clip(self) -> Path:
        """The encoded clip."""
        return self.folder / f"{self.folder.name}.mp4"

    @property
    def truth(self) -> Path:
        """Its truth."""
        return self.folder / f"{self.folder.name}.truth.json"

    def missing(self, scene: Scenario) -> list[int]:
        """Frames that are still to be rendered."""
        return [i for i in range(scene.frames) if not self.frame(i).exists()]

    def missing_masks(self, scene: Scenario) -> list[int]:
        """Frames whose mask is still to be rendered."""
        return [i for i in range(scene.frames) if not self.mask(i).exists()]


def workplace_of(scene: Scenario, build: Path = BUILD) -> Workplace:
    """The folder of a scene, made if need be; raises ScenarioError when it holds frames of another version of it."""
    folder = build / scene.name
    folder.mkdir(parents=True, exist_ok=True)
    mark, digest = folder / "scenario.sha256", digest_of(scene)
    if not mark.exists():
        if any(folder.glob("*.png")):
            raise ScenarioError(f"{folder} holds frames of an unknown scenario: remove the folder")
        mark.write_text(digest, encoding="ascii")
    elif mark.read_text(encoding="ascii") != digest:
        raise ScenarioError(
            f"{folder} holds frames of another version of {scene.name}: remove the folder, or use --fresh"
        )
    return Workplace(folder)


def digest_of(scene: Scenario) -> str:
    """What the frames depend on: the scenario and the bodies."""
    return hashlib.sha256(scene.model_dump_json().encode() + ASSET.read_bytes()).hexdigest()


def scenario_paths(names: list[str]) -> Iterator[Path]:
    """The files of named scenarios, or of all of them."""
    for name in names or sorted(path.stem for path in SCENARIOS.glob("*.yaml")):
        yield Path(name) if name.endswith(".yaml") else SCENARIOS / f"{name}.yaml"


def write_picture(path: Path, picture: Bytes) -> None:
    """Write a PNG so that a broken-off run leaves no half of it."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    done, data = cv2.imencode(".png", picture if picture.ndim == 2 else picture[..., ::-1])
    if not done:
        raise OSError(f"{path}: could not be written as PNG")
    draft.write_bytes(data.tobytes())
    draft.replace(path)


def read_picture(path: Path) -> Bytes:
    """The pixels of a PNG, (h, w) or (h, w, 3) in RGB."""
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ScenarioError(f"{path} must be a PNG: remove it and render again")
    return picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., 2::-1])


def seen_in_masks(place: Workplace, scene: Scenario, index: int, actor: Actor) -> Seen:
    """What the mask of a frame says of an actor, compared with its silhouette."""
    t_s = index / scene.fps
    numbers = swayed(read_picture(place.mask(index)), scene, t_s, finer=MASK_FINER, smooth=False)
    matrix = frame_matrix(scene.camera, scene.seed, t_s)
    return seen(numbers == actor.number, silhouette(actor.shapes_at(t_s), matrix, scene.camera.size_px))
