"""How a worker process comes to its keys, and how it ends: the part of a worker that is about processes."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import threading
from typing import Final

import zmq

from railwatch.app.parent import die_with_parent
from railwatch.app.sources import open_live_source
from railwatch.app.worker import OpenCamera, OpenDetector, Worker
from railwatch.core.errors import RailwatchError
from railwatch.core.packets import PacketSink
from railwatch.core.settings import CameraSettings, ModelSettings
from railwatch.core.types import Detector
from railwatch.perception.source import Source
from railwatch.seam.greeting import Hello
from railwatch.seam.handover import MAX_HANDOVER_BYTES, decode_handover
from railwatch.seam.sockets import PROTOCOL, WorkerSocket, client_keys

_STDIN: Final = 0
_END_WITHIN_S: Final = 3.0


def start(open_detector: OpenDetector | None = None, open_live: OpenCamera | None = None) -> int:
    """Run the worker that a hub starts; returns the exit code. Reads the handover from standard input.

    `open_detector` and `open_live` take the place of the real ones (tests of this project and of users).
    """
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the hub, which ends its workers in order
    try:
        handover = decode_handover(_first_line())
        hello = Hello(PROTOCOL, handover.worker_group, secrets.token_hex(8), handover.token, os.getpid())
        keys = client_keys(*(key.encode() for key in (handover.server_key, handover.public_key, handover.secret_key)))
        with zmq.Context() as context:
            link = WorkerSocket(context, handover.endpoint, hello.instance.encode(), keys)
            try:
                worker = Worker(link, hello, open_detector or open_site_detector, open_live or open_site_source)
                signal.signal(signal.SIGTERM, lambda *_: worker.stop())
                threading.Thread(target=_watch_hub, args=(worker,), name="hub-is-there", daemon=True).start()
                worker.run()
            finally:
                link.close(200)
    except RailwatchError as error:
        sys.stderr.write(f"railwatch: {' '.join(str(error).split())}\n")
        return error.exit_code
    return 0


def open_site_detector(model: ModelSettings) -> Detector:
    """The detector on ONNX Runtime, on the provider asked for, pinned and warmed up."""
    from pathlib import Path

    from railwatch.perception.detector import open_detector

    return open_detector(
        Path(model.file),
        confidence=model.confidence,
        provider=model.provider,
        threads=model.threads,
        sha256=model.sha256,
        say=_say,
    )


def open_site_source(camera: CameraSettings, loop: bool, stop: threading.Event, sink: PacketSink) -> Source:
    """The source of a camera, live, with its packets to `sink`; a recording at its own speed, again if `loop`."""
    return open_live_source(camera, loop=loop, stop=stop, sink=sink, say=_say)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _first_line() -> bytes:
    """Byte by byte, straight from the descriptor: a buffer would take what a later read waits for."""
    line = b""
    while len(line) <= MAX_HANDOVER_BYTES and not line.endswith(b"\n"):
        byte = os.read(_STDIN, 1)
        if not byte:
            break
        line += byte
    return line


def _watch_hub(worker: Worker) -> None:
    """Standard input ends when the hub does, also when it is killed: then this process has no reason to be."""
    with contextlib.suppress(OSError):
        while os.read(_STDIN, 4096):
            pass
    worker.stop()
    threading.Event().wait(_END_WITHIN_S)
    os._exit(1)  # it hangs in a native call
