from __future__ import annotations

import json
from dataclasses import replace

import pytest

from railwatch.app.explain import ExplainOptions, explain
from railwatch.app.explain_text import lines_of
from railwatch.app.explain_time import parse_time
from railwatch.app.record import read_record
from railwatch.core.errors import ConfigError, RecordError
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import ZoneKind
from railwatch.decision.step import start, step
from tests.app.explain_rig import INCIDENT, SITE, ZONES, at, history, seen, write
from tests.scenario import band, site, track


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return write(tmp_path_factory.mktemp("record") / "inputs.jsonl", history())


def asked(record, text, **options):
    return explain(ExplainOptions(record, at=parse_time(text), **options))


def told(found):
    return "\n".join(lines_of(found.documents()))


@pytest.mark.parametrize("name", [INCIDENT, "i1"])
def test_an_incident_is_told_from_a_second_before_it_opened_to_its_end(record, name):
    found = explain(ExplainOptions(record, name))
    times = [frame["t_s"] for frame in found.frames]
    assert (times[0], times[-1]) == (1.2, pytest.approx(4.9, abs=0.11))
    assert found.header["incident"]["opened_at"] == at(2.2)
    assert found.header["incident"]["worst"] == "EMERGENCY"
    actions = [said["action"] for frame in found.frames for said in frame["told"]]
    assert actions == ["OPENED", "ESCALATED", "CLOSED"]
    assert found.notes == []


def test_the_frames_hold_what_the_decision_knew(record):
    found = explain(ExplainOptions(record, "i1"))
    header, inputs = read_record(record)
    state = start(SITE, header.epoch, header.model_sha256, header.started_s)
    severities = []
    for stamped in inputs:
        state, _ = step(state, stamped)
        open_now = [incident.severity.value for incident in state.incidents.values()]
        severities.append((round(stamped.received_s - header.started_s, 3), open_now[0] if open_now else None))
    explained = [(frame["t_s"], frame["section"]["severity"]) for frame in found.frames]
    assert explained == [item for item in severities if explained[0][0] <= item[0] <= explained[-1][0]]
    frame = next(f for f in found.frames if f["t_s"] == 3.5)
    man = next(item for item in frame["objects"] if item["track_id"] == 1)
    (stands,) = man["in"]
    assert (stands["zone_id"], stands["severity"], stands["rule"]) == ("track-cam", "EMERGENCY", "train-and-no-time")
    assert stands["margin_s"] == pytest.approx(39.5 - 180.0)
    assert stands["dwell_s"] == pytest.approx(1.5)
    assert man["place_m"]["x"] == pytest.approx(0.0, abs=0.01)
    assert man["velocity_mps"]["sigma"] > 0
    (train,) = frame["trains"]
    assert (train["source"], train["eta_s"], train["speed_mps"]) == ("feed", 39.5, 20.0)
    assert frame["delays"]["seen"]["on-track"] == 5
    assert frame["section"]["margin_s"] == stands["margin_s"]


@pytest.mark.parametrize(
    ("track_id", "words"),
    [
        (7, "its group vehicle raises no alarm (alarm_groups: person)"),
        (8, "its confidence 0.30 is below tracker.high_confidence 0.4"),
        (8, "outside track-cam by 150 px (2.9 m), with 0% of its footprint in it (incidents.min_overlap: 30%)"),
        (9, "stands in a zone of kind ignore"),
        (10, "seen in 3 frames so far, tracker.confirm_hits asks for 2"),
        (11, "not seen in this frame, only predicted, for 0.4 s"),
    ],
)
def test_who_raises_nothing_has_a_reason_with_its_number(record, track_id, words):
    (nothing,) = asked(record, "1.0").nothing
    doubts = next(item["doubts"] for item in nothing["candidates"] if item["track_id"] == track_id)
    assert any(words in doubt for doubt in doubts), doubts


def test_the_nearest_miss_comes_first_and_the_rest_is_counted(tmp_path):
    people = [track(0.75, number + 1, confidence=0.5 + number / 50) for number in range(12)]
    crowd = [seen(n / 10, *people, index=n) for n in range(20)]
    (nothing,) = asked(write(tmp_path / "r.jsonl", crowd), "1.5").nothing
    assert [item["track_id"] for item in nothing["candidates"]] == [12, 11, 10, 9, 8, 7, 6, 5]
    assert nothing["left_out"] == 4
    assert nothing["section"]["incident_id"] is None


