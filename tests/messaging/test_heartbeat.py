"""What the next Status says and when it is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.alerts import CameraState, CameraStatus, Epoch, SectionState, TrainStatus
from railwatch.messaging.heartbeat import MAX_NONCES, MAX_WAITING, Heartbeat, NonceDesk, StatusBody

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN


def body(state=CLEAR, camera=CameraState.NOMINAL, age_s=0.1):
    train = TrainStatus("1", 60.0, "sensor", 0.5)
    return StatusBody({"s": state}, {"cam": CameraStatus(camera, "", age_s)}, (train,), (), "rev")


def heartbeat(lease_s=2.5):
    made = Heartbeat("yard", Epoch("j", 1), body(), lease_s, 0.0)
    made.take(0.0)
    return made


def test_the_first_status_is_due_at_once():
    assert Heartbeat("yard", Epoch("j", 1), body(), 2.5, 7.0).wait_s(7.0) == 0.0


def test_a_status_is_due_every_second_also_when_nothing_happens():
    made = heartbeat()
    assert made.wait_s(0.25) == 0.75
    assert made.wait_s(1.0) == 0.0
    made.take(1.25)
    assert made.wait_s(1.25) == 0.75  # at 2 s the state is old


def test_a_change_of_section_or_camera_is_due_at_once_an_age_is_not():
    made = heartbeat()
    made.set_body(body(age_s=0.9), 0.5)
    assert made.wait_s(0.5) == 0.5
    made.set_body(body(camera=CameraState.DEGRADED), 0.6)
    assert made.wait_s(0.6) == 0.0
    made.take(0.6)
    made.set_body(body(OCCUPIED, CameraState.DEGRADED), 0.7)
    assert made.wait_s(0.7) == 0.0
    assert made.take(0.7).sections == {"s": OCCUPIED}


def test_a_hub_that_no_longer_decides_is_told_as_unknown_at_once():
    made = heartbeat()
    assert made.take(1.99).sections == {"s": CLEAR}
    assert made.wait_s(2.0) == 0.0
    said = made.take(2.0)
    assert said.sections == {"s": UNKNOWN}
    assert said.cameras["cam"] == CameraStatus(CameraState.BLIND, "the hub has not decided for 2 s", None)
    assert said.trains == ()
    assert made.wait_s(2.0) == 1.0
    made.set_body(body(), 2.1)
    assert made.wait_s(2.1) == 0.0
    assert made.take(2.1).sections == {"s": CLEAR}


def test_intervals_follow_a_short_lease():
    made = heartbeat(lease_s=0.5)
    assert made.wait_s(0.0) == 0.2
    assert made.take(0.4).sections == {"s": UNKNOWN}


def test_no_status_takes_an_intrusion_back_before_the_hub_decided_again():
    made = heartbeat()
    made.alert_sent(1, "s")
    assert made.wait_s(0.1) == 0.0
    said = made.take(0.1)
    assert (said.seq_last, said.sections) == (1, {"s": OCCUPIED})
    made.set_body(body(), 0.2)
    assert made.take(0.2).sections == {"s": CLEAR}


def test_an_alert_that_occupies_nothing_changes_no_section():
    made = heartbeat()
    made.alert_sent(1, None)
    said = made.take(0.1)
    assert (said.seq_last, said.sections) == (1, {"s": CLEAR})


def test_goodbye_is_unknown_and_echoes_what_is_waiting():
    made = heartbeat()
    made.nonces.put(b"a", "n")
    said = made.last()
    assert said.sections == {"s": UNKNOWN}
    assert said.nonces == ("n",)


def test_a_nonce_is_echoed_once():
    made = heartbeat()
    made.nonces.put(b"a", "n")
    assert made.take(0.1).nonces == ("n",)
    assert made.take(0.2).nonces == ()


def test_bad_nonces_are_dropped():
    desk = NonceDesk()
    for number, nonce in enumerate(["", "x" * 65, "a b", "\ufffd", '"']):
        desk.put(bytes([number]), nonce)
    assert desk.take(MAX_NONCES) == ()


def test_one_client_takes_one_place_however_many_it_sends():
    desk = NonceDesk()
    for number in range(10_000):
        desk.put(b"loud", f"n{number}")
    desk.put(b"quiet", "q")
    assert desk.take(MAX_NONCES) == ("n9999", "q")


def test_more_clients_than_fit_are_served_in_turn():
    desk = NonceDesk()
    for number in range(10_000):
        desk.put(str(number).encode(), f"n{number}")
    served = [desk.take(MAX_NONCES) for _ in range(MAX_WAITING // MAX_NONCES)]
    assert [nonce for some in served for nonce in some] == [f"n{number}" for number in range(MAX_WAITING)]
    assert desk.take(MAX_NONCES) == ()


@given(st.lists(st.tuples(st.sampled_from(["body", "take", "wait"]), st.floats(0.0, 3.0)), max_size=30))
def test_clear_is_never_said_of_a_state_older_than_two_seconds(steps):
    made, now_s, decided_s = heartbeat(), 0.0, 0.0
    for step, seconds in steps:
        now_s += seconds
        if step == "body":
            made.set_body(body(), now_s)
            decided_s = now_s
        elif step == "take":
            said = made.take(now_s)
            assert (said.sections["s"] is CLEAR) == (now_s - decided_s < made.stale_s)
            assert 0.0 < made.wait_s(now_s) <= 1.0 + 1e-9
