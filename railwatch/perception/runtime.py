"""Which distributions of a native library are installed. Standard library only: it must answer before any is imported.

The distributions onnxruntime, onnxruntime-gpu, onnxruntime-openvino ... all write the same package `onnxruntime`, and
those of OpenCV all write `cv2`. Two of them overwrite each other's files: what then runs is chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from typing import Final

from railwatch.core.errors import InstallError

RUNTIME_NAME: Final = re.compile(r"(onnxruntime|ort-nightly)(-.+)?")
"""Names of distributions of ONNX Runtime; its helpers (onnxruntime-extensions) share them, but not the package."""

CV2_NAME: Final = re.compile(r"opencv(-contrib)?-python(-headless|-rolling|-inference-engine)?")
"""Names of distributions of OpenCV."""


def installed(name: re.Pattern[str], package: str, among: Iterable[Distribution] | None = None) -> dict[str, str]:
    """Name and version of every distribution that writes the folder `package`, by name.

    `among` None means those installed. One whose list of files is missing is judged by its name alone. A
    distribution that is on the path twice counts once: the second is hidden, not overwritten.

    >>> installed(re.compile("no-such-thing"), "nothing")
    {}
    """
    found = {}
    for distribution in distributions() if among is None else among:
        own = re.sub(r"[-_.]+", "-", distribution.name or "").lower()
        if name.fullmatch(own) and own not in found and _writes(distribution, package):
            found[own] = distribution.version
    return dict(sorted(found.items()))


def check_runtime(among: Iterable[Distribution] | None = None) -> None:
    """Raise InstallError when more than one ONNX Runtime is installed; none at all is for the importer to tell."""
    found = installed(RUNTIME_NAME, "onnxruntime", among)
    if len(found) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in found.items())
        raise InstallError(
            f"exactly one ONNX Runtime must be installed, but {len(found)} are, and they overwrite each other: "
            f"{listed}. Run `pip uninstall -y {' '.join(found)}`, then install the one you need: "
            "pip install 'railwatch[cpu]', 'railwatch[cuda]' or 'railwatch[openvino]'"
        )


def _writes(distribution: Distribution, package: str) -> bool:
    files = distribution.files
    return not files or any(file.parts[0] == package for file in files)
