"""What the socket tests share: alerts, a publisher on free ports, and waiting for an event."""

from __future__ import annotations

import time

from railwatch.core.alerts import Action, Alert, AlertKind, Epoch, SectionState, Severity
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.publisher import Publisher

CLEAR, OCCUPIED, UNKNOWN = SectionState.CLEAR, SectionState.OCCUPIED, SectionState.UNKNOWN
EPOCH = Epoch("j", 1)


def make_alert(seq, **changes):
    """An intrusion OPENED in section s1 of the site yard."""
    values = {
        "site_id": "yard",
        "epoch": EPOCH,
        "seq": seq,
        "alert_id": f"a{seq}",
        "kind": AlertKind.INTRUSION,
        "action": Action.OPENED,
        "severity": Severity.WARNING,
        "incident_id": "i1",
        "section_id": "s1",
        "camera_id": None,
        "zone_id": None,
        "objects": (),
        "why": "",
        "margin_s": None,
        "captured_at": "",
        "published_at": "",
        "config_rev": "",
        "model_sha256": "",
    }
    return Alert(**{**values, **changes})


def publisher(**options):
    """A publisher of the site yard, on ports that the system chooses."""
    defaults = {"site_id": "yard", "epoch": EPOCH, "body": StatusBody({"s1": UNKNOWN}), "bind": "tcp://127.0.0.1:*"}
    return Publisher(**{**defaults, **options})


def until(client, accept, publishing=None, body=None, timeout_s=30.0):
    """Events of a client up to the first that is accepted; meanwhile a publisher is told that its hub still decides."""
    events = []
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if publishing is not None and body is not None:
            publishing.set_status(body)
        events += client.poll(0.02)
        if any(accept(event) for event in events):
            return events
    raise AssertionError(f"never came; events were {events}")
