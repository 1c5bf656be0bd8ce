"""Publisher, journal and client together, over real sockets and a real file."""

from __future__ import annotations

import threading
import time

import pytest
import zmq

from railwatch.core.alerts import AckLevel, Action
from railwatch.core.errors import MessagingError, WireError
from railwatch.messaging.events import (
    AlertReceived,
    Answered,
    Gap,
    OpenIncidents,
    Restarted,
    SectionChanged,
    StatusReceived,
)
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.journal import Journal
from railwatch.messaging.outlet import JournaledPublisher
from railwatch.messaging.records import Record
from railwatch.messaging.requests import (
    ACK_VERB,
    ACKED_VERB,
    REFUSED_VERB,
    REPLAY_VERB,
    Acked,
    AckRequest,
    Refused,
    ReplayRequest,
    decode_body,
    encode_body,
)
from railwatch.messaging.wire import decode_alert
from tests.messaging.journal_rig import Disk, Troubles, alert_of, follow, numbers, outlet, publish
from tests.messaging.rig import CLEAR, EPOCH, OCCUPIED, make_alert, publisher, until


def got(*wanted):
    """Accepts once these (boot, seq) have come, the last of them just now."""
    return lambda event: isinstance(event, AlertReceived) and numbers([event]) == [wanted[-1]]


def last(client, wanted):
    """The alert (boot, seq) as it comes."""
    return [event for event in until(client, got(wanted)) if isinstance(event, AlertReceived)][-1]


def becomes(state):
    return lambda event: isinstance(event, SectionChanged) and event.state is state


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
            assert not last(client, (1, 4)).replayed
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


# the disk


@pytest.mark.parametrize("fault", ["database or disk is full", "disk I/O error", "hang"])
def test_a_disk_that_takes_nothing_delays_no_alert_and_is_caught_up_with(tmp_path, fault):
    disk, troubles = Disk(), Troubles()
    journal = Journal.open(tmp_path / "j.db", connect=disk.connect)
    with outlet(None, troubles, journal) as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        publish(publishing, 1)
        assert last(client, (1, 1)).alert.journaled
        disk.fault = fault
        publish(publishing, 2, 3)
        events = until(client, got((1, 3)))
        assert [event.alert.journaled for event in events if isinstance(event, AlertReceived)] == [False, False]
        troubles.begun()
        with follow(publishing) as late:  # what is not on the disk is replayed from memory
            assert numbers(until(late, got((1, 3)))) == [(1, 1), (1, 2), (1, 3)]
        disk.heal()
        troubles.ended()
        publish(publishing, 4)
        assert last(client, (1, 4)).alert.journaled
    with Journal.open(tmp_path / "j.db") as journal:
        assert [decode_alert(payload).seq for payload in journal.read_after(None).alerts] == [1, 2, 3, 4]


def test_an_alert_waits_for_the_commit_as_long_as_the_deadline_lets_it(tmp_path):
    """While the commit hangs and the deadline is far, nobody hears of the alert; then all do, and it is journaled."""
    disk, now = Disk(), [0.0]
    journal = Journal.open(tmp_path / "j.db", connect=disk.connect)
    with outlet(None, None, journal, clock=lambda: now[0]) as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        disk.fault = "hang"
        publish(publishing, 1)
        assert disk.hanging.wait(20)
        publishing.set_status(StatusBody({"s1": OCCUPIED}))
        end_s = time.monotonic() + 0.3
        while time.monotonic() < end_s:
            assert not numbers(client.poll(0.02))
        assert publishing._heartbeat._seq_last == 0
        disk.heal()
        assert last(client, (1, 1)).alert.journaled


def test_what_is_recorded_is_answered_only_after_its_commit(tmp_path):
    disk, answered = Disk(), threading.Event()
    journal = Journal.open(tmp_path / "j.db", connect=disk.connect)
    with outlet(None, None, journal) as publishing:
        disk.fault = "hang"
        publishing.record(Record.acknowledgement("i1", AckLevel.ACKNOWLEDGED, "anna", None), answered.set)
        assert disk.hanging.wait(20)
        assert not answered.wait(0.2)
        disk.heal()
        assert answered.wait(20)
    with pytest.raises(MessagingError, match="closed"):
        publishing.record(Record.acknowledgement("i1", AckLevel.ACKNOWLEDGED, "anna", None))


