from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from railwatch.app.decider import Decider
from railwatch.app.record import Recorder, RecordHeader, read_record
from railwatch.app.record_site import site_to_mapping
from railwatch.app.replay import replay_file
from railwatch.app.watch_output import alert_line
from railwatch.config import site_from_mapping
from railwatch.core.alerts import AckLevel, Epoch, RestoredIncident, Severity
from railwatch.core.errors import RecordError
from railwatch.core.escalation import EscalationGroup, EscalationRule, EscalationSettings
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.types import TrainReport
from railwatch.decision.inputs import (
    Acknowledge,
    ConfigChange,
    Consumers,
    Hours,
    Possession,
    Stamped,
    SystemFault,
    Tick,
    WorkerLost,
)
from railwatch.decision.step import start
from tests.scenario import EPOCH, ON_TRACK, observation, site, track
from tests.strategies import observations

SITE = site()
HEADER = RecordHeader(EPOCH, "f" * 64, 0.0, site_to_mapping(SITE))
LADDER = EscalationSettings(
    (EscalationGroup("desk", ("desk",)), EscalationGroup("boss", required=False)),
    (EscalationRule(Severity.WARNING, AckLevel.ACKNOWLEDGED, 2.0),),
)
ASKING = replace(SITE, escalation=LADDER)
WITHOUT_SECRETS = site_from_mapping(site_to_mapping(ASKING), Path())
inputs = st.one_of(
    observations(),
    st.builds(Tick, st.floats(0.0, 100.0)),
    st.just(WorkerLost(("cam",), "gone")),
    st.builds(Acknowledge, st.just("i1"), st.sampled_from(AckLevel), st.just("Anna"), st.none() | st.just("desk")),
    st.builds(SystemFault, st.just("journal"), st.none() | st.text(max_size=10)),
    st.builds(Consumers, st.lists(st.text(max_size=5), max_size=3).map(tuple)),
    st.just(ConfigChange(WITHOUT_SECRETS)),
    st.just(TrainReport("t1", "east", None, 100.0, 20.5, "feed", 3, 0.25, authoritative=True)),
    st.just(Possession("t1", "Anna", 60.0)),
    st.builds(
        Annotation,
        st.just("cam"),
        st.just(1),
        st.integers(1, 9),
        st.floats(0.0, 9.0),
        st.none() | st.just("Aves"),
        st.floats(0.0, 1.0),
    ),
    st.builds(Hours, st.none() | st.lists(st.text(max_size=5), max_size=3).map(tuple), st.floats(0.0, 60.0)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.builds(Stamped, st.floats(0.0, 100.0), st.text(max_size=10), inputs), max_size=5))
def test_inputs_survive_the_file(tmp_path, stamped):
    path = tmp_path / "inputs.jsonl"
    with Recorder(path, HEADER) as recorder:
        for item in stamped:
            recorder.write(item)
    header, read = read_record(path)
    assert header == HEADER
    assert list(read) == stamped


def test_the_recorded_site_decides_like_the_first(tmp_path):
    assert site_from_mapping(HEADER.site, tmp_path).config_rev == SITE.config_rev


def test_a_recorded_second_look_decides_like_the_first(tmp_path):
    keen = replace(SITE, second_look=SecondLookSettings("/somewhere/c.onnx", "a" * 64, 0.5, ("Aves",), 1.5))
    again = site_from_mapping(site_to_mapping(keen), tmp_path)
    assert again.config_rev == keen.config_rev
    assert again.second_look == replace(keen.second_look, file=str(tmp_path / "recorded"))


def test_a_replay_gives_the_same_alerts_byte_for_byte(tmp_path: Path):
    path, lines = tmp_path / "inputs.jsonl", []
    clock = iter(f"2026-01-01T00:00:{n / 100:06.3f}Z" for n in range(10_000))
    with Recorder(path, HEADER) as recorder:
        decider = Decider(
            start(SITE, EPOCH, "f" * 64, 0.0),
            lambda: next(clock),
            lambda alert, t_s: lines.append(alert_line(alert, t_s)),
            lambda _: None,
            recorder,
        )
        for number in range(80):
            present = [track(ON_TRACK, t_s=number / 10)] if 10 <= number < 30 or number > 60 else []
            decider.feed_on_source_time(observation(number / 10, *present))
        decider.feed(WorkerLost(("cam",), "the file broke"), 8.0)
    again: list[str] = []
    state, count = replay_file(path, None, lambda alert, t_s: again.append(alert_line(alert, t_s)))
    assert again == lines
    assert len(lines) == 4
    assert state.incidents == decider.state.incidents
    assert state.cameras == decider.state.cameras
    assert count == 80 + 7 + 1  # observations, a tick each full second, the loss


