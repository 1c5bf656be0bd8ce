"""What is told of an incident or a time from what a hub has kept: its journal and its evidence."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from railwatch.app.explain_kept import kept_at, kept_of_incident, lines_of_kept
from railwatch.app.explain_time import parse_time
from railwatch.core.alerts import AckLevel, Action, AlertKind, Severity
from railwatch.core.errors import ConfigError, JournalError, RecordError
from railwatch.core.evidence import evidence_id_of
from railwatch.evidence.store import EvidenceFile, EvidenceStore, Limits
from railwatch.messaging.journal import Journal
from railwatch.messaging.records import Record
from tests.messaging.rig import make_alert
from tests.test_light_imports import HEAVY

MIDNIGHT = datetime(2026, 11, 24, 23, 59, 50, tzinfo=UTC)
EVIDENCE = evidence_id_of("a1")


class Site:
    """A state folder with a journal whose clock stands still until it is moved on."""

    def __init__(self, folder):
        self.folder, self.now = folder, MIDNIGHT
        self.journal = Journal.open(folder / "journal.db", utc_now=lambda: self.now)
        self.seq = 0

    def tell(self, after_s, action, severity=Severity.WARNING, incident="4f.1-i1", **change):
        self.now += timedelta(seconds=after_s)
        self.seq += 1
        at = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {"epoch": self.journal.epoch, "action": action, "severity": severity, "incident_id": incident}
        alert = make_alert(
            self.seq, **{**told, "published_at": at, "captured_at": at, "why": f"why {self.seq}", **change}
        )
        self.journal.append([Record.alert(alert)])


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """An EMERGENCY around midnight that was answered, a blind camera that stays, and evidence of the one."""
    folder = tmp_path_factory.mktemp("state")
    site = Site(folder)
    with site.journal:
        site.tell(0, Action.OPENED, evidence=EVIDENCE, addressed_to=("desk",))  # 23:59:50
        site.tell(5, Action.ESCALATED, Severity.EMERGENCY, margin_s=-12.5, evidence=evidence_id_of("a2"))
        site.journal.append([Record.acknowledgement("4f.1-i1", AckLevel.ACKNOWLEDGED, "Ann", "desk")])
        site.tell(10, Action.OPENED, Severity.WARNING, "4f.1-i3", kind=AlertKind.BLINDNESS)  # 00:00:05
        site.tell(15, Action.CLOSED)  # 00:00:20
        store = EvidenceStore(folder / "evidence", Limits(1e9, 1 << 30, 0))
        store.keep(EVIDENCE, [EvidenceFile("still.jpg", b"x")], {})
        store.close()
        yield folder


def test_an_incident_is_told_with_its_answers_and_its_evidence_while_a_hub_has_the_journal(kept):
    header, opened, worse, answer, closed, notes = kept_of_incident(kept, "i1")
    assert header == {
        "kept_version": 1,
        "journal": str(kept / "journal.db"),
        "site_id": "yard",
        "incident_id": "4f.1-i1",
        "kind": "INTRUSION",
        "section_id": "s1",
        "worst": "EMERGENCY",
        "opened_at": "2026-11-24T23:59:50Z",
        "closed_at": "2026-11-25T00:00:20Z",
    }
    assert (opened["action"], opened["why"], opened["addressed_to"]) == ("OPENED", "why 1", ["desk"])
    assert opened["evidence"] == {"evidence_id": EVIDENCE, "files": ["still.jpg"], "missing": None}
    assert (worse["severity"], worse["margin_s"], worse["evidence"]["files"]) == ("EMERGENCY", -12.5, [])
    assert "is not there" in worse["evidence"]["missing"]
    assert answer["answer"] == {"level": "ACKNOWLEDGED", "by": "Ann", "key_name": "desk"}
    assert (closed["action"], closed["evidence"], closed["at"]) == ("CLOSED", None, "2026-11-25T00:00:20.000000Z")
    assert "only a recording (--record) holds" in notes["notes"][0]


def test_it_is_told_to_people_line_by_line(kept):
    lines = list(lines_of_kept(kept_of_incident(kept, "4f.1-i1")))
    assert lines[:2] == [
        "incident 4f.1-i1  INTRUSION of s1, at worst EMERGENCY",
        "opened 2026-11-24T23:59:50Z, closed 2026-11-25T00:00:20Z",
    ]
    assert "  2026-11-24T23:59:50.000000Z  OPENED WARNING: why 1" in lines
    assert "      told to desk" in lines
    assert f"      evidence {EVIDENCE}: still.jpg" in lines
    assert "  2026-11-24T23:59:55.000000Z  ESCALATED EMERGENCY [margin -12.5 s]: why 2" in lines
    assert "  2026-11-24T23:59:55.000000Z  ACKNOWLEDGED by Ann (key desk)" in lines
    (blind,) = [line for line in lines_of_kept(kept_of_incident(kept, "i3")) if line.startswith("opened")]
    assert blind == "opened 2026-11-25T00:00:05Z, not closed"


@pytest.mark.parametrize(
    ("at", "around_s", "incidents"),
    [
        ("23:59:48", 1.0, []),
        ("23:59:49", 1.0, ["4f.1-i1"]),  # told of a second later
        ("23:59:57", 0.0, ["4f.1-i1"]),
        ("2026-11-25T00:00:10Z", 0.0, ["4f.1-i1", "4f.1-i3"]),
        ("00:00:20", 0.0, ["4f.1-i1", "4f.1-i3"]),  # closed just then
        ("2026-11-25T08:00:00", 1.0, ["4f.1-i3"]),
    ],
)
def test_of_a_time_the_incidents_are_told_that_were_open_then(kept, at, around_s, incidents):
    found = kept_at(kept, parse_time(at), around_s)
    assert [item["incident_id"] for item in found if "kept_version" in item] == incidents
    assert found[-1]["notes"][0].startswith(f"{len(incidents)} of 2 incidents were open at 2026-11-2")


def test_what_cannot_be_told_is_refused_with_the_reason(kept, tmp_path):
    with pytest.raises(RecordError, match="must hold what was told of the incident 'i9'"):
        kept_of_incident(kept, "i9")
    with pytest.raises(ConfigError, match=r"must be UTC where a journal is asked, as 08:11:40, but is '12.5'"):
        kept_at(kept, parse_time("12.5"), 1.0)
    with pytest.raises(JournalError, match="must be a file that is there"):
        kept_of_incident(tmp_path, "i1")
    Journal.open(tmp_path / "journal.db").close()
    with pytest.raises(RecordError, match="must hold an alert, but holds none"):
        kept_at(tmp_path, parse_time("08:00"), 1.0)


def test_what_comes_after_a_damaged_row_is_left_out_and_that_is_told(tmp_path):
    site = Site(tmp_path)
    with site.journal:
        site.tell(0, Action.OPENED)
        site.tell(1, Action.CLOSED)
    with sqlite3.connect(tmp_path / "journal.db") as raw:
        raw.execute("UPDATE journal SET mark = 'x' WHERE row = 3")
    raw.close()
    header, _, notes = kept_of_incident(tmp_path, "i1")
    assert header["closed_at"] is None
    assert notes["notes"][0].startswith("row 3 is damaged (")


def test_the_command_tells_it_where_nothing_heavy_is_installed(root, kept):
    def run(*words):
        code = (
            "import sys, runpy\n"
            f"for name in {sorted(HEAVY)}: sys.modules[name] = None\n"
            f"sys.argv = ['railwatch', 'explain', *{list(words)!r}]\n"
            "runpy.run_module('railwatch', run_name='__main__')\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100, check=False
        )
        return done.returncode, done.stdout, done.stderr

    code, out, err = run("i1", "--state", str(kept), "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == kept_of_incident(kept, "i1")
    code, out, err = run("--at", "00:00:10", "--state", str(kept))
    assert (code, err, out.count("incident 4f.1-i")) == (0, "", 2)
    code, out, err = run("i1", "--state", str(kept), "--video", "x.mp4")
    assert (code, err.startswith("railwatch: --state tells what a journal holds")) == (2, True)
