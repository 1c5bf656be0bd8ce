"""What the tests of journal and delivery share."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager

from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.journal import Journal
from railwatch.messaging.outlet import JournaledPublisher
from tests.messaging.rig import UNKNOWN, make_alert


class Troubles:
    """Keeps what `on_trouble` was told, and waits for it."""

    def __init__(self):
        self.told = []
        self.changed = threading.Condition()

    def __call__(self, name, reason):
        with self.changed:
            self.told.append((name, reason))
            self.changed.notify_all()

    def wait(self, accept, timeout_s=30.0):
        with self.changed:
            assert self.changed.wait_for(lambda: any(accept(*told) for told in self.told), timeout_s), self.told

    def begun(self, name="journal"):
        self.wait(lambda found, reason: found == name and reason is not None)

    def ended(self, name="journal"):
        self.wait(lambda found, reason: found == name and reason is None)


@contextmanager
def outlet(path, troubles=None, journal=None, **options):
    """A JournaledPublisher of the site yard on ports that the system chooses, over a journal at `path`."""
    options = {"bind": "tcp://127.0.0.1:*", "body": StatusBody({"s1": UNKNOWN}), **options}
    journal = journal or Journal.open(path)
    with JournaledPublisher(journal, site_id="yard", on_trouble=troubles or Troubles(), **options) as publishing:
        yield publishing


def follow(publishing, **options):
    return Client(publishing.endpoint, publishing.request_endpoint, **options)


def alert_of(publishing, seq, **changes):
    return make_alert(seq, epoch=publishing.epoch, **changes)


def publish(publishing, *seqs, **changes):
    for seq in seqs:
        publishing.publish(alert_of(publishing, seq, **changes))


def numbers(events):
    """(boot, seq) of every alert handed over."""
    return [(event.alert.epoch.boot, event.alert.seq) for event in events if isinstance(event, AlertReceived)]


class Disk:
    """Connections whose commits fail or hang when a test says so; `connect` goes to `Journal.open`."""

    def __init__(self):
        self.fault = None
        self.hanging = threading.Event()
        self.release = threading.Event()
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, statement, *arguments):
                if statement == "COMMIT" and disk.fault is not None:
                    disk.commit_fails()
                return super().execute(statement, *arguments)

        self._factory = Connection

    def connect(self, name):
        return sqlite3.connect(name, isolation_level=None, check_same_thread=False, factory=self._factory)

    def commit_fails(self):
        if self.fault == "hang":
            self.hanging.set()
            assert self.release.wait(60)
        else:
            raise sqlite3.OperationalError(self.fault)

    def heal(self):
        self.fault = None
        self.release.set()
