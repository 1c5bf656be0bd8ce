"""`railwatch models export`: a YOLO of Ultralytics becomes an ONNX file in the user's folder, proven against PyTorch.

ultralytics is AGPL-3.0 and loads files that can run code. It is a program of its own, `models/tools/
ultralytics_export.py`, run with an interpreter that has it, without network, in a folder that is thrown away. What it
wrote is compared here, by the runtime that will run it, before it is placed.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from railwatch.app.export_proof import Proof, prove_export
from railwatch.app.export_tool import Step, interpreter, run_tool
from railwatch.app.fetch import HTTPS, Progress, Wanted, fetch
from railwatch.app.model_store import AGPL, place_model
from railwatch.core.errors import ModelError
from railwatch.core.model_names import is_model_name, user_cache, user_models
from railwatch.core.types import Size
from railwatch.perception.manifest import load_manifest
from railwatch.perception.manifest_entry import MAX_MODEL_BYTES, ManifestEntry
from railwatch.perception.model_facts import MAX_SIDE

UNTRAINED: Final = "-untrained"
"""End of the name of a network without training."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export: the official weights of `name`, or those in the file `weights`, or the network `untrained`.

    `size` is that of the input picture in pixels, multiples of 32. `sha256` is what the weights must have, where the
    user knows it. `python` is an interpreter that has ultralytics; `replace` lets a model of that name go.
    """

    name: str
    size: Size
    weights: Path | None = None
    untrained: bool = False
    sha256: str | None = None
    python: Path | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """The model that was placed, and how its boxes compared."""

    path: Path
    entry: ManifestEntry
    proof: Proof


def export_model(options: ExportOptions, step: Step, progress: Progress, schemes: frozenset[str] = HTTPS) -> Exported:
    """Fetch, export, compare and place. Raises ModelError, DownloadError, InstallError; then nothing is placed."""
    name = options.name + (UNTRAINED if options.untrained else "")
    _check(options, name)
    python = interpreter(options.python)
    folder = user_models()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as text:
            return _export(options, name, python, Path(text), step, progress, schemes)
    except OSError as error:
        raise ModelError(f"models must be kept in {folder}, but it cannot be used: {error.strerror or error}") from None


def _export(
    options: ExportOptions,
    name: str,
    python: Path,
    work: Path,
    step: Step,
    progress: Progress,
    schemes: frozenset[str],
) -> Exported:
    weights, source, fetched = _weights(options, python, work, step, progress, schemes)
    size = ("--width", str(options.size.width), "--height", str(options.size.height), "--out", str(work))
    origin = ("--untrained", options.name) if weights is None else ("--weights", str(weights))
    done = run_tool(python, ("export", *origin, *size), work, step)
    step("comparing the boxes of the export with those of PyTorch and of ultralytics")
    model = work / "model.onnx"
    proof, facts = prove_export(model, work / "proof.npz")
    content = model.read_bytes()
    packages = ", ".join(f"{package} {version}" for package, version in done["packages"].items())
    weighed = f", SHA-256 {done['weights_sha256']}" if done["weights_sha256"] else ""
    entry = ManifestEntry(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        file=None,
        url=None,
        source=f"{source}{weighed}; exported with {packages}",
        card=f"{name}.md",
        accuracy=(),
        speed=(),
        facts=replace(facts, name=name),
    )
    row = place_model(model, entry, _card(entry, proof))
    if fetched is not None:
        fetched.unlink(missing_ok=True)
    if row.path is None:
        raise AssertionError("a placed model has a path")
    return Exported(row.path, entry, proof)


def _weights(
    options: ExportOptions,
    python: Path,
    work: Path,
    step: Step,
    progress: Progress,
    schemes: frozenset[str],
) -> tuple[Path | None, str, Path | None]:
    """The file of the weights, where it is from, and the file to remove afterwards."""
    if options.untrained:
        return None, f"{options.name} of Ultralytics without training: its boxes mean nothing", None
    if options.weights is not None:
        _check_weights(options.weights, options.sha256)
        return options.weights.resolve(), f"weights {options.weights.name}", None
    step("asking ultralytics where its weights are")
    url = _url(run_tool(python, ("where", options.name), work, step))
    step(f"fetching {url}")
    fetched = user_cache() / "weights" / f"{options.name}.pt"
    advice = f"fetch the file elsewhere and give it with --weights {options.name}.pt"
    fetch(Wanted(url, MAX_MODEL_BYTES, options.sha256, advice, schemes), fetched, progress)
    return fetched, f"official weights from {url}", fetched


def _url(answer: dict[str, Any]) -> str:
    return str(answer["url"])


def _check(options: ExportOptions, name: str) -> None:
    if not is_model_name(name):
        raise ModelError(f"the name must be small letters, digits, - and _, at most 64, but is {name!r}")
    if not all(32 <= side <= MAX_SIDE and side % 32 == 0 for side in options.size):
        width, height = options.size
        raise ModelError(f"the sides of --size must be multiples of 32 up to {MAX_SIDE}, but are {width} x {height}")
    if load_manifest().named(name) is not None:
        raise ModelError(f"the name must be free, but {name} is that of a model that railwatch knows")
    if (user_models() / f"{name}.onnx").exists() and not options.replace:
        raise ModelError(f"the model {name} must not be here yet, but is (--model {name}): pass --replace")


def _check_weights(file: Path, sha256: str | None) -> None:
    try:
        size = file.stat().st_size
        if not 0 < size <= MAX_MODEL_BYTES:
            raise ModelError(f"the weights {file} must have 1 to {MAX_MODEL_BYTES} bytes, but have {size}")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"the weights {file} cannot be read: {error.strerror}") from None
    if sha256 is not None and digest != sha256.lower():
        raise ModelError(f"the weights {file} must have the SHA-256 {sha256}, but have {digest}")


def _card(entry: ManifestEntry, proof: Proof) -> str:
    """The model card of an export: what it is, how it was proven, what its licence asks."""
    size = entry.facts.size
    return (
        f"# {entry.name}\n\n"
        f"- From: {entry.source}\n"
        f"- SHA-256 of the ONNX file: {entry.sha256}\n"
        f"- Licence: {entry.facts.licence}. {AGPL}.\n"
        f"- Input: {size.width} x {size.height}, {entry.facts.channels}, head {entry.facts.head}, "
        f"{len(entry.facts.class_names)} classes\n"
        f"- Compared before it was placed: {proof}\n"
        "- Accuracy and speed were not measured here; its publisher's figures are at docs.ultralytics.com.\n"
        "- Not verified on a GPU.\n"
    )
