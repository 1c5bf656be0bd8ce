"""Export a YOLO of Ultralytics to ONNX, with what is needed to prove the export. A program of its own.

    python ultralytics_export.py where NAME
    python ultralytics_export.py export --weights FILE.pt | --untrained NAME --width W --height H --out FOLDER

`railwatch models export` runs it with an interpreter that has ultralytics (AGPL-3.0); railwatch itself never imports
that. It goes nowhere: no download, no installing, no analytics, settings and caches in FOLDER only. On stdout it writes
one JSON document a line: {"step": text} while it works, at last {"done": {...}}; everything else goes to stderr.

`where` tells from which address this version of ultralytics takes the weights NAME.pt. `export` writes into FOLDER
model.onnx and proof.npz: pictures as the network gets them, its raw output in PyTorch, and the boxes of `predict`.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

LEAST_CANDIDATES = 50
CONFIDENCE = 0.05
IOU = 0.7
OPSET = 17
SEED = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    where = commands.add_parser("where")
    where.add_argument("name")
    export = commands.add_parser("export")
    source = export.add_mutually_exclusive_group(required=True)
    source.add_argument("--weights", type=Path)
    source.add_argument("--untrained")
    export.add_argument("--width", type=int, required=True)
    export.add_argument("--height", type=int, required=True)
    export.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    out = own_stdout()
    try:
        refuse_to_go_out()
        done = asset(options.name) if options.command == "where" else exported(options, out)
    except RefusalError as refusal:
        tell(out, {"refused": str(refusal)})
        return 1
    tell(out, {"done": done})
    return 0


class RefusalError(Exception):
    """Why there is no export, in a sentence for the user."""


def own_stdout() -> IO[str]:
    """The pipe to railwatch; what libraries print on stdout goes to stderr from now on."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def tell(out: IO[str], document: dict[str, Any]) -> None:
    out.write(json.dumps(document) + "\n")
    out.flush()


def refuse_to_go_out() -> None:
    """Switch off what ultralytics does unasked, and stop where that did not work."""
    for key in ("YOLO_OFFLINE", "YOLO_CONFIG_DIR", "YOLO_AUTOINSTALL"):
        if key not in os.environ:
            raise RefusalError(f"{key} must be set by whoever starts this program, but is not")
    from ultralytics import settings
    from ultralytics.utils import AUTOINSTALL, ONLINE
    from ultralytics.utils.events import events

    services = {"sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"} & set(settings)
    settings.update(dict.fromkeys(services, False))
    if AUTOINSTALL or ONLINE or events.enabled or settings["sync"]:
        raise RefusalError(
            "auto-install, network and analytics of ultralytics must be off, but this version keeps them on"
        )


def asset(name: str) -> dict[str, Any]:
    """Where ultralytics itself would fetch these weights."""
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    detectors = sorted(
        known.removesuffix(".pt")
        for known in GITHUB_ASSETS_NAMES
        if known.startswith(("yolov5", "yolov8", "yolov9", "yolov10", "yolo11", "yolo12", "yolo26"))
        and known.endswith(".pt")
        and ("-" not in known)
    )
    if name not in detectors:
        raise RefusalError(f"the detector must be one of {', '.join(detectors)}, but is {name!r}")
    defaults = {key: value.default for key, value in inspect.signature(attempt_download_asset).parameters.items()}
    address = f"https://github.com/{defaults['repo']}/releases/download/{defaults['release']}/{name}.pt"
    return {"url": address, "ultralytics": version("ultralytics")}


def exported(options: argparse.Namespace, out: IO[str]) -> dict[str, Any]:
    """Export and write the proof; returns what railwatch writes down."""
    tell(out, {"step": "loading PyTorch and the weights"})
    model = loaded(options)
    if model.task != "detect":
        raise RefusalError(f"the model must be a detector, but its task is {model.task!r}")
    size = (options.height, options.width)
    tell(out, {"step": "running the network in PyTorch"})
    confidence = prove(model, size, options.out)
    tell(out, {"step": "exporting to ONNX"})
    made = Path(model.export(format="onnx", imgsz=size, opset=OPSET, simplify=False, device="cpu"))
    target = options.out / "model.onnx"
    made.replace(target)
    weights = hashlib.sha256(options.weights.read_bytes()).hexdigest() if options.weights else None
    packages = {name: version(name) for name in ("ultralytics", "torch", "onnx")}
    return {"confidence": confidence, "weights_sha256": weights, "packages": packages}


