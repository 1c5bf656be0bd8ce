"""Throughput and latency from alert to subscriber, with journal and CURVE, beside bare PUB/SUB; replay; bad readers.

    python benchmarks/delivery.py [--only rates|away|frozen|stalled]

The hub is a process of its own, all subscribers are sockets of another. `rates`: bursts of 900 alerts (median of 5),
and 200 alerts at 50 a second, for 1, 10 and 100 subscribers. `away`: a client misses 10,000 alerts. `frozen`: a client
does not read for 5 s. `stalled`: 100 subscribers of which 10 never read, 2,000 alerts at 100 a second.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from benchmarks.delivery_hub import bare, hub
from railwatch.messaging.client import Client
from railwatch.messaging.events import AlertReceived, Gap, OpenIncidents, StatusReceived
from railwatch.messaging.keys import ClientKeys, KeyStore, Role

STAMP = re.compile(rb"for (\d+) ns")
BURST = 900


class Readers:
    """So many bare SUB sockets, read by one thread; `stalled` more are connected and never read."""

    def __init__(self, endpoint: str, keys: ClientKeys | None, count: int, stalled: int = 0) -> None:
        self.context, self.poller = zmq.Context(), zmq.Poller()
        self.received = [0] * count
        self.delays_s: list[float] = []
        self.number = {}
        for index in range(count + stalled):
            sub = self.context.socket(zmq.SUB)
            sub.setsockopt(zmq.LINGER, 0)
            if keys is not None:
                keys.apply(sub)
            sub.connect(endpoint)
            sub.subscribe(b"alert/")
            if index < count:
                self.poller.register(sub, zmq.POLLIN)
                self.number[sub] = index

    def read(self, until_count: int, timeout_s: float = 60.0) -> None:
        """Read until everybody has so many alerts."""
        deadline_s = time.monotonic() + timeout_s
        while min(self.received) < until_count and time.monotonic() < deadline_s:
            for sub, _ in self.poller.poll(100):
                while True:
                    try:
                        payload = sub.recv_multipart(zmq.NOBLOCK)[1]
                    except zmq.Again:
                        break
                    self.delays_s.append((time.monotonic_ns() - int(STAMP.search(payload)[1])) / 1e9)
                    self.received[self.number[sub]] += 1

    def close(self) -> None:
        """Close all sockets."""
        self.context.destroy(linger=0)


@contextmanager
def process(target, *arguments) -> Iterator[tuple[object, tuple[str, str]]]:  # noqa: ANN001, ANN002
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    running = context.Process(target=target, args=(theirs, *arguments))
    running.start()
    try:
        yield ours, ours.recv()
        ours.send(None)
        running.join(30)
    finally:
        running.kill()


def joined(pipe, readers: Readers) -> None:  # noqa: ANN001
    """Send single alerts until everybody has one, so that the slowest to join is there; then begin to count anew."""
    while min(readers.received) == 0:
        pipe.send((1, 0))
        pipe.recv()
        readers.read(1, timeout_s=0.5)
    readers.read(10**9, timeout_s=0.5)
    readers.received = [0] * len(readers.received)
    readers.delays_s.clear()


def rate_of(name: str, pipe, readers: Readers) -> None:  # noqa: ANN001
    joined(pipe, readers)
    took_s = []
    for turn in range(1, 6):
        begun_s = time.monotonic()
        pipe.send((BURST, 0))
        readers.read(BURST * turn)
        took_s.append(time.monotonic() - begun_s)
        pipe.recv()
    complete = min(readers.received) == 5 * BURST
    readers.delays_s.clear()
    pipe.send((200, 50))
    readers.read(5 * BURST + 200)
    pipe.recv()
    delays_ms = sorted(1000 * delay for delay in readers.delays_s)
    p50, p99 = statistics.median(delays_ms), delays_ms[int(0.99 * len(delays_ms))]
    rate = BURST / statistics.median(took_s)
    whole = "complete" if complete else f"INCOMPLETE {min(readers.received)}"
    count = len(readers.received)
    print(f"{count:4} subscribers  {name:14} {rate:7.0f} alerts/s  p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  {whole}")


def rates(folder: Path, keys: ClientKeys) -> None:
    for count in (1, 10, 100):
        for name, target, arguments, mine in (
            ("journal, CURVE", hub, (str(folder / f"r{count}"), str(folder / "keys")), keys),
            ("bare PUB/SUB", bare, (), None),
        ):
            with process(target, *arguments) as (pipe, (endpoint, _)):
                readers = Readers(endpoint, mine, count)
                rate_of(name, pipe, readers)
                readers.close()


def handed(client: Client, last: int, timeout_s: float = 60.0) -> tuple[list[int], list[object]]:
    """Numbers of the alerts handed over up to `last`, and what else was told."""
    seqs, others = [], []
    deadline_s = time.monotonic() + timeout_s
    while (not seqs or seqs[-1] < last) and time.monotonic() < deadline_s:
        for event in client.poll(0.1):
            if isinstance(event, AlertReceived):
                seqs.append(event.alert.seq)
            elif isinstance(event, OpenIncidents | Gap):
                others.append(event)
    return seqs, others


def away(folder: Path, keys: ClientKeys) -> None:
    """A client with a position file is gone for 10,000 alerts."""
    with process(hub, str(folder / "away"), str(folder / "keys")) as (pipe, endpoints):
        position = folder / "position"
        with Client(*endpoints, keys=keys, position=position) as client:
            while not any(isinstance(event, StatusReceived) for event in client.poll(1.0)):
                pass
        pipe.send((10_000, 0))
        pipe.recv()
        for turn in range(3):
            begun_s, begun_cpu_s = time.monotonic(), time.process_time()
            with Client(*endpoints, keys=keys, position=position) as client:
                seqs, others = handed(client, 10_000)
            took_s, cpu_s = time.monotonic() - begun_s, time.process_time() - begun_cpu_s
            good = seqs == list(range(1, 10_001))
            told = [type(event).__name__ for event in others]
            print(
                f"away for 10,000 alerts, turn {turn + 1}: {took_s:.2f} s ({cpu_s:.2f} s of processor), "
                f"complete and in order: {good}, told {told}"
            )


def frozen(folder: Path, keys: ClientKeys) -> None:
    """A client reads nothing for 5 s while 7,500 alerts go out."""
    with process(hub, str(folder / "frozen"), str(folder / "keys")) as (pipe, endpoints):
        with Client(*endpoints, keys=keys) as client:
            while not any(isinstance(event, StatusReceived) for event in client.poll(1.0)):
                pass
            begun_s = time.monotonic()
            pipe.send((7_500, 1_500))
            pipe.recv()
            frozen_s = time.monotonic() - begun_s
            begun_s = time.monotonic()
            seqs, others = handed(client, 7_500)
            good = seqs == list(range(1, 7_501))
            gaps = sum(isinstance(event, Gap) for event in others)
            took_s = time.monotonic() - begun_s
        print(
            f"frozen {frozen_s:.1f} s for 7,500 alerts: complete and in order: {good}, {gaps} gaps, in {took_s:.2f} s"
        )


def stalled(folder: Path, keys: ClientKeys) -> None:
    with process(hub, str(folder / "stalled"), str(folder / "keys")) as (pipe, (endpoint, _)):
        readers = Readers(endpoint, keys, 90, stalled=10)
        joined(pipe, readers)
        pipe.send((1, 0))
        before = pipe.recv()
        pipe.send((2_000, 100))
        readers.read(2_001)
        grown = pipe.recv() - before
        delays_ms = sorted(1000 * delay for delay in readers.delays_s)
        p50, p99 = statistics.median(delays_ms), delays_ms[int(0.99 * len(delays_ms))]
        print(
            f"100 subscribers, 10 never read: the other 90 have {min(readers.received)} of 2001, p50 {p50:.1f} ms, "
            f"p99 {p99:.1f} ms, worst {delays_ms[-1]:.0f} ms; hub grew by {grown / 1e6:.1f} MB"
        )
        readers.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["rates", "away", "frozen", "stalled"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys = ClientKeys.load(KeyStore(folder / "keys").new("bench", Role.SUBSCRIBER))
        for measure in (away, frozen, stalled, rates):
            if options.only in (None, measure.__name__):
                measure(folder, keys)


if __name__ == "__main__":
    main()
