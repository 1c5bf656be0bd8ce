from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from railwatch.app.decider import Decider
from railwatch.app.record import Recorder, RecordHeader, read_record, site_to_mapping
from railwatch.app.replay import replay_file
from railwatch.app.watch_output import alert_line
from railwatch.config import site_from_mapping
from railwatch.core.errors import RecordError
from railwatch.decision.inputs import Stamped, Tick, WorkerLost
from railwatch.decision.step import start
from tests.scenario import EPOCH, ON_TRACK, observation, site, track
from tests.strategies import observations

SITE = site()
HEADER = RecordHeader(EPOCH, "f" * 64, 0.0, site_to_mapping(SITE))
inputs = st.one_of(observations(), st.builds(Tick, st.floats(0.0, 100.0)), st.just(WorkerLost(("cam",), "gone")))


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
        (json.dumps(GOOD_HEADER) + '\n{"received_at":"","received_s":1,"tick":{}}\n', "line 2: an input must be"),
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
