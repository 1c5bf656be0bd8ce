"""`classifiers predict`: what an exported file says of pictures or of a video, a JSON line each."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from classifiers.cli import options as o

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Named = tuple[str, NDArray[np.uint8]]

_VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".ts", ".m4v"})


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A file of `classifiers export`.")],
    what: Annotated[list[Path], typer.Argument(metavar="PICTURES", help="Pictures, folders of pictures, or videos.")],
    *,
    provider: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    batch: Annotated[int, typer.Option(min=1, max=1024, help="Most pictures at a time.")] = 16,
    threads: Annotated[int, typer.Option(min=0, help="Threads of the CPU, 0 for all.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Of a video take each so-manyeth frame.")] = 1,
    skip_bad: o.SkipBad = False,
) -> None:
    """Classify pictures or videos: class, confidence, and whether the file itself would abstain."""
    from classifiers.runtime import Model

    ready = Model(model, provider, threads)
    names, threshold = ready.facts.classes, ready.facts.abstain_below
    for group in _batches(_pictures(what, every, skip_bad=skip_bad), batch):
        import numpy as np

        _, prob = ready.run(np.stack([pixels for _, pixels in group]))
        for (name, _), row in zip(group, prob, strict=True):
            best = int(row.argmax())
            line = {"picture": name, "class": names[best], "confidence": round(float(row[best]), 4),
                    "abstains": bool(row[best] < threshold)}  # fmt: skip
            sys.stdout.write(json.dumps(line) + "\n")


def _batches(found: Iterator[Named], most: int) -> Iterator[list[Named]]:
    """Neighbours of one size together, as a batch has one size."""
    for _, alike in groupby(found, key=lambda item: item[1].shape):
        while part := list(islice(alike, most)):
            yield part


def _pictures(what: list[Path], every: int, *, skip_bad: bool) -> Iterator[Named]:
    import numpy as np

    from classifiers.cli.progress import say
    from classifiers.errors import DataError
    from classifiers.pictures import decode, read_bytes

    for path in _files(what):
        if path.suffix.lower() in _VIDEOS:
            yield from _frames(path, every)
            continue
        try:
            yield str(path), np.asarray(decode(path, read_bytes(path)), dtype=np.uint8)
        except DataError as error:
            if not skip_bad:
                raise
            say(f"skipped {path}: {error}")


def _files(what: list[Path]) -> Iterator[Path]:
    from classifiers.errors import DataError
    from classifiers.pictures import SUFFIXES

    for path in what:
        if not path.is_dir():
            yield path
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not inside:
            raise DataError(f"{path} must hold pictures, but holds none")
        yield from inside


def _frames(path: Path, every: int) -> Iterator[Named]:
    import numpy as np

    from classifiers.errors import DataError, InstallError

    try:
        import av
    except ImportError as error:
        raise InstallError("a video needs PyAV: pip install av") from error
    try:
        with av.open(str(path)) as video:
            for number, frame in enumerate(video.decode(video=0)):
                if number % every == 0:
                    yield f"{path}#{number}", np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
    except (av.error.FFmpegError, IndexError, OSError) as error:
        raise DataError(f"{path} must be a video, but cannot be read: {error}") from error
