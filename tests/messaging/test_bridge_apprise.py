"""Messages to people: each alert while that is bearable, one summary of what is old."""

from __future__ import annotations

import time

import apprise
import pytest

from railwatch.core.alerts import Action, Severity
from railwatch.core.errors import ConfigError
from railwatch.messaging.bridge import Pace, SinkError
from railwatch.messaging.bridge_apprise import AppriseSink
from railwatch.messaging.bridge_digest import MAX_LINES, MAX_OPEN
from railwatch.messaging.bridge_settings import AppriseSettings
from railwatch.messaging.events import AlertReceived
from tests.messaging.bridge_rig import feeding, hub, wait
from tests.messaging.rig import make_alert


class Service(apprise.NotifyBase):
    """A service in memory; `broken` refuses, a number of `broken` so many times."""

    app_id = "kept"
    kept, broken = [], 0

    def send(self, body, title="", **_):
        if Service.broken:
            Service.broken -= 1
            return False
        Service.kept.append((title, body))
        return True


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(Service, "kept", [])
    monkeypatch.setattr(Service, "broken", 0)
    return Service.kept


def turn(made):
    made.turn({})
    return made.confirmed()


def sink(clock=None, **changes):
    settings = AppriseSettings(**{"name": "chat", "url": "json://127.0.0.1/t0ken", **changes})
    made = AppriseSink(settings, clock or Clock())
    made._service = apprise.Apprise()
    made._service.add(Service())
    made.open()
    return made


def event(seq, *, replayed=False, **changes):
    return AlertReceived(make_alert(seq, alert_id=f"a{seq}", **changes), b"{}", replayed)


def test_a_live_alert_is_one_message_in_words(kept):
    made = sink()
    alert = event(1, why="2 persons on the track", margin_s=12.4, severity=Severity.EMERGENCY)
    made.take(alert)
    assert turn(made) is alert
    assert turn(made) is None
    assert kept[0][0] == "EMERGENCY OPENED: yard s1"
    assert "2 persons on the track\nmargin 12 s" in kept[0][1]


def test_what_is_below_the_severity_or_only_updated_is_left_out_but_done(kept):
    made = sink()
    for alert in (event(1, severity=Severity.NOTICE), event(2, action=Action.UPDATED)):
        made.take(alert)
        assert turn(made) is alert
    assert kept == []


def test_ten_thousand_old_alerts_are_one_summary(kept):
    clock = Clock()
    made = sink(clock)
    for seq in range(1, 10_001):
        action = Action.OPENED if seq % 2 else Action.CLOSED
        made.take(event(seq, replayed=True, incident_id=f"i{(seq + 1) // 2}", action=action))
        made.turn({})
    clock.now_s += 2.0
    confirmed = turn(made)
    assert confirmed.alert.seq == 10_000
    assert 1 <= len(kept) <= 10
    assert sum(int(text.split(" alerts in all")[0]) for _, text in kept if "alerts in all" in text) >= 9_990
    assert all(text.count("\n") <= MAX_LINES + 1 for _, text in kept)


def test_an_old_alert_whose_incident_is_open_is_a_message_of_its_own(kept):
    clock = Clock()
    made = sink(clock)
    made.take(event(1, replayed=True, incident_id="old"))
    made.take(event(2, replayed=True, incident_id="old", action=Action.CLOSED))
    made.take(event(3, replayed=True, incident_id="new", severity=Severity.EMERGENCY))
    assert turn(made) is None
    clock.now_s += 2.0
    assert turn(made).alert.seq == 3
    assert [title for title, _ in kept] == [
        "EMERGENCY OPENED: yard s1",
        "yard: 1 incidents while nobody could be told, at worst WARNING",
    ]
    assert kept[0][1].startswith("(late) ")


def test_too_many_a_minute_become_a_summary_but_an_emergency_never_waits(kept):
    clock = Clock()
    made = sink(clock, max_per_minute=3)
    for seq in range(1, 11):
        made.take(event(seq, incident_id=f"i{seq}"))
    assert len(kept) == 3
    made.take(event(11, incident_id="worse", severity=Severity.EMERGENCY))
    assert len(kept) == 4
    confirmed = turn(made)
    assert confirmed is None or confirmed.alert.seq == 3
    clock.now_s += 61.0
    assert turn(made).alert.seq == 11
    assert len(kept) == 4 + MAX_OPEN + 1


def test_a_service_that_fails_is_tried_again_until_it_takes_the_message(tmp_path, kept):
    Service.broken = 2
    with hub(tmp_path) as site:
        made = sink(time.monotonic)
        said = []
        with feeding(site, made, tmp_path, said):
            site.alert()
            wait(lambda: kept)
    assert "the service did not take a message" in said[0]
    assert not any("t0ken" in line for line in said)


def test_whatever_a_service_raises_is_told_without_its_text():
    class Raising:
        def notify(self, **_):
            raise RuntimeError("https://service.example/t0ken")

    made = sink()
    made._service = Raising()
    with pytest.raises(SinkError) as caught:
        made.take(event(1))
    assert str(caught.value) == "the service failed (RuntimeError)"
    assert caught.value.__suppress_context__


def test_an_address_that_nobody_knows_is_refused_without_showing_it():
    with pytest.raises(ConfigError) as caught:
        AppriseSink(AppriseSettings("chat", "nonsense://t0ken"))
    assert "t0ken" not in str(caught.value)


def test_a_pace_is_at_most_so_many_in_any_minute():
    clock = Clock()
    pace = Pace(2, clock)
    pace.count()
    clock.now_s = 30.0
    pace.count()
    assert not pace.free()
    clock.now_s = 61.0
    assert pace.free()
