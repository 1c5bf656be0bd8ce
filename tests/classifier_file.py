"""Classifiers made by hand, in the form of `classifiers export`, sound and otherwise: what is bright is a mammal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = ("Aves", "Mammalia")
FACTS = {
    "format": "1",
    "classes": list(CLASSES),
    "preprocessing": {"size": 8},
    "abstain_below": 0.6,
}


def write_classifier(path, *, outputs=2, lie=None, external=False, dtype=TensorProto.UINT8, facts=(), without=()):
    """Write it; its SHA-256.

    `lie`: what is answered instead of probabilities, as an ONNX operator and a constant. `facts` are written over those
    that belong there, `without` are left out.
    """
    constants = {
        "weight": np.linspace(-0.05, 0.05, outputs, dtype=np.float32)[None].repeat(3, 0),
        "bias": np.linspace(6.0, -6.0, outputs, dtype=np.float32),
        "other": np.float32(lie[1] if lie else 1.0),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats"], ["mean"], axes=[1, 2], keepdims=0),
            helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["sound"], axis=1),
            helper.make_node(lie[0] if lie else "Mul", ["sound", "other"], ["prob"]),
        ],
        "classifier",
        [helper.make_tensor_value_info("image", dtype, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", outputs]) for name in ("logits", "prob")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    told = {key: value for key, value in {**FACTS, **dict(facts)}.items() if key not in without}
    helper.set_model_props(model, {f"classifiers.{key}": json.dumps(value) for key, value in told.items()})
    apart = {"save_as_external_data": True, "size_threshold": 0, "location": "weights.bin"} if external else {}
    onnx.save(model, path, **apart)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
