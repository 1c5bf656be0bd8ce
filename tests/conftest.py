"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A loaded machine must not fail a property; the time of the whole run is bounded by the number of examples.
settings.register_profile("railwatch", deadline=None, max_examples=40)
settings.load_profile("railwatch")

ROOT = Path(__file__).resolve().parents[1]

collect_ignore = ["rtsp_camera.py"]
"""It runs with the Python of the system, which has GStreamer; this one has not."""


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real footage and weights beside the checkout; tests that need them skip where they are absent."""
    path = ROOT.parent / "shared"
    if not (path / "data").is_dir():
        pytest.skip("the development footage ../shared is not here")
    return path