def test_an_on_delay_that_is_not_met_is_told_with_its_count(record):
    (nothing,) = asked(record, "2.05").nothing
    man = nothing["candidates"][0]
    assert man["track_id"] == 1
    assert man["doubts"] == [
        "the on-delay is not met: seen in 1 of the last 5 frames, incidents.on_delay_hits asks for 3 of 5"
    ]


@pytest.mark.parametrize("text", ["3.05", "10:00:03.05", "2026-01-01T10:00:03.05Z", "2026-01-01T11:00:03.05+01:00"])
def test_a_time_is_seconds_of_the_recording_or_utc(record, text):
    found = asked(record, text, around_s=0.2)
    assert [frame["t_s"] for frame in found.frames] == [2.9, 3.0, 3.0, 3.1, 3.2]
    (nothing,) = found.nothing
    assert nothing["section"]["incident_id"] == INCIDENT
    assert "an incident was open in main" in told(found)


@pytest.mark.parametrize(
    ("text", "words"), [("09:59:00", "begins later"), ("30", "ends at 6.2 s"), ("10:05", "ends at")]
)
def test_a_time_outside_the_recording_is_told(record, text, words):
    with pytest.raises(RecordError, match=words):
        asked(record, text)


def test_a_clock_time_may_lie_behind_midnight():
    late = parse_time("00:00:10")
    assert late.seconds("2026-01-01T23:59:50Z", 5.0) == 25.0
    assert late.seconds("not a time", 5.0) is None
    assert parse_time("7").seconds("not a time", 5.0) == 7.0


