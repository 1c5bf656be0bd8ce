"""A cable between a client and a hub on one machine, that can be pulled: nothing goes through, nobody is told."""

from __future__ import annotations

import selectors
import socket
import threading

from tests.hub_rig import free_port


class Cable:
    """Forwards a port of `host` and the next one to those of a hub; what is under way when it is cut waits in it."""

    def __init__(self, port, host="127.0.0.1"):
        self._selector = selectors.DefaultSelector()
        self._whole = threading.Event()
        self._whole.set()
        self._ended = False
        self.port = free_port()
        for number in (0, 1):
            self._listen(host, self.port + number, port + number)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def endpoint(self):
        """Where the client connects."""
        return f"tcp://127.0.0.1:{self.port}"

    def cut(self):
        """Pull it."""
        self._whole.clear()

    def mend(self):
        """Plug it in again."""
        self._whole.set()

    def close(self):
        """End it."""
        self._ended = True
        self._whole.set()
        self._thread.join(5.0)

    def _listen(self, host, port, to):
        made = socket.create_server((host, port))
        made.setblocking(False)
        self._selector.register(made, selectors.EVENT_READ, ("accept", to))
        return made

    def _run(self):
        while not self._ended:
            self._whole.wait()
            for key, _ in self._selector.select(0.05):
                if not self._whole.is_set():
                    break
                kind, other = key.data
                if kind == "accept":
                    self._accept(key.fileobj, other)
                else:
                    self._forward(key.fileobj, other)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()
        self._selector.close()

    def _accept(self, listening, port):
        near, _ = listening.accept()
        try:
            far = socket.create_connection(("127.0.0.1", port), 0.5)
        except OSError:
            near.close()
            return
        for end, other in ((near, far), (far, near)):
            end.settimeout(1.0)
            self._selector.register(end, selectors.EVENT_READ, ("forward", other))

    def _forward(self, end, other):
        try:
            data = end.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for part in (end, other):
            try:
                self._selector.unregister(part)
            except (KeyError, ValueError):
                continue
            part.close()