def loaded(options: argparse.Namespace) -> Any:  # noqa: ANN401 - a class of ultralytics
    import torch
    from ultralytics import YOLO

    if options.untrained:
        torch.manual_seed(SEED)
        try:
            return awake(YOLO(f"{options.untrained}.yaml", task="detect"), (options.height, options.width))
        except FileNotFoundError:
            raise RefusalError(f"ultralytics must know the network {options.untrained!r}, but does not") from None
    copy = options.out / "weights.pt"
    copy.write_bytes(options.weights.read_bytes())  # the export is written beside the weights: here, not there
    try:
        return YOLO(str(copy))
    except Exception as error:  # noqa: BLE001 - any bytes may be in the file, and anything be raised
        raise RefusalError(
            f"{options.weights} must be weights that ultralytics can load, but is not ({error})"
        ) from None


def awake(model: Any, size: tuple[int, int]) -> Any:  # noqa: ANN401 - a class of ultralytics
    """Give an untrained network COCO's names and the statistics of the pictures.

    Without these its activations fade layer by layer, and the same boxes come out whatever it sees.
    """
    import torch
    from torch import nn
    from ultralytics.utils import ROOT, YAML

    network = model.model
    network.names = YAML.load(ROOT / "cfg" / "datasets" / "coco.yaml")["names"]
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the mean over all that is shown
    network.train()
    with torch.no_grad():
        network(torch.cat([as_tensor(letterboxed(picture, size)) for picture in pictures()]))
    network.eval()
    return model


def letterboxed(picture: Any, size: tuple[int, int]) -> Any:  # noqa: ANN401 - arrays: numpy is imported late
    """The picture as the network gets it: (height, width, 3) uint8 RGB."""
    import numpy as np
    from ultralytics.data.augment import LetterBox

    return np.ascontiguousarray(LetterBox(size, auto=False)(image=picture)[..., ::-1])


def as_tensor(boxed: Any) -> Any:  # noqa: ANN401 - arrays and tensors
    import torch

    return torch.from_numpy(boxed).permute(2, 0, 1)[None].float() / 255


def prove(model: Any, size: tuple[int, int], folder: Path) -> float:  # noqa: ANN401 - a class of ultralytics
    """Write pictures, raw outputs and boxes; returns the confidence of the boxes.

    It is 0.05, or lower where fewer candidates than `LEAST_CANDIDATES` of a picture reach that: in untrained networks.
    """
    import numpy as np
    import torch

    network = model.model.float().eval()
    arrays: dict[str, Any] = {}
    scores, shown = [], pictures()
    for number, picture in enumerate(shown):
        boxed = letterboxed(picture, size)
        with torch.no_grad():
            output = network(as_tensor(boxed))
        raw = (output[0] if isinstance(output, tuple | list) else output)[0].numpy()
        scores.append(raw[:, 4] if raw.shape[1] == 6 else raw[4:].max(axis=0))
        arrays |= {f"sample_{number}": boxed, f"raw_{number}": raw, f"size_{number}": np.array(picture.shape[1::-1])}
    candidates = min(float(np.sort(found)[-LEAST_CANDIDATES:][0]) for found in scores)
    confidence = min(CONFIDENCE, 0.999 * candidates)
    for number, picture in enumerate(shown):
        (result,) = model.predict(
            picture, conf=confidence, iou=IOU, imgsz=size, rect=False, device="cpu", verbose=False, max_det=300
        )
        arrays[f"boxes_{number}"] = result.boxes.data.numpy()
    np.savez_compressed(folder / "proof.npz", confidence=confidence, pictures=len(shown), **arrays)
    return confidence


def pictures() -> list[Any]:
    """The pictures that come with ultralytics, as they are, mirrored, and their lower half: six, BGR."""
    import cv2
    import numpy as np
    from ultralytics.utils import ASSETS

    found = [cv2.imread(str(path)) for path in sorted(Path(ASSETS).glob("*.jpg"))]
    if not found:
        raise RefusalError("the pictures that come with ultralytics must be there, but are not: install it again")
    turned = ((picture, picture[:, ::-1], picture[picture.shape[0] // 2 :]) for picture in found)
    return [np.ascontiguousarray(view) for views in turned for view in views]


if __name__ == "__main__":
    sys.exit(main())
