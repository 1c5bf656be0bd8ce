"""What a client may believe: CLEAR only on its own fresh nonce, and never longer than the lease."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from railwatch.core.alerts import Action, Alert, AlertKind, Epoch, SectionState, Severity, Status
from railwatch.messaging.belief import MAX_SECTIONS, Belief
from railwatch.messaging.events import SectionChanged

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN


def status(nonces=(), lease_s=2.5, **sections):
    return Status("yard", Epoch("j", 1), 0, tuple(nonces), sections, {}, (), (), "", lease_s)


def alert(section="s", action=Action.OPENED, kind=AlertKind.INTRUSION, severity=Severity.WARNING):
    return Alert(
        site_id="yard", epoch=Epoch("j", 1), seq=1, alert_id="a", kind=kind, action=action, severity=severity,
        incident_id="i", section_id=section, camera_id=None, zone_id=None, objects=(), why="", margin_s=None,
        captured_at="", published_at="", config_rev="", model_sha256="",
    )  # fmt: skip


@pytest.fixture
def belief():
    """A belief that has sent the nonce n at 10 s."""
    made = Belief(max_lease_s=2.5)
    made.nonce_sent("n", 10.0)
    return made


def test_everything_is_unknown_at_first(belief):
    assert belief.state("s", 10.0) is UNKNOWN
    assert belief.changes(10.0) == []


@pytest.mark.parametrize("nonces", [(), ("other",)])
def test_clear_without_our_nonce_is_not_believed(belief, nonces):
    assert belief.status(status(nonces, s=CLEAR), 10.5) is None
    assert belief.state("s", 10.5) is UNKNOWN
    assert belief.changes(10.5) == [SectionChanged("s", UNKNOWN, None)]


def test_clear_is_believed_from_the_sending_of_the_nonce_for_a_lease(belief):
    assert belief.status(status(["x", "n"], s=CLEAR), 11.0) == 1.0
    assert belief.state("s", 11.0) is CLEAR
    assert belief.next_expiry_s(11.0) == 12.5
    assert belief.state("s", 12.49) is CLEAR
    assert belief.state("s", 12.5) is UNKNOWN
    assert belief.next_expiry_s(12.5) is None


def test_an_echo_older_than_the_lease_is_worth_nothing(belief):
    assert belief.status(status(["n"], s=CLEAR), 12.5) is None
    assert belief.state("s", 12.5) is UNKNOWN


def test_the_newest_of_our_nonces_counts(belief):
    belief.nonce_sent("m", 11.0)
    assert belief.status(status(["m", "n"], s=CLEAR), 11.5) == 0.5
    assert belief.state("s", 13.4) is CLEAR


@pytest.mark.parametrize(("granted_s", "lease_s"), [(1.0, 1.0), (60.0, 2.5)])
def test_the_lease_is_that_of_the_status_but_never_over_the_maximum(belief, granted_s, lease_s):
    belief.status(status(["n"], granted_s, s=CLEAR), 10.0)
    assert belief.lease_s == lease_s
    assert belief.state("s", 10.0 + lease_s - 0.01) is CLEAR
    assert belief.state("s", 10.0 + lease_s) is UNKNOWN


@pytest.mark.parametrize("action", [Action.OPENED, Action.UPDATED, Action.ESCALATED])
def test_an_intrusion_is_believed_at_once_and_the_next_status_decides(belief, action):
    belief.status(status(["n"], s=CLEAR), 10.5)
    belief.alert(alert(action=action), 10.6)
    assert belief.state("s", 10.6) is OCCUPIED
    belief.nonce_sent("m", 10.6)
    belief.status(status(["m"], s=CLEAR), 10.7)
    assert belief.state("s", 10.7) is CLEAR


@pytest.mark.parametrize(
    "told",
    [
        alert(action=Action.CLOSED),
        alert(action=Action.ACKNOWLEDGED),
        alert(kind=AlertKind.TEST),
        alert(severity=Severity.NOTICE),
    ],
)
def test_other_alerts_change_no_state(belief, told):
    belief.status(status(["n"], s=CLEAR), 10.5)
    belief.alert(told, 10.6)
    assert belief.state("s", 10.6) is CLEAR


def test_an_alert_before_any_status_is_believed_for_a_lease(belief):
    belief.alert(alert(), 10.0)
    assert belief.state("s", 12.4) is OCCUPIED
    assert belief.state("s", 12.5) is UNKNOWN


def test_a_status_without_echo_takes_clear_away_but_does_not_give_it(belief):
    belief.status(status(["n"], s=CLEAR, t=CLEAR, u=OCCUPIED), 10.5)
    belief.status(status((), s=OCCUPIED, t=UNKNOWN, u=CLEAR), 11.0)
    assert belief.states(11.0) == {"s": OCCUPIED, "t": UNKNOWN, "u": OCCUPIED}
    belief.status(status((), s=CLEAR, t=CLEAR, u=CLEAR), 11.1)
    assert belief.states(11.1) == {"s": OCCUPIED, "t": UNKNOWN, "u": OCCUPIED}
    assert set(belief.states(14.0).values()) == {UNKNOWN}


def test_a_client_that_was_frozen_says_unknown_until_a_fresh_echo(belief):
    belief.status(status(["n"], s=CLEAR, t=OCCUPIED), 10.5)
    belief.changes(10.5)
    woken_s = 70.0
    assert {change.state for change in belief.changes(woken_s)} == {UNKNOWN}
    for old in (status(["n"], s=CLEAR, t=OCCUPIED), status((), s=CLEAR, t=OCCUPIED)):
        assert belief.status(old, woken_s) is None
        assert belief.changes(woken_s) == []
    belief.nonce_sent("m", woken_s)
    belief.status(status(["m"], s=CLEAR, t=OCCUPIED), woken_s + 0.1)
    assert belief.states(woken_s + 0.1) == {"s": CLEAR, "t": OCCUPIED}


def test_another_publisher_makes_everything_unknown(belief):
    belief.status(status(["n"], s=CLEAR, t=OCCUPIED), 10.5)
    belief.forget()
    assert belief.states(10.5) == {"s": UNKNOWN, "t": UNKNOWN}
    belief.status(status((), s=OCCUPIED), 10.6)
    assert belief.state("s", 10.6) is UNKNOWN


def test_a_section_that_is_gone_is_told_as_unknown_once(belief):
    belief.status(status(["n"], s=CLEAR), 10.5)
    assert belief.changes(10.5) == [SectionChanged("s", CLEAR, None)]
    belief.status(status(["n"], t=CLEAR), 10.6)
    assert belief.changes(10.6) == [SectionChanged("t", CLEAR, None), SectionChanged("s", UNKNOWN, CLEAR)]
    assert belief.changes(10.6) == []


def test_sections_and_nonces_are_bounded(belief):
    for number in range(MAX_SECTIONS + 10):
        belief.alert(alert(f"s{number}"), 10.0)
        belief.nonce_sent(f"n{number}", 10.0)
    belief.status(status((), extra=OCCUPIED), 10.0)
    assert len(belief.states(10.0)) == MAX_SECTIONS
    assert len(belief._sent_s) == 64


class Observer(RuleBasedStateMachine):
    """A publisher, a line that delays and loses, and a client; the truth is what the publisher said last."""

    @initialize(lease_s=st.floats(0.5, 3.0))
    def start(self, lease_s):
        self.now_s, self.lease_s = 0.0, lease_s
        self.belief = Belief(max_lease_s=2.5)
        self.at_publisher = []
        self.sent_s = {}
        self.line = []
        self.said = [(0.0, UNKNOWN)]

    @rule(seconds=st.floats(0.0, 4.0))
    def wait(self, seconds):
        self.now_s += seconds

    @rule()
    def send_nonce(self):
        nonce = f"n{len(self.sent_s)}"
        self.sent_s[nonce] = self.now_s
        self.belief.nonce_sent(nonce, self.now_s)
        self.at_publisher.append(nonce)

    @rule(state=st.sampled_from(SectionState))
    def publish(self, state):
        self.said.append((self.now_s, state))
        self.line.append(status(self.at_publisher, self.lease_s, s=state))
        self.at_publisher = []

    @precondition(lambda self: self.line)
    @rule()
    def deliver(self):
        self.belief.status(self.line.pop(0), self.now_s)

    @precondition(lambda self: self.line)
    @rule()
    def lose(self):
        self.line.pop(0)

    @precondition(lambda self: self.line)
    @rule()
    def replay(self):
        self.line.append(self.line[0])

    @rule()
    def intrude(self):
        self.belief.alert(alert(), self.now_s)
        assert self.belief.state("s", self.now_s) is OCCUPIED

    @invariant()
    def clear_was_said_within_the_lease(self):
        if self.belief.state("s", self.now_s) is CLEAR:
            since_s = self.now_s - min(self.lease_s, 2.5)
            assert any(state is CLEAR and at_s >= since_s for at_s, state in self.said)

    @invariant()
    def nothing_is_believed_longer_than_a_lease(self):
        assert self.belief.state("s", self.now_s + 2.5) is UNKNOWN

    @invariant()
    def it_is_known_when_the_next_belief_lapses(self):
        next_s = self.belief.next_expiry_s(self.now_s)
        if self.belief.state("s", self.now_s) is not UNKNOWN:
            assert next_s is not None
            assert self.belief.state("s", next_s) is UNKNOWN


TestObserver = Observer.TestCase


@given(st.lists(st.tuples(st.sampled_from(SectionState), st.floats(0.0, 1.0), st.booleans()), max_size=20))
def test_changes_add_up_to_the_states(steps):
    belief, now_s, told = Belief(2.5), 0.0, {}
    for number, (state, seconds, echoed) in enumerate(steps):
        now_s += seconds
        belief.nonce_sent(f"n{number}", now_s)
        belief.status(status([f"n{number}"] if echoed else [], s=state), now_s)
        for change in belief.changes(now_s):
            assert change.previous is told.get(change.section_id)
            assert change.state is not change.previous
            told[change.section_id] = change.state
        assert told == belief.states(now_s)