def test_a_recording_that_began_with_open_incidents_replays_with_them(tmp_path):
    lines, opened = [], []
    first = Decider(start(ASKING, EPOCH, "f" * 64, 0.0), str, lambda alert, _: opened.append(alert), lambda _: None)
    for number in range(10):
        first.feed(observation(number / 10, track(ON_TRACK)), number / 10)
    restored = tuple(RestoredIncident(alert, alert.published_at, alert.level) for alert in opened)
    later = Epoch("test", 2)
    path = tmp_path / "inputs.jsonl"
    header = RecordHeader(later, "f" * 64, 50.0, site_to_mapping(ASKING), restored)
    with Recorder(path, header) as recorder:
        decider = Decider(
            start(ASKING, later, "f" * 64, 50.0, restored),
            str,
            lambda alert, t_s: lines.append(alert_line(alert, t_s)),
            lambda _: None,
            recorder,
        )
        decider.feed(Acknowledge(opened[0].incident_id, AckLevel.ACKNOWLEDGED, "Anna", "desk"), 50.1)
        decider.feed(SystemFault("journal", "the disk is full"), 50.2)
        decider.feed(ConfigChange(replace(ASKING, severity_without_trains=Severity.EMERGENCY)), 50.3)
        for number in range(30):
            decider.feed(observation(number / 10, track(ON_TRACK)), 51.0 + number / 10)
    again: list[str] = []
    replay_file(path, None, lambda alert, t_s: again.append(alert_line(alert, t_s)))
    assert read_record(path)[0] == header
    assert again == lines
    told = [(document["kind"], document["action"], document["severity"]) for document in map(json.loads, lines)]
    assert told == [
        ("INTRUSION", "ACKNOWLEDGED", "WARNING"),
        ("SYSTEM", "OPENED", "WARNING"),
        ("INTRUSION", "ESCALATED", "EMERGENCY"),  # it worsened
        ("SYSTEM", "ESCALATED", "WARNING"),  # nobody acknowledged the fault,
        ("INTRUSION", "ESCALATED", "EMERGENCY"),  # nor what is on the track as it is now
    ]
    ours = {document["incident_id"] for document in map(json.loads, lines) if document["kind"] == "INTRUSION"}
    assert ours == {opened[0].incident_id}


def test_a_hole_in_a_recording_lets_every_group_be_told():
    alerts = []
    decider = Decider(start(ASKING, EPOCH, "f" * 64, 0.0), str, lambda alert, _: alerts.append(alert), lambda _: None)
    for number in range(10):
        decider.feed_on_source_time(observation(number / 10, track(ON_TRACK)))
    decider.feed_on_source_time(observation(1e9, track(ON_TRACK)))
    assert {alert.fault for alert in alerts} == {None, "ack:unanswered", "ack:unreceived"}
    assert ("desk", "boss") in [alert.addressed_to for alert in alerts if alert.kind.value == "INTRUSION"]


def test_another_site_file_judges_a_recording_anew(tmp_path, root):
    path = tmp_path / "inputs.jsonl"
    with Recorder(path, HEADER) as recorder:
        recorder.write(Stamped(0.0, "", observation(0.0, camera_id="cam")))
    with pytest.raises(RecordError, match="line 2: camera_id must be one of"):
        replay_file(path, root / "examples" / "site.yaml", lambda *_: None)


GOOD_HEADER = {
    "record_version": 1,
    "epoch": "j.1",
    "model_sha256": "0" * 64,
    "started_s": 0.0,
    "site": {},
    "restored": [],
}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{}\n", "line 1: must be the header"),
        ("nonsense\n", "line 1: a message must be JSON"),
        (json.dumps({**GOOD_HEADER, "record_version": 9}) + "\n", "version 1"),
        (json.dumps({k: v for k, v in GOOD_HEADER.items() if k != "epoch"}) + "\n", "lacks 'epoch'"),
        (json.dumps({**GOOD_HEADER, "epoch": "x"}) + "\n", "epoch must be"),
        (json.dumps({**GOOD_HEADER, "site": 1}) + "\n", "wrong types"),
        (json.dumps(GOOD_HEADER) + "\n{}\n", "line 2: must be an input"),
        (json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":"1"}\n', "line 2: received_s must be a number"),
        (json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":1,"tick":{}}\n', "line 2: key 'now_s' is"),
        (
            json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":1,"tock":{}}\n',
            "line 2: an input must be one of",
        ),
        (json.dumps({k: v for k, v in GOOD_HEADER.items() if k != "restored"}) + "\n", "lacks 'restored'"),
        (json.dumps({**GOOD_HEADER, "restored": [1]}) + "\n", "restored.0. must be"),
        (
            json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":1,"config_change":{}}\n',
            "line 2: the site must be a site file",
        ),
        (
            json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":1,"tick":{"now_s":1}}',
            "line 2: the recording is",
        ),
        (json.dumps(GOOD_HEADER) + "\n" + "x" * 600_000 + "\n", "line 2: a line must be at most"),
        (
            json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":1,"observation":{}}\n',
            "line 2: observation must",
        ),
    ],
)
def test_a_faulty_recording_is_told_by_line(tmp_path, text, words):
    path = tmp_path / "inputs.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError, match=words):
        list(read_record(path)[1])


def test_missing_and_unwritable_files_are_told(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        read_record(tmp_path / "none")
    with pytest.raises(RecordError, match="cannot be written"):
        Recorder(tmp_path / "none" / "inputs.jsonl", HEADER)


def test_a_full_disk_is_told():
    with pytest.raises(RecordError, match="No space left"):
        Recorder(Path("/dev/full"), HEADER)
