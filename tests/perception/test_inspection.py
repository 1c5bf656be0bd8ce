"""`describe` says of any ONNX file what it is, and all that forbids running it."""

from __future__ import annotations

import numpy as np
import pytest

from railwatch.core.errors import ModelError
from railwatch.perception.inspection import MAX_SHOWN, inspect_model
from tests.perception.onnx_models import constant_model, own_metadata, save, ultralytics_metadata

ULTRALYTICS = np.zeros((6, 21), np.float32)
YOLOX = np.zeros((21, 7), np.float32)


@pytest.fixture
def seen(tmp_path):
    """Save a model and look into it."""
    return lambda model: inspect_model(save(model, tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    ("metadata", "by"),
    [(own_metadata(head="ultralytics"), "its own metadata"), (ultralytics_metadata(), "its Ultralytics export")],
)
def test_a_described_model_is_told_as_it_will_be_run(seen, metadata, by):
    found = seen(constant_model(ULTRALYTICS, metadata=metadata))
    assert found.description.facts.head == "ultralytics"
    assert by in found.described_by
    assert found.inputs == ("images float (1, 3, 32, 32)",)
    assert found.outputs == ("output float (1, 6, 21)",)
    assert (found.faults, found.fits, found.missing) == ((), (), ())


def test_an_undescribed_model_is_told_what_it_lacks_and_which_heads_its_shape_fits(seen):
    found = seen(constant_model(YOLOX))
    assert found.description is None
    assert found.described_by == "nothing"
    assert "not described" in found.faults[0]
    assert found.fits == ("yolox with 2 classes", "yolox_decoded with 2 classes", "ultralytics with 17 classes")
    assert "railwatch.head" in found.missing
    assert len(found.missing) == 7


def test_every_fault_is_told_at_once_and_each_once(seen):
    network = constant_model(ULTRALYTICS, input_shape=[1, 3, "h", "w"], metadata=own_metadata(head=None))
    network.graph.output.append(network.graph.output[0])
    network.graph.output[1].name = "mean"
    found = seen(network)
    for words in ("must be fixed, but are h x w", "lacks head", "one output, but has 2"):
        assert sum(words in fault for fault in found.faults) == 1, found.faults
    assert found.fits == ()
    assert found.missing == ("railwatch.head",)


def test_an_end_to_end_shape_fits_any_number_of_classes(seen):
    assert seen(constant_model(np.zeros((4, 6), np.float32))).fits == ("end_to_end with any number of classes",)


def test_long_metadata_is_cut(seen):
    assert len(seen(constant_model(YOLOX, metadata={"a": "x" * 10_000})).metadata["a"]) == MAX_SHOWN + 3


def test_what_is_no_onnx_file_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"bad\.onnx: the model must be a complete ONNX file"):
        inspect_model(tmp_path / "bad.onnx")
