"""Keys of people and programs: who may read, acknowledge, report trains or send observations. See docs/security.md.

A folder of keys belongs to one site::

    keys/              0700
      server.key       0600  the site's own pair, made on first use
      allowed/NAME     0600  public key and role of everybody who was ever let in; a revoked one stays, marked
      clients/NAME.key 0600  what NAME needs to connect, secret included: hand it over, then delete it here
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import zmq
from zmq.utils import z85

from railwatch.core.errors import KeysError
from railwatch.messaging.key_files import check_folder, make_folder, read_secret_file, write_secret_file
from railwatch.messaging.roles import Role

MAX_KEYS: Final = 1000
"""Most names, revoked ones included, that a site keeps."""

_ENCRYPTION_BYTES: Final = 64
"""At least what encryption adds to a message: name, nonce, flags, authenticator (33 bytes; CurveZMQ, RFC 26)."""

_HANDSHAKE_BYTES: Final = 1024
"""At least the largest message of a handshake (INITIATE, about 310 bytes); libzmq counts those as well."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """The pair of a site. Clients know the public half and so cannot be answered by anybody else."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """A new pair."""
        return cls(*_new_pair())


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What one client needs: its own pair, and the public key of the only server it will listen to.

    Example::

        with Client("tcp://edge-box:5556", keys=ClientKeys.load(Path("control-room.key"))) as client: ...
    """

    name: str
    role: Role
    public: str
    secret: str = field(repr=False)
    server: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file that `railwatch keys new` wrote.

        Raises:
            KeysError: It is missing, readable by others than its owner, or damaged.
        """
        content = read_secret_file(path, "client")
        name, public, secret, server = (_text(path, content, key) for key in ("name", "public", "secret", "server"))
        _check_key(path, server)
        _check_pair(path, public, secret)
        return cls(name, _role(path, content), public, secret, server)

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Make the socket, before it connects, speak to this server only and prove who it is."""
        socket.curve_serverkey = self.server.encode()
        socket.curve_publickey = self.public.encode()
        socket.curve_secretkey = self.secret.encode()
        make_room(socket)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One name that was let in. Times are UTC, ISO 8601; `revoked_at` is None while it still is."""

    name: str
    role: Role
    public: str
    created_at: str
    revoked_at: str | None = None


class KeyStore:
    """The keys of one site, in one folder. Several processes may use it; each change is one whole file.

    Args:
        folder: Made, for its owner only, with the first key.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def server(self) -> ServerKeys:
        """The pair of the site; made on first use.

        Raises:
            KeysError: A file or folder can be read by others, is damaged, or cannot be written.
        """
        make_folder(self.folder)
        path = self.folder / "server.key"
        if not path.exists():
            fresh = ServerKeys.generate()
            with contextlib.suppress(FileExistsError):  # another process was first: its pair is the site's
                write_secret_file(path, "server", {**asdict(fresh), "created_at": _now()}, replace=False)
        content = read_secret_file(path, "server")
        keys = ServerKeys(_text(path, content, "public"), _text(path, content, "secret"))
        _check_pair(path, keys.public, keys.secret)
        return keys

    def new(self, name: str, role: Role, out: Path | None = None) -> Path:
        """Let a new name in; the path of the file to hand over to it (`out`, else ``clients/NAME.key``).

        Raises:
            KeysError: The name is not allowed or was used before, or a file cannot be written.
        """
        if _NAME.fullmatch(name) is None:
            raise KeysError(f"the name of a key must be 1 to 64 letters A-Z a-z, digits, _ or -, but is {name[:80]!r}")
        server = self.server()
        for folder in (self._allowed, self.folder / "clients"):
            make_folder(folder)
        if len(self.names()) >= MAX_KEYS:
            raise KeysError(f"a site keeps at most {MAX_KEYS} names of keys: take a new folder, and hand out new keys")
        target = out or self.folder / "clients" / f"{name}.key"
        public, secret = _new_pair()
        keys = ClientKeys(name, role, public, secret, server.public)
        self._write_new(target, "client", {**asdict(keys), "created_at": _now()})
        try:
            self._write_new(self._allowed / name, "allowed", asdict(KeyEntry(name, role, public, _now())))
        except KeysError:
            target.unlink(missing_ok=True)
            raise
        return target

    def entries(self) -> tuple[KeyEntry, ...]:
        """Everybody who was ever let in, by name.

        Raises:
            KeysError: A file or folder can be read by others or is damaged.
        """
        return tuple(self.entry(name) for name in self.names())

    def names(self) -> list[str]:
        """The names that were ever let in, in order; raises KeysError when the folder can be entered by others."""
        check_folder(self.folder)
        if not self._allowed.exists():
            return []
        check_folder(self._allowed)
        return sorted(path.name for path in self._allowed.iterdir() if not path.name.startswith("."))

    def entry(self, name: str) -> KeyEntry:
        """What is known of one name; raises KeysError when it is not there, readable by others or damaged."""
        path = self._allowed / name
        content = read_secret_file(path, "allowed")
        public = _check_key(path, _text(path, content, "public"))
        if _text(path, content, "name") != name:
            raise KeysError(f"{path} must be the key of {name!r}, but is of {content['name']!r}: it was renamed")
        revoked = content.get("revoked_at")
        revoked_at = None if revoked is None else _text(path, content, "revoked_at")
        return KeyEntry(name, _role(path, content), public, _text(path, content, "created_at"), revoked_at)

    def revoke(self, name: str) -> None:
        """Let a name in no more, for ever; a site that runs ends its connections within a second or two.

        Raises:
            KeysError: There is no such name, or it was revoked before.
        """
        known = self.names()
        if name not in known:
            raise KeysError(
                f"the name must be one of the keys in {self.folder} ({', '.join(known)}), but is {name[:80]!r}"
            )
        entry = self.entry(name)
        if entry.revoked_at is not None:
            raise KeysError(f"the key of {name!r} was revoked already, at {entry.revoked_at}")
        revoked = asdict(replace(entry, revoked_at=_now()))
        write_secret_file(self._allowed / name, "allowed", revoked, replace=True)
        (self.folder / "clients" / f"{name}.key").unlink(missing_ok=True)

    def state(self) -> tuple[tuple[str, int, int, int, int], ...] | None:
        """Changes whenever a key file does: name, inode, size, mode, time of change of each; None when unreadable."""
        try:
            found = [(path.name, path.stat()) for path in (self.folder, self._allowed, *self._allowed.iterdir())]
        except OSError:
            return None
        return tuple(sorted((name, at.st_ino, at.st_size, at.st_mode, at.st_ctime_ns) for name, at in found))

    @property
    def _allowed(self) -> Path:
        return self.folder / "allowed"

    def _write_new(self, path: Path, kind: str, content: Mapping[str, object]) -> None:
        try:
            write_secret_file(path, kind, content, replace=False)
        except FileExistsError:
            raise KeysError(
                f"{path} is there already: a name is given once, so that an acknowledgement always names one person; "
                "take another name"
            ) from None


