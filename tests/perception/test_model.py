from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from railwatch.core.errors import ModelError
from railwatch.core.types import SampleForm, Size
from railwatch.perception import model as model_module
from railwatch.perception.manifest import Manifest, load_manifest
from railwatch.perception.model import describe_model
from tests.perception.onnx_models import constant_model, own_metadata, save, ultralytics_metadata

NO_MANIFEST = Manifest(Path(), (), None)
END_TO_END = np.zeros((4, 6), np.float32)
ULTRALYTICS = np.zeros((6, 21), np.float32)
YOLOX = np.zeros((21, 7), np.float32)


@pytest.fixture
def described(tmp_path):
    """Save a model and describe it without a manifest."""
    return lambda model: describe_model(save(model, tmp_path / "model.onnx"), NO_MANIFEST)


def test_own_metadata_describes_a_model(described, tmp_path):
    found = described(constant_model(YOLOX, metadata=own_metadata(head="yolox", channels="bgr", letterbox="top_left")))
    assert found.form == SampleForm(Size(32, 32), "bgr", "top_left", 114)
    assert found.facts.scale == 1.0
    assert found.facts.nms_iou == 0.45
    assert found.facts.class_names == ("person", "dog")
    assert found.facts.licence == "Apache-2.0"
    assert found.sha256 == hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    assert (found.input_name, found.output_name, found.dtype, found.dynamic_batch) == (
        "images", "output", "float32", False
    )  # fmt: skip


def test_own_metadata_may_set_what_has_a_usual_value(described):
    keys = own_metadata(head="ultralytics", pixel_max="1", pad_value="0", nms_iou="0.6")
    found = described(constant_model(ULTRALYTICS, metadata=keys))
    assert (found.facts.scale, found.facts.pad_value, found.facts.nms_iou) == (1 / 255, 0, 0.6)


@pytest.mark.parametrize(
    ("changes", "output", "head"),
    [
        ({}, ULTRALYTICS, "ultralytics"),
        ({"end2end": "True"}, END_TO_END, "end_to_end"),
        ({"args": "{'nms': True}"}, END_TO_END, "end_to_end"),
        ({"args": None, "end2end": None, "channels": None}, ULTRALYTICS, "ultralytics"),
    ],
)
def test_ultralytics_metadata_describes_a_model(described, changes, output, head):
    found = described(constant_model(output, metadata=ultralytics_metadata(**changes)))
    assert found.facts.head == head
    assert found.form == SampleForm(Size(32, 32), "rgb", "center", 114)
    assert found.facts.scale == 1 / 255
    assert found.facts.name == "model"
    assert found.facts.class_names == ("person", "dog")
    assert found.facts.nms_iou == (None if head == "end_to_end" else 0.7)


def test_a_rectangular_input_keeps_width_and_height_apart(described):
    keys = ultralytics_metadata(imgsz="[32, 64]")
    assert described(constant_model(ULTRALYTICS, input_shape=[1, 3, 32, 64], metadata=keys)).form.size == Size(64, 32)


