"""An exported file at work: read with distrust, run on the provider that was asked for and on no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from classifiers.errors import CheckpointError, ConfigError, InstallError

FORMAT: Final = "1"
PROVIDERS: Final[Mapping[str, str]] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PREFIX: Final = "classifiers."
_MAX_BYTES: Final = 2 * 1024**3 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself.

    Attributes:
        classes: names in the order of the outputs.
        size: side in pixels that pictures are scaled to inside.
        precision: fp32, fp16 or int8.
        abstain_below: confidence below which an answer is not to be trusted.
        values: everything, by name.
    """

    classes: tuple[str, ...]
    size: int
    precision: str
    abstain_below: float
    values: Mapping[str, Any]


def to_metadata(values: Mapping[str, Any]) -> dict[str, str]:
    """Facts as ONNX metadata: each a JSON value under the prefix of this program."""
    return {f"{_PREFIX}{key}": json.dumps(value, allow_nan=False) for key, value in values.items()}


def read_facts(path: Path) -> Facts:
    """Read and check what a file says of itself. Raises CheckpointError, naming what must hold.

    Refused: what is no ONNX file, holds its weights elsewhere, has no metadata of this program, or names other classes
    than it has outputs.
    """
    try:
        size = path.stat().st_size
        model = None if size > _MAX_BYTES else onnx.load_model(path, load_external_data=False)
    except OSError as error:
        raise CheckpointError(f"{path} must be an ONNX file, but cannot be read: {error.strerror or error}") from error
    except Exception as error:  # protobuf's errors have no base of their own
        raise CheckpointError(f"{path} must be an ONNX file, but cannot be read as one") from error
    if model is None:
        raise CheckpointError(f"{path} must have at most {_MAX_BYTES} bytes, but has {size}")
    if any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in _tensors(model)):
        raise CheckpointError(
            f"{path} must hold its weights, but names another file for them: export it with all inside"
        )
    given = {e.key.removeprefix(_PREFIX): e.value for e in model.metadata_props if e.key.startswith(_PREFIX)}
    outputs = {o.name: [d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output}
    return _checked(path, given, outputs)


def _tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    found = list(model.graph.initializer)
    for node in model.graph.node:
        found += [attribute.t for attribute in node.attribute if attribute.HasField("t")]
    return found


def _checked(path: Path, given: Mapping[str, str], outputs: Mapping[str, list[int]]) -> Facts:
    try:
        values = {key: json.loads(text) for key, text in given.items()}
    except ValueError as error:
        raise CheckpointError(f"{path} must have metadata in JSON, but: {error}") from error
    if values.get("format") != FORMAT:
        raise CheckpointError(f"{path} must be written by `classifiers export`, but has no metadata of it")
    names: list[str] = values["classes"] if isinstance(values.get("classes"), list) else []
    if len(names) < 2 or len(set(map(str, names))) != len(names) or not all(map(str, names)):
        raise CheckpointError(f"{path} must name at least two different classes, but names {values.get('classes')!r}")
    for name in ("logits", "prob"):
        if outputs.get(name, [])[-1:] != [len(names)]:
            raise CheckpointError(
                f"{path} must have an output {name!r} for each of its {len(names)} classes, but has {outputs.get(name)}"
            )
    try:
        return Facts(
            tuple(map(str, names)), int(values["preprocessing"]["size"]), str(values["precision"]),
            float(values["abstain_below"]), values,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} must have whole metadata, but {error!r} is wrong in it") from error


class Model:
    """A file ready to answer: `logits, prob = model.run(pictures)` for uint8 [N, H, W, 3]."""

    def __init__(self, path: Path, provider: str = "cpu", threads: int = 0) -> None:
        self.facts = read_facts(path)
        self._session = session(path, provider, threads)
        self._cuda = provider == "cuda"

    def run(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits and probabilities float32 [N, classes]."""
        if not self._cuda:
            logits, prob = self._session.run(["logits", "prob"], {"image": pictures})
            return logits, prob
        binding = self._session.io_binding()
        binding.bind_cpu_input("image", np.ascontiguousarray(pictures))
        for name in ("logits", "prob"):
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        logits, prob = binding.copy_outputs_to_cpu()
        return logits, prob


def session(source: Path | bytes, provider: str = "cpu", threads: int = 0) -> Any:  # noqa: ANN401 - without types
    """A session on exactly this provider (on CUDA with the CPU for what has no kernel there). Raises InstallError."""
    if provider not in PROVIDERS:
        raise ConfigError(f"--provider must be one of {', '.join(PROVIDERS)}, but {provider!r} is given")
    wanted, there = PROVIDERS[provider], onnxruntime.get_available_providers()
    if wanted not in there:
        raise InstallError(
            f"provider {provider} must be there, but ONNX Runtime {onnxruntime.__version__} as installed has only "
            f"{', '.join(there)}: pip install onnxruntime-gpu in place of onnxruntime, or take --provider cpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        made = onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source), options, providers=[wanted]
        )
    except Exception as error:  # onnxruntime's errors have no base of their own
        raise CheckpointError(
            f"the model must load on provider {provider}, but: {' '.join(str(error).split())}"
        ) from error
    made.disable_fallback()
    if made.get_providers()[0] != wanted:
        raise InstallError(
            f"provider {provider} must take the model, but ONNX Runtime fell back to {made.get_providers()[0]}: its "
            f"libraries (CUDA, cuDNN) are missing or of another version"
        )
    return made
