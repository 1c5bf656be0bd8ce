"""Whether a site may be armed. What needs a model is asked in a process of its own: the hub opens none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from railwatch.config import load_site
from railwatch.core.errors import ConfigError
from railwatch.core.settings import SiteSettings

_WITHIN_S: Final = 120.0


def armable_site(path: Path) -> SiteSettings:
    """The site of a file, if it may be armed. Raises ConfigError.

    A model that is not pinned is never armed, nor a classifier that cannot be trusted, nor a zone in which somebody who
    must be found is too small.
    """
    site = load_site(path)
    look = site.second_look
    for name, model in (("model", site.model), ("second_look", look)):
        if model is not None and model.sha256 is None:
            raise ConfigError(
                f"{path.name} must give {name}.sha256, for only a pinned model is armed: it is what `sha256sum` prints "
                f"of {Path(model.file).name}"
            )
    if site.coverage.wanted or look is not None:
        _check(path)
    return site


def _check(site_file: Path) -> None:
    """Raise ConfigError with the reasons of `railwatch check`."""
    command = [sys.executable, "-m", "railwatch", "check", str(site_file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(f"{site_file.name} must be checked to be armed, but cannot be: {error}") from None
    if done.returncode != 0:
        told = done.stdout.strip() or done.stderr.strip() or f"the check ended with {done.returncode}"
        raise ConfigError(f"{site_file.name} must not be armed: {'; '.join(told.splitlines())}")