def test_float16_and_a_dynamic_batch_are_seen(described):
    network = constant_model(END_TO_END, batch="n", input_type=TensorProto.FLOAT16, metadata=own_metadata())
    found = described(network)
    assert (found.dtype, found.dynamic_batch) == ("float16", True)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "not described"),
        ({"names": "{0: 'a', 1: 'b'}", "stride": "32"}, "not described"),
        (ultralytics_metadata(task="segment"), "task must be 'detect', but is 'segment'"),
        (ultralytics_metadata(imgsz="[64, 64]"), r"imgsz \[64, 64\], but the input is 32 x 32"),
        (ultralytics_metadata(imgsz=None), "must name imgsz"),
        (ultralytics_metadata(channels="1"), "3 colour channels"),
        (ultralytics_metadata(names="{0: 'a', 2: 'b'}"), "class ids 0, 1, 2"),
        (ultralytics_metadata(names="{0: 'a', 'x': 'b'}"), "class ids 0, 1, 2"),
        (ultralytics_metadata(names="__import__('os').getcwd()"), "names cannot be read"),
        (ultralytics_metadata(names="[" * 5000), "names cannot be read"),
        (ultralytics_metadata(names="{0: 'a', 1: 5}"), "names of 1 to 100"),
        (ultralytics_metadata(names=repr(dict.fromkeys(range(40000), "a"))), "at most 262144 characters"),
        (ultralytics_metadata(names="{0: 'one class only'}"), r"must be \(batch, 5, any\)"),
        (own_metadata(head=None), "lacks head"),
        (own_metadata(colour="red"), "has the unknown colour"),
        (own_metadata(head="retinanet"), "head must be one of yolox"),
        (own_metadata(classes="person"), "railwatch.classes cannot be read"),
        (own_metadata(classes='"person"'), "classes must be a list"),
        (own_metadata(classes="[]"), "1 to 2000 classes"),
        (own_metadata(pixel_max="127"), "pixel_max must be one of 1, 255"),
        (own_metadata(channels="gbr"), "channels must be one of rgb, bgr"),
        (own_metadata(letterbox="none"), "letterbox must be one of"),
        (own_metadata(pad_value="300"), "pad_value must be a whole number"),
        (own_metadata(nms_iou="0.5"), "needs no NMS"),
        (own_metadata(head="ultralytics", nms_iou="2.0"), "between 0 and 1"),
        (own_metadata(licence=""), "licence must be a text"),
        (own_metadata(head="yolox"), r"must be \(batch, 21, 7\) for head yolox with 2 classes at 32 x 32"),
    ],
)
def test_what_is_not_or_badly_described_is_refused(described, metadata, said):
    output = ULTRALYTICS if "task" in metadata else END_TO_END
    with pytest.raises(ModelError, match=said):
        described(constant_model(output, metadata=metadata))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input_shape": [1, 3, "h", "w"]}, "must be fixed, but are h x w"),
        ({"input_shape": [4, 3, 32, 32], "batch": 4}, "batch must be 1 or dynamic, but is 4"),
        ({"input_shape": [1, 1, 32, 32]}, r"must be \(batch, 3, height, width\)"),
        ({"input_shape": [1, 3, 40, 40]}, "multiples of 32"),
        ({"input_shape": [1, 3, 8192, 8192]}, "multiples of 32 up to 4096"),
        ({"input_type": TensorProto.UINT8}, "float32 or float16, but is tensor"),
    ],
)
def test_an_input_that_cannot_be_fed_is_refused(described, options, said):
    with pytest.raises(ModelError, match=said):
        described(constant_model(END_TO_END, metadata=own_metadata(), **options))


def test_more_than_one_output_is_refused(described):
    network = constant_model(END_TO_END, metadata=own_metadata())
    network.graph.output.append(network.graph.output[0])
    network.graph.output[1].name = "mean"
    with pytest.raises(ModelError, match="one output, but has 2"):
        described(network)


def test_weights_in_another_file_are_refused(tmp_path, monkeypatch):
    network = constant_model(END_TO_END, metadata=own_metadata())
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    path = save(network, tmp_path / "model.onnx", **options)
    # ONNX Runtime would take the weights from whatever lies in the working directory.
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="hold its weights itself"):
        describe_model(path, NO_MANIFEST)


def test_bytes_that_are_no_model_are_refused_naming_the_file(tmp_path):
    good = constant_model(END_TO_END, metadata=own_metadata()).SerializeToString()
    path = tmp_path / "bad.onnx"
    for content in (os.urandom(4096), b"just a text file\n", good[: len(good) // 2], b"\x00"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"bad\.onnx: the model must be a complete ONNX file") as caught:
            describe_model(path, NO_MANIFEST)
        assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "weights.pt").write_bytes(b"PK")
    for name, said in {
        "missing.onnx": "is not there",
        ".": "is a folder",
        "empty.onnx": "but has 0",
        "weights.pt": "PyTorch file",
    }.items():
        with pytest.raises(ModelError, match=said):
            describe_model(tmp_path / name, NO_MANIFEST)
    monkeypatch.setattr(model_module, "MAX_BYTES", 100)
    with pytest.raises(ModelError, match="must have 1 to 100 bytes"):
        describe_model(save(constant_model(END_TO_END), tmp_path / "large.onnx"), NO_MANIFEST)


def test_the_manifest_describes_a_file_by_its_hash_and_must_agree(tmp_path):
    path = save(constant_model(YOLOX, metadata=ultralytics_metadata()), tmp_path / "any.onnx")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = f"""
        [[model]]
        name = "ours"
        sha256 = "{sha256}"
        bytes = 100
        source = "a test"
        card = "x.md"
        accuracy = []
        speed = []
        licence = "MIT"
        head = "yolox"
        size = [32, 32]
        channels = "bgr"
        pixel_max = 255
        letterbox = "top_left"
        classes = ["person", "dog"]
    """
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(text, encoding="utf-8")
    assert describe_model(path, load_manifest(manifest)).facts.name == "ours"
    manifest.write_text(text.replace("[32, 32]", "[64, 32]"), encoding="utf-8")
    with pytest.raises(ModelError, match="manifest says an input of 64 x 32, but it is 32 x 32"):
        describe_model(path, load_manifest(manifest))


def test_the_reference_detector_is_known(shared):
    found = describe_model(shared / "models" / "yolox_nano_416.onnx")
    assert found.facts.head == "yolox"
    assert found.form == SampleForm(Size(416, 416), "bgr", "top_left", 114)
    assert len(found.facts.class_names) == 80
