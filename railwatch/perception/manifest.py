"""The manifest of models: what each file is, found by its SHA-256, and which is the default.

models/manifest.toml comes with railwatch. In the user's folder every model NAME.onnx has a manifest of its own beside
it, NAME.toml with one entry, written when the model was pulled or exported.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from railwatch.core.errors import ModelError
from railwatch.core.model_names import packaged_models, user_models
from railwatch.perception.manifest_entry import ManifestEntry, entry_from_table

MAX_BYTES: Final = 1024 * 1024
"""Largest manifest that is read, bytes."""

_TOP_KEYS: Final = frozenset({"default", "classes", "model"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """All models known in one `folder`; `default` is the name of the one that is taken when none is named."""

    folder: Path
    entries: tuple[ManifestEntry, ...]
    default: str | None

    def find(self, sha256: str) -> ManifestEntry | None:
        """The entry of the file with this SHA-256, if it is known."""
        return next((entry for entry in self.entries if entry.sha256 == sha256), None)

    def named(self, name: str) -> ManifestEntry | None:
        """The entry of this name, if it is known."""
        return next((entry for entry in self.entries if entry.name == name), None)


def default_model() -> Path:
    """The model file that every command takes when none is named: the shipped default. Raises ModelError without it."""
    manifest = load_manifest()
    if manifest.default is None:
        raise ModelError("a model must be named, for the manifest has no default: pass --model FILE (docs/models.md)")
    path = manifest.folder / f"{manifest.default}.onnx"
    if not path.is_file():
        raise ModelError(f"the default model must lie at {path}, but does not: install railwatch again")
    return path


def known_entry(path: Path, sha256: str) -> ManifestEntry | None:
    """The entry of the file at `path`, which has this SHA-256; None for a file that no manifest knows.

    A file that railwatch placed itself must be the one that its description names. Raises ModelError when it is not.
    """
    packaged = load_manifest()
    placed = packaged.named(path.stem) if path.parent == packaged.folder else _user_entry(path)
    if placed is not None and placed.sha256 != sha256:
        raise ModelError(
            f"the model {path} must have the SHA-256 of its description, {placed.sha256}, but has {sha256}: it was "
            "changed or only half written; pull or export it again"
        )
    return placed or packaged.find(sha256)


def user_manifests() -> list[tuple[Path, Manifest | ModelError]]:
    """Every description in the user's folder, in the order of its names; one that cannot be read is its error."""
    found: list[tuple[Path, Manifest | ModelError]] = []
    for path in sorted(user_models().glob("*.toml")):
        try:
            found.append((path, load_manifest(path)))
        except ModelError as error:
            found.append((path, error))
    return found


def load_manifest(path: Path | None = None) -> Manifest:
    """Read a manifest; None: the one that came with the package. Raises ModelError naming the file, entry and key."""
    path = packaged_models() / "manifest.toml" if path is None else path
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ModelError(f"manifest {path} must be at most {MAX_BYTES} bytes, but is larger")
        table = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"manifest {path} cannot be read: {error}") from None
    return _manifest(table, path)


def _user_entry(path: Path) -> ManifestEntry | None:
    description = path.with_suffix(".toml")
    if path.parent != user_models() or not description.is_file():
        return None
    return load_manifest(description).named(path.stem)


def _manifest(table: Mapping[str, Any], path: Path) -> Manifest:
    unknown = sorted(set(table) - _TOP_KEYS)
    if unknown:
        allowed = ", ".join(sorted(_TOP_KEYS))
        raise ModelError(f"manifest {path} has the unknown {', '.join(unknown)}: allowed are {allowed}")
    models, lists = table.get("model", []), table.get("classes", {})
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise ModelError(f"manifest {path}: every model must be a table [[model]]")
    if not isinstance(lists, dict):
        raise ModelError(f"manifest {path}: classes must be a table of lists of names")
    entries = tuple(
        entry_from_table(model, lists, f"manifest {path}, model {n}") for n, model in enumerate(models, start=1)
    )
    _check_unique(entries, path)
    return Manifest(path.parent, entries, _default(table.get("default"), entries, path))


def _check_unique(entries: tuple[ManifestEntry, ...], path: Path) -> None:
    for key in ("name", "sha256"):
        values = [getattr(entry, key) for entry in entries]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ModelError(f"manifest {path}: {key} must be unique, but {twice[0]} is given twice")


def _default(name: object, entries: tuple[ManifestEntry, ...], path: Path) -> str | None:
    if name is None:
        return None
    shipped = [entry.name for entry in entries if entry.file is not None]
    if not isinstance(name, str) or name not in shipped:
        raise ModelError(f"manifest {path}: default must be one of the shipped models {shipped}, but is {name!r}")
    return name
