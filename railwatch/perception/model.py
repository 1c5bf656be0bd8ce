"""A model file and what is known of it. A file that is not described is refused, never guessed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from railwatch.core.errors import ModelError
from railwatch.core.model_names import user_models
from railwatch.core.provider import Provider
from railwatch.core.types import SampleForm, Size
from railwatch.perception.heads import HEADS
from railwatch.perception.manifest import Manifest, known_entry
from railwatch.perception.manifest_entry import MAX_MODEL_BYTES
from railwatch.perception.model_facts import ModelFacts, facts_from_metadata
from railwatch.perception.session import Port, Session, open_session

MAX_BYTES: Final = MAX_MODEL_BYTES
"""Largest model file that is read, bytes."""

_TYPES: Final[dict[str, Literal["float32", "float16"]]] = {"tensor(float)": "float32", "tensor(float16)": "float16"}

_EXTERNAL_DATA: Final = b"\x0a\x08location\x12"
"""How a protobuf message begins that says where weights outside the file lie (ONNX's external_data)."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model file that can be run: where it lies, which bytes it must have, what goes in and comes out.

    The tensor `input_name` is (batch, 3, height, width) of `dtype`, the tensor `output_name` is (batch, rows,
    columns) as the head `facts.head` says; `dynamic_batch` tells whether batch may be more than 1. `sha256` is of
    the whole file, 64 hexadecimal digits.
    """

    file: Path
    sha256: str
    facts: ModelFacts
    dtype: Literal["float32", "float16"]
    dynamic_batch: bool
    input_name: str
    output_name: str

    @property
    def form(self) -> SampleForm:
        """The form in which the model wants its samples."""
        return self.facts.form


def read_model(path: Path) -> bytes:
    """The bytes of a model file.

    Raises ModelError for a file that is missing, not a file, not ONNX by its name, too large, or that keeps its
    weights in other files.
    """
    if path.suffix.lower() in {".pt", ".pth"}:
        raise ModelError(
            f"{path} must be an ONNX file, but is a PyTorch file, which can run any code when it is loaded: "
            f"export it (railwatch models export NAME --weights {path.name})"
        )
    try:
        if not path.is_file():
            raise ModelError(_no_file(path))
        size = path.stat().st_size
        if not 0 < size <= MAX_BYTES:
            raise ModelError(f"the model {path} must have 1 to {MAX_BYTES} bytes, but has {size}")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read: {error.strerror}") from None
    if _EXTERNAL_DATA in content:
        raise ModelError(f"the model {path} must hold its weights itself, but names other files: export it as one file")
    return content


def _no_file(path: Path) -> str:
    if path.is_dir():
        return f"the model {path} must be an ONNX file, but is a folder"
    if path.parent == user_models():
        return (
            f"the model {path.stem} must be here, but {path} is not there: `railwatch models list` shows what is, "
            f"`railwatch models pull {path.stem}` or `railwatch models export {path.stem}` may bring it"
        )
    return f"the model {path} must be an ONNX file, but is not there"


def describe_model(path: Path, manifest: Manifest | None = None) -> ModelDescription:
    """Describe a model file by its entry in `manifest`, else by its own metadata.

    Without `manifest` the one that came with railwatch is asked, and the description beside the file in the user's
    folder. The graph must agree with the description. Raises ModelError, naming the file, when the file cannot be
    read or run, is not described, or contradicts its description.
    """
    content = read_model(path)
    sha256 = hashlib.sha256(content).hexdigest()
    entry = known_entry(path, sha256) if manifest is None else manifest.find(sha256)
    try:
        session = open_session(content, Provider.CPU, threads=1, optimise=False)
        source, dtype = input_of(session)
        size = fixed_size(source)
        facts = _facts(session, None if entry is None else entry.facts, path.stem, size)
        output = output_of(session, facts)
    except ModelError as error:
        raise ModelError(f"model {path}: {error}") from None
    return ModelDescription(path, sha256, facts, dtype, source.shape[0] != 1, source.name, output.name)


def input_of(session: Session) -> tuple[Port, Literal["float32", "float16"]]:
    """The one input, a picture, and its element type. Raises ModelError when it is not one that can be fed."""
    ports = session.get_inputs()
    if len(ports) != 1:
        raise ModelError(f"it must have one input, but has {len(ports)}: {_listed(ports)}")
    port = ports[0]
    if port.type not in _TYPES:
        raise ModelError(f"the input must be float32 or float16, but is {port.type}")
    if len(port.shape) != 4 or port.shape[1] != 3:
        raise ModelError(f"the input must be (batch, 3, height, width), but is {_listed(ports)}")
    if isinstance(port.shape[0], int) and port.shape[0] != 1:
        raise ModelError(f"the batch must be 1 or dynamic, but is {port.shape[0]}: export it again")
    return port, _TYPES[port.type]


def fixed_size(source: Port) -> Size:
    """Size of the input picture in pixels. Raises ModelError when the graph leaves it open."""
    height, width = source.shape[2:]
    if not isinstance(width, int) or not isinstance(height, int):
        raise ModelError(
            f"height and width of the input must be fixed, but are {height} x {width}: export it with a fixed size"
        )
    return Size(width, height)


def _facts(session: Session, known: ModelFacts | None, name: str, size: Size) -> ModelFacts:
    if known is None:
        return facts_from_metadata(session.get_modelmeta().custom_metadata_map, name, size)
    if known.size != size:
        raise ModelError(
            f"the manifest says an input of {known.size.width} x {known.size.height}, but it is "
            f"{size.width} x {size.height}"
        )
    return known


def output_of(session: Session, facts: ModelFacts) -> Port:
    """The one output. Raises ModelError when it has not the shape that the head of `facts` demands."""
    ports = session.get_outputs()
    if len(ports) != 1:
        raise ModelError(f"it must have one output, but has {len(ports)}: {_listed(ports)}")
    port = ports[0]
    if port.type not in _TYPES:
        raise ModelError(f"the output must be float32 or float16, but is {port.type}")
    expected = HEADS[facts.head].shape(facts.size, len(facts.class_names))
    given = port.shape[1:]
    # A dimension that the graph leaves open is seen in the warm-up of the detector, and in every frame.
    pairs = zip(expected, given, strict=False)
    agree = all(want is None or not isinstance(have, int) or want == have for want, have in pairs)
    if len(given) != 2 or not agree:
        wanted = ", ".join("any" if number is None else str(number) for number in expected)
        raise ModelError(
            f"the output must be (batch, {wanted}) for head {facts.head} with {len(facts.class_names)} classes at "
            f"{facts.size.width} x {facts.size.height}, but is {_listed(ports)}"
        )
    return port


def _listed(ports: Sequence[Port]) -> str:
    return ", ".join(f"{port.name} ({', '.join(map(str, port.shape))})" for port in ports) or "none"
