"""The client over real sockets on loopback: what it hands over, and what it believes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
import zmq

from railwatch.core.alerts import Epoch, Severity
from railwatch.core.errors import MessagingError
from railwatch.messaging import wire
from railwatch.messaging.client import Client, elapsed_s
from railwatch.messaging.events import AlertReceived, Gap, ProtocolFault, Restarted, SectionChanged, StatusReceived
from railwatch.messaging.heartbeat import StatusBody
from tests.messaging.rig import CLEAR, EPOCH, OCCUPIED, UNKNOWN, make_alert, publisher, until

ALL_CLEAR = StatusBody({"s1": CLEAR})


def follow(publishing, **options):
    return Client(publishing.endpoint, publishing.request_endpoint, **options)


def rejoin(publishing, client):
    """Events until the client has subscribed again; it does so while it is polled."""
    events = []
    while not publishing.wait_subscribers(1, 0.0):
        events += client.poll(0.02)
    return events


def becomes(state, section="s1"):
    return lambda event: isinstance(event, SectionChanged) and (event.section_id, event.state) == (section, state)


def is_alert(seq):
    return lambda event: isinstance(event, AlertReceived) and event.alert.seq == seq


def kinds(events, *wanted):
    return [event for event in events if isinstance(event, wanted)]


def test_a_section_is_unknown_then_clear_then_occupied_at_once_then_clear():
    with publisher(lease_s=0.5) as publishing, follow(publishing) as client:
        events = until(client, becomes(CLEAR), publishing, ALL_CLEAR)
        changes = kinds(events, SectionChanged)
        assert [change.state for change in changes] in ([UNKNOWN, CLEAR], [CLEAR])
        assert client.state("s1") is CLEAR
        publishing.publish(make_alert(1))
        events = until(client, becomes(OCCUPIED), publishing, StatusBody({"s1": OCCUPIED}))
        assert events[-1] == SectionChanged("s1", OCCUPIED, CLEAR)
        assert isinstance(events[-2], AlertReceived), "the alert itself says it, before any Status"
        until(client, becomes(CLEAR), publishing, ALL_CLEAR)


def test_the_payload_of_an_alert_is_what_was_published():
    with publisher() as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        publishing.publish(make_alert(1, why="Gämse"))
        received = kinds(until(client, is_alert(1)), AlertReceived)[0]
        assert received.alert == make_alert(1, why="Gämse")
        assert received.payload == wire.encode_alert(received.alert)


def test_alerts_come_in_order_and_complete():
    with publisher() as publishing, follow(publishing) as client:
        assert publishing.wait_subscribers(1, 20)
        for seq in range(1, 301):
            publishing.publish(make_alert(seq))
        events = until(client, is_alert(300))
        assert [event.alert.seq for event in kinds(events, AlertReceived)] == list(range(1, 301))
        assert not kinds(events, Gap, Restarted, ProtocolFault)


def test_one_who_comes_late_is_told_what_was_missed():
    with publisher() as publishing, follow(publishing) as early:
        assert publishing.wait_subscribers(1, 20)
        for seq in range(1, 5):
            publishing.publish(make_alert(seq))
        until(early, is_alert(4))
        with follow(publishing) as client:
            assert publishing.wait_subscribers(2, 20)
            publishing.publish(make_alert(5))
            events = until(client, is_alert(5))
            assert kinds(events, Gap) == [Gap(EPOCH, 1, 4)]


def test_a_client_may_be_there_before_the_publisher_and_survives_its_restarts():
    with publisher() as first:
        here, there = first.endpoint, first.request_endpoint
    with Client(here, there) as client:
        assert client.poll(0.0) == []
        with publisher(bind=here, request_bind=there, lease_s=0.5) as publishing:
            assert publishing.wait_subscribers(1, 20)
            for seq in (1, 2):
                publishing.publish(make_alert(seq))
            until(client, becomes(CLEAR), publishing, ALL_CLEAR)
        until(client, becomes(UNKNOWN))
        # The same epoch again: a publisher without a journal counts anew.
        with publisher(bind=here, request_bind=there, lease_s=0.5) as publishing:
            events = rejoin(publishing, client)
            publishing.publish(make_alert(1, why="again"))
            events += until(client, is_alert(1))
            assert kinds(events, Restarted) == [Restarted(EPOCH, EPOCH)]
            assert not kinds(events, Gap)
            until(client, becomes(CLEAR), publishing, ALL_CLEAR)
        after = Epoch("j", 2)
        with publisher(bind=here, request_bind=there, epoch=after) as publishing:
            events = rejoin(publishing, client)
            publishing.publish(make_alert(1, epoch=after))
            events += until(client, is_alert(1))
            assert kinds(events, Restarted) == [Restarted(EPOCH, after)]


def test_without_a_request_channel_nothing_is_ever_clear():
    with socket.create_server(("127.0.0.1", 0)) as deaf, publisher(lease_s=0.25) as publishing:
        nowhere = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        with Client(publishing.endpoint, nowhere) as client:
            events = []
            while len(kinds(events, StatusReceived)) < 5:
                events += until(client, lambda event: isinstance(event, StatusReceived), publishing, ALL_CLEAR)
            assert {change.state for change in kinds(events, SectionChanged)} == {UNKNOWN}
            assert {event.age_s for event in kinds(events, StatusReceived)} == {None}


def test_a_client_frozen_and_woken_says_unknown_until_a_fresh_echo():
    offset = [0.0]
    with publisher(lease_s=0.5) as publishing, follow(publishing, clock=lambda: elapsed_s() + offset[0]) as client:
        until(client, becomes(CLEAR), publishing, ALL_CLEAR)
        with Client(publishing.endpoint, publishing.request_endpoint) as other:
            # Another client sees the Status messages that wait in the frozen one's buffer meanwhile.
            seen = 0
            while seen < 4:
                seen += len(kinds(until(other, lambda event: isinstance(event, StatusReceived), publishing, ALL_CLEAR),
                                  StatusReceived))  # fmt: skip
        offset[0] = 60.0
        assert client.state("s1") is UNKNOWN
        events = client.poll(1.0)
        assert events == [SectionChanged("s1", UNKNOWN, CLEAR)], "told before anything that waited"
        events = until(client, becomes(CLEAR), publishing, ALL_CLEAR)
        statuses = kinds(events, StatusReceived)
        assert [status.age_s is not None for status in statuses] == [False] * (len(statuses) - 1) + [True]
        assert len(statuses) > 2


def test_a_change_to_clear_that_lapsed_while_the_user_was_busy_is_not_handed_over():
    offset = [0.0]
    with publisher(lease_s=0.5) as publishing, follow(publishing, clock=lambda: elapsed_s() + offset[0]) as client:
        stop = threading.Event()

        def decide():
            while not stop.wait(0.05):
                publishing.set_status(ALL_CLEAR)

        deciding = threading.Thread(target=decide)
        deciding.start()
        try:
            for event in client.events(timeout_s=1000):
                assert not isinstance(event, SectionChanged) or event.state is not CLEAR
                if isinstance(event, StatusReceived) and event.age_s is not None:
                    offset[0] += 60  # the user took a minute over it
                    if offset[0] > 150:
                        break
        finally:
            stop.set()
            deciding.join()


def test_only_chosen_sections_are_handed_over_and_no_gap_is_made_of_the_others():
    sections = {"s1": CLEAR, "s2": CLEAR}
    with publisher(lease_s=0.5) as publishing, follow(publishing, sections=["s2"]) as client:
        assert publishing.wait_subscribers(1, 20)
        publishing.publish(make_alert(1, section_id="s1"))
        publishing.publish(make_alert(2, section_id="s2"))
        events = until(client, becomes(CLEAR, "s2"), publishing, StatusBody(sections))
        assert [event.alert.seq for event in kinds(events, AlertReceived)] == [2]
        assert {event.section_id for event in kinds(events, SectionChanged)} == {"s2"}
        assert not kinds(events, Gap)
        assert client.states() == {"s2": CLEAR}


class Rogue:
    """A PUB socket that sends what it likes."""

    def __enter__(self):
        self.context = zmq.Context()
        self.pub = self.context.socket(zmq.XPUB)
        self.pub.setsockopt(zmq.LINGER, 0)
        self.pub.bind("tcp://127.0.0.1:*")
        self.endpoint = self.pub.getsockopt_string(zmq.LAST_ENDPOINT)
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)

    def follow(self, **options):
        client = Client(self.endpoint, self.endpoint, **options)
        for _ in range(2):  # both subscriptions
            assert self.pub.poll(20_000)
            self.pub.recv()
        return client


GARBAGE = [
    [b"alert/yard/s1"],
    [b"alert/yard/s1", b"", b""],
    [b"alert/yard/s1"] + [b"x"] * 100,
    [b"alert/yard/s1", b"\xff\x00garbage"],
    [b"alert/yard/s1", b"{}"],
    [b"alert/", b"{}"],
    [b"alert/\xff/s", b"{}"],
    [b"status/yard", b"[[[[[[[[[[[["],
    [b"status/yard/more", b""],
    [b"status/yard", wire.encode_alert(make_alert(1))],
    [b"alert/yard/s2", wire.encode_alert(make_alert(1))],
    [b"alert/other/s1", wire.encode_alert(make_alert(1))],
]


@pytest.mark.parametrize("frames", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_message_is_a_fault_and_the_next_message_is_read(frames):
    with Rogue() as rogue, rogue.follow() as client:
        rogue.pub.send_multipart(frames)
        rogue.pub.send_multipart([b"alert/yard/s1", wire.encode_alert(make_alert(1))])
        events = until(client, is_alert(1))
        assert len(kinds(events, ProtocolFault)) == 1
        assert not kinds(events, Gap)


def test_a_status_of_another_site_than_its_topic_is_a_fault():
    status = wire.encode_status(STATUS)
    with Rogue() as rogue, rogue.follow() as client:
        rogue.pub.send_multipart([b"status/other", status])
        until(client, lambda event: isinstance(event, ProtocolFault))
    with Rogue() as rogue, rogue.follow(site_id="ya") as client:
        rogue.pub.send_multipart([b"status/yard", status])  # a prefix lets it through, the client does not
        rogue.pub.send_multipart([b"alert/ya/s1", wire.encode_alert(make_alert(1, site_id="ya"))])
        events = until(client, is_alert(1))
        assert not kinds(events, StatusReceived, ProtocolFault)


STATUS = wire.decode_status(
    b'{"site_id":"yard","epoch":"j.1","seq_last":0,"nonces":[],"sections":{"s1":"CLEAR"},"cameras":{},"trains":[],'
    b'"open_incidents":[],"config_rev":"","lease_s":2.5,"schema_version":1}'
)


def test_faults_are_told_once_a_second_with_the_number_suppressed():
    now = [1000.0]
    with Rogue() as rogue, rogue.follow(clock=lambda: now[0]) as client:
        for _ in range(50):
            rogue.pub.send_multipart([b"status/yard", b"garbage"])
        rogue.pub.send_multipart([b"alert/yard/s1", wire.encode_alert(make_alert(1))])
        events = until_standing(client, is_alert(1), now)
        assert [fault.suppressed for fault in kinds(events, ProtocolFault)] == [0]
        now[0] += 2.0
        rogue.pub.send_multipart([b"status/yard", b"garbage"])
        events = until_standing(client, lambda event: isinstance(event, ProtocolFault), now)
        assert kinds(events, ProtocolFault)[0].suppressed == 49


def until_standing(client, accept, now):
    """Like `until`, for a client whose clock only moves a little after each poll."""
    events = []
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        events += client.poll(0.0)
        now[0] += 1e-6
        if any(accept(event) for event in events):
            return events
    raise AssertionError(f"never came; events were {events}")


def test_one_who_repeats_an_old_status_gets_no_clear():
    with Rogue() as rogue, rogue.follow(max_lease_s=0.5) as client:
        events = []
        for _ in range(20):
            rogue.pub.send_multipart([b"status/yard", wire.encode_status(replace(STATUS, nonces=("replayed",)))])
            events += until(client, lambda event: isinstance(event, StatusReceived))
        assert {change.state for change in kinds(events, SectionChanged)} == {UNKNOWN}


def test_a_server_that_speaks_another_language_gives_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        endpoint = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with Client(endpoint, endpoint) as client:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)
                assert client.poll(0.1) == []


def test_callback_and_stop_from_another_thread():
    with publisher(lease_s=0.25) as publishing, follow(publishing) as client:
        seen = []

        def on_event(event):
            seen.append(event)
            threading.Thread(target=client.stop).start()

        client.run(on_event)
        assert seen
        assert client.stopped
        assert client.poll(10.0) == []


def test_events_end_after_the_time_given():
    with publisher(lease_s=0.25) as publishing, follow(publishing) as client:
        assert kinds(list(client.events(timeout_s=0.5)), StatusReceived)
        assert list(client.events(timeout_s=0.0)) == []


@pytest.mark.parametrize(
    "given",
    [{"connect": "tcp://x"}, {"connect": "ipc:///x"}, {"request_connect": "x"}, {"connect": "tcp://127.0.0.1:*"}],
)
def test_a_bad_endpoint_is_refused(given):
    with pytest.raises(MessagingError):
        Client(**given)


PUBLISH = """
import sys, time
from railwatch.core.alerts import Epoch, SectionState
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.publisher import Publisher
body = StatusBody({"s1": SectionState.CLEAR})
with Publisher(site_id="yard", epoch=Epoch("j", 1), body=body, bind="tcp://127.0.0.1:*", lease_s=1.0) as publisher:
    print(publisher.endpoint, publisher.request_endpoint, flush=True)
    while True:
        publisher.set_status(body)
        time.sleep(0.1)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP on this system")
def test_a_publisher_that_is_frozen_is_unknown_within_the_lease(root):
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", PUBLISH], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            here, there = process.stdout.readline().split()
            with Client(here, there) as client:
                until(client, becomes(CLEAR))
                process.send_signal(signal.SIGSTOP)
                frozen_s = elapsed_s()
                until(client, becomes(UNKNOWN))
                # Generous for a loaded machine; test_belief proves without a clock that no CLEAR outlives its lease.
                assert elapsed_s() - frozen_s < 1.0 + 2.0
                assert client.state("s1") is UNKNOWN
                process.send_signal(signal.SIGCONT)
                until(client, becomes(CLEAR))
        finally:
            process.kill()


def test_severities_keep_their_order_over_the_wire():
    with Rogue() as rogue, rogue.follow() as client:
        rogue.pub.send_multipart([b"alert/yard/s1", wire.encode_alert(make_alert(1, severity=Severity.EMERGENCY))])
        received = kinds(until(client, is_alert(1)), AlertReceived)[0]
        assert received.alert.severity > Severity.WARNING
