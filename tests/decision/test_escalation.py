"""What people answer, what is done when nobody does, and that an answer hides nothing."""

from __future__ import annotations

import pytest

from railwatch.core.alerts import AckLevel, Action, AlertKind, SectionState, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.decision.inputs import Acknowledge, Consumers
from railwatch.decision.status import status_of
from railwatch.decision.step import verdict_on
from tests.scenario import IN_APPROACH, ON_TRACK, Hub, actions, site

RECEIVED, DISPLAYED, ACKNOWLEDGED = AckLevel
NOTICE, WARNING, EMERGENCY = Severity
SIGNALLER, SUPERVISOR = EscalationGroup("signaller", ("desk", "spare")), EscalationGroup("supervisor", ("boss",))


def ladder(*rules, groups=(SIGNALLER, SUPERVISOR)):
    """Two groups, and an EMERGENCY to be acknowledged within 10 s."""
    return EscalationSettings(groups, rules or (EscalationRule(EMERGENCY, ACKNOWLEDGED, 10.0),))


def emergency(escalation, **options):
    """A hub with somebody on the track since 1.0 s, an EMERGENCY opened at 1.2 s, and who was told."""
    hub = Hub(site(severity=EMERGENCY, escalation=escalation, **options))
    hub.watch(0.0, 1.0)
    (opened,) = hub.watch(1.0, 1.5, ON_TRACK)
    return hub, opened


def stay(hub, begin_s, end_s, *xs):
    """Frames twice a second, which no timeout notices."""
    return hub.watch(begin_s, end_s, *xs, step_s=0.5)


def test_without_escalation_nothing_is_asked():
    hub, opened = emergency(EscalationSettings())
    assert stay(hub, 1.5, 100.0, ON_TRACK) == []
    assert (opened.addressed_to, opened.level, opened.by, opened.key_name) == ((), None, None, None)


def test_an_emergency_nobody_acknowledges_goes_to_the_next_group():
    hub, opened = emergency(ladder())
    assert opened.addressed_to == ("signaller",)
    hub.acknowledge(1.5, opened.incident_id, DISPLAYED, "console", "desk")
    assert stay(hub, 2.0, 11.0, ON_TRACK) == []
    assert hub.see(11.1) == ()
    (told,) = hub.tick(11.2)
    assert (told.action, told.severity, told.incident_id) == (Action.ESCALATED, EMERGENCY, opened.incident_id)
    assert told.addressed_to == ("signaller", "supervisor")
    assert told.why.startswith("not ACKNOWLEDGED within 10 s, told to supervisor: ")
    assert (told.level, told.by, told.key_name) == (DISPLAYED, "console", "desk")
    assert hub.tick(11.3) == ()
    (incident,) = status_of(hub.state).open_incidents
    assert (incident.level, incident.by, incident.addressed_to) == (DISPLAYED, "console", ("signaller", "supervisor"))
    assert incident.fault is None


def test_the_words_of_an_escalation_end_with_what_is_seen():
    hub, _ = emergency(ladder())
    (told,) = [alert for alert in stay(hub, 1.5, 12.0, ON_TRACK) if alert.kind is AlertKind.INTRUSION]
    assert told.why == "not ACKNOWLEDGED within 10 s, told to supervisor: 1 person on the track t1, for 10 s"
    assert [seen.class_name for seen in told.objects] == ["person"]
    assert told.camera_ids == ("cam",)


def test_an_acknowledgement_by_a_person_is_told_and_stops_the_handing_on():
    hub, opened = emergency(ladder())
    (told,) = hub.acknowledge(2.0, opened.incident_id, ACKNOWLEDGED, "Anna", "desk")
    assert actions([told]) == ["INTRUSION ACKNOWLEDGED EMERGENCY"]
    assert (told.level, told.by, told.key_name) == (ACKNOWLEDGED, "Anna", "desk")
    assert told.why == "acknowledged by Anna: 1 person on the track t1"
    assert told.seq == 2
    assert stay(hub, 2.5, 60.0, ON_TRACK) == []
    assert hub.section() is SectionState.OCCUPIED


