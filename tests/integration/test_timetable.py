"""A timetable at a running hub: between trains, at a train, and when its file is gone."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta

from railwatch.core.alerts import AlertKind, Severity
from railwatch.messaging.events import AlertReceived
from tests.hub_rig import Follower, RunningHub, wait_until, write_site

SOURCE = """\
train_sources:
  - source_id: table
    max_age_s: 3
    timetable: {file: FILE, time_zone: UTC}
"""


def timetable(folder, name, hours_ahead):
    at = datetime.now(UTC) + timedelta(hours=hours_ahead)
    (folder / name).write_text(f"rail_track_id,direction,time\nup,east,{at:%H:%M}\n", encoding="utf-8")


def told(client, kind):
    alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
    return [alert for alert in alerts if alert.kind is kind]


def wait_severity(client, severity, words):
    def so():
        alerts = told(client, AlertKind.INTRUSION)
        return bool(alerts) and alerts[-1].severity is severity and words in alerts[-1].why

    wait_until(so, 60.0, f"{severity} {words}")


def test_the_severity_follows_the_timetable_and_a_file_that_is_gone_is_a_train(tmp_path):
    site = write_site(tmp_path, persons=(True,) * 20)
    base = site.read_text(encoding="utf-8").replace("kind: track", "rail_track_id: up, kind: track")
    timetable(tmp_path, "far.csv", 12)
    timetable(tmp_path, "near.csv", 0)

    def use(name):
        site.write_text(base + SOURCE.replace("FILE", name), encoding="utf-8")

    use("far.csv")
    with RunningHub(site) as hub, Follower(hub.endpoint) as client:
        wait_severity(client, Severity.WARNING, "table knows of no train, but does not vouch")
        use("near.csv")
        hub.send(signal.SIGHUP)
        wait_severity(client, Severity.EMERGENCY, "train now (table)")
        use("far.csv")
        hub.send(signal.SIGHUP)
        wait_severity(client, Severity.WARNING, "table knows of no train")
        use("gone.csv")
        hub.send(signal.SIGHUP)
        wait_severity(client, Severity.EMERGENCY, "the last report of table is")
        assert any("its file cannot be read" in alert.why for alert in told(client, AlertKind.SYSTEM))
