"""Compare railwatch's decoding of detection heads with the published ones, fed identical tensors.

YOLOX-Nano beside the decoding of YOLOX (package pixeltable-yolox), yolov8n, yolo11n and yolo26n beside Ultralytics'
postprocessing (`decoding`) and beside `YOLO(file).predict` on the same pictures (`whole way`, boxes in pixels of the
picture). Needs torch, ultralytics, pixeltable-yolox and the models that head_parity_models.py builds:

    python benchmarks/head_parity.py --work DIR [--shared ../shared] [--report docs/head-parity.md]
        [--golden tests/golden/heads]

Bar: 99 % of the boxes have IoU >= 0.99 and a score within 1e-3, over at least 200 boxes a model. Exit code 1 below it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import numpy.typing as npt

from railwatch.core.types import Affine, Region, Sample, Size
from railwatch.perception.detector import OnnxDetector
from railwatch.perception.heads import Boxes, decode
from railwatch.perception.model import ModelDescription, describe_model
from railwatch.perception.parity import Agreement, clipped, compare

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
CONFIDENCE = 0.05
LEAST_BOXES = 200
MODELS = ("yolox_nano", "yolov8n", "yolo11n", "yolo26n")
GOLDEN_PICTURES = 3
GOLDEN_SCORE = 0.01
PACKAGES = ("ultralytics", "pixeltable-yolox", "torch", "torchvision", "onnxruntime", "numpy")
MACHINE = (
    "Run once (the figures are no timings), `python benchmarks/head_parity.py --work DIR`, 2-core AMD EPYC, x86-64"
)
NOTES = (
    "",
    "Lowest IoU and highest difference are those of the agreeing pairs. The whole way may count fewer boxes: those",
    "that lie wholly in the padding are left out on both sides.",
    "",
    "Where they may differ: Ultralytics keeps classes apart in NMS by adding class x 7680 px to float32 coordinates,",
    "which are then rounded to 1/16 px. The box of yolo11n that only Ultralytics has is such a one: its IoU with a",
    "stronger box of its class is 0.7002, above the limit of 0.7, and becomes 0.6998 when 69 x 7680 is added.",
    "Scores of an overfitted network saturate (0.99999), and a last digit decides which of two neighbours stays.",
    "",
    "yolov8n, yolo11n and yolo26n are built from their yaml and overfitted on 32 pictures of COCO at 320 px",
    "(`benchmarks/head_parity_models.py`), so that their boxes mean something without any download of weights; they",
    "are compared on these 32 and 96 more.",
)
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reference:
    """A model with its reference: letterboxing, decoding of a raw output, and the whole way on a picture."""

    description: ModelDescription
    pictures: list[Path]
    prepare: Callable[[Array], Sample]
    decode: Callable[[Array], Boxes]
    whole: Callable[[Path, Array], Boxes]


def yolox(file: Path, pictures: list[Path]) -> Reference:
    import torch
    from yolox.data.data_augment import preproc
    from yolox.models.yolo_head import YoloxHead
    from yolox.utils import postprocess

    description = describe_model(file)
    size = description.form.size
    head = SimpleNamespace(strides=(8, 16, 32), hw=[(size.height // s, size.width // s) for s in (8, 16, 32)])

    def read(output: Array) -> Boxes:
        decoded = YoloxHead.decode_outputs(head, torch.from_numpy(output[None].copy()), torch.float32)
        (rows,) = postprocess(decoded, len(description.facts.class_names), CONFIDENCE, 0.45)
        rows = np.zeros((0, 7), np.float32) if rows is None else rows.numpy()
        return Boxes(rows[:, :4], rows[:, 4] * rows[:, 5], rows[:, 6].astype(np.int64))

    def prepare(picture: Array) -> Sample:
        planes, ratio = preproc(picture, (size.height, size.width))
        tensor = np.ascontiguousarray(planes.transpose(1, 2, 0).astype(np.uint8))
        return Sample(tensor, description.form, Affine(1 / ratio, 1 / ratio, 0.0, 0.0), whole(picture))

    session = raw_session(file)

    def whole_way(_path: Path, picture: Array) -> Boxes:
        planes, ratio = preproc(picture, (size.height, size.width))
        found = read(session(planes[None]))
        # The demo of YOLOX divides by the ratio and leaves clipping to whoever draws.
        return clipped(found._replace(xyxy=found.xyxy / ratio), size_of(picture))

    return Reference(description, pictures, prepare, read, whole_way)


def ultralytics(file: Path, pictures: list[Path]) -> Reference:
    import torch
    from ultralytics import YOLO
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.nms import non_max_suppression

    description = describe_model(file)
    size = description.form.size
    letterbox = LetterBox((size.height, size.width))
    model = YOLO(str(file), task="detect")

    def read(output: Array) -> Boxes:
        tensor = torch.from_numpy(output[None].copy())
        (rows,) = non_max_suppression(tensor, CONFIDENCE, 0.7, max_det=300, nc=len(description.facts.class_names))
        return as_boxes(rows.numpy())

    def prepare(picture: Array) -> Sample:
        height, width = picture.shape[:2]
        gain = min(size.width / width, size.height / height)
        inner = Size(round(width * gain), round(height * gain))
        left, top = round((size.width - inner.width) / 2 - 0.1), round((size.height - inner.height) / 2 - 0.1)
        scale_x, scale_y = width / inner.width, height / inner.height
        affine = Affine(scale_x, scale_y, -left * scale_x, -top * scale_y)
        tensor = np.ascontiguousarray(letterbox(image=picture)[..., ::-1])
        return Sample(tensor, description.form, affine, whole(picture))

    def whole_way(path: Path, picture: Array) -> Boxes:
        (result,) = model.predict(
            str(path), conf=CONFIDENCE, iou=0.7, imgsz=(size.height, size.width), verbose=False, device="cpu"
        )
        return clipped(as_boxes(result.boxes.data.numpy()), size_of(picture))

    return Reference(description, pictures, prepare, read, whole_way)


def as_boxes(rows: Array) -> Boxes:
    return Boxes(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def size_of(picture: Array) -> Size:
    return Size(picture.shape[1], picture.shape[0])


def whole(picture: Array) -> Region:
    return Region(0, 0, *size_of(picture))


def raw_session(file: Path) -> Callable[[Array], Array]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    return lambda tensor: session.run(None, {source.name: tensor})[0][0]


def raw_outputs(reference: Reference) -> Iterator[Array]:
    session = raw_session(reference.description.file)
    for path in reference.pictures:
        tensor = reference.prepare(cv2.imread(str(path))).tensor
        yield session(
            tensor.transpose(2, 0, 1)[None].astype(np.float32) * np.float32(reference.description.facts.scale)
        )


def our_decoding(description: ModelDescription, output: Array) -> Boxes:
    facts = description.facts
    return decode(facts.head, output, facts.size, len(facts.class_names), CONFIDENCE, facts.nms_iou)


def decoding(reference: Reference) -> Agreement:
    return compare(
        (reference.decode(output), our_decoding(reference.description, output)) for output in raw_outputs(reference)
    )


def whole_way(reference: Reference) -> Agreement:
    detector = OnnxDetector(reference.description, confidence=CONFIDENCE)

    def pairs() -> Iterator[tuple[Boxes, Boxes]]:
        for path in reference.pictures:
            picture = cv2.imread(str(path))
            (found,) = detector.detect([reference.prepare(picture)])
            yield reference.whole(path, picture), Boxes(found.xyxy, found.confidence, found.class_id)

    return compare(pairs())


def write_golden(name: str, reference: Reference, folder: Path) -> None:
    """Raw outputs with the reference's boxes; rows without any score above `GOLDEN_SCORE` are left out (zero)."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = reference.description.facts
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for number, output in enumerate(raw_outputs(reference)):
        if number == GOLDEN_PICTURES:
            break
        rows = output.T if facts.head == "ultralytics" else output
        scores = {"yolox": lambda r: r[:, 4] * r[:, 5:].max(axis=1), "ultralytics": lambda r: r[:, 4:].max(axis=1)}
        score = scores.get(facts.head, lambda r: r[:, 4])(rows)
        index = np.flatnonzero(score > GOLDEN_SCORE)
        boxes = reference.decode(output)
        arrays |= {
            f"shape_{number}": np.array(output.shape), f"index_{number}": index.astype(np.int32),
            f"rows_{number}": rows[index], f"xyxy_{number}": boxes.xyxy, f"confidence_{number}": boxes.confidence,
            f"class_id_{number}": boxes.class_id,
        }  # fmt: skip
    target = folder / f"{name}.npz"
    np.savez_compressed(target, head=facts.head, size=np.array(facts.size), classes=len(facts.class_names), **arrays)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


