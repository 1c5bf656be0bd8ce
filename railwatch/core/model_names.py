"""Where model files lie, and how a name that a person gives becomes one. Standard library only: no model is opened.

Models are in two folders: the one that comes with railwatch, and the user's, to which models are pulled and exported.
The file of the model NAME is NAME.onnx in one of them.
"""

from __future__ import annotations

import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Final

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a model may be called. A name has no dot: what is asked for never depends on the files that lie about."""


def is_model_name(text: str) -> bool:
    """Whether `text` is the name of a model, not of a file.

    >>> is_model_name("railwatch-nano"), is_model_name("railwatch-nano.onnx"), is_model_name("./detector")
    (True, False, False)
    """
    return NAME.fullmatch(text) is not None


def packaged_models() -> Path:
    """The folder that came with railwatch: in the package if it was installed from a wheel, else in the checkout."""
    packaged = Path(str(files("railwatch"))) / "models"
    return packaged if (packaged / "manifest.toml").is_file() else checkout() / "models"


def user_models() -> Path:
    """The user's folder, ``$XDG_DATA_HOME/railwatch/models``; it need not be there."""
    return _xdg("XDG_DATA_HOME", Path(".local", "share")) / "railwatch" / "models"


def user_cache() -> Path:
    """The folder for what can be made again, ``$XDG_CACHE_HOME/railwatch``; it need not be there."""
    return _xdg("XDG_CACHE_HOME", Path(".cache")) / "railwatch"


def model_path(text: str, folder: Path | None = None) -> Path:
    """The file that `text` stands for: of that name where it is one, else the path, a relative one from `folder`.

    A name that is not known gives the place in the user's folder where the file would lie.

    >>> model_path("yard.onnx", Path("site")).as_posix()
    'site/yard.onnx'
    """
    if not is_model_name(text):
        return Path(text) if folder is None else folder / text
    packaged = packaged_models() / f"{text}.onnx"
    return packaged if packaged.is_file() else user_models() / f"{text}.onnx"


def checkout() -> Path:
    """The top of the checkout, where the package is not installed."""
    return Path(__file__).resolve().parents[2]


def _xdg(variable: str, usual: Path) -> Path:
    """A base folder of the XDG specification, which has relative ones ignored."""
    given = Path(os.environ.get(variable, ""))
    return given if given.is_absolute() else Path.home() / usual
