"""One ONNX file with everything inside: raw pictures in, logits and probabilities out, facts about it as metadata.

    image uint8 [N, H, W, 3] RGB > middle square > resize, antialiased > 0 to 1 > network > logits, prob [N, classes]

The network is exported by torch; what stands before and behind it is built here, node by node.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

IMAGE: Final = "image"
_PIXELS, _LOGITS = "pixels", "network_logits"


class _Half(nn.Module):
    """A network that computes in half precision between floats."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.half()

    def forward(self, pixels: Tensor) -> Tensor:
        """Float logits of float pixels."""
        logits: Tensor = self.network(pixels.half())
        return logits.float()


@contextmanager
def quietly() -> Iterator[None]:
    """Without the log lines of libraries that speak of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def core(network: nn.Module, size: int, *, half: bool = False) -> onnx.ModelProto:
    """The network alone: `pixels` float [N, 3, S, S] in 0 to 1 to `network_logits`, any N, weights inside."""
    shown = _Half(network) if half else network
    with warnings.catch_warnings(), torch.inference_mode(mode=False), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch's exporter about itself
        with quietly():
            program = torch.onnx.export(
                shown.eval(), (torch.rand(2, 3, size, size),), dynamo=True, external_data=False, verbose=False,
                input_names=[_PIXELS], output_names=[_LOGITS], dynamic_shapes=({0: torch.export.Dim("N")},),
            )  # fmt: skip
    assert program is not None  # noqa: S101 - with dynamo a program comes back
    file = io.BytesIO()
    onnx.save(program.model_proto, file)
    return onnx.load_from_string(file.getvalue())


def whole(inner: onnx.ModelProto, size: int, classes: int, temperature: float) -> onnx.ModelProto:
    """The network with what stands before and behind it."""
    graph = inner.graph
    before, constants = _before(size)
    scale = numpy_helper.from_array(_float(temperature), "after_temperature")
    after = [
        helper.make_node("Identity", [_LOGITS], ["logits"], name="after_logits"),
        helper.make_node("Div", [_LOGITS, "after_temperature"], ["after_scaled"], name="after_scale"),
        helper.make_node("Softmax", ["after_scaled"], ["prob"], name="after_softmax", axis=1),
    ]
    made = helper.make_graph(
        [*before, *graph.node, *after],
        "classifier",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", classes]) for name in ("logits", "prob")],
        [*constants, *graph.initializer, scale],
        value_info=graph.value_info,
    )
    model = helper.make_model(made, opset_imports=inner.opset_import, functions=list(inner.functions))
    model.ir_version = inner.ir_version
    model.producer_name = "classifiers"
    onnx.checker.check_model(model)
    return model


def _float(value: float) -> Any:  # noqa: ANN401 - an array without dimensions
    import numpy as np  # noqa: PLC0415 - for constants only

    return np.array(value, dtype=np.float32)


def _before(size: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """The middle square of any picture, scaled as Pillow scales (bicubic with a = -0.5, antialiased, rounded)."""
    import numpy as np  # noqa: PLC0415 - for constants only

    whole_numbers = {
        "two": [2], "axes": [1, 2], "square_sizes": [3, size, size], "count": [0], "height": [1], "width": [2],
    }  # fmt: skip
    constants = [numpy_helper.from_array(np.array(v, dtype=np.int64), f"before_{k}") for k, v in whole_numbers.items()]
    constants += [numpy_helper.from_array(_float(v), f"before_{k}") for k, v in (("zero", 0.0), ("most", 255.0))]
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:  # noqa: ANN401 - as onnx takes them
        named = [name if name in {"", IMAGE, _PIXELS} else f"before_{name}" for name in inputs]
        target = output if output == _PIXELS else f"before_{output}"
        nodes.append(helper.make_node(kind, named, [target], name=f"before_{output}_node", **attributes))

    add("Shape", [IMAGE], "shape")
    add("Gather", ["shape", "height"], "h", axis=0)
    add("Gather", ["shape", "width"], "w", axis=0)
    add("Min", ["h", "w"], "side")
    for name, length in (("top", "h"), ("left", "w")):
        add("Sub", [length, "side"], f"{name}_rest")
        add("Div", [f"{name}_rest", "two"], name)
        add("Add", [name, "side"], f"{name}_end")
    add("Concat", ["top", "left"], "starts", axis=0)
    add("Concat", ["top_end", "left_end"], "ends", axis=0)
    add("Slice", [IMAGE, "starts", "ends", "axes"], "square")
    add("Transpose", ["square"], "planes", perm=[0, 3, 1, 2])
    add("Cast", ["planes"], "floats", to=TensorProto.FLOAT)
    # All four sizes, not the two axes alone: ONNX Runtime moves the transposition behind it, and then misreads two.
    add("Gather", ["shape", "count"], "n", axis=0)
    add("Concat", ["n", "square_sizes"], "sizes", axis=0)
    add("Resize", ["floats", "", "", "sizes"], "resized", mode="cubic", antialias=1, cubic_coeff_a=-0.5,
        exclude_outside=1, coordinate_transformation_mode="half_pixel")  # fmt: skip
    add("Clip", ["resized", "zero", "most"], "clipped")
    add("Round", ["clipped"], "rounded")
    add("Div", ["rounded", "most"], _PIXELS)
    return nodes, constants


def describe(model: onnx.ModelProto, facts: Mapping[str, str]) -> None:
    """Write facts into the metadata, over what is there."""
    kept = {entry.key: entry.value for entry in model.metadata_props} | dict(facts)
    helper.set_model_props(model, kept)