def report(rows: list[tuple[str, str, int, Agreement]]) -> str:
    lines = [
        "# Head parity",
        "",
        "Boxes of railwatch beside those of the published implementations, fed identical tensors. A pair agrees when",
        "the class is the same, IoU is at least 0.99 and the scores differ by at most 1e-3; the share counts boxes",
        "that only one side has as disagreeing.",
        f"Confidence {CONFIDENCE}, NMS IoU 0.45 (YOLOX) and 0.7 (Ultralytics). Bar: 99 % of at least 200 boxes.",
        "",
        "*Decoding*: the same raw output through both. *Whole way*: the same picture through `OnnxDetector` (on the",
        "reference's letterboxed picture) and through the reference to boxes in pixels of the picture, both clipped",
        "to it.",
        "",
        "| model | compared | pictures | reference | railwatch | agree | lowest IoU | highest score difference |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {what} | {pictures} | {a.reference} | {a.ours} | {a.share:.2%} | {a.least_iou:.6f} | "
        f"{a.largest_difference:.1e} |"
        for name, what, pictures, a in rows
    ]
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return "\n".join([*lines, *NOTES, "", f"{MACHINE};", packages + ".", ""])


def reference_of(name: str, shared: Path, work: Path) -> Reference:
    pictures = sorted((shared / "data" / "coco" / "images" / "train2017").glob("*.jpg"))
    if name == "yolox_nano":
        return yolox(shared / "models" / "yolox_nano_416.onnx", pictures)
    return ultralytics(work / f"{name}-320.onnx", pictures)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder that head_parity_models.py filled")
    parser.add_argument("--shared", type=Path, default=SHARED, help="the development footage")
    parser.add_argument("--only", choices=MODELS, help="compare this one model")
    parser.add_argument("--report", type=Path, help="write the figures as Markdown")
    parser.add_argument("--golden", type=Path, help="write golden files for the tests into this folder")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    # Read when ultralytics is imported: no installing, no network, its settings beside our files.
    os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(work / "settings")}
    rows = []
    for name in (arguments.only,) if arguments.only else MODELS:
        reference = reference_of(name, arguments.shared, work)
        for what, measure in (("decoding", decoding), ("whole way", whole_way)):
            agreement = measure(reference)
            rows.append((name, what, len(reference.pictures), agreement))
            verdict = "passes" if agreement.passes(LEAST_BOXES) else "FAILS"
            print(f"{name:12} {what:10} {agreement} {agreement.share:.4f} {verdict}")
        if arguments.golden:
            write_golden(name, reference, arguments.golden)
    if arguments.report:
        arguments.report.write_text(report(rows), encoding="utf-8")
    return 0 if all(agreement.passes(LEAST_BOXES) for *_, agreement in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
