"""Gaps, repetitions and new numberings."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import Action, Alert, AlertKind, Epoch, Severity
from railwatch.messaging.events import Gap, Restarted
from railwatch.messaging.numbering import Numbering

FIRST, SECOND = Epoch("j", 1), Epoch("j", 2)


def make(seq, epoch=FIRST, why=""):
    return Alert(
        site_id="yard", epoch=epoch, seq=seq, alert_id=f"{epoch}-{seq}", kind=AlertKind.TEST, action=Action.OPENED,
        severity=Severity.NOTICE, incident_id="i", section_id="s", camera_id=None, zone_id=None, objects=(), why=why,
        margin_s=None, captured_at="", published_at="", config_rev="", model_sha256="",
    )  # fmt: skip


def test_a_client_that_comes_late_is_told_what_it_missed():
    assert Numbering().alert(make(5)) == (True, [Gap(FIRST, 1, 4)])
    assert Numbering().status("yard", FIRST, 4) == [Gap(FIRST, 1, 4)]


def test_nothing_is_missing_at_the_very_start():
    numbering = Numbering()
    assert numbering.status("yard", FIRST, 0) == []
    assert numbering.alert(make(1)) == (True, [])
    assert numbering.status("yard", FIRST, 1) == []


def test_a_status_tells_of_alerts_lost_at_the_end_once():
    numbering = Numbering()
    numbering.alert(make(1))
    assert numbering.status("yard", FIRST, 3) == [Gap(FIRST, 2, 3)]
    assert numbering.status("yard", FIRST, 3) == []
    assert numbering.alert(make(4)) == (True, [])


def test_a_repetition_is_dropped_also_when_only_the_journal_flag_differs():
    numbering = Numbering()
    numbering.alert(make(1))
    assert numbering.alert(make(1)) == (False, [])
    assert numbering.alert(replace(make(1), journaled=True)) == (False, [])
    assert numbering.alert(make(2)) == (True, [])
    assert numbering.alert(make(1)) == (False, [])


def test_the_same_number_with_other_content_begins_a_new_numbering():
    numbering = Numbering()
    for seq in (1, 2, 3):
        numbering.alert(make(seq))
    assert numbering.alert(make(1, why="again")) == (True, [Restarted(FIRST, FIRST)])
    assert numbering.alert(make(2, why="again")) == (True, [])


def test_a_lower_number_never_seen_begins_a_new_numbering_with_a_gap():
    numbering = Numbering()
    numbering.alert(make(9))
    assert numbering.alert(make(4)) == (True, [Restarted(FIRST, FIRST), Gap(FIRST, 1, 3)])


def test_a_status_that_counts_less_than_was_received_begins_a_new_numbering():
    numbering = Numbering()
    for seq in (1, 2, 3):
        numbering.alert(make(seq))
    assert numbering.status("yard", FIRST, 2) == [Restarted(FIRST, FIRST), Gap(FIRST, 1, 2)]
    assert numbering.status("yard", FIRST, 0) == [Restarted(FIRST, FIRST)]
    assert numbering.alert(make(1)) == (True, [])


def test_a_new_epoch_begins_a_new_numbering():
    numbering = Numbering()
    numbering.alert(make(1))
    assert numbering.alert(make(2, SECOND)) == (True, [Restarted(FIRST, SECOND), Gap(SECOND, 1, 1)])
    assert numbering.status("other site", SECOND, 0) == [Restarted(SECOND, SECOND)]


def test_what_is_remembered_is_bounded():
    numbering = Numbering(remembered=10)
    for seq in range(1, 100):
        assert numbering.alert(make(seq)) == (True, [])
    assert len(numbering._digests) == 10
    assert numbering.alert(make(95)) == (False, [])


@given(st.sets(st.integers(1, 30)), st.lists(st.booleans(), min_size=30, max_size=30))
def test_handed_over_and_missing_together_are_all_alerts(lost, repeated):
    numbering = Numbering()
    seen, missing = [], []
    for seq in range(1, 31):
        if seq in lost:
            continue
        is_new, told = numbering.alert(make(seq))
        assert is_new
        seen.append(seq)
        missing += told
        if repeated[seq - 1]:
            assert numbering.alert(make(seq)) == (False, [])
    missing += numbering.status("yard", FIRST, 30)
    assert all(isinstance(gap, Gap) for gap in missing)
    gone = {seq for gap in missing for seq in range(gap.first_missing, gap.last_missing + 1)}
    assert gone == lost
    assert seen == sorted(set(range(1, 31)) - lost)
