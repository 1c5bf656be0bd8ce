"""Packets of a real RTSP camera are lost and changed: is any picture looked at that builds on the damage?

    PYTHONPATH=. python tests/integration/camera_damage.py [SECONDS]

Needs GStreamer's RTSP server. A person comes and goes on the line; one picture of 40 loses a packet, or all, or has
some bytes changed, over TCP and over UDP. The camera tells which; the recording of the inputs tells what was looked at.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from railwatch.core.alerts import AlertKind
from railwatch.messaging.events import AlertReceived
from tests.integration.camera_latency import watch_coming
from tests.rtsp_rig import why_no_camera

FPS, HARM = 25, "lost+gone+flipped:40"


def tainted(log):
    """Numbers of the pictures that build on damage, and how many were harmed, by the camera's own log."""
    found, harmed, bad = set(), 0, False
    for line in log.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) < 5:
            continue
        number, key, harm = int(words[0]), words[3] == "K", words[4] != "-"
        harmed += harm
        bad = harm or (bad and not key)
        if bad:
            found.add(number)
    return found, harmed


def run(transport, seconds):
    """Figures of one transport: pictures that were looked at, of those tainted ones, and what was told of people."""
    with tempfile.TemporaryDirectory() as text:
        events, seen, log, _ = watch_coming(Path(text), FPS, seconds, harm=HARM, transport=transport)
        alerts = [event.alert for _, event in events if isinstance(event, AlertReceived)]
        told = [alert for alert in alerts if alert.kind is AlertKind.INTRUSION]
        bad, harmed = tainted(log)
        looked_at = {item.captured_at: round(item.pts_s * FPS) for item in seen}
        return {
            "transport": transport,
            "pictures": len(seen),
            "harmed": harmed,
            "tainted": len(bad),
            "tainted_looked_at": sum(number in bad for number in looked_at.values()),
            "told": len(told),
            "told_from_tainted": sum(looked_at.get(alert.captured_at) in bad for alert in told),
        }


def main():
    """Both transports; a line of JSON each."""
    if reason := why_no_camera():
        sys.exit(reason)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    for transport in ("tcp", "udp"):
        sys.stdout.write(json.dumps(run(transport, seconds)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
