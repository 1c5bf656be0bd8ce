"""Evaluation of a run: the only way to the test side, and every use of it is written down."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from classifiers import checkpoint
from classifiers.config import TrainConfig
from classifiers.counting import cost
from classifiers.data import Pictures, open_side
from classifiers.feed import Feed
from classifiers.files import write_json, writing
from classifiers.metrics import Scores, score
from classifiers.place import Place, device_of
from classifiers.sealed import open_test
from classifiers.step import logits_of
from classifiers.survey import Progress

OPENINGS: Final = "test_openings.jsonl"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        side, source: "test", "validation" or "train", and where the pictures lay.
        pictures: how many were scored.
        opened: how often the test side was opened for this run, this time included; 0 for another side.
        leaks, skipped: pictures left out with --drop-leaks and --skip-bad.
        scores: all scores; parameters, multiply_adds: of the network.
    """

    side: str
    source: str
    pictures: int
    opened: int
    leaks: int
    skipped: int
    scores: Scores
    parameters: int
    multiply_adds: int
    split_hash: str
    weights_sha256: str

    def to_plain(self) -> dict[str, Any]:
        """As JSON values; the scores stand at the top level."""
        plain = asdict(self)
        scores = plain.pop("scores")
        return {**plain, **scores}


def evaluate(  # noqa: PLR0913 - each is one choice of the user
    folder: Path,
    root: Path,
    *,
    side: str = "test",
    device: str = "auto",
    drop_leaks: bool = False,
    skip_bad: bool = False,
    figures: Path | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score the run in `folder` on one side of its data under `root`; figures go into the folder `figures`.

    Raises CheckpointError (no sound run), DataError (the test side is missing, or is no test as training saw it).
    """
    run = checkpoint.load_run(folder, device_of(device))
    split, size = run.split, run.meta.network.input_size
    opened = leaks = skipped = 0
    if side == "test":
        test = open_test(root, split, size, drop_leaks=drop_leaks, skip_bad=skip_bad, cache=cache, progress=progress)
        pictures, source = test.pictures, test.source
        leaks, skipped = len(test.leaks), len(test.skipped)
        opened = _write_down(run, source, len(pictures))
    else:
        pictures, source = (
            open_side(root, split, split.on(side), size, cache, progress),
            f"the {side} side under {root}",
        )
    probabilities = predict(run, pictures)
    parameters, multiply_adds = cost(run.meta.network)
    found = Evaluation(
        side=side,
        source=source,
        pictures=len(pictures),
        opened=opened,
        leaks=leaks,
        skipped=skipped,
        scores=score(probabilities, pictures.labels, run.meta.classes),
        parameters=parameters,
        multiply_adds=multiply_adds,
        split_hash=split.hash,
        weights_sha256=run.meta.weights_sha256,
    )
    write_json(folder / f"evaluation-{side}.json", found.to_plain())
    if figures is not None:
        from classifiers.plots import first_filters, prediction_grid  # noqa: PLC0415 - only figures need matplotlib

        prediction_grid(figures / f"predictions-{side}.png", pictures, probabilities, run.meta.classes)
        first_filters(figures / "filters.png", run.network)
    return found


def predict(run: checkpoint.Run, pictures: Pictures) -> NDArray[np.float64]:
    """Probabilities [N, classes] of pictures, untouched by augmentation, on the device the run is on."""
    device = next(run.network.parameters()).device
    feed = Feed(pictures, Place(device), residence="host")
    logits, _ = logits_of(run.network, feed, TrainConfig(device=str(device)))
    probabilities: NDArray[np.float64] = torch.softmax(logits.double().cpu(), dim=1).numpy()
    return probabilities


def _write_down(run: checkpoint.Run, source: str, pictures: int) -> int:
    """Append to the log of openings, before anything is scored. Returns how many there are now."""
    path = run.folder / OPENINGS
    line = {
        "opened_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": source,
        "pictures": pictures,
        "weights_sha256": run.meta.weights_sha256,
        "split_hash": run.meta.split_hash,
        "commit": checkpoint.commit(),
    }
    with writing(path), path.open("a+", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return sum(1 for _ in file)
