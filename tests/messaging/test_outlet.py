"""Publisher, journal and client together, over real sockets and a real file."""

from __future__ import annotations

from railwatch.core.alerts import AckLevel, Action
from railwatch.messaging.events import AlertReceived, Gap, OpenIncidents, Restarted, StatusReceived
from railwatch.messaging.journal import Journal
from tests.messaging.journal_rig import alert_of, follow, numbers, outlet, publish
from tests.messaging.rig import until


def got(*wanted):
    """Accepts once these (boot, seq) have come, the last of them just now."""
    return lambda event: isinstance(event, AlertReceived) and numbers([event]) == [wanted[-1]]


def test_an_alert_is_in_the_journal_before_it_is_heard(tmp_path):
    with outlet(tmp_path / "j.db") as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        publish(publishing, 1, 2, 3)
        events = until(client, got((1, 3)))
        assert numbers(events) == [(1, 1), (1, 2), (1, 3)]
        assert all(event.alert.journaled and not event.replayed for event in events if isinstance(event, AlertReceived))
    with Journal.open(tmp_path / "j.db") as journal:
        kept = journal.read_after(None).alerts
        assert list(kept) == [event.payload for event in events if isinstance(event, AlertReceived)]


def test_one_who_comes_late_gets_open_incidents_and_then_what_it_missed(tmp_path):
    with outlet(tmp_path / "j.db") as publishing, follow(publishing) as early:
        publish(publishing, 1, incident_id="gone")
        publish(publishing, 2, incident_id="gone", action=Action.CLOSED)
        publish(publishing, 3, incident_id="there")
        until(early, got((1, 3)))
        with follow(publishing) as client:
            assert publishing.wait_subscribers(2, 20)
            events = until(client, got((1, 3)))
            told = [event for event in events if isinstance(event, AlertReceived | OpenIncidents)]
            assert [alert.incident_id for alert in told[0].alerts] == ["there"]
            assert numbers(told) == [(1, 1), (1, 2), (1, 3)]
            assert all(event.replayed for event in told[1:])
            publish(publishing, 4)
            assert not until(client, got((1, 4)))[-1].replayed
            assert not [event for event in events if isinstance(event, Gap)]


def test_a_client_that_lives_through_restarts_of_the_hub_gets_everything_once(tmp_path):
    with outlet(tmp_path / "j.db") as publishing:
        here, there = publishing.endpoint, publishing.request_endpoint
        with follow(publishing) as client:
            assert publishing.wait_subscribers(1, 20)
            publish(publishing, 1, 2)
            events = until(client, got((1, 2)))
            publishing.close()
            with outlet(tmp_path / "j.db", bind=here, request_bind=there) as unheard:
                publish(unheard, 1, 2, 3)
            with outlet(tmp_path / "j.db", bind=here, request_bind=there) as again:
                publish(again, 1)
                events += until(client, got((3, 1)))
        assert numbers(events) == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]
        assert [event for event in events if isinstance(event, Restarted)]


def test_a_client_started_anew_with_its_position_goes_on_where_it_was_done(tmp_path):
    file = tmp_path / "position"
    with outlet(tmp_path / "j.db") as publishing:
        with follow(publishing, position=file) as client:
            until(client, lambda event: isinstance(event, StatusReceived))
            assert publishing.wait_subscribers(1, 20)
            publish(publishing, 1, 2, 3)
            for event in until(client, got((1, 3))):
                if numbers([event]) in ([(1, 1)], [(1, 2)]):
                    client.done(event)
        publish(publishing, 4)
        with follow(publishing, position=file) as client:
            assert numbers(until(client, got((1, 4)))) == [(1, 3), (1, 4)]


def test_a_restored_incident_is_open_for_whoever_comes_and_has_its_acknowledgement(tmp_path):
    with outlet(tmp_path / "j.db") as publishing:
        publish(publishing, 1, incident_id="open", published_at="first")
        publish(publishing, 2, incident_id="open", action=Action.UPDATED)
        publish(publishing, 3, incident_id="closed")
        publish(publishing, 4, incident_id="closed", action=Action.CLOSED)
    from railwatch.messaging.records import Record

    with Journal.open(tmp_path / "j.db") as journal:
        journal.append([Record.acknowledgement("open", AckLevel.DISPLAYED, "desk 1", "key 1")])
    journal = Journal.open(tmp_path / "j.db")
    (found,) = journal.restored()
    assert (found.last.seq, found.opened_at) == (2, "first")
    assert (found.level, found.by, found.key_name) == (AckLevel.DISPLAYED, "desk 1", "key 1")
    with outlet(None, journal=journal) as publishing, follow(publishing) as client:
        events = until(client, lambda event: isinstance(event, OpenIncidents))
        assert [alert.incident_id for alert in events[-1].alerts] == ["open"]
        assert alert_of(publishing, 1).epoch.boot == 3
