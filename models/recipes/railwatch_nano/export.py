"""Write a trained network as the ONNX file that railwatch runs: decoding and description inside.

python -m models.recipes.railwatch_nano.export CHECKPOINT OUT.onnx
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from models.recipes.railwatch_nano.network import PIXEL_ORDER, Nano, boxes, grid, rows
from models.recipes.railwatch_nano.sources import CLASSES

OPSET = 17


class Decoded(nn.Module):
    """The network with its decoding: (N, A, 5 + classes), x, y, w, h in pixels, objectness and class scores.

    Sorting 2 x 2 pixels into channels and the 3 x 3 convolution behind it run as one convolution of 6 x 6 pixels, which
    says the same and saves ONNX Runtime one copy of the picture: 4 to 5 % of a run.
    """

    def __init__(self, network: Nano, width: int, height: int) -> None:
        super().__init__()
        self.network = network
        self.first = nn.Sequential(over_pixels(network.focus[0]), network.focus[1])
        cells, strides = grid(width, height)
        self.register_buffer("cells", cells)
        self.register_buffer("strides", strides)

    def shape(self) -> tuple[int, int]:
        """Rows and columns of the output of one picture."""
        return len(self.cells), 5 + self.network.classes

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) float32 BGR 0 to 255."""
        raw = rows(self.network.late(self.network.dark2(self.first(pictures))))
        return torch.cat((boxes(raw, self.cells, self.strides), raw[..., 4:].sigmoid()), dim=-1)


def over_pixels(focus: nn.Conv2d) -> nn.Conv2d:
    """The first convolution, (O, 12, 3, 3) over sorted pixels, as (O, 3, 6, 6) in steps of two over the picture."""
    weight = torch.zeros(focus.out_channels, 3, 6, 6)
    for index, (down, right) in enumerate(PIXEL_ORDER):
        weight[:, :, down::2, right::2] = focus.weight.detach()[:, 3 * index : 3 * index + 3]
    made = nn.Conv2d(3, focus.out_channels, 6, 2, 2)
    made.weight.data, made.bias.data = weight, focus.bias.detach().clone()
    return made


def write(network: Nano, size: tuple[int, int], out: Path, name: str, class_names: tuple[str, ...] = CLASSES) -> None:
    """Export for an input of `size`, width and height, with the metadata of docs/models.md."""
    width, height = size
    model = Decoded(network.eval(), width, height).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.zeros(1, 3, height, width),), str(out), opset_version=OPSET, dynamo=False,
            input_names=["images"], output_names=["output"],
            dynamic_axes={"images": {0: "batch"}, "output": {0: "batch"}},
        )  # fmt: skip
    file = onnx.load(str(out))
    for dimension, length in zip(file.graph.output[0].type.tensor_type.shape.dim[1:], model.shape(), strict=True):
        dimension.dim_value = length
    metadata = {
        "railwatch.name": name,
        "railwatch.head": "yolox_decoded",
        "railwatch.channels": "bgr",
        "railwatch.pixel_max": "255",
        "railwatch.letterbox": "top_left",
        "railwatch.pad_value": "114",
        "railwatch.classes": json.dumps(class_names),
        "railwatch.licence": "Apache-2.0",
    }
    onnx.helper.set_model_props(file, metadata)
    onnx.checker.check_model(file)
    onnx.save(file, str(out))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    kept = torch.load(given.checkpoint, weights_only=True)
    network = Nano(len(CLASSES))
    network.load_state_dict(kept["weights"])
    write(network, tuple(kept["size"]), given.out, "railwatch-nano")


if __name__ == "__main__":
    main()
