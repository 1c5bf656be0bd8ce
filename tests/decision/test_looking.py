"""The second look may raise an incident, and never take away, delay or lower one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railwatch.core.alerts import AckLevel, Action, AlertKind, CameraState, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.schedules import ScheduleSettings
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import TrainReport
from railwatch.decision.inputs import Hours, Possession, SystemFault, Tick, WorkerLost
from railwatch.decision.looking import MOST_LOOKS
from tests.scenario import IN_APPROACH, ON_TRACK, OUTSIDE, Hub, actions, observation, site, track

LOOK = SecondLookSettings("classifier.onnx", "a" * 64, herd_taxa=("Mammalia", "Bovidae"))


def looking(look=LOOK, **kwargs):
    """A hub that has a second look."""
    return Hub(replace(site(**kwargs), second_look=look))


def said(taxon="Mammalia", *, track_id=1, t_s=0.0, confidence=0.93, camera_id="cam", worker_epoch=1):
    return Annotation(camera_id, worker_epoch, track_id, t_s, taxon, confidence)


def watch(hub, begin_s, end_s, x=ON_TRACK, **kwargs):
    """A cow stands at x."""
    before = len(hub.alerts)
    for number in range(round((end_s - begin_s) * 10)):
        t_s = begin_s + number / 10
        hub.see(t_s, track(x, group="animal", class_name="cow", t_s=0.0), **kwargs)
    return hub.alerts[before:]


def test_an_animal_of_a_herd_raises_its_incident_and_the_sentence_says_why():
    hub = looking()
    assert actions(watch(hub, 0.0, 1.0)) == ["INTRUSION OPENED WARNING"]
    assert hub.feed(said(), 1.0) == ()
    (raised,) = watch(hub, 1.0, 2.0)
    assert actions([raised]) == ["INTRUSION ESCALATED EMERGENCY"]
    assert "1 cow on the track" in raised.why
    assert raised.why.endswith("; second look: Mammalia, 93 % sure: will not leave by itself, one severity up")
    assert raised.objects[0].taxon == "Mammalia"


def test_what_is_known_before_the_incident_opens_raises_it_from_the_start():
    hub = looking()
    watch(hub, 0.0, 0.2)
    hub.feed(said(), 0.2)
    opened = watch(hub, 0.2, 1.0)
    assert actions(opened)[0] == "INTRUSION OPENED WARNING"  # at its time: the on-delay of the raise is not waited for
    assert actions(opened)[1:] == ["INTRUSION ESCALATED EMERGENCY"]
    known = looking()
    watch(known, 0.0, 0.1, OUTSIDE)
    known.feed(said(), 0.1)
    assert actions(watch(known, 0.1, 1.0)) == ["INTRUSION OPENED EMERGENCY"]


def test_a_raise_falls_with_the_off_delay_and_the_incident_lives_on():
    hub = looking()
    watch(hub, 0.0, 1.0)
    hub.feed(said(), 1.0)
    watch(hub, 1.0, 2.0)
    man = track(ON_TRACK, track_id=2, t_s=2.0)
    fallen = [alert for number in range(30) for alert in hub.see(2.0 + number / 10, man)]
    assert [(a.action, a.severity) for a in fallen if a.action is not Action.UPDATED] == [
        (Action.DEESCALATED, Severity.WARNING)
    ]
    assert fallen[-1].published_at == "received 2.900"
    assert hub.section().value == "OCCUPIED"


def test_near_the_track_a_notice_becomes_a_warning():
    hub = looking()
    watch(hub, 0.0, 1.0, IN_APPROACH)
    hub.feed(said("Bovidae"), 1.0)
    assert actions(watch(hub, 1.0, 2.0, IN_APPROACH)) == ["INTRUSION ESCALATED WARNING"]


@pytest.mark.parametrize(
    "answer",
    [
        said("Aves"),
        said(None),
        said(track_id=2),
        said(camera_id="other"),
        said(worker_epoch=2),
        said(t_s=-1.0),  # of a track that had this number before
        said(confidence=0.2),
    ],
)
def test_other_answers_raise_nothing(answer):
    hub = looking(replace(LOOK, least_confidence=0.5))
    watch(hub, 0.0, 1.0)
    hub.feed(answer, 1.0)
    assert watch(hub, 1.0, 2.0) == []


def test_another_taxon_is_told_with_the_object():
    hub = looking()
    watch(hub, 0.0, 0.1)
    hub.feed(said("Aves"), 0.1)
    (opened,) = watch(hub, 0.1, 1.0)
    assert (opened.objects[0].taxon, opened.severity, "second look" in opened.why) == ("Aves", Severity.WARNING, False)


def test_no_answer_unsays_a_herd_and_a_site_without_a_second_look_hears_none():
    hub = looking()
    watch(hub, 0.0, 1.0)
    hub.feed(said(), 1.0)
    hub.feed(said("Aves", confidence=1.0), 1.0)
    hub.feed(said("Bovidae", confidence=0.5), 1.0)
    assert "Bovidae, 50 % sure" in watch(hub, 1.0, 2.0)[0].why
    deaf = looking(None)
    watch(deaf, 0.0, 1.0)
    deaf.feed(said(), 1.0)
    assert watch(deaf, 1.0, 2.0) == []


def test_a_person_is_not_raised_whatever_is_said():
    hub = looking()
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.feed(said(t_s=1.0), 1.0)
    assert hub.watch(1.0, 2.0, ON_TRACK) == []


def test_a_new_worker_numbers_other_tracks():
    hub = looking()
    watch(hub, 0.0, 1.0)
    hub.feed(said(), 1.0)
    assert watch(hub, 1.0, 2.0, worker_epoch=2) == []


def test_answers_are_bounded():
    hub = looking()
    watch(hub, 0.0, 0.1)
    for number in range(MOST_LOOKS + 50):
        hub.feed(said(track_id=number + 1), 0.1)
    looks = hub.state.cameras["cam"].looks
    assert (len(looks), min(looks)) == (MOST_LOOKS, 51)


def test_without_a_train_to_stop_a_herd_is_a_warning_at_most():
    source = TrainSourceSettings("feed", authoritative=True, max_age_s=3600.0)
    hub = looking(severity=Severity.NOTICE, train_sources=(source,))
    hub.feed(TrainReport("t1", "up", None, None, None, "feed", 1, 0.0, authoritative=True), 0.0)
    watch(hub, 0.0, 1.0)
    hub.feed(said(), 1.0)
    assert actions(watch(hub, 1.0, 2.0)) == ["INTRUSION ESCALATED WARNING"]
    calm = looking(train_sources=(source,))
    calm.feed(TrainReport("t1", "up", None, None, None, "feed", 1, 0.0, authoritative=True), 0.0)
    watch(calm, 0.0, 1.0)
    calm.feed(said(), 1.0)
    assert watch(calm, 1.0, 2.0) == []


def test_a_possession_and_hours_that_lower_hold_for_animals_too():
    hub = looking()
    hub.feed(Possession("t1", "Anna", 100.0), 0.0)
    watch(hub, 0.0, 1.0)
    hub.feed(said(), 1.0)
    assert watch(hub, 1.0, 2.0) == []
    night = ScheduleSettings("night", "Europe/Berlin", "22:00", "04:00", at_most=Severity.NOTICE)
    quiet = Hub(replace(site(), second_look=LOOK, schedules=(night,)))
    quiet.feed(Hours(("night",), 100.0), 0.0)
    watch(quiet, 0.0, 1.0)
    quiet.feed(said(), 1.0)
    assert watch(quiet, 1.0, 2.0) == []
    assert quiet.alerts[0].severity is Severity.NOTICE


def test_a_fault_of_the_second_look_is_a_notice():
    hub = looking()
    hub.feed(SystemFault("second-look-main", "it is out"), 0.0)
    hub.feed(SystemFault("worker-main", "it is out"), 0.0)
    assert actions(hub.alerts) == ["SYSTEM OPENED NOTICE", "SYSTEM OPENED WARNING"]


RULES = EscalationSettings(
    (EscalationGroup("first"), EscalationGroup("second"), EscalationGroup("third")),
    (
        EscalationRule(Severity.NOTICE, AckLevel.RECEIVED, 8.0),
        EscalationRule(Severity.WARNING, AckLevel.ACKNOWLEDGED, 4.0),
        EscalationRule(Severity.EMERGENCY, AckLevel.DISPLAYED, 6.0),
    ),
)  # the rule of an EMERGENCY asks for less, and later: a raise must not bring that
TWO = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
FEED = TrainSourceSettings("feed", authoritative=True, max_age_s=5.0)
PLAIN = site(TWO, escalation=RULES, on_delay_hits=2, on_delay_window=3)

cows = st.tuples(
    st.integers(1, 3),
    st.sampled_from([ON_TRACK, ON_TRACK, IN_APPROACH, OUTSIDE]),
    st.sampled_from(["animal", "person"]),
)
sights = st.tuples(
    st.just("see"),
    st.sampled_from(["a", "a", "b"]),
    st.lists(cows, max_size=3, unique_by=lambda cow: cow[0]),
    st.sampled_from([CameraState.NOMINAL] * 5 + [CameraState.DEGRADED, CameraState.BLIND]),
    st.sampled_from([1, 1, 1, 1, 2]),
)
others = st.one_of(
    st.just(("tick",)),
    st.tuples(st.just("lost"), st.sampled_from([("a",), ("b",)])),
    st.tuples(st.just("ack"), st.sampled_from(AckLevel)),
    st.tuples(st.just("train"), st.sampled_from([None, 0.0, 15.0, 120.0, 400.0])),
    st.tuples(st.just("hold"), st.sampled_from([0.0, 2.0])),
)
annotations = st.tuples(
    st.just("said"),
    st.builds(
        Annotation,
        st.sampled_from(["a", "a", "b", "nowhere"]),
        st.sampled_from([1, 1, 1, 2, -7]),
        st.sampled_from([1, 1, 2, 3, 0, -1, 10**9]),
        st.sampled_from([0.0, 1.0, 1e9, -1e9]),
        st.sampled_from(["Mammalia", "Mammalia", "Bovidae", "Aves", None]),
        st.sampled_from([1.0, 0.9, 0.0]),
    ),
)
steps = st.lists(
    st.tuples(st.sampled_from([0.1] * 6 + [0.7, 2.5]), st.one_of(sights, sights, sights, others, annotations)),
    min_size=10,
    max_size=80,
)


def input_of(number, now_s, what):
    """The input of a step, for both hubs alike."""
    match what:
        case ("see", camera_id, seen, state, epoch):
            found = [track(x, n, group, t_s=now_s) for n, x, group in seen]
            found = [replace(item, first_seen_s=0.0) for item in found]
            return observation(now_s, *found, camera_id=camera_id, state=state, worker_epoch=epoch)
        case ("lost", names):
            return WorkerLost(names, "gone")
        case ("train", eta_s):
            return TrainReport("t1", "up", eta_s, None, None, "feed", number, 0.0, authoritative=True)
        case ("hold", lasts_s):
            return Possession("t1", "Anna", lasts_s)
    return Tick(now_s)


def key_of(alert):
    return alert.kind, alert.section_id, alert.camera_id if alert.kind is AlertKind.BLINDNESS else None, alert.fault


def acknowledge(hub, now_s, level):
    """Somebody brings what is open at the section to a level."""
    incident = hub.state.incidents.get((AlertKind.INTRUSION, "main", ""))
    return hub.acknowledge(now_s, incident.incident_id, level) if incident else ()


@settings(max_examples=30)
@given(steps, st.sampled_from([(), (FEED,)]))
def test_nothing_is_taken_away_delayed_or_lowered_by_any_answer(history, sources):
    the_site = replace(PLAIN, train_sources=sources)
    plain, keen, now_s = Hub(the_site), Hub(replace(the_site, second_look=LOOK)), 0.0
    for number, (wait_s, what) in enumerate(history):
        now_s += wait_s
        if what[0] == "said":
            before, after = plain.tick(now_s), keen.feed(what[1], now_s)
        elif what[0] == "ack":
            before, after = (acknowledge(hub, now_s, what[1]) for hub in (plain, keen))
        else:
            value = input_of(number, now_s, what)
            before, after = plain.feed(value, now_s), keen.feed(value, now_s)
        compare_alerts(before, after)
        compare_states(plain.state, keen.state)
        assert plain.section() is keen.section()


def compare_alerts(before, after):
    """Each alert without the second look has its like with it, at the same input, at no lower severity."""
    found = {key_of(alert): alert for alert in after}
    for alert in before:
        if alert.kind is AlertKind.SYSTEM or "told to" in alert.why:
            continue  # they may have come earlier: `compare_states` sees that
        like = found[key_of(alert)]
        assert like.severity >= alert.severity
        expected = {alert.action, Action.ESCALATED} if alert.action is not Action.CLOSED else {Action.CLOSED}
        if alert.action is Action.DEESCALATED:
            expected |= {Action.UPDATED}
        if alert.action is Action.OPENED:
            expected = {Action.OPENED}
        assert like.action in expected | ({Action.DEESCALATED} if alert.action is Action.UPDATED else set())


def compare_states(plain, keen):
    assert plain.occupied == keen.occupied
    for kind in (AlertKind.INTRUSION, AlertKind.BLINDNESS):
        assert {key for key in plain.incidents if key[0] is kind} == {key for key in keen.incidents if key[0] is kind}
    for key, incident in plain.incidents.items():
        like = keen.incidents[key]  # a fault of the telling is there as well, maybe for longer
        assert like.severity >= incident.severity
        assert set(incident.addressed_to) <= set(like.addressed_to)
        assert like.count == incident.count or key[0] is not AlertKind.INTRUSION
        assert like.groups == incident.groups


def test_an_incident_that_is_raised_is_handed_on_no_later():
    plain, keen = Hub(PLAIN), Hub(replace(PLAIN, second_look=LOOK))
    for hub in (plain, keen):
        for number in range(10):
            hub.see(number / 10, track(ON_TRACK, group="animal", t_s=0.0), camera_id="a")
    keen.feed(said(camera_id="a"), 1.0)
    for number in range(50):
        t_s = 1.0 + number / 10
        value = observation(t_s, replace(track(ON_TRACK, group="animal"), last_seen_s=t_s), camera_id="a")
        for hub in (plain, keen):
            hub.feed(value, t_s)
    handed = [next(alert for alert in hub.alerts if "told to second" in alert.why) for hub in (plain, keen)]
    assert handed[0].published_at == handed[1].published_at
    assert [alert.severity for alert in handed] == [Severity.WARNING, Severity.EMERGENCY]
