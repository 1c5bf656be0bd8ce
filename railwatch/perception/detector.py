"""The detector on ONNX Runtime: samples in, boxes in pixels of their frames out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from railwatch.core.errors import ModelError
from railwatch.core.provider import Provider
from railwatch.core.types import Affine, Detections, Region, Sample, SampleForm, UInt8Array
from railwatch.perception.heads import Boxes, decode
from railwatch.perception.model import ModelDescription, describe_model, read_model
from railwatch.perception.session import native_errors, open_session

MAX_BATCH: Final = 8
"""Most samples that run through the network at once: 40 MB of input at 640 px."""


class OnnxDetector:
    """Runs one described model. Not to be used from two threads at once.

    `confidence` is the lowest score of a box that is looked at, 0 to 1; `threads` 0 means all cores. The constructor
    opens the model on `provider` and runs it, alone and as the largest batch, so that engines are built and faults
    are found before the first frame; `say` is told of a long wait. Raises ModelError when the file has changed since
    it was described or cannot be run, ProviderError when the provider is not there, InstallError when ONNX Runtime is
    missing or installed twice.
    """

    def __init__(
        self,
        description: ModelDescription,
        *,
        confidence: float,
        provider: Provider = Provider.CPU,
        threads: int = 0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"confidence must be 0 to 1, but is {confidence}")
        self._description = description
        self._facts = description.facts
        self._form = description.form
        self._confidence = confidence
        self._session = open_session(_unchanged(description), provider, threads, say=say)
        self._batch_limit = MAX_BATCH if description.dynamic_batch else 1
        self._input = _input_buffer(description, 1)
        height, width = self._form.size.height, self._form.size.width
        self._planes: list[UInt8Array] = [np.empty((height, width), np.uint8) for _ in range(3)]
        self._warm_up()

    @property
    def description(self) -> ModelDescription:
        """What is known of the model."""
        return self._description

    @property
    def form(self) -> SampleForm:
        """The form its samples must have."""
        return self._form

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class_id."""
        return self._facts.class_names

    @property
    def model_sha256(self) -> str:
        """SHA-256 of the model file, 64 hexadecimal digits."""
        return self._description.sha256

    def detect(self, samples: Sequence[Sample]) -> list[Detections]:
        """Boxes of each sample, strongest first, in pixels of its original frame and within its bounds.

        Samples of any mix of cameras run together where the model allows a batch. Boxes that lie wholly in the
        padding show nothing of the frame and are left out. Raises ModelError when the network fails or gives what
        no detector can give, ValueError for a sample of another form.
        """
        for sample in samples:
            if sample.form != self._form:
                raise ValueError(f"a sample must have the form {self._form}, but has {sample.form}")
        outputs = (output for batch in _batches(samples, self._batch_limit) for output in self._run(batch))
        return [_in_frame(self._decode(output), sample) for output, sample in zip(outputs, samples, strict=True)]

    def network_input(self, sample: Sample) -> npt.NDArray[np.floating]:
        """The input of the network for one sample, (1, 3, H, W), as `detect` makes it: to measure the bare model."""
        tensor = _input_buffer(self._description, 1)
        _fill(tensor[0], sample.tensor, self._planes, self._facts.scale)
        return tensor

    def _run(self, samples: Sequence[Sample]) -> npt.NDArray[np.floating]:
        """Raw output of the samples, (samples, rows, columns)."""
        count = len(samples)
        if count > len(self._input):
            self._input = _input_buffer(self._description, count)
        for target, sample in zip(self._input, samples, strict=False):
            _fill(target, sample.tensor, self._planes, self._facts.scale)
        description = self._description
        with native_errors("the model failed on a frame"):
            (output,) = self._session.run([description.output_name], {description.input_name: self._input[:count]})
        if output.shape[:1] != (count,):
            raise ModelError(f"the model must give an output for each of {count} samples, but gave {output.shape}")
        return output

    def _decode(self, output: npt.NDArray[np.floating]) -> Boxes:
        facts = self._facts
        return decode(facts.head, output, facts.size, len(facts.class_names), self._confidence, facts.nms_iou)

    def _warm_up(self) -> None:
        """Run an empty picture, alone and as the largest batch, and look at what comes out."""
        grey = np.full((*reversed(self._form.size), 3), self._form.pad_value, np.uint8)
        whole = (0, 0, *self._form.size)
        sample = Sample(grey, self._form, Affine(1.0, 1.0, 0.0, 0.0), Region(*whole))
        try:
            for count in sorted({1, self._batch_limit}):
                self.detect([sample] * count)
        except ModelError as error:
            raise ModelError(f"model {self._description.file} failed on an empty picture: {error}") from error


def open_detector(
    file: Path,
    *,
    confidence: float,
    provider: Provider = Provider.CPU,
    threads: int = 0,
    sha256: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> OnnxDetector:
    """Describe the model file by the manifest or its own metadata and open it.

    With `sha256` the file must have exactly that; `say` is told of a long wait. Raises as `describe_model` and
    `OnnxDetector` do.
    """
    description = describe_model(file)
    if sha256 is not None and description.sha256 != sha256.lower():
        raise ModelError(
            f"the model {file} must have the SHA-256 {sha256}, but has {description.sha256}: "
            "it is not the file that was approved"
        )
    return OnnxDetector(description, confidence=confidence, provider=provider, threads=threads, say=say)


def _unchanged(description: ModelDescription) -> bytes:
    """The bytes that were described, so that no other file can slip in between."""
    content = read_model(description.file)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != description.sha256:
        raise ModelError(
            f"the model {description.file} must be the file that was described (SHA-256 {description.sha256}), "
            f"but is now {sha256}: it was replaced meanwhile"
        )
    return content


def _input_buffer(description: ModelDescription, count: int) -> npt.NDArray[np.floating]:
    size = description.form.size
    return np.empty((count, 3, size.height, size.width), description.dtype)


def _fill(target: npt.NDArray[np.floating], tensor: UInt8Array, planes: list[UInt8Array], scale: float) -> None:
    """Write (H, W, 3) uint8 as (3, H, W) floats.

    Splitting into byte planes first lets every further step run along memory: at 416 px 0.08 ms, a transposing copy
    0.21 ms, cv2.dnn.blobFromImages 0.28 ms (benchmarks/detector_overhead.py).
    """
    cv2.split(tensor, planes)
    for plane, source in zip(target, planes, strict=True):
        np.copyto(plane, source)
    if scale != 1.0:
        np.multiply(target, np.asarray(scale, target.dtype), out=target)


def _batches(samples: Sequence[Sample], limit: int) -> Iterator[Sequence[Sample]]:
    return (samples[start : start + limit] for start in range(0, len(samples), limit))


def _in_frame(boxes: Boxes, sample: Sample) -> Detections:
    """The boxes in pixels of the frame, clipped to the part that the sample shows; without area left they go."""
    affine, bounds = sample.to_frame, sample.bounds
    scale = np.array((affine.scale_x, affine.scale_y) * 2, np.float32)
    offset = np.array((affine.offset_x, affine.offset_y) * 2, np.float32)
    xyxy = boxes.xyxy * scale + offset
    np.clip(xyxy[:, 0::2], bounds.left, bounds.right, out=xyxy[:, 0::2])
    np.clip(xyxy[:, 1::2], bounds.top, bounds.bottom, out=xyxy[:, 1::2])
    visible = (xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)
    return Detections(xyxy[visible], boxes.confidence[visible], boxes.class_id[visible])
