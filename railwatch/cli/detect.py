"""`railwatch detect`: the boxes of still pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from railwatch.core.errors import SourceError
from railwatch.core.model_names import model_path
from railwatch.core.provider import Provider

if TYPE_CHECKING:
    from rich.console import Console

    from railwatch.core.types import Detector


def detect(
    image: Annotated[Path, typer.Argument(help="A picture, or a folder of pictures.", metavar="IMAGE|DIR")],
    model: Annotated[
        str | None, typer.Option(help="Name or ONNX file of the detector.", show_default="the shipped one")
    ] = None,
    provider: Annotated[Provider | None, typer.Option(help="What must run the model.", show_default="cpu")] = None,
    confidence: Annotated[float, typer.Option(help="Lowest score of a box, 0 to 1.", min=0.0, max=1.0)] = 0.3,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document a picture.")] = False,
) -> None:
    """Find objects in still pictures.

    A folder is read in the order of its names, 2.jpg before 10.jpg. A picture in it that cannot be read is told of at
    once, the others are still looked at, and the command ends with exit code 3.
    """
    from rich.console import Console

    from railwatch.perception.detector import open_detector
    from railwatch.perception.manifest import default_model
    from railwatch.perception.picture_file import pictures_in

    pictures = pictures_in(image) if image.is_dir() else [image]
    report = Console(stderr=as_json, highlight=False, soft_wrap=True)
    detector = open_detector(
        model_path(model) if model else default_model(),
        confidence=confidence,
        provider=provider or Provider.CPU,
        say=lambda text: report.print(text, markup=False),
    )
    report.print(f"model {detector.description.file} sha256 {detector.model_sha256}", markup=False)
    failed = []
    for path in pictures:
        try:
            found = _found(path, detector)
        except SourceError as error:
            if not image.is_dir():
                raise
            sys.stderr.write(f"railwatch: {' '.join(str(error).split())}\n")
            failed.append(str(path))
            continue
        if as_json:
            sys.stdout.write(json.dumps({"image": str(path), "detections": found}, allow_nan=False) + "\n")
        else:
            _show(report, path, found)
    if failed:
        raise SourceError(f"{len(failed)} of {len(pictures)} pictures could not be read: {', '.join(failed[:10])}")


def _found(path: Path, detector: Detector) -> list[dict[str, Any]]:
    from railwatch.perception.picture_file import read_picture

    (boxes,) = detector.detect([read_picture(path).sample(None, detector.form)])
    return [
        {
            "xyxy": [round(float(edge), 2) for edge in xyxy],
            "confidence": round(float(confidence), 4),
            "class_name": detector.class_names[class_id],
        }
        for xyxy, confidence, class_id in zip(boxes.xyxy, boxes.confidence, boxes.class_id, strict=True)
    ]


def _show(console: Console, path: Path, found: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(str(path)), title_justify="left")
    for heading in ("class", "confidence", "left", "top", "right", "bottom"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for item in found:
        edges = (f"{edge:.1f}" for edge in item["xyxy"])
        table.add_row(Text(item["class_name"]), f"{item['confidence']:.2f}", *edges)
    console.print(table if found else Text(f"{path}: nothing found"))