@pytest.mark.parametrize("level", [RECEIVED, DISPLAYED])
def test_what_a_program_says_is_kept_but_is_no_alert(level):
    hub, opened = emergency(ladder())
    assert hub.acknowledge(2.0, opened.incident_id, level, "console", "desk") == ()
    (incident,) = hub.state.incidents.values()
    assert (incident.level, incident.by, incident.key_name) == (level, "console", "desk")


def test_a_level_never_falls_back_and_the_first_to_reach_it_stays_named():
    hub, opened = emergency(ladder())
    assert verdict_on(hub.state, Acknowledge(opened.incident_id, RECEIVED, "c", "desk")).raises
    hub.acknowledge(2.0, opened.incident_id, ACKNOWLEDGED, "Anna", "desk")
    for level in AckLevel:
        said = Acknowledge(opened.incident_id, level, "Bert", "boss")
        verdict = verdict_on(hub.state, said)
        assert (verdict.key, verdict.raises, verdict.refusal) == ((AlertKind.INTRUSION, "main", ""), False, "")
        assert hub.feed(said, 2.1) == ()
    (incident,) = hub.state.incidents.values()
    assert (incident.level, incident.by) == (ACKNOWLEDGED, "Anna")


@pytest.mark.parametrize(
    ("incident_id", "key_name", "refusal"),
    [
        ("test.1-i9", "desk", "incident test.1-i9 must be open, but is not"),
        (None, "stranger", "key stranger must belong to one of the groups of escalation, but does not"),
        (None, None, "a client without a key must belong to one of the groups of escalation, but does not"),
    ],
)
def test_what_does_not_count_is_refused_with_the_reason(incident_id, key_name, refusal):
    hub, opened = emergency(ladder())
    said = Acknowledge(incident_id or opened.incident_id, ACKNOWLEDGED, "Anna", key_name)
    verdict = verdict_on(hub.state, said)
    assert (verdict.key, verdict.raises, verdict.refusal) == (None, False, refusal)
    before = hub.state.incidents
    assert hub.feed(said, 2.0) == ()
    assert hub.state.incidents == before


@pytest.mark.parametrize("groups", [(), (EscalationGroup("all"),), (SIGNALLER, EscalationGroup("all"))])
@pytest.mark.parametrize("key_name", [None, "anybody"])
def test_without_groups_or_in_one_without_keys_everybody_counts(groups, key_name):
    rules = (EscalationRule(EMERGENCY, ACKNOWLEDGED, 10.0),) if groups else ()
    hub, opened = emergency(EscalationSettings(groups, rules))
    (told,) = hub.acknowledge(2.0, opened.incident_id, ACKNOWLEDGED, "Anna", key_name)
    assert (told.by, told.key_name) == ("Anna", key_name)


def test_a_member_of_a_group_that_was_not_told_yet_may_acknowledge():
    hub, opened = emergency(ladder())
    (told,) = hub.acknowledge(2.0, opened.incident_id, ACKNOWLEDGED, "Boss", "boss")
    assert told.addressed_to == ("signaller",)
    assert stay(hub, 2.5, 30.0, ON_TRACK) == []


def test_a_worsening_needs_a_new_acknowledgement():
    hub = Hub(site(severity=EMERGENCY, escalation=ladder(EscalationRule(NOTICE, ACKNOWLEDGED, 10.0))))
    (opened,) = hub.watch(0.0, 1.0, IN_APPROACH)
    hub.acknowledge(1.0, opened.incident_id, ACKNOWLEDGED, "Anna", "desk")
    (worse,) = hub.watch(1.0, 2.0, ON_TRACK)
    assert actions([worse]) == ["INTRUSION ESCALATED EMERGENCY"]
    assert (worse.level, worse.by, worse.key_name) == (None, None, None)
    assert worse.addressed_to == ("signaller",)
    (received,) = hub.state.incidents.values()
    assert received.since_s == pytest.approx(1.2)
    hub.acknowledge(2.0, opened.incident_id, RECEIVED, "console", "desk")
    assert stay(hub, 2.0, 11.1, ON_TRACK) == []
    assert [alert.addressed_to for alert in hub.watch(11.2, 11.3, ON_TRACK)] == [("signaller", "supervisor")]


