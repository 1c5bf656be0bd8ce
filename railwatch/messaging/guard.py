"""Who may connect to which socket: the ZAP handler (RFC 27) of this process. docs/security.md tells what it defends.

It fails closed: a socket with a domain lets nobody in while no handler answers, whatever the reason.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType, TracebackType
from typing import Final, Self

import zmq
from zmq.utils import z85

from railwatch.core.errors import MessagingError
from railwatch.messaging.doors import Doors
from railwatch.messaging.frames import receive
from railwatch.messaging.keyring import Keyring
from railwatch.messaging.keys import ClientKeys, KeyStore, make_room
from railwatch.messaging.roles import Role

RELOAD_S: Final = 0.5
"""How often the folder of keys is looked at: a revoked key is out within this and a moment."""

CLOSE_S: Final = 5.0
ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"
TROUBLE: Final = "keys"
"""The name under which the guard tells of trouble."""

_READS_A_TURN: Final = 64


class Domain(StrEnum):
    """What a guarded socket is for: the names of the ZAP domains."""

    ALERTS = "railwatch.alerts"
    REQUESTS = "railwatch.requests"
    SEAM = "railwatch.seam"


ENTRY: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        Domain.ALERTS: frozenset(Role),
        Domain.REQUESTS: frozenset(Role),
        Domain.SEAM: frozenset({Role.PERCEPTION}),
    }
)
"""Which roles are let in where. Everybody with a key may read; only workers may say what a camera sees."""

VERBS: Final[Mapping[bytes, frozenset[Role]]] = MappingProxyType(
    {
        b"ACK": frozenset({Role.OPERATOR}),
        b"PROBE": frozenset({Role.OPERATOR}),
        b"POSSESSION": frozenset({Role.OPERATOR}),
        b"NOW": frozenset({Role.FEED}),
        b"TRAIN": frozenset({Role.FEED}),
    }
)
"""Requests that need a role of their own; every other one is allowed to all who were let in."""


class Guard:
    """Lets in who has a key of this site, on the sockets of one context, and puts out who is revoked.

    Every protected socket is closed before the guard, and the guard before its context.

    Args:
        context: The context of all sockets to be protected; it has one guard.
        store: The keys of the site. None: only those given to `admit` are let in, and the site's pair is of this start.
        on_trouble: Called with ``("keys", reason)`` when keys cannot be read or the guard fails, and with
            ``("keys", None)`` when that is over; from the thread of the guard.
        clock: Monotonic seconds.

    Raises:
        KeysError: A key or the folder cannot be read, or others can read it.
        MessagingError: The context has a guard already.

    Example::

        with zmq.Context() as context, Guard(context, KeyStore(Path("keys"))) as guard:
            with Publisher(site_id="yard", epoch=epoch, body=body, bind="tcp://0.0.0.0:5556", guard=guard): ...
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        store: KeyStore | None,
        *,
        on_trouble: Callable[[str, str | None], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.context = context
        self._keyring, self._clock = Keyring(store), clock
        self._on_trouble, self._told = on_trouble, ""
        self._lock = threading.Lock()
        self._fresh: list[Doors] = []
        self._doors: list[Doors] = []
        self._all_out = self._closing = False
        self._failure: BaseException | None = None
        self._zap = self._open()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_out.setblocking(False)
        self._wake_in.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="railwatch-guard", daemon=True)
        self._thread.start()

    @property
    def public(self) -> str:
        """The public key by which clients know the site (40 characters, Z85)."""
        return self._keyring.server.public

    @property
    def trouble(self) -> str | None:
        """Why somebody with a good key might not be let in now; None when all is well."""
        if self._failure is not None:
            return f"the guard failed, nobody new is let in: {self._failure}"
        return self._keyring.trouble

    @property
    def put_out(self) -> int:
        """Connections ended so far because too many knocked at a time."""
        return sum(doors.put_out for doors in list(self._doors))

    def protect(self, guarded: zmq.Socket[bytes], domain: Domain) -> None:
        """Let only those with a key for `domain` connect. Call it in the thread of the socket, before it binds."""
        server = self._keyring.server
        guarded.curve_server = True
        guarded.curve_publickey = server.public.encode()
        guarded.curve_secretkey = server.secret.encode()
        guarded.setsockopt(zmq.ZAP_DOMAIN, domain.encode())
        guarded.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it, no handler would mean no check
        make_room(guarded)
        doors = Doors(guarded, self._clock)
        with self._lock:
            self._fresh.append(doors)
        self._wake()

    def may(self, user_id: str | None, verb: bytes) -> bool:
        """Whether whoever sent a request may make it; `user_id` is the "User-Id" of the message, the name of its key.

        Any thread may ask. Ask when the request is carried out: a key may be revoked while it waits.
        """
        entry = self._keyring.of_one_inside(user_id)
        return entry is not None and entry.role in VERBS.get(verb, frozenset(Role))

    def admit(self, name: str, role: Role) -> ClientKeys:
        """Make keys that are good as long as this guard lives or until `dismiss`: for the workers of this start.

        Raises:
            KeysError: The name has a key already.
        """
        return self._keyring.admit(name, role)

    def dismiss(self, name: str) -> None:
        """Let a name given to `admit` in no more, and end its connections; nothing happens if it is not known."""
        if self._keyring.dismiss(name):
            self._all_out = True
            self._wake()

    def close(self) -> None:
        """Let nobody in any more and end when all protected sockets are closed; idempotent.

        Raises:
            MessagingError: A protected socket is still open after 5 s.
        """
        self._closing = True
        self._wake()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            raise MessagingError(
                f"a guard must outlive the sockets that it protects, but one is open after {CLOSE_S:g} s"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        # An error that is already on its way out is the one to tell.
        with contextlib.suppress(MessagingError) if error is not None else contextlib.nullcontext():
            self.close()

    def _open(self) -> zmq.Socket[bytes]:
        made = self.context.socket(zmq.ROUTER)
        made.setsockopt(zmq.LINGER, 0)
        try:
            made.bind(ZAP_ENDPOINT)
        except zmq.ZMQError as error:
            made.close()
            raise MessagingError(f"a context must have one guard, but a second one is made: {error}") from error
        return made

    def _wake(self) -> None:
        # A full pipe wakes as well as one more byte; a closed one has nobody to wake.
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_out.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody is let in from here on, and it is told
            self._failure = error
        finally:
            self._zap.close()
        self._tell()
        # The monitors are read to their end: one that nobody reads would hold up the sockets that it watches.
        while self._doors or self._fresh:
            self._wait(())
            self._take()
        self._wake_in.close()
        self._wake_out.close()

    def _turn(self) -> None:
        ready = self._wait((self._zap,))
        self._take()
        if self._zap in ready:
            self._answer()
        if self._keyring.reload() or self._all_out:
            # Revoked first, then out: whoever comes back is asked for a key again.
            self._all_out = False
            self._take()
            for doors in self._doors:
                doors.put_all_out()
        self._tell()

    def _wait(self, more: tuple[zmq.Socket[bytes], ...]) -> dict[object, int]:
        poller = zmq.Poller()
        for source in (self._wake_in, *more, *(doors.events for doors in self._doors)):
            poller.register(source, zmq.POLLIN)
        ready: dict[object, int] = dict(poller.poll(int(RELOAD_S * 1000)))
        if self._wake_in.fileno() in ready:
            self._wake_in.recv(4096)
        return ready

    def _take(self) -> None:
        """Take what happened at the doors; those of closed sockets are forgotten."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        self._doors += fresh
        for doors in list(self._doors):
            if not doors.take():
                self._doors.remove(doors)
                doors.events.close()

    def _answer(self) -> None:
        for _ in range(_READS_A_TURN):
            frames = receive(self._zap, most=9)
            if frames is None:
                return
            # identity, delimiter, version, request id, domain, address, routing id, mechanism, credentials
            if len(frames) == 9 and frames[2] == b"1.0":
                name = self._admits(frames[4], frames[7], frames[8])
                verdict = (
                    [b"400", b"no key that is let in here", b""] if name is None else [b"200", b"OK", name.encode()]
                )
                self._zap.send_multipart([frames[0], b"", b"1.0", frames[3], *verdict, b""])

    def _admits(self, domain: bytes, mechanism: bytes, credentials: bytes) -> str | None:
        """The name of whoever knocks, or None when it is not let in."""
        if mechanism != b"CURVE" or len(credentials) != 32:
            return None
        entry = self._keyring.to_let_in(z85.encode(credentials).decode())
        roles = ENTRY.get(domain.decode(errors="replace"), frozenset())
        return entry.name if entry is not None and entry.role in roles else None

    def _tell(self) -> None:
        """Tell of trouble once, when it begins, changes or ends."""
        trouble = self.trouble
        if (trouble or "") != self._told:
            self._told = trouble or ""
            if self._on_trouble is not None:
                self._on_trouble(TROUBLE, trouble)
