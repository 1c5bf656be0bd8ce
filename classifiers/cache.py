"""Decoded pictures on the disk: one file of uint8 [N, S, S, 3] for a list of contents, mapped into memory when read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from classifiers.errors import DataError
from classifiers.files import write_with
from classifiers.pictures import decode, read_bytes, square
from classifiers.survey import Progress, cache_folder, in_parallel

_VERSION = 1


def decoded(
    files: Sequence[tuple[Path, str]], side: int, cache: Path | None = None, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Pictures as uint8 [N, side, side, 3], read-only, in the order of `files` (path and SHA-256 of each).

    They are decoded once; the next call with the same contents and side maps the cache. Raises DataError for a
    picture that cannot be decoded or has changed since it was hashed, OutputError where the cache cannot be written.
    """
    shape = (len(files), side, side, 3)
    kept = cache_folder(cache) / f"pixels-{_key(files, side)}.npy"
    if (found := _mapped(kept, shape)) is not None:
        return found

    def write(file: BinaryIO) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        # Written, not mapped: a full disk is then an error and not a signal that kills.
        file.writelines(pixels.tobytes() for pixels in in_parallel(lambda item: _square(*item, side), files, progress))

    write_with(kept, write)
    again = _mapped(kept, shape)
    if again is None:
        raise DataError(f"{kept} must hold the pictures just written, but does not: is the disk sound?")
    return again


def _square(path: Path, sha256: str, side: int) -> NDArray[np.uint8]:
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} must be the file that was split, but has changed since: split again")
    return square(decode(path, content, least_side=2 * side), side)


def _mapped(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    try:
        array: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _key(files: Sequence[tuple[Path, str]], side: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {side}".encode())
    for _, sha256 in files:
        digest.update(bytes.fromhex(sha256))
    return digest.hexdigest()[:32]
