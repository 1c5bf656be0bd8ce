"""Whether an exported network gives what its source gave: PyTorch's output, ultralytics' boxes on the same pictures."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from railwatch.core.errors import ModelError
from railwatch.core.provider import Provider
from railwatch.core.types import Affine, Region, Sample, Size
from railwatch.perception.detector import OnnxDetector
from railwatch.perception.heads import Boxes, decode
from railwatch.perception.manifest import Manifest
from railwatch.perception.model import ModelDescription, describe_model, read_model
from railwatch.perception.model_facts import ModelFacts
from railwatch.perception.parity import Agreement, clipped, compare
from railwatch.perception.session import open_session

_NOT_IN_A_MANIFEST: Final = Manifest(Path(), (), None)


@dataclass(frozen=True, slots=True)
class Proof:
    """How the boxes of an export compared with those of its source, from `confidence` on.

    `raw`: the network's output in PyTorch beside that in ONNX Runtime, both through our head. `whole`: the boxes of
    ultralytics' `predict` beside ours, in pixels of the pictures.
    """

    pictures: int
    confidence: float
    raw: Agreement
    whole: Agreement

    def __str__(self) -> str:
        return (
            f"on {self.pictures} pictures at confidence {self.confidence:.2g}, "
            f"{self.raw.agree} of {self.raw.reference} boxes of PyTorch's output agree with ONNX Runtime's "
            f"(scores within {self.raw.largest_difference:.1e}, IoU from {self.raw.least_iou:.4f}), "
            f"{self.whole.agree} of {self.whole.reference} of ultralytics' own predict with railwatch's"
        )


def prove_export(model: Path, proof: Path) -> tuple[Proof, ModelFacts]:
    """Compare the exported `model` with its `proof`, as `models/tools/ultralytics_export.py` writes it.

    Boxes agree as in docs/head-parity.md; one of every hundred begun may differ, for Ultralytics' NMS rounds. Raises
    ModelError when more do, when there is nothing to compare, or when the file is not described or cannot be run.
    """
    description = describe_model(model, _NOT_IN_A_MANIFEST)
    pictures, confidence = _read(proof)
    detector = OnnxDetector(description, confidence=confidence)
    outputs = list(_onnx_outputs(description, detector, pictures))

    def read(output: npt.NDArray[np.floating]) -> Boxes:
        facts = description.facts
        return decode(facts.head, output, facts.size, len(facts.class_names), confidence, facts.nms_iou)

    raw = compare((read(picture.raw), read(output)) for picture, output in zip(pictures, outputs, strict=True))
    whole = compare((picture.boxes, _ours(detector, picture)) for picture in pictures)
    result = Proof(len(pictures), confidence, raw, whole)
    for what, agreement in (("PyTorch", raw), ("ultralytics' predict", whole)):
        differing = max(agreement.reference, agreement.ours) - agreement.agree
        if not agreement.reference or differing > math.ceil(0.01 * agreement.reference):
            raise ModelError(f"the export must give the boxes of {what}, but does not, and was thrown away: {result}")
    return result, description.facts


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture of the proof: the tensor, PyTorch's raw output, the size of the picture and predict's boxes on it."""

    tensor: npt.NDArray[np.uint8]
    raw: npt.NDArray[np.float32]
    size: Size
    boxes: Boxes


def _read(proof: Path) -> tuple[list[_Picture], float]:
    try:
        with np.load(proof, allow_pickle=False) as arrays:
            confidence = float(arrays["confidence"])
            pictures = []
            for number in range(int(arrays["pictures"])):
                rows, (width, height) = arrays[f"boxes_{number}"], arrays[f"size_{number}"]
                size = Size(int(width), int(height))
                found = Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))
                sample, raw = arrays[f"sample_{number}"], arrays[f"raw_{number}"]
                pictures.append(_Picture(sample, raw, size, clipped(found, size)))
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise ModelError(f"the proof of the export must be readable, but is not ({error})") from None
    return pictures, confidence


def _onnx_outputs(
    description: ModelDescription, detector: OnnxDetector, pictures: list[_Picture]
) -> Iterator[npt.NDArray[np.floating]]:
    session = open_session(read_model(description.file), Provider.CPU)
    for picture in pictures:
        tensor = detector.network_input(_sample(detector, picture))
        (output,) = session.run([description.output_name], {description.input_name: tensor})
        yield output[0]


def _ours(detector: OnnxDetector, picture: _Picture) -> Boxes:
    (found,) = detector.detect([_sample(detector, picture)])
    return Boxes(found.xyxy, found.confidence, found.class_id)


def _sample(detector: OnnxDetector, picture: _Picture) -> Sample:
    """The sample as Ultralytics' LetterBox lays it, and the way back to the picture."""
    outer, inner = detector.form.size, picture.size
    gain = min(outer.width / inner.width, outer.height / inner.height)
    width, height = round(inner.width * gain), round(inner.height * gain)
    left, top = round((outer.width - width) / 2 - 0.1), round((outer.height - height) / 2 - 0.1)
    scale_x, scale_y = inner.width / width, inner.height / height
    affine = Affine(scale_x, scale_y, -left * scale_x, -top * scale_y)
    return Sample(picture.tensor, detector.form, affine, Region(0, 0, *inner))
