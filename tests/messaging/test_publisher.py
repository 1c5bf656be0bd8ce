"""The publisher over real sockets on loopback."""

from __future__ import annotations

import threading

import pytest
import zmq

from railwatch.core.alerts import CameraState, CameraStatus, Epoch
from railwatch.core.errors import MessagingError, WireError
from railwatch.messaging import wire
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.publisher import INBOX_LIMIT
from tests.messaging.rig import CLEAR, OCCUPIED, UNKNOWN, make_alert, publisher

WAIT_MS = 20_000


class Bare:
    """A subscriber of bare pyzmq."""

    def __init__(self, publishing, **options):
        self.context = zmq.Context()
        self.sub = self.context.socket(zmq.SUB)
        for name, value in options.items():
            self.sub.setsockopt(getattr(zmq, name), value)
        self.sub.subscribe(b"")
        before = publishing.subscribers
        self.sub.connect(publishing.endpoint)
        assert publishing.wait_subscribers(before + 1, 20)
        self.dealer = self.context.socket(zmq.DEALER)
        self.dealer.connect(publishing.request_endpoint)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy(linger=0)

    def receive(self):
        assert self.sub.poll(WAIT_MS), "nothing arrived"
        topic, payload = self.sub.recv_multipart()
        return wire.decode_alert(payload) if topic.startswith(b"alert/") else wire.decode_status(payload)

    def until(self, accept):
        while True:
            message = self.receive()
            if accept(message):
                return message

    def status(self, accept=lambda _: True):
        return self.until(lambda message: hasattr(message, "seq_last") and accept(message))


def test_alerts_arrive_in_order_and_before_the_status_that_counts_them():
    with publisher() as publishing, Bare(publishing) as bare:
        for seq in range(1, 101):
            publishing.publish(make_alert(seq))
            publishing.set_status(StatusBody({"s1": [CLEAR, OCCUPIED][seq % 2]}))
        seen = 0
        while seen < 100:
            message = bare.receive()
            if hasattr(message, "seq_last"):
                assert message.seq_last == seen
            else:
                assert message == make_alert(seen + 1)
                seen += 1
        assert bare.status(lambda status: status.seq_last == 100)


def test_topics_carry_site_and_section():
    with publisher(site_id="yard") as publishing, Bare(publishing) as bare:
        publishing.publish(make_alert(1, section_id="km 4/5"))
        topics = {bytes(bare.sub.recv_multipart()[0]) for _ in range(2) if bare.sub.poll(WAIT_MS)}
        assert topics <= {b"alert/yard/km%204%2F5", b"status/yard"}


def test_a_status_goes_out_by_itself_again_and_again():
    with publisher(lease_s=0.25) as publishing, Bare(publishing) as bare:
        assert [bare.status().site_id for _ in range(4)] == ["yard"] * 4


def test_a_change_goes_out_at_once():
    with publisher(clock=lambda: 0.0) as publishing, Bare(publishing) as bare:
        # With a clock that stands still, no Status comes by itself.
        publishing.set_status(StatusBody({"s1": CLEAR}))
        assert bare.status().sections == {"s1": CLEAR}
        publishing.set_status(StatusBody({"s1": OCCUPIED}))
        assert bare.status().sections == {"s1": OCCUPIED}


def test_a_hub_that_hangs_is_told_as_unknown():
    with publisher(lease_s=0.25, body=StatusBody({"s1": CLEAR})) as publishing, Bare(publishing) as bare:
        assert bare.status(lambda status: status.sections["s1"] is UNKNOWN)


def test_the_hub_hung_while_the_thread_was_busy_counts_from_its_decision():
    now = [100.0]
    with publisher(clock=lambda: now[0]) as publishing, Bare(publishing) as bare:
        with publishing._changed:  # the thread cannot take anything
            publishing.set_status(StatusBody({"s1": CLEAR}))
            now[0] = 200.0
        assert bare.status(lambda status: status.sections["s1"] is not CLEAR)
        publishing.close()
        while bare.sub.poll(0):
            assert bare.status().sections["s1"] is UNKNOWN


def test_nonces_are_echoed_once():
    with publisher(lease_s=0.25) as publishing, Bare(publishing) as bare:
        bare.dealer.send_multipart([wire.NONCE_VERB, b"k3-x_"])
        assert bare.status(lambda status: status.nonces).nonces == ("k3-x_",)
        assert bare.status().nonces == ()