@pytest.mark.parametrize("text", ["", "-1", "nan", "1e12", "25:00", "soon"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="--at"):
        parse_time(text)


def test_the_text_says_it_all(record):
    text = told(explain(ExplainOptions(record, "i1")))
    for words in (
        "incident test.1-i1  INTRUSION of main, at worst EMERGENCY",
        "frame 20 of cam (NOMINAL)  main CLEAR, now WARNING",
        "person 1 (0.90, seen 3 times) at ",
        "in track-cam for 0.0 s, 100 px (",
        "inside its edge, moving in a way that is not known, taken to stay: WARNING by rule track-no-train",
        "TOLD OPENED WARNING: 1 person on the track t1",
        "TrainReport: feed tells of a train in 40 s on t1",
        "train on t1: in 39.9 s at 72 km/h (feed tells of a train)",
        "train on t1: feed vouches that no train comes",
        "on-delay: in the last 5 frames NOTICE 1, WARNING 1, group:person 1, on-track 1",
        "TOLD CLOSED",
    ):
        assert words in text, words


def test_inputs_that_are_no_frames_are_told_with_what_they_say(record):
    text = told(asked(record, "6.1", around_s=1.0))
    assert "WorkerLost: cameras cam are lost: the worker died" in text
    assert "SystemFault: journal: the disk is full" in text
    assert "[cam BLIND]" in text
    assert "frame 62 of cam (BLIND: the picture is frozen)" in text
    assert "camera cam was BLIND: the worker died" in text
    assert "Possession: Anna holds t2 for 60 s" in told(asked(record, "0"))


def test_an_incident_of_the_system_is_told_with_all_sections(record):
    found = explain(ExplainOptions(record, "i5"))
    assert found.header["incident"]["kind"] == "SYSTEM"
    assert "the recording ends before the incident closes" in found.notes


def test_who_is_held_is_told_so(tmp_path):
    site = replace(SITE, risk=replace(SITE.risk, stay_hold_s=20.0), train_sources=())
    frames = [seen(n / 10, *([track(0.5, t_s=n / 10)] if n < 10 else []), index=n) for n in range(20)]
    text = told(explain(ExplainOptions(write(tmp_path / "r.jsonl", frames, site), "i1")))
    assert "person 1 (0.90, seen 3 times, not seen for 1.0 s and held)" in text


def test_without_a_ground_plane_the_metres_are_left_out(tmp_path):
    site = replace(SITE, cameras=(CameraSettings("cam", "x.mp4"),), train_sources=())
    frames = [seen(n / 10, track(0.5, t_s=n / 10), track(0.75, 2, t_s=n / 10), index=n) for n in range(10)]
    found = asked(write(tmp_path / "r.jsonl", frames, site), "0.9")
    item = found.nothing[0]["candidates"][0]
    assert (item["place_m"], item["velocity_mps"], item["trail_m"]) == (None, None, [])
    assert "outside track-cam by 150 px, with" in told(found)


def test_of_several_sections_each_frame_is_told_with_its_own(tmp_path):
    zones = (*ZONES, band("other", ZoneKind.TRACK, 0.0, 0.1, "two", "yard"))
    cameras = (*SITE.cameras, CameraSettings("two", "y.mp4"))
    site = replace(SITE, cameras=cameras, zones=zones, sections=("main", "yard"), train_sources=())
    frames = [seen(n / 10, track(0.5), index=n) for n in range(5)] + [seen(0.5, track(0.5), camera_id="two")]
    found = asked(write(tmp_path / "r.jsonl", frames, site), "1")
    main, yard = found.nothing
    assert [item["camera_id"] for item in yard["candidates"]] == ["two"]
    assert main["section"]["incident_id"] == INCIDENT
    frames = [(f["camera_id"], f["section"]["section_id"]) for f in found.frames]
    assert frames == [("cam", "main")] * 5 + [("two", "yard")]


def test_a_folder_is_searched_for_the_recording_that_holds_the_incident(tmp_path, record):
    write(tmp_path / "quiet.jsonl", [seen(n / 10, index=n) for n in range(10)])
    (tmp_path / "alerts.jsonl").write_text("{}\n")
    (tmp_path / "busy.jsonl").write_bytes(record.read_bytes())
    assert explain(ExplainOptions(tmp_path, "i1")).header["recording"] == "busy.jsonl"
    with pytest.raises(RecordError, match=r"none of 2 recordings fits: .* must hold the incident 'i77', but holds"):
        explain(ExplainOptions(tmp_path, "i77"))


def test_a_recording_that_a_hub_still_writes_is_explained_as_far_as_it_goes(tmp_path, record):
    half = tmp_path / "half.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    half.write_bytes(b"".join(lines[:40]) + lines[40][:50])
    found = explain(ExplainOptions(half, "i1"))
    assert "cut off in the middle of a line" in found.notes[0]
    half.write_bytes(b"".join(lines[:40]) + b"{}\n")
    with pytest.raises(RecordError, match="line 41"):
        explain(ExplainOptions(half, "i1"))


def test_an_incident_from_before_the_recording_is_told_from_its_beginning(tmp_path, record):
    from railwatch.app.record import Recorder
    from railwatch.core.alerts import RestoredIncident

    header, inputs = read_record(record)
    state, alerts = start(SITE, header.epoch, header.model_sha256, header.started_s), []
    for stamped in inputs:
        state, said = step(state, stamped)
        alerts += said
        if said:
            break
    again = tmp_path / "again.jsonl"
    with Recorder(
        again, replace(header, restored=(RestoredIncident(alerts[0], alerts[0].published_at, None),))
    ) as recorder:
        for stamped in inputs:
            recorder.write(stamped)
    assert explain(ExplainOptions(again, "i1")).frames[0]["t_s"] == 2.3


def test_a_recording_may_be_judged_by_another_site_file(tmp_path, record):
    from railwatch.app.record_site import site_to_mapping

    other = replace(SITE, incidents=replace(SITE.incidents, on_delay_hits=5))
    path = tmp_path / "site.yaml"
    path.write_text(json.dumps(site_to_mapping(other)))
    assert explain(ExplainOptions(record, "i1", config=path)).header["incident"]["opened_at"] == at(2.4)
    renamed = replace(
        SITE, cameras=(CameraSettings("else", "x"),), zones=tuple(replace(z, camera_id="else") for z in ZONES)
    )
    path.write_text(json.dumps(site_to_mapping(renamed)))
    with pytest.raises(RecordError, match="does the site file fit the recording"):
        explain(ExplainOptions(record, "i1", config=path))


def test_what_the_second_look_said_is_told_with_the_animal(tmp_path):
    keen = replace(site(), second_look=SecondLookSettings("c.onnx", "a" * 64))
    cow = track(0.5, group="animal", class_name="cow")
    inputs = [seen(number / 10, cow, index=number) for number in range(20)]
    answers = [(0.75, Annotation("cam", 1, 1, 0.5, taxon, 0.937)) for taxon in ("Mammalia", None)]
    record = write(tmp_path / "inputs.jsonl", sorted([*inputs, *answers], key=lambda item: item[0]), keen)
    text = told(explain(ExplainOptions(record, "i1")))
    assert "Annotation: cam, track 1: Mammalia 0.94" in text
    assert "WARNING by rule track; second look Mammalia 0.94, raised to EMERGENCY" in text
    assert "cam, track 1: abstains 0.94" in text
