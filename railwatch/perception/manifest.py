"""The manifest of models, models/manifest.toml: what each file is, found by its SHA-256, and which is the default.

It is a folder beside the package in a checkout and inside the package in a wheel.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from railwatch.core.errors import ModelError
from railwatch.core.types import Size
from railwatch.perception.model_facts import ModelFacts, facts_from_table

MAX_BYTES: Final = 1024 * 1024
"""Largest manifest that is read, bytes."""

DEVELOPMENT_MODEL: Final = Path("shared", "models", "yolox_nano_416.onnx")
"""The reference detector, beside the checkout: used as long as no default model is shipped."""

_TOP_KEYS: Final = frozenset({"default", "classes", "model"})
_FILE_KEYS: Final = frozenset({"file", "sha256", "shipped", "source", "size"})


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One known model: `file` in the folder of the manifest, there if `shipped`; `source` says where it is from."""

    file: str
    sha256: str
    shipped: bool
    source: str
    facts: ModelFacts


@dataclass(frozen=True, slots=True)
class Manifest:
    """All known models of one `folder`; `default` is the file name of the one that is taken when none is named."""

    folder: Path
    entries: tuple[ManifestEntry, ...]
    default: str | None

    def find(self, sha256: str) -> ManifestEntry | None:
        """The entry of the file with this SHA-256, if it is known."""
        return next((entry for entry in self.entries if entry.sha256 == sha256), None)


def default_model() -> Path:
    """The model file that every command takes when none is named.

    The shipped default; where none is shipped, the reference detector beside a development checkout. Raises
    ModelError when neither is there.
    """
    manifest = load_manifest()
    if manifest.default is not None:
        path = manifest.folder / manifest.default
        if not path.is_file():
            raise ModelError(f"the default model must lie at {path}, but does not: install railwatch again")
        return path
    beside = _checkout().parent / DEVELOPMENT_MODEL
    if beside.is_file():
        return beside
    raise ModelError("a model must be named, for none is shipped with this version: pass --model FILE (docs/models.md)")


def models_folder() -> Path:
    """The folder of the manifest: in the package if it was installed from a wheel, else beside it in the checkout."""
    packaged = Path(str(files("railwatch"))) / "models"
    return packaged if (packaged / "manifest.toml").is_file() else _checkout() / "models"


def load_manifest(path: Path | None = None) -> Manifest:
    """Read a manifest; None: the one that came with the package. Raises ModelError naming the file, entry and key."""
    path = models_folder() / "manifest.toml" if path is None else path
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ModelError(f"manifest {path} must be at most {MAX_BYTES} bytes, but is larger")
        table = tomllib.loads(content.decode("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"manifest {path} cannot be read: {error}") from None
    return _manifest(table, path)


def _checkout() -> Path:
    return Path(__file__).resolve().parents[2]


def _manifest(table: Mapping[str, Any], path: Path) -> Manifest:
    unknown = sorted(set(table) - _TOP_KEYS)
    if unknown:
        raise ModelError(f"manifest {path} has the unknown {', '.join(unknown)}: allowed are {', '.join(_TOP_KEYS)}")
    models, lists = table.get("model", []), table.get("classes", {})
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        raise ModelError(f"manifest {path}: every model must be a table [[model]]")
    if not isinstance(lists, dict):
        raise ModelError(f"manifest {path}: classes must be a table of lists of names")
    entries = tuple(_entry(model, lists, f"manifest {path}, model {n}") for n, model in enumerate(models, start=1))
    _check_unique(entries, path)
    return Manifest(path.parent, entries, _default(table.get("default"), entries, path))


def _entry(model: Mapping[str, Any], lists: Mapping[str, Any], origin: str) -> ManifestEntry:
    missing = sorted(_FILE_KEYS - set(model))
    if missing:
        raise ModelError(f"{origin} lacks {', '.join(missing)}")
    file, sha256, shipped, source = model["file"], model["sha256"], model["shipped"], model["source"]
    if not isinstance(file, str) or not re.fullmatch(r"[\w.-]+\.onnx", file):
        raise ModelError(f"{origin}: file must be the name of an .onnx file without a folder, but is {file!r}")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ModelError(f"{origin}: sha256 must be 64 hexadecimal digits in small letters, but is {sha256!r}")
    if not isinstance(shipped, bool) or not isinstance(source, str) or not source:
        raise ModelError(f"{origin}: shipped must be true or false, source a text, but are {shipped!r}, {source!r}")
    facts = {key: value for key, value in model.items() if key not in _FILE_KEYS}
    named = facts.get("classes")
    if isinstance(named, str):
        if named not in lists:
            raise ModelError(f"{origin}: classes names the list {named!r}, which is not among {sorted(lists)}")
        facts["classes"] = lists[named]
    return ManifestEntry(file, sha256, shipped, source, facts_from_table(facts, _size(model["size"], origin), origin))


def _size(value: object, origin: str) -> Size:
    match value:
        case [int(width), int(height)]:
            return Size(width, height)
        case _:
            raise ModelError(f"{origin}: size must be [width, height] in pixels, but is {value!r}")


def _check_unique(entries: tuple[ManifestEntry, ...], path: Path) -> None:
    for key in ("file", "sha256"):
        values = [getattr(entry, key) for entry in entries]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ModelError(f"manifest {path}: {key} must be unique, but {twice[0]} is given twice")


def _default(name: object, entries: tuple[ManifestEntry, ...], path: Path) -> str | None:
    if name is None:
        return None
    shipped = [entry.file for entry in entries if entry.shipped]
    if not isinstance(name, str) or name not in shipped:
        raise ModelError(f"manifest {path}: default must be one of the shipped files {shipped}, but is {name!r}")
    return name