def test_a_commit_that_fails_answers_nothing_until_one_succeeds(tmp_path):
    disk, answered, troubles = Disk(), threading.Event(), Troubles()
    journal = Journal.open(tmp_path / "j.db", connect=disk.connect)
    with outlet(None, troubles, journal) as publishing:
        disk.fault = "disk I/O error"
        publishing.record(Record.acknowledgement("i1", AckLevel.ACKNOWLEDGED, "anna", None), answered.set)
        troubles.begun()
        assert not answered.is_set()
        disk.heal()
        assert answered.wait(20)


def test_a_journal_in_memory_marks_every_alert_and_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    troubles = Troubles()
    with outlet(tmp_path / "file" / "j.db", troubles) as publishing, follow(publishing) as client:
        troubles.begun()
        assert publishing.wait_subscribers(1, 20)
        publish(publishing, 1)
        assert not last(client, (1, 1)).alert.journaled
    assert ("journal", None) not in troubles.told


def test_damage_found_at_the_start_is_told(tmp_path):
    Journal.open(tmp_path / "j.db").close()
    (tmp_path / "j.db").write_bytes(b"garbage")
    troubles = Troubles()
    with outlet(tmp_path / "j.db", troubles):
        troubles.begun("journal-damage")
    assert "set aside as j.db.damaged-" in troubles.told[0][1]


def test_too_much_for_a_disk_that_takes_nothing_goes_out_and_is_a_hole_in_the_journal(tmp_path, monkeypatch):
    monkeypatch.setattr("railwatch.messaging.writer.MAX_BACKLOG", 3)
    disk, troubles = Disk(), Troubles()
    journal = Journal.open(tmp_path / "j.db", connect=disk.connect)
    with outlet(None, troubles, journal) as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        disk.fault = "hang"
        publish(publishing, *range(1, 9))
        assert numbers(until(client, got((1, 8)))) == [(1, seq) for seq in range(1, 9)]
        with pytest.raises(MessagingError, match="nothing more can be recorded"):
            publishing.record(Record.acknowledgement("i1", AckLevel.ACKNOWLEDGED, "anna", None))
        disk.heal()
        troubles.ended()
    with Journal.open(tmp_path / "j.db") as journal:
        assert [decode_alert(payload).seq for payload in journal.read_after(None).alerts] == [1, 2, 3]
        kinds = [kind for (kind,) in journal._opened.connection.execute("SELECT kind FROM journal")]
        assert "hole" in kinds


def test_a_disk_that_never_comes_back_does_not_keep_the_publisher_from_ending(tmp_path, monkeypatch):
    monkeypatch.setattr("railwatch.messaging.writer.CLOSE_S", 0.3)
    disk = Disk()
    journal = Journal.open(tmp_path / "j.db", connect=disk.connect)

    def hub():
        with outlet(None, None, journal) as publishing:
            disk.fault = "hang"
            publish(publishing, 1)
            assert disk.hanging.wait(20)

    with pytest.raises(MessagingError, match="did not take the last 1 records"):
        hub()
    disk.heal()


def test_a_failure_of_the_journal_s_thread_is_told_and_alerts_go_on(tmp_path):
    troubles = Troubles()
    journal = Journal.open(tmp_path / "j.db")
    publishing = JournaledPublisher(
        journal, site_id="yard", body=StatusBody({}), on_trouble=troubles, bind="tcp://127.0.0.1:*"
    )
    with follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        publishing.record(Record.acknowledgement("i1", AckLevel.RECEIVED, "a", None), lambda: {}["a mistake"])
        troubles.wait(lambda name, reason: name == "journal" and "a mistake" in (reason or ""))
        publish(publishing, 1)
        assert not last(client, (1, 1)).alert.journaled
        with pytest.raises(MessagingError, match="did not take the last 1 records"):
            publishing.close()


# requests


def test_other_verbs_are_handed_to_their_handlers_and_answered_from_any_thread(tmp_path):
    asked = []

    def acknowledge(peer, payload):
        request = decode_body(payload, AckRequest)
        asked.append((peer.user_id, request.incident_id, request.level, request.by))
        if request.incident_id == "unknown":
            raise WireError("no such incident is open")
        record = Record.acknowledgement(request.incident_id, request.level, request.by, peer.user_id)
        publishing.record(record, lambda: publishing.reply(peer, ACKED_VERB, encode_body(Acked(request.request))))

    with outlet(tmp_path / "j.db", handlers={ACK_VERB: acknowledge}) as publishing, follow(publishing) as client:
        good = client.acknowledge("i1", AckLevel.ACKNOWLEDGED, "anna")
        events = until(client, lambda event: isinstance(event, Answered))
        assert events[-1] == Answered(good, True, "")
        bad = client.acknowledge("unknown", AckLevel.DISPLAYED, "bert")
        events = until(client, lambda event: isinstance(event, Answered))
        assert events[-1] == Answered(bad, False, "no such incident is open")
        assert asked == [
            (None, "i1", AckLevel.ACKNOWLEDGED, "anna"),
            (None, "unknown", AckLevel.DISPLAYED, "bert"),
        ]
        with pytest.raises(ValueError, match="by must be 1 to 200 characters"):
            client.acknowledge("i1", AckLevel.ACKNOWLEDGED, "")


