"""The publishing process of benchmarks/delivery.py: it does what it is told over a pipe."""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

from railwatch.core.alerts import SectionState
from railwatch.messaging.guard import Guard
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.journal import Journal
from railwatch.messaging.keys import KeyStore
from railwatch.messaging.outlet import JournaledPublisher
from railwatch.messaging.wire import encode_alert
from tests.messaging.rig import make_alert

BODY = StatusBody({"s1": SectionState.OCCUPIED})
WHY = "a person stands on the track for {} ns and this sentence is as long as a real one"


def hub(pipe: Connection, folder: str, keys: str) -> None:
    """JournaledPublisher with CURVE."""
    journal = Journal.open(Path(folder) / "j.db")
    with zmq.Context() as context, Guard(context, KeyStore(Path(keys))) as guard:
        publisher = JournaledPublisher(
            journal, site_id="yard", body=BODY, on_trouble=lambda *told: print("   trouble:", told),
            bind="tcp://127.0.0.1:*", guard=guard,
        )  # fmt: skip
        sent = 0

        def send() -> None:
            nonlocal sent
            sent += 1
            publisher.publish(make_alert(sent, epoch=journal.epoch, why=WHY.format(time.monotonic_ns())))
            publisher.set_status(BODY)

        pipe.send((publisher.endpoint, publisher.request_endpoint))
        obey(pipe, send)
        publisher.close()


def bare(pipe: Connection) -> None:
    """The same alerts from a PUB socket, without journal, keys, Status or checks."""
    with zmq.Context() as context, context.socket(zmq.PUB) as pub:
        pub.setsockopt(zmq.LINGER, 0)
        pub.bind("tcp://127.0.0.1:*")
        alert = make_alert(1)
        sent = 0

        def send() -> None:
            nonlocal sent
            sent += 1
            text = WHY.format(time.monotonic_ns()).encode()
            payload = encode_alert(alert).replace(b'"why":""', b'"why":"' + text + b'"')
            pub.send_multipart([b"alert/yard/s1", payload])

        pipe.send((pub.getsockopt_string(zmq.LAST_ENDPOINT), ""))
        obey(pipe, send)


def obey(pipe: Connection, send) -> None:  # noqa: ANN001 - a function
    """Send so many alerts at so many a second (0: as fast as it goes), answer with the resident memory."""
    never = threading.Event()
    while (order := pipe.recv()) is not None:
        count, rate = order
        begun_s = time.monotonic()
        for number in range(count):
            if rate:
                never.wait(max(0.0, begun_s + number / rate - time.monotonic()))
            send()
        pipe.send(resident_bytes())


def resident_bytes() -> int:
    """Resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
