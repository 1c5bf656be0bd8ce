"""The keys that count at this moment: those of the folder, looked at again and again, and those of this start."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

import zmq

from railwatch.core.errors import KeysError
from railwatch.messaging.keys import ClientKeys, KeyEntry, KeyStore, ServerKeys
from railwatch.messaging.roles import Role


class Keyring:
    """Who is let in now. Any thread may ask and change.

    Args:
        store: The keys of the site; None when only those given to `admit` count, with a pair of this start.

    Raises:
        KeysError: A key or the folder can be read by others, is damaged, or cannot be read.
    """

    def __init__(self, store: KeyStore | None) -> None:
        self._store = store
        if store is not None:
            store.names()  # a folder that is not there is a slip, not to be mended with a new pair
        self.server = ServerKeys.generate() if store is None else store.server()
        self._lock = threading.Lock()
        self._admitted: dict[str, KeyEntry] = {}
        self._stored: dict[str, KeyEntry] = {}
        self._state: object = None
        self._known: Mapping[str, KeyEntry] = {}
        self._trusted = True
        self.trouble: str | None = None
        """Why somebody with a good key might not be let in; None when all could be read."""
        self.reload()
        if self.trouble is not None:
            raise KeysError(self.trouble)

    def to_let_in(self, public: str) -> KeyEntry | None:
        """Whose key this is, if whoever knocks with it is let in."""
        return self._known.get(public) if self._trusted or public in self._admitted else None

    def of_one_inside(self, name: str | None) -> KeyEntry | None:
        """The key of a name that was let in, if it still counts."""
        return next((entry for entry in self._known.values() if entry.name == name), None)

    def reload(self) -> bool:
        """Look at the folder; whether a key that counted until now counts no more.

        A key file that cannot be read counts no more. While the folder itself cannot be trusted, nobody new is let
        in, but nobody who is in is put out: a fault of the disk must not end the alarms.
        """
        if self._store is None:
            return False
        state = self._store.state()
        if state is not None and state == self._state:
            return False
        with self._lock:
            before, self._state = self._stored, state
            try:
                self._stored, self.trouble = _read(self._store)
            except KeysError as error:
                self.trouble, self._state, self._trusted = str(error), None, False
                return False
            self._trusted = True
            if self.trouble is not None:
                self._state = None  # it may get well without a change of any file
            self._rewrite()
            return any(self._stored.get(public) != entry for public, entry in before.items())

    def admit(self, name: str, role: Role) -> ClientKeys:
        """Let in a new name from now on; raises KeysError when the name has a key already."""
        public, secret = (half.decode() for half in zmq.curve_keypair())
        with self._lock:
            if any(entry.name == name for entry in (*self._stored.values(), *self._admitted.values())):
                raise KeysError(f"a key of this start must have a new name, but {name!r} has a key already")
            self._admitted[public] = KeyEntry(name, role, public, "")
            self._rewrite()
        return ClientKeys(name, role, public, secret, self.server.public)

    def dismiss(self, name: str) -> bool:
        """Undo `admit`; whether the name was known."""
        with self._lock:
            known = [public for public, entry in self._admitted.items() if entry.name == name]
            for public in known:
                del self._admitted[public]
            self._rewrite()
        return bool(known)

    def _rewrite(self) -> None:
        self._known = MappingProxyType({**self._stored, **self._admitted})


def _read(store: KeyStore) -> tuple[dict[str, KeyEntry], str | None]:
    """The keys that are not revoked, by public key, and what is wrong with others."""
    entries: dict[str, KeyEntry] = {}
    faults: list[str] = []
    for name in store.names():
        try:
            entry = store.entry(name)
        except KeysError as error:
            faults.append(str(error))
            continue
        if entry.revoked_at is None:
            entries[entry.public] = entry
    if not (entries or faults):
        faults.append(f"a site with keys must let somebody in, but {store.folder} has none: `railwatch keys new`")
    return entries, "; ".join(faults[:3]) or None
