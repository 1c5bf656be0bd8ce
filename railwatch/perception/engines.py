"""Where TensorRT keeps what it builds. Building engines for a network takes minutes; loading them again, seconds.

An engine fits one model, one card and one version of TensorRT only. ONNX Runtime names the file after network and
card; the folder is named after the model's SHA-256 and the versions, so that none is ever loaded by another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from railwatch.core.errors import ProviderError
from railwatch.core.model_names import user_cache


def engine_folder(model: bytes, runtime_version: str) -> Path:
    """The folder for the engines of this model: ``railwatch/tensorrt/...`` in the user's cache."""
    digest = hashlib.sha256(model).hexdigest()[:16]
    return user_cache() / "tensorrt" / f"{digest}-ort{runtime_version}-trt{_tensorrt_version()}"


def engine_options(folder: Path, say: Callable[[str], None]) -> dict[str, str]:
    """Options for ONNX Runtime that keep engines in `folder`, which is made, for the user alone.

    Full precision, so that boxes stay those of the processor. `say` tells what the wait is for. Raises ProviderError
    when the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept = any(folder.glob("*.engine"))
    except OSError as error:
        raise ProviderError(
            f"TensorRT must keep its engines in {folder}, but it cannot be used ({error.strerror}): "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    if kept:
        say(f"TensorRT loads the engines kept in {folder}")
    else:
        say(f"TensorRT builds its engines for this model, once: this takes minutes. They are kept in {folder}")
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": "0",
    }


def _tensorrt_version() -> str:
    """Version of TensorRT where pip installed it; that of the system cannot be asked without loading it."""
    for name in ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "-system"
