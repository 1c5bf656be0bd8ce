"""The guard of a site, if it has keys: for the commands that bind sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from railwatch.core.settings import MessagingSettings
from railwatch.messaging.guard import Guard
from railwatch.messaging.keys import KeyStore


@contextmanager
def guard_of(
    messaging: MessagingSettings, on_trouble: Callable[[str, str | None], object] | None = None
) -> Iterator[Guard | None]:
    """The guard over `messaging.keys` on a context of its own, or None without keys.

    Sockets that it protects are closed before this ends.

    Raises:
        KeysError: The keys cannot be read, or others can read them.
    """
    if messaging.keys is None:
        yield None
        return
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        with Guard(context, KeyStore(Path(messaging.keys)), on_trouble=on_trouble) as guard:
            yield guard
    finally:
        context.destroy(linger=0)
