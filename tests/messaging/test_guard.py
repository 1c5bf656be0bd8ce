"""Only who has a key of the site gets in: everybody else hears nothing and is not heard."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
import zmq

from railwatch.core.alerts import AckLevel
from railwatch.core.errors import KeysError, MessagingError
from railwatch.messaging import guard as module
from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived, Answered
from railwatch.messaging.guard import ENTRY, VERBS, Domain, Guard
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.roles import Role
from railwatch.messaging.wire import MAX_MESSAGE_BYTES, encode_alert
from tests.messaging.guard_rig import BODY, Site, guarded, wait
from tests.messaging.rig import CLEAR, make_alert, publisher, until


@pytest.fixture
def site(tmp_path):
    with guarded(tmp_path / "keys") as made:
        yield made


@pytest.fixture
def context():
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def test_a_key_of_the_site_is_served(site):
    with site.client(site.good) as client:
        assert site.publisher.wait_subscribers(1, 20.0)
        site.alert()
        until(client, lambda event: isinstance(event, AlertReceived))
        until(client, lambda _: client.state("s1") is CLEAR, site.publisher, BODY)


def test_strangers_hear_nothing_and_are_not_heard(site, tmp_path):
    stranger = ClientKeys.load(KeyStore(tmp_path / "other").new("good", Role.SUBSCRIBER))
    unknown = replace(stranger, server=site.good.server)
    wrong_server = replace(site.good, server=stranger.server)
    for keys in (None, unknown, wrong_server):
        with site.client(keys) as client:
            assert site.traffic(client) == (0, 0)
    site.served(site.good)


def test_a_revoked_key_hears_nothing_more_although_it_was_connected(site):
    keys = site.keys("leaver")
    with site.client(keys) as leaver, site.client(site.good) as stayer:
        wait(lambda: all(site.traffic(leaver, 0.05)))
        wait(lambda: all(site.traffic(stayer, 0.05)))
        site.store.revoke("leaver")
        wait(lambda: not site.guard.may("leaver", b"NONCE"))
        wait(lambda: site.publisher.subscribers <= 1)
        while leaver.poll(0.05):  # what was under way when it was put out
            pass
        assert site.traffic(leaver) == (0, 0)
        wait(lambda: all(site.traffic(stayer, 0.05)))
    with site.client(keys) as again:
        assert site.traffic(again) == (0, 0)


def test_a_dead_authenticator_lets_nobody_in_and_is_told(site):
    def fail(*_):
        raise MemoryError("no memory")

    site.served(site.good)
    site.guard._admits = fail
    with site.client(site.good) as client:
        assert site.traffic(client) == (0, 0)
    assert [name for name, _ in site.troubles] == ["keys"]
    assert "no memory" in site.troubles[0][1]
    with site.client(site.good) as client:
        assert site.traffic(client) == (0, 0)


def test_an_authenticator_that_is_not_there_lets_nobody_in(context, monkeypatch):
    """What ZAP_ENFORCE_DOMAIN is for: without it, libzmq lets everybody in as soon as nobody answers."""
    guard = Guard(context, None)
    keys = guard.admit("worker", Role.PERCEPTION)
    inside = context.socket(zmq.PULL)
    guard.protect(inside, Domain.SEAM)
    port = inside.bind_to_random_port("tcp://127.0.0.1")
    monkeypatch.setattr(module, "CLOSE_S", 0.3)
    with pytest.raises(MessagingError, match="must outlive the sockets"):
        guard.close()
    outside = context.socket(zmq.PUSH)
    keys.apply(outside)
    outside.setsockopt(zmq.SNDTIMEO, 2000)
    outside.connect(f"tcp://127.0.0.1:{port}")
    with contextlib.suppress(zmq.Again):
        outside.send(b"x")
    assert not inside.poll(600)
    inside.close()
    outside.close(linger=0)
    guard.close()


def test_a_client_with_keys_listens_to_no_publisher_without(tmp_path):
    keys = ClientKeys.load(KeyStore(tmp_path / "keys").new("desk", Role.SUBSCRIBER))
    with publisher() as plain, Client(plain.endpoint, plain.request_endpoint, keys=keys) as client:
        for seq in range(1, 20):
            plain.publish(make_alert(seq))
            assert client.poll(0.03) == []


def socket_pair(context, guard, domain, keys):
    inside, outside = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    for made in (inside, outside):
        made.setsockopt(zmq.LINGER, 0)
    guard.protect(inside, domain)
    keys.apply(outside)
    outside.setsockopt(zmq.SNDTIMEO, 2000)
    outside.connect(f"tcp://127.0.0.1:{inside.bind_to_random_port('tcp://127.0.0.1')}")
    with contextlib.suppress(zmq.Again):  # who was refused before it sends has nobody to send to, and would wait
        outside.send(b"x")
    return inside, outside


@pytest.mark.parametrize("domain", Domain)
def test_each_domain_lets_in_its_roles_only_and_names_the_key(context, domain):
    guard = Guard(context, None)
    for role in Role:
        keys = guard.admit(f"a-{role}", role)
        inside, outside = socket_pair(context, guard, domain, keys)
        if role in ENTRY[domain]:
            assert inside.poll(20_000)
            assert inside.recv_multipart(copy=False)[-1].get("User-Id") == f"a-{role}"
        else:
            assert not inside.poll(300)
        inside.close()
        outside.close()
    guard.close()


def test_only_workers_may_say_what_a_camera_sees():
    assert ENTRY[Domain.SEAM] == {Role.PERCEPTION}
    assert ENTRY[Domain.ALERTS] == ENTRY[Domain.REQUESTS] == set(Role)


@pytest.mark.parametrize(("verb", "role"), [(b"ACK", Role.OPERATOR), (b"NOW", Role.FEED), (b"TRAIN", Role.FEED)])
def test_a_command_needs_its_role_and_reading_needs_any(context, verb, role):
    assert VERBS[verb] == {role}
    guard = Guard(context, None)
    for other in Role:
        guard.admit(f"a-{other}", other)
    assert [other for other in Role if guard.may(f"a-{other}", verb)] == [role]
    assert all(guard.may(f"a-{other}", reading) for other in Role for reading in (b"NONCE", b"REPLAY"))
    assert not any(guard.may(stranger, reading) for stranger in (None, "", "b") for reading in (b"NONCE", verb))
    guard.close()


def arrives(inside, outside):
    with contextlib.suppress(zmq.Again):  # put out, it has nobody to send to
        outside.send(b"x", zmq.NOBLOCK)
    if not inside.poll(300):
        return False
    inside.recv_multipart()
    return True


def test_a_request_needs_a_key_of_its_role(tmp_path):
    asked = []
    with guarded(tmp_path / "keys", handlers={b"ACK": lambda peer, _: asked.append(peer.user_id)}) as site:
        operator = site.keys("desk", Role.OPERATOR)
        with site.client(site.good) as client:
            name = client.acknowledge("i1", AckLevel.ACKNOWLEDGED, "somebody")
            events = until(client, lambda event: isinstance(event, Answered))
        answer = next(event for event in events if isinstance(event, Answered))
        assert (answer.request, answer.accepted) == (name, False)
        assert "another role than 'good' has" in answer.reason
        assert asked == []
        with site.client(operator) as client:
            client.acknowledge("i1", AckLevel.ACKNOWLEDGED, "somebody")
            until(client, lambda _: asked, site.publisher, BODY)
    assert set(asked) == {"desk"}


def test_a_key_of_this_start_ends_with_its_dismissal(context):
    guard = Guard(context, None)
    keys = guard.admit("worker", Role.PERCEPTION)
    with pytest.raises(KeysError, match="has a key already"):
        guard.admit("worker", Role.PERCEPTION)
    inside, outside = socket_pair(context, guard, Domain.SEAM, keys)
    assert inside.poll(20_000)
    inside.recv_multipart()
    guard.dismiss("worker")
    guard.dismiss("nobody")
    assert not guard.may("worker", b"NONCE")
    wait(lambda: not arrives(inside, outside))
    assert not arrives(inside, outside)
    inside.close()
    outside.close()
    guard.close()


def test_a_context_has_one_guard(context):
    guard = Guard(context, None)
    with pytest.raises(MessagingError, match="must have one guard"):
        Guard(context, None)
    guard.close()


def test_a_site_without_any_key_does_not_arm(context, tmp_path):
    store = KeyStore(tmp_path / "keys")
    with pytest.raises(KeysError, match="must be there"):
        Guard(context, store)
    assert not store.folder.exists()
    store.new("desk", Role.SUBSCRIBER)
    store.revoke("desk")
    with pytest.raises(KeysError, match="must let somebody in"):
        Guard(context, store)


def test_a_key_file_that_others_can_read_counts_no_more_and_is_told(site):
    site.keys("other")
    path = site.store.folder / "allowed" / "good"
    path.chmod(0o644)
    wait(lambda: not site.guard.may("good", b"NONCE"))
    assert site.guard.may("other", b"NONCE")
    wait(lambda: site.troubles)
    assert "allowed/good must be readable by its owner only" in site.troubles[0][1]
    path.chmod(0o600)
    wait(lambda: site.guard.may("good", b"NONCE"))
    wait(lambda: site.troubles[-1] == ("keys", None))
    assert len(site.troubles) == 2


def test_a_folder_that_cannot_be_trusted_lets_in_nobody_new_but_ends_no_alarm(site):
    with site.client(site.good) as client:
        wait(lambda: all(site.traffic(client, 0.05)))
        site.store.folder.chmod(0o755)
        wait(lambda: site.troubles)
        with site.client(site.good) as late:
            assert site.traffic(late) == (0, 0)
        assert all(site.traffic(client))
    site.store.folder.chmod(0o700)
    site.served(site.good)


def test_the_largest_alert_passes_through_encryption(site):
    alert = make_alert(1)
    room = MAX_MESSAGE_BYTES - len(encode_alert(alert))
    with site.client(site.good) as client:
        assert site.publisher.wait_subscribers(1, 20.0)
        site.alert(why="x" * room)
        events = until(client, lambda event: isinstance(event, AlertReceived))
    assert [len(event.payload) for event in events if isinstance(event, AlertReceived)] == [MAX_MESSAGE_BYTES]


def test_a_request_that_is_too_long_ends_its_connection_only(site):
    rude = zmq.Context()
    outside = rude.socket(zmq.DEALER)
    site.good.apply(outside)
    outside.connect(site.publisher.request_endpoint)
    outside.send_multipart([b"NONCE", b"x" * 100_000])
    site.served(site.good)
    assert not any(len(nonce) > 1000 for _, nonce in site.nonces)
    rude.destroy(linger=0)


def test_other_addresses_can_be_bound_with_keys_only(tmp_path):
    with pytest.raises(MessagingError, match="as long as there are no keys"):
        publisher(bind="tcp://0.0.0.0:*")
    with guarded(tmp_path / "keys", bind="tcp://0.0.0.0:*") as site:
        assert site.publisher.endpoint.startswith("tcp://0.0.0.0:")


def test_a_failed_publisher_leaves_guard_and_context_usable(tmp_path):
    site = Site(tmp_path / "keys")
    with pytest.raises(MessagingError, match="in use"):
        publisher(guard=site.guard, bind=site.publisher.endpoint)
    site.served(site.good)
    site.close()
