"""The second look and what people are asked, to the bound: what counts, what is left aside, what comes first."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from railwatch.core.alerts import AckLevel, Action, AlertKind, CameraState, Severity
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Assessment
from railwatch.decision.assessing import Outlook
from railwatch.decision.clearing import Behaviour
from railwatch.decision.escalation import attended
from railwatch.decision.following import Following, standing_of
from railwatch.decision.hours import NO_BOUNDS
from railwatch.decision.incidents import Incident, SectionSight, lifted, unlifted
from railwatch.decision.looking import NO_LOOKS, Look, lift_channels, lift_of, with_look, words_of
from railwatch.decision.motion import Pace
from railwatch.decision.presence import CameraMemory, SectionView, observe
from railwatch.decision.probing import Probing, Running, begun, heard
from railwatch.decision.risk import NO_TRAIN
from railwatch.decision.telling import Account, Transition
from railwatch.decision.trains import NO_REPORTS
from railwatch.decision.transitions import told_of
from railwatch.decision.zones import Hit
from tests.decision.test_exact_bounds import FLAT
from tests.scenario import IN_APPROACH, ON_TRACK, Hub, observation, site, track

WARNING, EMERGENCY = Severity.WARNING, Severity.EMERGENCY
SETTINGS = SecondLookSettings("c.onnx", "a" * 64, least_confidence=0.5, herd_taxa=("Bovidae",))
LADDER = EscalationSettings(
    (EscalationGroup("signaller"), EscalationGroup("supervisor")),
    (EscalationRule(WARNING, AckLevel.ACKNOWLEDGED, 10.0),),
)
OUTLOOK = Outlook(site(), NO_REPORTS, [], {}, 0.0)
OPEN = Incident(AlertKind.INTRUSION, WARNING, "i1", addressed_to=("signaller",), since_s=1.0, asked_s=2.0)
KEY = (AlertKind.INTRUSION, "main", "")


def said(taxon, confidence=0.9, track_id=5):
    return Annotation("cam", 1, track_id, 3.0, taxon, confidence)


@pytest.mark.parametrize(("confidence", "counts"), [(0.5, True), (0.49, False)])
def test_an_answer_counts_from_the_least_confidence_on(confidence, counts):
    found = with_look(NO_LOOKS, said("Bovidae", confidence), SETTINGS)
    assert dict(found) == ({5: Look("Bovidae", confidence, 3.0)} if counts else {})
    assert with_look(NO_LOOKS, said(None), SETTINGS) == {}


def test_no_answer_unsays_a_herd_and_another_animal_of_it_is_taken():
    herd = MappingProxyType({5: Look("Bovidae", 0.6, 1.0)})
    assert with_look(herd, said("Canidae"), SETTINGS) == herd
    assert with_look(herd, said("Bovidae"), SETTINGS) == {5: Look("Bovidae", 0.9, 3.0)}
    assert set(with_look(herd, said("Canidae", track_id=6), SETTINGS)) == {5, 6}
    dog = MappingProxyType({5: Look("Canidae", 0.6, 1.0)})
    assert with_look(dog, said("Felidae"), SETTINGS)[5].taxon == "Felidae"


def test_a_severity_that_would_stay_is_not_raised():
    none_comes = Assessment(1, "z", WARNING, NO_TRAIN, 0.0, None, None, None, "")
    assert lift_of(none_comes, possession=False, bounds=NO_BOUNDS) is None
    assert lift_of(replace(none_comes, severity=Severity.NOTICE), possession=False, bounds=NO_BOUNDS) is WARNING
    assert lift_of(replace(none_comes, rule="track"), possession=False, bounds=NO_BOUNDS) is EMERGENCY


@pytest.mark.parametrize(("group", "known"), [("animal", True), ("person", False)])
def test_only_an_animal_is_known_by_the_second_look(group, known):
    look = Look("Bovidae", 0.9, 0.0)
    outlook = Outlook(site(), NO_REPORTS, [], {}, 0.0, None, {("cam", 5): look})
    assert outlook.look(Hit(track(ON_TRACK, 5, group), site().zones[0])) == (look if known else None)


def sight(*raised):
    return SectionSight(frozenset().union(*raised), frozenset(), frozenset(), 1, (), frozenset(), 0.0, OUTLOOK)


@pytest.mark.parametrize(
    ("lift", "severity", "own"), [(WARNING, WARNING, None), (EMERGENCY, EMERGENCY, WARNING), (None, WARNING, None)]
)
def test_an_incident_is_lifted_above_its_own_severity_only(lift, severity, own):
    after, action = lifted(None, OPEN, Action.OPENED, sight(lift_channels(lift)))
    assert (after.severity, after.unlifted, action) == (severity, own, Action.OPENED)
    assert unlifted(after) == OPEN


def test_what_was_lifted_closes_as_any_other_and_a_fall_that_it_hides_is_an_update():
    before = replace(OPEN, severity=EMERGENCY, unlifted=WARNING)
    assert lifted(before, None, Action.CLOSED, sight()) == (None, Action.CLOSED)
    fallen = replace(OPEN, severity=Severity.NOTICE)
    after, action = lifted(before, fallen, Action.DEESCALATED, sight(lift_channels(EMERGENCY)))
    assert (after.severity, after.unlifted, action) == (EMERGENCY, Severity.NOTICE, Action.UPDATED)
    assert lifted(before, fallen, Action.DEESCALATED, sight()) == (fallen, Action.DEESCALATED)


def test_how_sure_it_is_is_told_rounded_down():
    assert "Bovidae, 99 % sure" in words_of(Look("Bovidae", 0.999, 0.0))


@pytest.mark.parametrize(("level", "since_s"), [(None, 1.0), (AckLevel.DISPLAYED, 50.0), (AckLevel.ACKNOWLEDGED, 50.0)])
def test_what_the_second_look_raises_gives_nobody_more_time(level, since_s):
    before = replace(OPEN, level=level)
    raised = attended(before, replace(before, severity=EMERGENCY, unlifted=WARNING), LADDER, 50.0)
    assert (raised.level, raised.since_s) == (None, since_s)
    assert raised.asked_s == (50.0 if level is AckLevel.ACKNOWLEDGED else 2.0)


@pytest.mark.parametrize(("own", "action", "groups"), [(True, Action.UPDATED, 1), (False, Action.ESCALATED, 2)])
def test_what_is_seen_is_told_before_that_nobody_answered_and_that_before_the_second_look(own, action, groups):
    state = replace(Hub(site(escalation=LADDER)).state, now_s=100.0)
    account = Account("seen", None, None, (), None)
    after, told = told_of(state, Transition(KEY, OPEN, OPEN, Action.UPDATED, lambda _: account, own=own), None)
    assert (told.action, len(after.addressed_to)) == (action, groups)
    assert told.account.why == ("seen" if own else "not ACKNOWLEDGED within 10 s, told to supervisor: seen")


def test_an_animal_that_joins_is_told_before_that_nobody_answered():
    hub = Hub(site(escalation=LADDER))
    told = {}
    for number in range(25):
        t_s = number / 2
        cow = [track(ON_TRACK, 2, "animal", "cow", t_s=t_s)] if t_s >= 10.0 else []
        told[t_s] = [alert.action for alert in hub.see(t_s, track(ON_TRACK, t_s=t_s), *cow)]
    assert [
        (t_s, actions) for t_s, actions in told.items() if Action.UPDATED in actions or Action.ESCALATED in actions
    ] == [
        (11.0, [Action.UPDATED]),
        (11.5, [Action.ESCALATED]),
    ]


# What else is a bound


def test_a_herd_is_one_with_a_ground_plane_too():
    grounded = site([CameraSettings("cam", "x.mp4", ground=FLAT)])
    following = Following(paces=MappingProxyType({1: (Pace(0.0, (0.48, 0.6, 0.52, 0.8)),)}))
    for group, herd, behaviour in (
        ("animal", True, Behaviour.HERD),
        ("animal", False, Behaviour.UNKNOWN),
        ("person", True, Behaviour.UNKNOWN),
    ):
        hit = Hit(track(ON_TRACK, 1, group), grounded.zones[0])
        assert standing_of(hit, following, grounded, 0.0, herd=herd).clearing.behaviour is behaviour


def test_the_words_of_the_last_self_test_stay_until_the_next_is_over():
    after = begun(Probing(words="as it was"), "t1", 2.0, 5.0)
    assert (after.words, after.running.begun_s, after.running.within_s) == ("as it was", 5.0, 2.0)
    assert begun(after, "t2", 2.0, 6.0).words == "another one was begun before it was over: no verdict"


def test_what_is_heard_of_another_self_test_or_of_none_changes_nothing():
    seen = Running("t1", 0.0, 2.0, CameraMemory(0.0), ("main",), 1.0)
    for before in (Probing(), Probing(seen), Probing(replace(seen, sections=()))):
        assert heard(before, "other", 1.5) == before
    assert heard(Probing(replace(seen, sections=())), "t1", 1.5).runs == 0
    assert heard(Probing(seen), "t1", 1.5).latencies_s == (0.5,)


def test_the_longest_stay_is_that_of_the_most_dangerous_place():
    hub = Hub(site())
    for number in range(9):
        beside = track(IN_APPROACH, 2)
        hub.see(number / 2, *([beside, track(ON_TRACK)] if number >= 6 else [beside]))
        view = hub.state.cameras["cam"].view("main")
        assert view.longest_dwell_s == (number / 2 - 3.0 if number >= 6 else number / 2)
    assert SectionView().longest_dwell_s == 0.0


def test_a_camera_that_is_observed_is_not_waited_for():
    after = observe(CameraMemory(0.0), observation(1.0), site(), 1.5, OUTLOOK)
    assert (after.waiting, after.good_frames, after.heard_s, after.state) == (False, 1, 1.5, CameraState.NOMINAL)
