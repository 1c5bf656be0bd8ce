"""The page on security names tests that exist, one at least for every threat of EN 50159."""

from __future__ import annotations

import re

import pytest

THREATS = ["repetition", "deletion", "insertion", "resequencing", "corruption", "delay", "masquerade"]


@pytest.fixture(scope="module")
def text(root):
    return (root / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_threat_has_a_defence_and_a_test(text):
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "::test_" in line]
    assert [row[0] for row in rows] == THREATS
    assert all(len(row) == 3 and row[1] for row in rows)


def test_the_named_tests_exist(root, text):
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)
    assert len(named) >= len(THREATS)
    for file, name in named:
        assert re.search(rf"^def {name}\(", (root / file).read_text(encoding="utf-8"), re.MULTILINE), (file, name)


def test_every_role_and_domain_is_told(text):
    from railwatch.messaging.guard import Domain
    from railwatch.messaging.roles import Role

    assert all(f"`{name}`" in text for name in (*Role, *Domain))
