"""A program says of every open incident how far it has come: once, again when it worsens, and never for a person."""

from __future__ import annotations

import pytest

from railwatch.core.alerts import AckLevel, Action, AlertKind, OpenIncident, SectionState, Severity, Status
from railwatch.messaging.events import (
    AlertAhead,
    AlertReceived,
    Answered,
    OpenIncidents,
    SectionChanged,
    StatusReceived,
)
from railwatch.messaging.receipts import MAX_WAITING, REFUSED_FOR, Receipts
from tests.messaging.rig import EPOCH, make_alert

RECEIVED, DISPLAYED, ACKNOWLEDGED = AckLevel


class Said:
    """Stands in for `Client.acknowledge`."""

    def __init__(self):
        self.requests = []

    def __call__(self, incident_id, level, by):
        self.requests.append((incident_id, level, by))
        return f"r{len(self.requests)}"

    @property
    def incidents(self):
        return [request[0] for request in self.requests]


def program(level=DISPLAYED):
    said = Said()
    return said, Receipts(said, level, "console")


def received(incident_id="i1", replayed=False, **changes):
    return AlertReceived(make_alert(1, incident_id=incident_id, **changes), b"", replayed)


def status(*incidents):
    opened = tuple(
        OpenIncident(name, "s1", AlertKind.INTRUSION, Severity.WARNING, "", level) for name, level in incidents
    )
    return StatusReceived(Status("yard", EPOCH, 1, (), {}, {}, (), opened, ""), 0.1)


@pytest.mark.parametrize(
    "event", [received(), AlertAhead(received().alert), OpenIncidents("yard", (received().alert,))]
)
def test_an_alert_is_answered_at_once(event):
    said, receipts = program()
    receipts.take(event)
    assert said.requests == [("i1", DISPLAYED, "console")]


def test_it_is_said_once_until_the_answer_and_again_while_the_status_wants_it():
    said, receipts = program()
    receipts.take(received())
    receipts.take(status(("i1", None)))
    receipts.take(received(action=Action.UPDATED))
    assert said.incidents == ["i1"]
    receipts.take(Answered("r1", True, ""))
    receipts.take(status(("i1", DISPLAYED)))
    assert said.incidents == ["i1"]
    receipts.take(received(action=Action.ESCALATED, severity=Severity.EMERGENCY))
    assert said.incidents == ["i1", "i1"]


@pytest.mark.parametrize(
    ("ours", "known", "says"),
    [
        (RECEIVED, None, True),
        (RECEIVED, RECEIVED, False),
        (RECEIVED, ACKNOWLEDGED, False),
        (DISPLAYED, RECEIVED, True),
        (DISPLAYED, DISPLAYED, False),
    ],
)
def test_what_is_known_already_is_not_said(ours, known, says):
    for event in (status(("i1", known)), received(level=known), OpenIncidents("yard", (make_alert(1, level=known),))):
        said, receipts = program(ours)
        receipts.take(event)
        assert bool(said.requests) is says


@pytest.mark.parametrize(
    "event",
    [received(replayed=True), received(action=Action.CLOSED), SectionChanged("s1", SectionState.CLEAR, None)],
)
def test_the_past_is_not_answered(event):
    said, receipts = program()
    receipts.take(event)
    assert said.requests == []


def test_what_was_refused_is_said_again_later_only():
    said, receipts = program()
    receipts.take(status(("i1", None)))
    receipts.take(Answered("r1", False, "it must be open"))
    for _ in range(REFUSED_FOR - 1):
        receipts.take(status(("i1", None), ("i2", None)))
    assert said.incidents == ["i1", "i2"]
    receipts.take(status(("i1", None)))
    assert said.incidents == ["i1", "i2", "i1"]


def test_the_answer_to_somebody_else_changes_nothing():
    said, receipts = program()
    receipts.take(Answered("x", False, "no"))
    receipts.take(received())
    assert said.incidents == ["i1"]


def test_a_flood_waits_in_bounds():
    said, receipts = program()
    receipts.take(status(*((f"i{number}", None) for number in range(2 * MAX_WAITING))))
    assert len(said.requests) == MAX_WAITING
    receipts.take(Answered("r1", True, ""))
    receipts.take(status(("late", None)))
    assert said.incidents[-1] == "late"


def test_a_program_cannot_speak_for_a_person_nor_without_a_name():
    with pytest.raises(ValueError, match="only a person"):
        Receipts(Said(), ACKNOWLEDGED, "console")
    with pytest.raises(ValueError, match="must have a name"):
        Receipts(Said(), RECEIVED, "")
