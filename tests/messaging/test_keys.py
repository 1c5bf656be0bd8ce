"""Key files: for their owner only, whole, and refused when that may no longer be so."""

from __future__ import annotations

import json
import stat
import threading

import pytest

from railwatch.core.errors import KeysError
from railwatch.messaging import keys as module
from railwatch.messaging.keys import ClientKeys, KeyStore
from railwatch.messaging.roles import Role


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "keys")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_every_file_is_for_its_owner_only_whatever_the_umask(store):
    store.new("desk", Role.OPERATOR)
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {mode(path) for path in files} == {0o600}
    assert {mode(path) for path in (store.folder, *store.folder.iterdir()) if path.is_dir()} == {0o700}


def test_a_key_names_its_owner_its_role_and_the_only_server_it_listens_to(store):
    keys = ClientKeys.load(store.new("desk", Role.OPERATOR))
    assert (keys.name, keys.role, keys.server) == ("desk", Role.OPERATOR, store.server().public)
    entry = store.entry("desk")
    assert (entry.public, entry.role, entry.revoked_at) == (keys.public, Role.OPERATOR, None)


def test_the_secret_of_a_client_stays_in_its_own_file(store):
    secret = json.loads(store.new("desk", Role.OPERATOR).read_text())["secret"]
    others = [path for path in store.folder.rglob("*") if path.is_file() and path.suffix != ".key"]
    assert others
    assert not any(secret in path.read_text() for path in others)


def test_secrets_are_not_shown(store):
    path = store.new("desk", Role.OPERATOR)
    keys, server = ClientKeys.load(path), store.server()
    assert keys.secret not in f"{keys} {keys!r}"
    assert server.secret not in f"{server} {server!r}"
    path.write_text(path.read_text().replace('"client"', '"clients"'))
    with pytest.raises(KeysError) as caught:
        ClientKeys.load(path)
    assert keys.secret not in str(caught.value)


def test_the_pair_of_the_site_is_made_once_also_by_several_at_a_time(store):
    found = []
    threads = [threading.Thread(target=lambda: found.append(KeyStore(store.folder).server())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {store.server()}


@pytest.mark.parametrize("rights", [0o604, 0o640, 0o660, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(store, rights):
    path = store.new("desk", Role.SUBSCRIBER)
    path.chmod(rights)
    with pytest.raises(KeysError, match=rf"desk\.key must be readable by its owner only, .* {rights:03o}: chmod 600"):
        ClientKeys.load(path)
    (store.folder / "server.key").chmod(rights)
    with pytest.raises(KeysError, match=r"server\.key must be readable by its owner only"):
        store.server()


@pytest.mark.parametrize("rights", [0o701, 0o710, 0o755])
def test_a_folder_that_others_can_enter_is_refused_with_the_remedy(store, rights):
    store.new("desk", Role.SUBSCRIBER)
    store.folder.chmod(rights)
    for use in (store.server, store.entries, lambda: store.revoke("desk")):
        with pytest.raises(KeysError, match="chmod 700"):
            use()


def test_a_name_is_given_once_also_after_it_was_revoked(store):
    store.new("desk", Role.SUBSCRIBER)
    with pytest.raises(KeysError, match="take another name"):
        store.new("desk", Role.OPERATOR)
    store.revoke("desk")
    assert store.entry("desk").revoked_at is not None
    assert not (store.folder / "clients" / "desk.key").exists()
    with pytest.raises(KeysError, match="take another name"):
        store.new("desk", Role.OPERATOR)
    assert list((store.folder / "clients").iterdir()) == []
    with pytest.raises(KeysError, match="revoked already"):
        store.revoke("desk")


@pytest.mark.parametrize("name", ["", "a b", "../desk", "a/b", "ä", "x" * 65, ".hidden"])
def test_names_are_plain(store, name):
    with pytest.raises(KeysError, match="must be 1 to 64 letters"):
        store.new(name, Role.SUBSCRIBER)


def test_the_number_of_names_is_bounded(store, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEYS", 2)
    store.new("a", Role.SUBSCRIBER)
    store.new("b", Role.SUBSCRIBER)
    with pytest.raises(KeysError, match="at most 2 names"):
        store.new("c", Role.SUBSCRIBER)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{", "[", "must be a client key file"),
        ('"railwatch_key": 1', '"railwatch_key": 2', "must be a client key file"),
        ('"client"', '"server"', "must be a client key file"),
        ('"role": "operator"', '"role": "king"', "must be one of subscriber, operator, feed, perception"),
        ('"role": "operator"', '"role": 3', "must hold 'role' as text"),
        ('"secret": "', '"secret": "1', "40 characters"),
        ('"server": "', '"server": "\\"', "40 characters"),
    ],
)
def test_a_damaged_key_is_refused_in_words(store, old, new, words):
    path = store.new("desk", Role.OPERATOR)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(KeysError, match=words):
        ClientKeys.load(path)


def test_keys_that_do_not_belong_together_are_refused(store):
    one, two = (json.loads(store.new(name, Role.OPERATOR).read_text()) for name in ("one", "two"))
    path = store.folder / "clients" / "one.key"
    path.write_text(json.dumps({**one, "public": two["public"]}))
    with pytest.raises(KeysError, match="must belong together"):
        ClientKeys.load(path)


def test_a_file_that_is_too_long_or_missing_is_refused(store):
    path = store.new("desk", Role.OPERATOR)
    path.write_text(path.read_text() + " " * 5000)
    with pytest.raises(KeysError, match="damaged"):
        ClientKeys.load(path)
    with pytest.raises(KeysError, match="No such file"):
        ClientKeys.load(path.with_name("absent.key"))


def test_an_entry_under_another_name_is_refused(store):
    store.new("desk", Role.SUBSCRIBER)
    (store.folder / "allowed" / "desk").rename(store.folder / "allowed" / "boss")
    with pytest.raises(KeysError, match="it was renamed"):
        store.entries()


def test_a_file_stays_whole_when_writing_fails(store, monkeypatch):
    store.new("desk", Role.SUBSCRIBER)
    before = (store.folder / "allowed" / "desk").read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KeysError, match="cannot be written: No space left"):
        store.revoke("desk")
    assert (store.folder / "allowed" / "desk").read_bytes() == before
    assert [path.name for path in (store.folder / "allowed").iterdir()] == ["desk"]


def test_the_file_goes_where_it_is_asked_to_and_is_never_written_over(store, tmp_path):
    out = tmp_path / "desk.key"
    assert store.new("desk", Role.SUBSCRIBER, out) == out
    assert mode(out) == 0o600
    with pytest.raises(KeysError, match="is there already"):
        store.new("other", Role.SUBSCRIBER, out)
    assert [entry.name for entry in store.entries()] == ["desk"]