def make_room(socket: zmq.Socket[bytes]) -> None:
    """Let encrypted messages be larger than MAXMSGSIZE by what encryption adds, and the handshake pass in any case."""
    largest = int(socket.getsockopt(zmq.MAXMSGSIZE))
    if largest >= 0:
        socket.setsockopt(zmq.MAXMSGSIZE, max(largest + _ENCRYPTION_BYTES, _HANDSHAKE_BYTES))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _new_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _text(path: Path, content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise KeysError(f"the key file {path} must hold {name!r} as text: it is damaged")
    return value


def _role(path: Path, content: Mapping[str, Any]) -> Role:
    try:
        return Role(_text(path, content, "role"))
    except ValueError:
        raise KeysError(f"the role in {path} must be one of {', '.join(Role)}: it is damaged or newer") from None


def _check_key(path: Path, key: str) -> str:
    try:
        valid = len(key) == 40 and len(z85.decode(key.encode("ascii"))) == 32
    except (ValueError, KeyError, UnicodeEncodeError):
        valid = False
    if not valid:
        raise KeysError(f"the key file {path} must hold keys of 40 characters (Z85): it is damaged")
    return key


def _check_pair(path: Path, public: str, secret: str) -> None:
    if zmq.curve_public(_check_key(path, secret).encode()).decode() != public:
        raise KeysError(f"the two keys in {path} must belong together, but do not: it is damaged")