def test_other_requests_are_ignored():
    with publisher(lease_s=0.25) as publishing, Bare(publishing) as bare:
        bad = [[b"x"], [b"NONCE"], [b"NONCE", b""], [b"NONCE", b"a b"], [b"NONCE", b"\xff"], [b"NONCE", b"a", b"b"]]
        bad += [[b"OTHER", b"a"], [b""] * 50, [b"NONCE", b"x" * 65]]
        for frames in bad:
            bare.dealer.send_multipart(frames)
        bare.dealer.send_multipart([wire.NONCE_VERB, b"good"])
        assert bare.status(lambda status: status.nonces).nonces == ("good",)


def test_a_request_too_large_costs_its_sender_the_connection_and_nobody_else():
    with publisher(lease_s=0.25) as publishing, Bare(publishing) as rude, Bare(publishing) as good:
        rude.dealer.send_multipart([wire.NONCE_VERB, b"x" * 100_000])
        good.dealer.send_multipart([wire.NONCE_VERB, b"good"])
        assert good.status(lambda status: status.nonces).nonces == ("good",)


def test_one_client_that_floods_does_not_starve_another():
    with publisher(lease_s=0.25) as publishing, Bare(publishing) as loud, Bare(publishing) as quiet:
        for number in range(900):
            loud.dealer.send_multipart([wire.NONCE_VERB, f"loud{number}".encode()])
        quiet.dealer.send_multipart([wire.NONCE_VERB, b"quiet"])
        said = quiet.status(lambda status: "quiet" in status.nonces)
        assert len(said.nonces) <= 2


def test_close_sends_what_waits_and_says_unknown():
    publishing = publisher(body=StatusBody({"s1": CLEAR}))
    with Bare(publishing) as bare:
        for seq in range(1, 51):
            publishing.publish(make_alert(seq))
        publishing.close()
        publishing.close()
        last = bare.status(lambda status: status.cameras == {} and status.sections == {"s1": UNKNOWN})
        assert last.seq_last == 50
    with pytest.raises(MessagingError, match="closed"):
        publishing.publish(make_alert(51))
    with pytest.raises(MessagingError, match="closed"):
        publishing.set_status(StatusBody({}))
    with pytest.raises(MessagingError, match="closed"):
        publishing.wait_subscribers(1, 1)


def test_a_subscriber_that_never_reads_stops_nobody_and_only_it_loses(monkeypatch):
    monkeypatch.setattr("railwatch.messaging.publisher.SEND_LIMIT", 50)
    count = 800  # 16 MB, more than the buffers of a connection hold
    with publisher() as publishing, Bare(publishing, RCVHWM=1, RCVBUF=4096) as stalled, Bare(publishing) as healthy:
        for seq in range(1, count + 1):
            publishing.publish(make_alert(seq, why="x" * 20_000))
            if seq % 20 == 0:
                assert healthy.until(lambda message, seq=seq: getattr(message, "seq", 0) == seq)
        received = 0
        while stalled.sub.poll(500):
            received += hasattr(stalled.receive(), "seq")
        assert received < count


def test_wait_subscribers_counts_those_of_this_site_and_notices_who_leaves():
    with publisher(site_id="yard") as publishing:
        assert not publishing.wait_subscribers(1, 0.05)
        with Bare(publishing) as first:
            first.sub.subscribe(b"alert/other/")
            first.sub.subscribe(b"status/")
            with Bare(publishing):
                assert publishing.wait_subscribers(2, 20)
                assert not publishing.wait_subscribers(3, 0.05)
        with publishing._changed:
            assert publishing._changed.wait_for(lambda: publishing.subscribers == 0, 20)


def test_waiting_for_subscribers_ends_when_one_comes():
    with publisher() as publishing:
        seen = []
        waiting = threading.Thread(target=lambda: seen.append(publishing.wait_subscribers(1, 20)))
        waiting.start()
        with Bare(publishing):
            waiting.join(20)
        assert seen == [True]


