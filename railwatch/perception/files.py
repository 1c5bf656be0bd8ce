"""What every file must be before a native library sees it: a file of this machine, with content, of bounded size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from railwatch.core.errors import SourceError
from railwatch.core.types import Size

MAX_PIXELS: Final = 64_000_000
"""Most pixels of a frame or picture, known from its header before anything is decoded: 192 MB as BGR."""


def checked_size(size: Size, name: str) -> Size:
    """`size`, when a picture may be so large; raises SourceError otherwise."""
    if not (size.width >= 1 and size.height >= 1 and size.width * size.height <= MAX_PIXELS):
        raise SourceError(
            f"the picture of {name} must have 1 to {MAX_PIXELS:,} pixels, but has {size.width} x {size.height}"
        )
    return size


def existing_file(path: Path | str) -> Path:
    """The path, when it is a file with content on this machine; raises SourceError otherwise."""
    text = str(path)
    path = Path(path)
    try:
        if path.is_dir():
            raise SourceError(f"a file must be given, but {text} is a folder")
        if not path.exists():
            what = "is an address, not a path" if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", text) else "does not exist"
            raise SourceError(f"a file on this machine must be given, but {_without_password(text)} {what}")
        if not path.is_file():
            raise SourceError(f"a file must be given, but {text} is a device or pipe")
        if path.stat().st_size == 0:
            raise SourceError(f"the file {text} must have content, but is empty")
    except (OSError, ValueError) as error:
        raise SourceError(f"a file must be given, but {text[:200]!r} cannot be looked up: {error}") from error
    return path


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", text)
