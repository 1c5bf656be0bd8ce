"""A hub that is killed with an incident open, and what comes after."""

from __future__ import annotations

import signal

from railwatch.core.alerts import AckLevel, Action, AlertKind
from railwatch.messaging.events import AlertReceived, Answered
from tests.hub_rig import CLEAR, OCCUPIED, Follower, RunningHub, wait_until, write_scene, write_site


def intrusions(client):
    alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
    return [(alert.action, alert.incident_id) for alert in alerts if alert.kind is AlertKind.INTRUSION]


def test_an_open_incident_outlives_the_hub_is_not_opened_twice_and_is_closed_later(tmp_path):
    site = write_site(tmp_path, persons=(True,) * 20)
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", OCCUPIED)
        hub.send(signal.SIGKILL)
        hub.process.wait()
        write_scene(tmp_path / "east.mp4", (False,) * 20)
        count = len(client.events)
        with RunningHub(site) as second:
            second.wait_line("is armed")
            client.wait_state("s-east", CLEAR)
            wait_until(lambda: intrusions(client)[-1][0] is Action.CLOSED)
        after = [event for _, event in client.events[count:]]
    (first, *others) = intrusions(client)
    assert first[0] is Action.OPENED
    assert {incident for _, incident in others} == {first[1]}
    assert [action for action, _ in others] == [Action.CLOSED]
    states = [event.state for event in after if hasattr(event, "section_id") and hasattr(event, "previous")]
    assert OCCUPIED not in states[: states.index(CLEAR)]  # UNKNOWN until it was observed


def test_an_acknowledgement_is_answered_and_outlives_the_hub(tmp_path):
    site = write_site(tmp_path, persons=(True,) * 20)
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", OCCUPIED)
        client.acknowledge("nothing", AckLevel.ACKNOWLEDGED, "Ann")
        client.acknowledge(intrusions(client)[0][1], AckLevel.ACKNOWLEDGED, "Ann")
        wait_until(lambda: len(answers(client)) == 2)
        assert answers(client) == [False, True]
        hub.send(signal.SIGKILL)
        hub.process.wait()
        count = len(client.statuses())
        with RunningHub(site):
            wait_until(lambda: any(status.open_incidents for status in client.statuses()[count + 1 :]))
        restored = next(s.open_incidents for s in client.statuses()[count + 1 :] if s.open_incidents)
    (incident,) = (item for item in restored if item.kind is AlertKind.INTRUSION)
    assert (incident.level, incident.by) == (AckLevel.ACKNOWLEDGED, "Ann")


def answers(client):
    return [event.accepted for _, event in client.events if isinstance(event, Answered)]
