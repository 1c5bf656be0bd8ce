"""Build the models that benchmarks/head_parity.py compares on: no weights are downloaded.

Each network is built from its yaml, overfitted on 32 pictures of COCO at 320 px so that its boxes mean something, and
exported to ONNX; yolo11n is exported at 640 px as well, for benchmarks of speed. Needs torch and ultralytics
(AGPL-3.0, hence never imported by railwatch itself):

    python benchmarks/head_parity_models.py --work DIR [--shared ../shared] [--only yolov8n] [--epochs 150]
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[1].parent / "shared"
MODELS = ("yolov8n", "yolo11n", "yolo26n")
PICTURES = 32
SIZE = 320
SEED = 0


def prepare_data(shared: Path, work: Path) -> Path:
    """Copy the first pictures with at least one label beside their labels; returns the data set's yaml."""
    source = shared / "data" / "coco"
    data = work / "data"
    for kind in ("images", "labels"):
        (data / kind / "train").mkdir(parents=True, exist_ok=True)
    labels = sorted(path for path in (source / "labels" / "train2017").glob("*.txt") if path.stat().st_size)
    for label in labels[:PICTURES]:
        picture = source / "images" / "train2017" / f"{label.stem}.jpg"
        shutil.copyfile(picture, data / "images" / "train" / picture.name)
        shutil.copyfile(label, data / "labels" / "train" / label.name)
    lines = (source / "config.yaml").read_text(encoding="utf-8").splitlines()
    names = lines[lines.index("names:") :]
    head = [f"path: {data}", "train: images/train", "val: images/train"]
    config = data / "data.yaml"
    config.write_text("\n".join(head + names) + "\n", encoding="utf-8")
    return config


def overfit(name: str, data: Path, work: Path, epochs: int) -> Path:
    """Train `name` from its yaml on the few pictures, without augmentation; returns the weights."""
    from ultralytics import YOLO

    model = YOLO(f"{name}.yaml")
    without: dict[str, Any] = dict.fromkeys(
        ("mosaic", "mixup", "hsv_h", "hsv_s", "hsv_v", "translate", "scale", "fliplr", "erasing"), 0.0
    )
    model.train(
        data=str(data), epochs=epochs, imgsz=SIZE, batch=8, workers=0, device="cpu", pretrained=False, amp=False,
        optimizer="AdamW", lr0=2e-3, lrf=0.1, cos_lr=True, warmup_epochs=3, weight_decay=0.0, seed=SEED,
        deterministic=True, val=False, plots=False, save_period=-1, project=str(work / "runs"), name=name,
        exist_ok=True, verbose=False, nbs=8, close_mosaic=0, auto_augment=None, **without,
    )  # fmt: skip
    return work / "runs" / name / "weights" / "last.pt"


def export(weights: Path, size: int, target: Path) -> None:
    """Write the weights as ONNX of one picture of size x size."""
    from ultralytics import YOLO

    made = YOLO(str(weights)).export(format="onnx", imgsz=size, opset=17, simplify=False, device="cpu")
    shutil.move(made, target)
    print(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data, weights and ONNX files")
    parser.add_argument("--shared", type=Path, default=SHARED, help="the development footage")
    parser.add_argument("--only", choices=MODELS, help="build this one model")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    # Read when ultralytics is imported: no installing, no network, its settings beside our files.
    os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(work / "settings")}
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import torch
    from ultralytics import settings

    settings.update({"sync": False})
    torch.set_num_threads(arguments.threads)
    data = prepare_data(arguments.shared, work)
    for name in (arguments.only,) if arguments.only else MODELS:
        weights = overfit(name, data, work, arguments.epochs)
        export(weights, SIZE, work / f"{name}-320.onnx")
        if name == "yolo11n":
            export(weights, 640, work / "yolo11n-640.onnx")


if __name__ == "__main__":
    main()
