"""The models that are here or can be had: those that came with railwatch, and those in the user's folder."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from railwatch.app.fetch import HTTPS, Progress, Wanted, fetch
from railwatch.app.model_check import check_model
from railwatch.core.errors import ModelError
from railwatch.core.model_names import is_model_name, packaged_models, user_models
from railwatch.perception.manifest import Manifest, load_manifest, user_manifests
from railwatch.perception.manifest_entry import ManifestEntry, entry_to_toml

AGPL: Final = (
    "Weights of Ultralytics are AGPL-3.0: whoever passes them on, or lets others use a program with them over a "
    "network, must offer its complete source under the same licence, or buy another one from Ultralytics"
)
"""What the licence of Ultralytics' weights asks. railwatch itself is Apache-2.0 and ships none of them."""


class State(Enum):
    """Where a known model is."""

    DEFAULT = "default"
    SHIPPED = "shipped"
    HERE = "here"
    PULLABLE = "pull it"
    KNOWN = "bring it"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One known model: `path` of its file where it is here; `entry` is None, and `fault` told, where it is BROKEN."""

    name: str
    state: State
    path: Path | None
    entry: ManifestEntry | None
    fault: str = ""


def list_models() -> list[ModelRow]:
    """Every known model: those of the package in the order of its manifest, then those of the user by name."""
    packaged = load_manifest()
    placed = {row.name: row for row in _user_rows()}
    known = [_packaged_row(packaged, entry) for entry in packaged.entries]
    rows = [row if row.path else placed.pop(row.name, row) for row in known]
    return rows + list(placed.values())


def pull_model(name: str, progress: Progress, schemes: frozenset[str] = HTTPS) -> ModelRow:
    """Fetch a model of the manifest into the user's folder, check that it runs, and place it.

    Where it is here already nothing is fetched. Raises DownloadError and ModelError.
    """
    entry = _pullable(name)
    here = {row.name: row for row in _user_rows()}.get(name)
    if here is not None and here.state is State.HERE and here.path is not None:
        with contextlib.suppress(ModelError):
            check_model(here.path)
            return here
    fetched = user_models() / f".{name}.fetched.onnx"
    try:
        advice = f"fetch the file elsewhere and give it with --model FILE: it is known by its SHA-256, {entry.sha256}"
        fetch(Wanted(entry.url or "", entry.bytes, entry.sha256, advice, schemes), fetched, progress)
        check_model(fetched)
        card = (packaged_models() / entry.card).read_text(encoding="utf-8")
        return place_model(fetched, replace(entry, card=f"{name}.md"), card)
    finally:
        fetched.unlink(missing_ok=True)


def place_model(file: Path, entry: ManifestEntry, card: str) -> ModelRow:
    """Move a checked file into the user's folder, with its description and its card; each appears whole or not at all.

    The description comes first: should the file not follow, whoever asks for the model is told to fetch it again.
    """
    folder = user_models()
    target = folder / f"{entry.name}.onnx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / entry.card, card)
        _write(target.with_suffix(".toml"), entry_to_toml(entry))
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
        file.replace(target)
    except OSError as error:
        raise ModelError(f"the model {target} cannot be written: {error.strerror}") from None
    return ModelRow(entry.name, State.HERE, target, entry)


def _pullable(name: str) -> ManifestEntry:
    manifest = load_manifest()
    entry = manifest.named(name)
    if entry is not None and entry.file is not None:
        raise ModelError(f"the model {name} need not be pulled: it came with railwatch (--model {name})")
    if entry is None or entry.url is None:
        names = ", ".join(entry.name for entry in manifest.entries if entry.url) or "none"
        raise ModelError(
            f"the model to pull must be one of {names}, but is {name!r}. YOLOs of Ultralytics are exported: "
            "`railwatch models export yolo26n`"
        )
    return entry


def _packaged_row(manifest: Manifest, entry: ManifestEntry) -> ModelRow:
    if entry.file is None:
        return ModelRow(entry.name, State.PULLABLE if entry.url else State.KNOWN, None, entry)
    path = manifest.folder / entry.file
    if not path.is_file():
        return ModelRow(entry.name, State.BROKEN, path, entry, f"{path} is not there: install railwatch again")
    return ModelRow(entry.name, State.DEFAULT if entry.name == manifest.default else State.SHIPPED, path, entry)


def _user_rows() -> list[ModelRow]:
    """Models with a description in the user's folder, and files there that have none."""
    rows = []
    for path, manifest in user_manifests():
        file = path.with_suffix(".onnx")
        if isinstance(manifest, ModelError):
            rows.append(ModelRow(path.stem, State.BROKEN, file, None, str(manifest)))
            continue
        entry = manifest.named(path.stem)
        if entry is None:
            rows.append(
                ModelRow(path.stem, State.BROKEN, file, None, f"{path} must describe {path.stem}, but does not")
            )
        elif not file.is_file():
            rows.append(ModelRow(path.stem, State.BROKEN, file, entry, f"{file} is not there: pull or export it again"))
        else:
            rows.append(ModelRow(path.stem, State.HERE, file, entry))
    described = {row.name for row in rows}
    files = sorted(user_models().glob("*.onnx"))
    undescribed = (path for path in files if path.stem not in described and is_model_name(path.stem))
    return rows + [ModelRow(path.stem, State.HERE, path, None) for path in undescribed]


def _write(path: Path, text: str) -> None:
    half = path.with_name(f".{path.name}.half")
    with half.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    half.replace(path)
