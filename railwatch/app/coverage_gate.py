"""Whether the zones of a site cover what they must, asked in a process of its own: the hub opens no model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from railwatch.core.errors import ConfigError
from railwatch.core.settings import SiteSettings

_WITHIN_S: Final = 120.0


def check_coverage(site_file: Path, site: SiteSettings) -> None:
    """Raise ConfigError with the reasons of `railwatch check` where a zone asks for a smallest person.

    A site that asks for none is not looked at.
    """
    if not site.coverage.wanted:
        return
    command = [sys.executable, "-m", "railwatch", "check", str(site_file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN_S, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"the coverage of {site_file.name} must be known to arm it, but cannot be asked: {error}"
        ) from None
    if done.returncode != 0:
        told = done.stdout.strip() or done.stderr.strip() or f"the check ended with {done.returncode}"
        raise ConfigError(f"{site_file.name} must not be armed: {'; '.join(told.splitlines())}")
