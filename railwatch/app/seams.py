"""The sockets of the seam with their guards: one for the workers that this hub starts, one for those elsewhere."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final, Self

import zmq

from railwatch.core.errors import ConfigError
from railwatch.messaging.endpoints import bind_endpoint
from railwatch.messaging.guard import Domain, Guard
from railwatch.messaging.keys import ClientKeys
from railwatch.messaging.roles import Role
from railwatch.seam.handover import Handover
from railwatch.seam.sockets import HubSocket

_LOCAL: Final = "tcp://127.0.0.1:*"


class LocalSeam:
    """The seam to the workers that this hub starts: its keys are new at every start and known to nobody else.

    Use as a context manager. A worker needs a key that was handed over here, and is believed by its token.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        context = self._stack.enter_context(zmq.Context())
        guard = self._stack.enter_context(Guard(context, None))
        self._guard = guard
        self._keys: dict[str, ClientKeys] = {}
        try:
            self.link = HubSocket(context, _LOCAL, lambda made: guard.protect(made, Domain.SEAM))
        except BaseException:
            self._stack.close()
            raise
        self._stack.callback(self.link.close)

    def hand_over(self, worker_group: str, token: str) -> Handover:
        """What a worker of the group is started with; the key of a group is the same as long as the hub lives."""
        if worker_group not in self._keys:
            self._keys[worker_group] = self._guard.admit(worker_group, Role.PERCEPTION)
        keys = self._keys[worker_group]
        return Handover(self.link.endpoint, keys.server, keys.public, keys.secret, worker_group, token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def remote_seam(guard: Guard | None, endpoint: str) -> HubSocket:
    """The seam to workers on other machines: each has a key of role perception with the name of its worker group.

    Raises ConfigError when the site has no keys, MessagingError for what is no endpoint of this machine.
    """
    if guard is None:
        raise ConfigError("--seam must be used with messaging.keys: a worker elsewhere is known by its key alone")
    bound = bind_endpoint("--seam", endpoint, keys=True)
    try:
        return HubSocket(guard.context, bound, lambda made: guard.protect(made, Domain.SEAM))
    except zmq.ZMQError as error:
        raise ConfigError(f"--seam {endpoint} must be a free endpoint of this machine, but: {error}") from error