def test_a_severity_that_falls_keeps_its_acknowledgement():
    hub, opened = emergency(ladder(EscalationRule(NOTICE, ACKNOWLEDGED, 5.0)))
    hub.acknowledge(1.5, opened.incident_id, ACKNOWLEDGED, "Anna", "desk")
    (fallen,) = hub.watch(1.6, 3.0, IN_APPROACH)
    assert actions([fallen]) == ["INTRUSION DEESCALATED NOTICE"]
    assert (fallen.level, fallen.by) == (ACKNOWLEDGED, "Anna")
    assert stay(hub, 3.0, 20.0, IN_APPROACH) == []


def test_below_the_lowest_rule_nothing_is_asked():
    hub = Hub(site(severity=WARNING, escalation=ladder()))
    assert actions(hub.watch(0.0, 60.0, ON_TRACK, step_s=0.5)) == ["INTRUSION OPENED WARNING"]


@pytest.mark.parametrize(
    ("severity", "expected"),
    [(NOTICE, None), (WARNING, DISPLAYED), (EMERGENCY, ACKNOWLEDGED)],
)
def test_the_rule_of_the_highest_severity_not_above_counts(severity, expected):
    rules = (EscalationRule(EMERGENCY, ACKNOWLEDGED, 1.0), EscalationRule(WARNING, DISPLAYED, 2.0))
    for order in (rules, rules[::-1]):
        rule = EscalationSettings((SIGNALLER,), order).rule_for(severity)
        assert (None if rule is None else rule.level) is expected


def test_one_rule_for_lower_severities_also_asks_for_the_higher_ones():
    hub, _ = emergency(ladder(EscalationRule(NOTICE, RECEIVED, 3.0)))
    told = [alert for alert in stay(hub, 1.5, 5.0, ON_TRACK) if alert.kind is AlertKind.INTRUSION]
    assert [alert.addressed_to for alert in told] == [("signaller", "supervisor")]


def test_the_time_runs_anew_for_each_group_and_then_the_system_says_that_nobody_answered():
    third = EscalationGroup("police", required=False)
    hub, opened = emergency(ladder(groups=(SIGNALLER, SUPERVISOR, third)))
    hub.acknowledge(1.5, opened.incident_id, RECEIVED, "console", "desk")
    times = {}
    for number in range(400):
        now_s = round(2.0 + number / 10, 1)
        for alert in hub.tick(now_s):
            if alert.kind is not AlertKind.BLINDNESS:
                times[now_s] = (alert.kind, alert.action, alert.addressed_to, alert.fault)
    police = ("signaller", "supervisor", "police")
    assert times == {
        11.2: (AlertKind.INTRUSION, Action.ESCALATED, ("signaller", "supervisor"), None),
        21.2: (AlertKind.INTRUSION, Action.ESCALATED, police, None),
        31.2: (AlertKind.SYSTEM, Action.OPENED, police, "ack:unanswered"),
    }
    assert hub.alerts[-1].why == ("ack:unanswered: all groups were told and nobody has answered EMERGENCY test.1-i1")
    assert hub.alerts[-1].section_id == ""
    told = hub.acknowledge(43.0, opened.incident_id, ACKNOWLEDGED, "Anna", "spare")
    assert actions(told) == ["INTRUSION ACKNOWLEDGED EMERGENCY", "SYSTEM CLOSED WARNING"]
    assert told[1].why == "ack:unanswered: over"


def test_that_nobody_even_received_it_is_an_alarm_by_itself():
    hub, opened = emergency(ladder())
    assert stay(hub, 1.5, 6.1, ON_TRACK) == []
    (alarm,) = hub.tick(6.2)
    assert actions([alarm]) == ["SYSTEM OPENED WARNING"]
    assert (alarm.fault, alarm.section_id) == ("ack:unreceived", "")
    assert alarm.why == "ack:unreceived: nobody has received EMERGENCY test.1-i1"
    assert alarm.addressed_to == ("signaller", "supervisor")
    assert (alarm.camera_id, alarm.zone_id, alarm.objects, alarm.captured_at) == (None, None, (), alarm.published_at)
    assert hub.tick(6.3) == ()
    (closed,) = hub.acknowledge(6.4, opened.incident_id, RECEIVED, "console", "desk")
    assert actions([closed]) == ["SYSTEM CLOSED WARNING"]
    assert closed.incident_id == alarm.incident_id


