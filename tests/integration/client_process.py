"""A client as a process of its own, that writes down all it is told: ``client_process.py CONNECT LOG [POSITION]``.

A line a thing, each with the time `t` (seconds of the clock that all processes of a machine share): started, an alert,
that it is done, a section, an acknowledgement. It acknowledges every incident that opens.
"""

from __future__ import annotations

import json
import os
import sys
import time

from railwatch.core.alerts import AckLevel, Action
from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived, Answered, Gap, SectionChanged
from railwatch.messaging.ordering import History


def main(connect, log, position=None):
    """Follow until killed."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(**what):
        os.write(out, (json.dumps({"t": time.clock_gettime(time.CLOCK_BOOTTIME), **what}) + "\n").encode())

    asked = {}
    write(started=os.getpid())
    with Client(connect, position=position, history=History.ALL, patience_s=float("inf")) as client:
        while True:
            for event in client.poll(0.05):
                match event:
                    case AlertReceived(alert=alert):
                        write(alert=[str(alert.epoch), alert.seq], journaled=alert.journaled, replayed=event.replayed)
                        client.done(event)
                        write(done=[str(alert.epoch), alert.seq])
                        if alert.action is Action.OPENED:
                            request = client.acknowledge(alert.incident_id, AckLevel.RECEIVED, "a test")
                            asked[request] = alert.incident_id
                    case SectionChanged():
                        write(section=event.section_id, state=event.state.value)
                    case Answered():
                        write(acknowledged=asked.get(event.request), accepted=event.accepted)
                    case Gap():
                        write(gap=[event.first_missing, event.last_missing])


if __name__ == "__main__":
    main(*sys.argv[1:])