def test_a_mistake_in_a_handler_is_told_to_who_asked_and_alerts_go_on(tmp_path):
    def mistaken(*_):
        raise KeyError("mistake")

    with outlet(tmp_path / "j.db", handlers={ACK_VERB: mistaken}) as publishing, follow(publishing) as client:
        client.acknowledge("i1", AckLevel.RECEIVED, "anna")
        events = until(client, lambda event: isinstance(event, Answered))
        assert (events[-1].accepted, "mistake" in events[-1].reason) == (False, True)
        publish(publishing, 1)
        until(client, got((1, 1)))


def test_an_acknowledgement_that_nobody_answers_is_repeated_and_then_given_up(tmp_path):
    offset, asked = [0.0], []
    with (
        outlet(tmp_path / "j.db", handlers={ACK_VERB: lambda *_: asked.append(1)}) as publishing,
        follow(publishing, clock=lambda: time.monotonic() + offset[0]) as client,
    ):
        name = client.acknowledge("i1", AckLevel.ACKNOWLEDGED, "anna")
        deadline_s = time.monotonic() + 20
        while len(asked) < 2 and time.monotonic() < deadline_s:
            client.poll(0.02)
            offset[0] += 0.2 if asked else 0.0
        assert len(asked) >= 2
        offset[0] += 10.0
        events = until(client, lambda event: isinstance(event, Answered))
        assert events[-1] == Answered(name, False, "no answer came within 10 s")


def test_a_publisher_without_a_journal_refuses_to_replay_and_the_gap_is_told():
    with publisher() as publishing, follow(publishing) as early:
        assert publishing.wait_subscribers(1, 20)
        for seq in (1, 2):
            publishing.publish(make_alert(seq))
        until(early, got((1, 2)))
        with follow(publishing) as client:
            assert until(client, lambda event: isinstance(event, Gap))[-1] == Gap(EPOCH, 1, 2)


def test_who_was_heard_lately_is_known_by_key(tmp_path):
    now = [100.0]
    with outlet(tmp_path / "j.db", clock=lambda: now[0]) as publishing, follow(publishing) as client:
        deadline_s = time.monotonic() + 20
        while not publishing.heard(1.0) and time.monotonic() < deadline_s:
            client.poll(0.02)
        assert publishing.heard(1.0) == {None}
        now[0] += 60.0
        client.close()
        assert publishing.heard(1.0) == frozenset()


def test_a_replay_that_nobody_reads_stops_nobody(tmp_path):
    with outlet(tmp_path / "j.db") as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        publish(publishing, *range(1, 201), why="x" * 2000)
        until(client, got((1, 200)))
        with zmq.Context() as context, context.socket(zmq.DEALER) as greedy:
            greedy.setsockopt(zmq.LINGER, 0)
            greedy.setsockopt(zmq.RCVHWM, 1)
            greedy.connect(publishing.request_endpoint)
            for number in range(500):
                body = encode_body(ReplayRequest(f"r{number}", None, open=True))
                greedy.send_multipart([REPLAY_VERB, body])
            publish(publishing, 201)
            assert last(client, (1, 201)).alert.journaled
            until(client, becomes(CLEAR), publishing, StatusBody({"s1": CLEAR}))


def test_requests_that_are_none_are_refused_by_name(tmp_path):
    with outlet(tmp_path / "j.db") as publishing, zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(publishing.request_endpoint)
        cases = {
            b"{}": None,
            b"\xff": None,
            b'{"request":"r1"}': "r1",
            b'{"request":"r1","after":{"epoch":"j","seq":1},"open":true}': "r1",
            b'{"request":"a b","after":null,"open":true}': None,
        }
        for payload, name in cases.items():
            dealer.send_multipart([REPLAY_VERB, payload])
            assert dealer.poll(20_000)
            verb, answer = dealer.recv_multipart()
            assert (verb, decode_body(answer, Refused).request) == (REFUSED_VERB, name)
        dealer.send_multipart([b"DANCE", b""])
        assert dealer.poll(20_000)
        assert "answers no b'DANCE'" in decode_body(dealer.recv_multipart()[1], Refused).reason
