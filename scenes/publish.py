"""Copy finished clips with their truth into scenes/clips, where they are kept under version control.

python -m scenes.publish demo night      these; without names all that are finished
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from rich.console import Console

from scenes import scenario as script
from scenes.workplace import BUILD, CLIPS, Workplace, scenario_paths

LIMIT_BYTES = 20_000_000


def publish(place: Workplace, scene: script.Scenario, clips: Path) -> None:
    """Copy one clip and its truth, after a look whether they belong to this scenario."""
    truth = json.loads(place.truth.read_text(encoding="utf-8"))
    if (truth["scenario"], truth["frame_count"], truth["seed"]) != (scene.name, scene.frames, scene.seed):
        raise script.ScenarioError(f"{place.truth} must be the truth of {scene.name}: render it again")
    clips.mkdir(parents=True, exist_ok=True)
    for file in (place.clip, place.truth):
        shutil.copyfile(file, clips / file.name)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", type=Path, default=BUILD)
    parser.add_argument("--clips", type=Path, default=CLIPS)
    given = parser.parse_args()
    console = Console()
    for path in scenario_paths(given.names):
        place = Workplace(given.build / path.stem)
        if place.clip.exists() and place.truth.exists():
            publish(place, script.load(path), given.clips)
            console.print(f"{path.stem}: {place.clip.stat().st_size / 1e6:.2f} MB")
        elif given.names:
            sys.exit(f"scenes: {path.stem} is not rendered yet: python -m scenes.render {path.stem}")
    total = sum(file.stat().st_size for file in given.clips.glob("*"))
    console.print(f"{given.clips} holds {total / 1e6:.1f} MB")
    if total > LIMIT_BYTES:
        sys.exit(f"scenes: clips must stay under {LIMIT_BYTES / 1e6:.0f} MB together")


if __name__ == "__main__":
    main()
