from __future__ import annotations

import json

import pytest

from railwatch.app import checkup
from railwatch.app.checkup import Finding, State
from railwatch.cli.doctor import doctor
from railwatch.core.errors import InstallError

FINE = Finding("libraries", State.OK, "all there [sic]")
SPARE = Finding("site", State.NOT_NEEDED, "none given", "give one")
FAULT = Finding("disk", State.FAULT, "full", "free some")


@pytest.fixture
def found(monkeypatch):
    """Sets what the checkup finds."""

    def set_findings(*findings):
        monkeypatch.setattr(checkup, "checkup", lambda _: iter(findings))

    return set_findings


def test_a_fit_machine_is_called_fit(found, capsys):
    found(FINE, SPARE)
    doctor()
    out = capsys.readouterr().out
    assert "ok         libraries         all there [sic]" in out
    assert "not needed site              none given\n" in out
    assert "-> give one" in out
    assert out.endswith("This machine is fit to watch.\n")


def test_a_fault_ends_with_exit_code_6_after_every_line(found, capsys):
    found(FAULT, FINE)
    with pytest.raises(InstallError, match="has 1 fault, listed above") as caught:
        doctor()
    assert caught.value.exit_code == 6
    out = capsys.readouterr().out
    assert "fault      disk              full" in out
    assert "-> free some" in out
    assert "libraries" in out
    assert "fit to watch" not in out


def test_json_is_one_document_also_with_faults(found, capsys):
    found(FAULT, FINE)
    with pytest.raises(InstallError):
        doctor(as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["fit_to_watch"] is False
    assert [row["name"] for row in document["findings"]] == ["disk", "libraries"]