def test_numbers_must_follow_one_another_within_the_epoch():
    with publisher() as publishing:
        with pytest.raises(ValueError, match="seq must be 1, but is 2"):
            publishing.publish(make_alert(2))
        publishing.publish(make_alert(1))
        with pytest.raises(ValueError, match="seq must be 2, but is 1"):
            publishing.publish(make_alert(1))
        with pytest.raises(ValueError, match=r"must be of 'yard' j\.1"):
            publishing.publish(make_alert(2, epoch=Epoch("j", 2)))
        with pytest.raises(ValueError, match="one is of 'other'"):
            publishing.publish(make_alert(2, site_id="other"))


def test_an_alert_that_breaks_the_format_uses_up_no_number():
    with publisher() as publishing:
        with pytest.raises(WireError):
            publishing.publish(make_alert(1, why=None))
        publishing.publish(make_alert(1))


def test_a_state_that_breaks_the_format_is_refused_to_the_one_who_gives_it():
    with pytest.raises(WireError, match=r"sections\.s1"):
        publisher(body=StatusBody({"s1": "CLEAR"}))
    with publisher() as publishing, pytest.raises(WireError, match=r"sections\.s1"):
        publishing.set_status(StatusBody({"s1": "CLEAR"}))


def test_a_failure_of_the_thread_is_raised_by_the_next_call():
    publishing = publisher(lease_s=0.25)
    nan = CameraStatus(CameraState.NOMINAL, "", 0.0)
    publishing.set_status(StatusBody({"s1": CLEAR}, {"cam": nan}))
    publishing.set_status(StatusBody({"s1": CLEAR}, {"cam": CameraStatus(CameraState.NOMINAL, "", float("nan"))}))
    publishing._thread.join(20)
    for call in (lambda: publishing.publish(make_alert(1)), lambda: publishing.set_status(StatusBody({}))):
        with pytest.raises(MessagingError, match=r"failed.*frame_age_s"):
            call()
    with pytest.raises(MessagingError, match="failed"):
        publishing.wait_subscribers(1, 20)
    with pytest.raises(MessagingError, match="failed"):
        publishing.close()


def test_an_error_inside_the_with_block_is_the_one_told():
    def fail():
        with publisher() as publishing:
            publishing._failure = RuntimeError("broken")
            raise KeyError

    with pytest.raises(KeyError):
        fail()


def test_a_thread_that_hangs_is_told_instead_of_waiting_for_ever(monkeypatch):
    monkeypatch.setattr("railwatch.messaging.publisher.INBOX_TIMEOUT_S", 0.05)
    release = threading.Event()
    with publisher(lease_s=0.25) as publishing:
        monkeypatch.setattr(publishing._heartbeat, "alert_sent", lambda *_: release.wait(20))
        publishing.publish(make_alert(1))
        while publishing._inbox:  # until the thread has taken it, and hangs
            release.wait(0.001)
        for seq in range(2, INBOX_LIMIT + 2):
            publishing.publish(make_alert(seq))
        try:
            with pytest.raises(MessagingError, match="it hangs"):
                publishing.publish(make_alert(INBOX_LIMIT + 2))
        finally:
            release.set()


def test_a_port_in_use_names_endpoint_and_remedy():
    with publisher() as publishing:
        with pytest.raises(MessagingError, match="in use by another program") as caught:
            publisher(bind=publishing.endpoint)
        assert publishing.endpoint in str(caught.value)
        with pytest.raises(MessagingError, match=f"request_bind {publishing.request_endpoint} is in use"):
            publisher(request_bind=publishing.request_endpoint)


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:*", "ipc:///tmp/x", "nonsense"])
def test_bad_endpoints_are_refused_for_both_sockets(endpoint):
    with pytest.raises(MessagingError, match=r"^bind "):
        publisher(bind=endpoint)
    with pytest.raises(MessagingError, match=r"^request_bind "):
        publisher(request_bind=endpoint)


def test_nothing_is_left_behind():
    before = threading.active_count()
    for _ in range(5):
        publisher().close()
    assert threading.active_count() == before


def test_a_thread_that_does_not_end_is_told(monkeypatch):
    monkeypatch.setattr("railwatch.messaging.publisher.LINGER_MS", 10)
    release = threading.Event()
    publishing = publisher()
    monkeypatch.setattr(publishing._heartbeat, "last", lambda: release.wait(20))
    with pytest.raises(MessagingError, match="did not end"):
        publishing.close()
    release.set()
    publishing._thread.join(20)