def test_an_alarm_about_missing_answers_raises_no_further_one():
    hub = Hub(site(escalation=ladder(EscalationRule(NOTICE, ACKNOWLEDGED, 10.0), groups=(SIGNALLER,))))
    hub.fault(0.0, "journal", "the disk is full")
    for number in range(1, 200):
        hub.see(number / 2)
    assert [(alert.fault, alert.action) for alert in hub.alerts] == [
        ("journal", Action.OPENED),
        ("ack:unreceived", Action.OPENED),
        ("ack:unanswered", Action.OPENED),
    ]


def test_many_unreceived_incidents_are_named_in_part():
    hub = Hub(site(escalation=ladder(EscalationRule(WARNING, RECEIVED, 60.0))))
    for number in range(5):
        hub.fault(0.0, f"fault-{number}", "broken")
    hub.see(4.0)
    (alarm,) = hub.see(5.0)
    assert alarm.why == (
        "ack:unreceived: nobody has received WARNING test.1-i1, WARNING test.1-i2, WARNING test.1-i3 and 2 more"
    )


def test_a_required_group_of_which_nobody_is_connected_is_an_alarm():
    hub = Hub(site(escalation=ladder(groups=(SIGNALLER, SUPERVISOR, EscalationGroup("police", required=False)))))
    connected = ("spare", "")
    assert hub.feed(Consumers(connected), 1.0) == ()
    hub.watch(1.0, 10.9, step_s=0.1)
    hub.feed(Consumers(connected), 10.9)
    (alarm,) = hub.see(11.0)
    assert actions([alarm]) == ["SYSTEM OPENED WARNING"]
    assert (alarm.fault, alarm.why) == (
        "consumer:supervisor",
        "consumer:supervisor: nobody of the group supervisor is connected",
    )
    assert alarm.addressed_to == ("signaller", "supervisor", "police")
    (closed,) = hub.feed(Consumers(("spare", "boss")), 11.1)
    assert actions([closed]) == ["SYSTEM CLOSED WARNING"]
    hub.feed(Consumers(("spare",)), 12.0)
    assert hub.watch(12.0, 21.9) == []
    assert actions(hub.watch(22.0, 22.1)) == ["SYSTEM OPENED WARNING"]


def test_a_group_for_everybody_is_there_when_anybody_is():
    hub = Hub(site(escalation=ladder(groups=(EscalationGroup("all"),))))
    hub.feed(Consumers(()), 0.0)
    hub.watch(0.0, 9.0)
    hub.feed(Consumers(("",)), 9.0)
    assert hub.watch(9.0, 30.0) == []


def test_a_hub_that_never_says_who_listens_knows_of_nobody_missing():
    hub = Hub(site(escalation=ladder()))
    assert hub.watch(0.0, 60.0, step_s=0.5) == []


def test_what_is_seen_is_told_first_and_carries_the_acknowledgement():
    """A camera falls silent in the very step of an acknowledgement: both are kept."""
    hub = Hub(site(escalation=ladder()))
    hub.watch(0.0, 1.0)
    hub.lose(1.0, "cam")
    blind = hub.alerts[-1]
    hub.see(1.1, state=hub.state.cameras["cam"].state)
    (told,) = hub.acknowledge(1.2, blind.incident_id, ACKNOWLEDGED, "Anna", "desk")
    assert actions([told]) == ["BLINDNESS ACKNOWLEDGED WARNING"]
    assert told.why == "acknowledged by Anna: camera cam: "


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("", RECEIVED, "a", None), "incident_id must be 1 to 200"),
        (("i", RECEIVED, "", None), "by must be 1 to 200"),
        (("i", RECEIVED, "a" * 201, None), "but has 201"),
        (("i", RECEIVED, "a", ""), "key_name must be 1 to 200"),
    ],
)
def test_acknowledgements_are_bounded(values, words):
    with pytest.raises(ValueError, match=words):
        Acknowledge(*values)
    assert Acknowledge("i" * 200, RECEIVED, "a" * 200, "k" * 200).by == "a" * 200
