"""Files and conditions that a command must refuse in one line, made where a test wants them."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import av
import numpy as np
import onnx
from onnx import TensorProto, helper

from railwatch.messaging.keys import KeyStore
from railwatch.messaging.roles import Role

SITE = """\
schema_version: 1
site_id: yard
severity_without_trains: WARNING
cameras: [{camera_id: east, source: clip.mp4}]
sections: [crossing]
zones:
  - {zone_id: a, camera_id: east, section_id: crossing, kind: track, polygon: [[0, 0], [1, 0], [1, 1]]}
model: {file: good.onnx}
"""


def make_bad_files(folder: Path) -> None:
    """Fill `folder`; the names say what is wrong with each, clip.mp4 and good.onnx are sound."""
    write_clip(folder / "clip.mp4")
    whole = (folder / "clip.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "text.mp4").write_text("this is no video\n" * 100)
    (folder / "text.png").write_text("this is no picture\n")
    (folder / "empty-folder").mkdir()
    for name in ("empty.mp4", "empty.png", "empty.onnx", "empty.yaml", "empty.jsonl"):
        (folder / name).touch()
    noise = random.Random(7).randbytes(4096)  # noqa: S311 - any bytes that are no model
    (folder / "random.onnx").write_bytes(noise)
    (folder / "random.yaml").write_bytes(noise)
    (folder / "random.jsonl").write_bytes(noise)
    described = {"name": "tiny", "head": "yolox", "channels": "bgr", "pixel_max": 255, "letterbox": "top_left"}
    described |= {"classes": ["person"], "licence": "Apache-2.0"}
    write_model(folder / "good.onnx", described)
    write_model(folder / "unknown-head.onnx", {**described, "head": "crystal-ball"})
    write_model(folder / "undescribed.onnx", {})
    (folder / "good.yaml").write_text(SITE)
    (folder / "unknown-key.yaml").write_text(SITE.replace("cameras:", "camras: 1\ncameras:"))
    write_second_runtime(folder / "second-runtime")
    write_keys(folder)


def write_keys(folder: Path) -> None:
    """A folder of keys with one name, one that others can enter, and a key file that others can read."""
    shutil.copy(KeyStore(folder / "keys").new("used", Role.SUBSCRIBER), folder / "open.key")
    (folder / "open.key").chmod(0o644)
    shutil.copytree(folder / "keys", folder / "open-keys")
    (folder / "open-keys").chmod(0o755)


def write_clip(path: Path, frames: int = 12) -> None:
    """A grey clip of 64 x 48 pixels at 12 frames a second; its index stands at the end."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            noise = np.random.default_rng(number).integers(100, 140, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())


def write_model(path: Path, facts: dict[str, object]) -> None:
    """A model with the shapes of YOLOX at 64 x 64 and one class that finds nothing, described by `facts`."""
    rows = sum((64 // stride) ** 2 for stride in (8, 16, 32))
    nothing = onnx.numpy_helper.from_array(np.zeros((1, rows, 6), np.float32), "nothing")
    zero = onnx.numpy_helper.from_array(np.zeros((), np.float32), "zero")
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "zero"], ["none"]),
            helper.make_node("Add", ["nothing", "none"], ["output"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, rows, 6])],
        [nothing, zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    helper.set_model_props(model, {f"railwatch.{key}": text for key, text in texts.items()})
    onnx.save(model, path)


def write_second_runtime(folder: Path) -> None:
    """What pip leaves of an installed onnxruntime-gpu, as far as anybody can see who asks for distributions."""
    info = folder / "onnxruntime_gpu-1.31.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.31.1\n")
