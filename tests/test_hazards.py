"""Every test that the hazard log leans on is there."""

from __future__ import annotations

import re

import pytest


def named(root):
    text = (root / "docs" / "hazards.md").read_text(encoding="utf-8")
    return re.findall(r"`((?:\w+/)*test_\w+\.py)(?:::(test_\w+))?`", text)


def test_the_hazard_log_names_tests(root):
    assert len(named(root)) >= 12


@pytest.mark.parametrize("number", range(13))
def test_a_named_test_is_there(root, number):
    file, function = named(root)[number]
    text = (root / "tests" / file).read_text(encoding="utf-8")
    assert not function or f"def {function}(" in text, f"{file}::{function}"
