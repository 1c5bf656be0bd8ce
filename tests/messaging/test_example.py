"""examples/subscriber.py, run as it stands."""

from __future__ import annotations

import subprocess
import sys

from railwatch.messaging.heartbeat import StatusBody
from tests.messaging.rig import CLEAR, OCCUPIED, make_alert, publisher


def test_the_subscriber_of_twenty_lines_prints_alerts_and_obeys_the_nonce_rule(root):
    with publisher(lease_s=2.0) as publishing:
        command = [sys.executable, str(root / "examples" / "subscriber.py")]
        command += [publishing.endpoint, publishing.request_endpoint]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert publishing.wait_subscribers(1, 60)
                publishing.set_status(StatusBody({"s1": OCCUPIED}))
                publishing.publish(make_alert(1))
                seen = ""
                while "ALERT 1 WARNING OPENED s1" not in seen:
                    seen += process.stdout.readline()
                publishing.set_status(StatusBody({"s1": CLEAR}))
                while "SECTIONS {'s1': 'CLEAR'}" not in seen:
                    publishing.set_status(StatusBody({"s1": CLEAR}))
                    seen += process.stdout.readline()
                publishing.close()
                while process.stdout.readline() != "SECTIONS {'s1': 'UNKNOWN'}\n":
                    pass
            finally:
                process.kill()
