"""A hub with a journal, sinks on threads, an HTTP receiver, and an Apprise service that keeps its messages."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf

from railwatch.messaging.bridge import SinkThread
from railwatch.messaging.client import Client
from railwatch.messaging.events import StatusReceived
from railwatch.messaging.heartbeat import StatusBody
from tests.messaging.journal_rig import outlet, publish
from tests.messaging.rig import CLEAR, OCCUPIED

BODY = StatusBody({"s1": CLEAR, "s2": OCCUPIED})


class Hub:
    """A site that decides the same ten times a second, until it is silenced."""

    def __init__(self, publishing):
        self.publishing, self.seq = publishing, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._decide)
        self._thread.start()

    def _decide(self):
        while not self._stop.wait(0.1):
            self.publishing.set_status(BODY)

    def alert(self, **changes):
        self.seq += 1
        publish(self.publishing, self.seq, alert_id=f"a{self.seq}", **changes)

    def alerts(self, count):
        for _ in range(count):
            self.alert()

    def sent(self):
        """Wait until all alerts have gone out, to whoever was there."""
        with Client(self.publishing.endpoint, self.publishing.request_endpoint) as client:
            for event in client.events(30.0):
                if isinstance(event, StatusReceived) and event.status.seq_last == self.seq:
                    return
        raise AssertionError("alerts do not go out")

    def silence(self):
        self._stop.set()
        self._thread.join()


@contextlib.contextmanager
def hub(folder):
    """A hub over a journal in `folder`."""
    with outlet(folder / "journal.db", body=BODY) as publishing, contextlib.ExitStack() as stack:
        made = Hub(publishing)
        stack.callback(made.silence)
        yield made


@contextlib.contextmanager
def feeding(site, sink, folder, said=None):
    """A sink that is fed; its position lies in `folder`."""
    connect = partial(
        Client,
        site.publishing.endpoint,
        site.publishing.request_endpoint,
        site_id="yard",
        position=folder / f"{sink.name}.position",
        patience_s=inf,
    )
    thread = SinkThread(sink, connect, (said if said is not None else []).append, (0.05, 0.2))
    try:
        yield thread
    finally:
        thread.stop()
        assert thread.join(20.0)
    assert thread.failure is None


class Receiver:
    """An HTTP server that answers with the next of `statuses`, and 200 when there is none left."""

    def __init__(self, statuses=()):
        self.requests, self.statuses, self.changed = [], list(statuses), threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.take(self)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def port(self):
        return self._server.server_port

    def take(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self.changed:
            status = self.statuses.pop(0) if self.statuses else 200
            self.requests.append((status, handler.path, dict(handler.headers), body))
            self.changed.notify_all()
        handler.send_response(status)
        if 300 <= status < 400:
            handler.send_header("Location", "/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def accepted(self):
        return [json.loads(body)["seq"] for status, _, _, body in self.requests if status == 200]

    def wait(self, true, timeout_s=30.0):
        with self.changed:
            assert self.changed.wait_for(true, timeout_s), [status for status, *_ in self.requests]

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def wait(true, timeout_s=30.0):
    """Until it is so."""
    end_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end_s, "never came about"
        time.sleep(0.01)
