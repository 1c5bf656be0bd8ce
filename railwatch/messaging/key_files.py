"""Small secret files: written whole or not at all, for their owner only, and refused when others can read them."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from railwatch.core.errors import KeysError

FORMAT_KEY: Final = "railwatch_key"
FORMAT: Final = 1
MAX_BYTES: Final = 4096

_POSIX: Final = os.name == "posix"


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner can look into, if it is not there; refuses one that others can enter."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeysError(f"the folder of keys {folder} cannot be made: {error.strerror}") from error
    check_folder(folder)


def check_folder(folder: Path) -> None:
    """Raises KeysError when the folder is missing or anybody but its owner can enter it."""
    try:
        found = folder.stat()
    except OSError as error:
        raise KeysError(
            f"the folder of keys {folder} must be there, but cannot be read ({error.strerror}): "
            "make a first key with `railwatch keys new`"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise KeysError(f"{folder} must be a folder of keys, but is a file")
    _check_private(folder, found, "700")


def read_secret_file(path: Path, kind: str) -> dict[str, Any]:
    """The content of a key file; raises KeysError when it is missing, readable by others, or not of this `kind`."""
    try:
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()), "600")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeysError(f"the key file {path} cannot be read: {error.strerror}") from error
    try:
        content = json.loads(data.decode()) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get(FORMAT_KEY) != FORMAT or content.get("kind") != kind:
        # What stands in the file is not told: it may be a secret.
        raise KeysError(f"{path} must be a {kind} key file of `railwatch keys`, but is not: it is damaged or another")
    return content


def read_secret_text(path: Path) -> str:
    """The one line of a file that holds a password, a secret or an address.

    Raises:
        KeysError: It is missing, readable by others, empty, or more than one line.
    """
    try:
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()), "600")
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {error.strerror}") from error
    try:
        text = data.decode().strip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or len(text.splitlines()) != 1 or len(data) > MAX_BYTES:
        raise KeysError(f"{path} must hold one line of text")
    return text


def write_secret_file(path: Path, kind: str, content: Mapping[str, object], *, replace: bool) -> None:
    """Write a key file for its owner only; a reader sees the old or the new one, whole, also after a power cut.

    Raises:
        FileExistsError: It is there and `replace` is false.
        KeysError: It cannot be written.
    """
    data = json.dumps({FORMAT_KEY: FORMAT, "kind": kind, **content}, indent=1).encode() + b"\n"
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_new(fresh, data)
        if replace:
            fresh.replace(path)
        else:
            os.link(fresh, path)
        _sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise KeysError(f"the key file {path} cannot be written: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if not _POSIX:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_private(path: Path, found: os.stat_result, mode: str) -> None:
    """Refuse what anybody but its owner can read; elsewhere than on POSIX the file's own rights must do."""
    if not _POSIX:
        return
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise KeysError(
            f"{path} must be readable by its owner only, but has the rights {stat.S_IMODE(found.st_mode):03o}: "
            f"chmod {mode} it, and revoke its keys if others may have read them"
        )
    if found.st_uid not in {os.geteuid(), 0}:
        raise KeysError(
            f"{path} must belong to the user who runs railwatch (or root), but belongs to uid {found.st_uid}"
        )
