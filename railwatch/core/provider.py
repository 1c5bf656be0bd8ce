"""What may run a model. Standard library only: the command line offers it as a choice."""

from __future__ import annotations

from enum import Enum


class Provider(Enum):
    """ONNX Runtime execution provider that must run the model."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
