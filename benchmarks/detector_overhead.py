"""What the detector costs beyond the bare `session.run`, and the measurements behind its choices.

    python benchmarks/detector_overhead.py [--model FILE] [--rounds 200]

Prints medians in milliseconds: ways from (H, W, 3) bytes to (3, H, W) floats at 416 and 640 px; `OnnxDetector.detect`
beside the bare run of its session on the same tensor, interleaved; and `session.run` under different session options.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from railwatch.core.types import Affine, Region, Sample
from railwatch.perception.detector import OnnxDetector
from railwatch.perception.manifest import default_model
from railwatch.perception.model import ModelDescription, describe_model

SCALE = np.float32(1 / 255)


def interleaved(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each way; they take turns, so that a busy machine is busy for all of them."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = perf_counter()
            way()
            taken[name].append(perf_counter() - start)
    return {name: 1e3 * float(np.median(times)) for name, times in taken.items()}


def conversions(side: int) -> dict[str, Callable[[], object]]:
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    target = np.empty((3, side, side), np.float32)
    planes = [np.empty((side, side), np.uint8) for _ in range(3)]

    def split() -> None:
        cv2.split(picture, planes)
        for plane, source in zip(target, planes, strict=True):
            np.copyto(plane, source)

    def split_then_scale() -> None:
        split()
        np.multiply(target, SCALE, out=target)

    return {
        "cv2.split, copy": split,
        "transposed copy": lambda: np.copyto(target, picture.transpose(2, 0, 1)),
        "blobFromImages": lambda: cv2.dnn.blobFromImages([picture]),
        "cv2.split, copy, scale": split_then_scale,
        "transposed multiply": lambda: np.multiply(picture.transpose(2, 0, 1), SCALE, out=target),
        "blobFromImages, scale": lambda: cv2.dnn.blobFromImages([picture], 1 / 255),
    }


OPTIONS: dict[str, dict[str, str]] = {
    "spinning": {"session.intra_op.allow_spinning": "1"},
    "spinning, stopped after": {"session.intra_op.allow_spinning": "1", "session.force_spinning_stop": "1"},
    "no spinning": {"session.intra_op.allow_spinning": "0"},
    "no spinning, no denormals": {"session.intra_op.allow_spinning": "0", "session.set_denormal_as_zero": "1"},
}


def session_options(description: ModelDescription, rounds: int, blocks: int = 5) -> dict[str, tuple[float, float]]:
    """Median and CPU milliseconds of a run; one session at a time, for the threads of one that spin slow the next."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in (*OPTIONS, "no spinning, IO binding")}
    for _ in range(blocks):
        for name, measured in taken.items():
            entries = OPTIONS[name.removesuffix(", IO binding")]
            run = _bound if name.endswith("IO binding") else _plain
            measured.append(_block(run(description, entries), max(rounds // blocks, 1)))
    return {name: (float(np.median([m for m, _ in rows])), min(c for _, c in rows)) for name, rows in taken.items()}


def _block(run: Callable[[], object], rounds: int) -> tuple[float, float]:
    for _ in range(3):
        run()
    times, cpu = [], process_time()
    for _ in range(rounds):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return 1e3 * float(np.median(times)), 1e3 * (process_time() - cpu) / rounds


def _session(description: ModelDescription, entries: Mapping[str, str]) -> tuple[Any, npt.NDArray[np.floating]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 2, 1
    options.use_deterministic_compute = True
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    session = onnxruntime.InferenceSession(description.file, options, providers=["CPUExecutionProvider"])
    size = description.form.size
    return session, np.full((1, 3, size.height, size.width), 0.4, description.dtype)


def _plain(description: ModelDescription, entries: Mapping[str, str]) -> Callable[[], object]:
    session, tensor = _session(description, entries)
    return lambda: session.run([description.output_name], {description.input_name: tensor})


def _bound(description: ModelDescription, entries: Mapping[str, str]) -> Callable[[], object]:
    import onnxruntime

    session, tensor = _session(description, entries)
    (rows,) = session.run([description.output_name], {description.input_name: tensor})
    source, target = onnxruntime.OrtValue.ortvalue_from_numpy(tensor), onnxruntime.OrtValue.ortvalue_from_numpy(rows)
    binding = session.io_binding()
    binding.bind_ortvalue_input(description.input_name, source)
    binding.bind_ortvalue_output(description.output_name, target)
    return lambda: (session.run_with_iobinding(binding), source, target)


def detection(description: ModelDescription, picture: Path | None) -> dict[str, Callable[[], object]]:
    detector = OnnxDetector(description, confidence=0.1)
    size = detector.form.size
    tensor = np.full((size.height, size.width, 3), 114, np.uint8)
    if picture is not None:
        cap = cv2.VideoCapture(str(picture))
        _, frame = cap.read()
        ratio = min(size.width / frame.shape[1], size.height / frame.shape[0])
        small = cv2.resize(frame, None, fx=ratio, fy=ratio)
        tensor[: small.shape[0], : small.shape[1]] = small
    sample = Sample(tensor, detector.form, Affine(1.0, 1.0, 0.0, 0.0), Region(0, 0, *size))
    filled = np.ascontiguousarray(tensor.transpose(2, 0, 1)[None]).astype(description.dtype)
    filled *= np.asarray(description.facts.scale, description.dtype)
    names, feeds = [description.output_name], {description.input_name: filled}
    session = detector._session  # noqa: SLF001 - the bare run of the very same session
    return {"bare session.run": lambda: session.run(names, feeds), "detect": lambda: detector.detect([sample])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="the detector; the default model when left out")
    parser.add_argument("--video", type=Path, help="its first frame is shown; a grey picture when left out")
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    description = describe_model(arguments.model or default_model())
    parts = {f"bytes to floats, {side} px": conversions(side) for side in (416, 640)}
    parts["detector"] = detection(description, arguments.video)
    for title, ways in parts.items():
        print(title)
        for name, milliseconds in interleaved(ways, arguments.rounds).items():
            print(f"  {name:26} {milliseconds:8.3f} ms")
    print("session.run by options: median, CPU time a run")
    for name, (milliseconds, cpu) in session_options(description, arguments.rounds).items():
        print(f"  {name:26} {milliseconds:8.3f} ms {cpu:8.3f} ms")


if __name__ == "__main__":
    main()
