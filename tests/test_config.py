"""Site files become settings, or every fault is told with line, key, value and what is allowed."""

from __future__ import annotations

import contextlib
import copy
import hashlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from railwatch.app.record_site import site_to_mapping
from railwatch.config import (
    SiteFileError,
    load_site,
    parse_zone_option,
    site_faults_of_file,
    site_from_mapping,
    site_json_schema,
    site_keys,
)
from railwatch.core.alerts import Severity
from railwatch.core.errors import ConfigError
from railwatch.core.geometry import Point
from railwatch.core.provider import Provider
from railwatch.core.settings import DEFAULT_GROUPS, IncidentSettings, MessagingSettings, TrackerSettings
from railwatch.core.types import ZoneKind
from railwatch.key_faults import MAX_FAULTS

TRIANGLE = [[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]
GOOD = """\
schema_version: 1
site_id: yard
severity_without_trains: WARNING
cameras:
  - camera_id: east
    source: clips/east.mp4
sections: [crossing]
zones:
  - zone_id: track
    camera_id: east
    section_id: crossing
    kind: track
    polygon: [[0, 0], [1, 0], [1, 1]]
model:
  file: detector.onnx
"""


@pytest.fixture
def site_file(tmp_path):
    (tmp_path / "detector.onnx").write_bytes(b"model")
    path = tmp_path / "site.yaml"
    path.write_text(GOOD)
    return path


def faults_of(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [str(fault) for fault in site_faults_of_file(path)]


def test_a_short_file_gets_every_default(site_file):
    site = load_site(site_file)
    assert site.severity_without_trains is Severity.WARNING
    assert site.zones[0].kind is ZoneKind.TRACK
    assert site.zones[0].polygon_norm[2] == (1.0, 1.0)
    assert site.groups == DEFAULT_GROUPS
    assert (site.tracker, site.incidents, site.messaging) == (
        TrackerSettings(),
        IncidentSettings(),
        MessagingSettings(),
    )
    assert site.model.provider is Provider.CPU
    assert site_faults_of_file(site_file) == []


def test_relative_paths_start_at_the_site_file(site_file):
    site = load_site(site_file)
    assert site.cameras[0].source == str(site_file.parent / "clips" / "east.mp4")
    assert site.model.file == str(site_file.parent / "detector.onnx")


def test_others_can_be_let_in_where_there_are_keys(site_file):
    site_file.write_text(GOOD + "messaging: {bind: 'tcp://0.0.0.0:5556', keys: keys}\n")
    assert load_site(site_file).messaging.keys == str(site_file.parent / "keys")


@pytest.mark.parametrize("source", ["rtsp://camera/stream", "0", "/clips/east.mp4"])
def test_addresses_devices_and_absolute_paths_stay(site_file, source):
    site_file.write_text(GOOD.replace("clips/east.mp4", f"'{source}'"))
    assert load_site(site_file).cameras[0].source == source


def test_the_example_is_a_site():
    example = Path(__file__).resolve().parents[1] / "examples" / "site.yaml"
    site = load_site(example)
    assert [camera.required for camera in site.cameras] == [True, False]
    assert {fault.key for fault in site_faults_of_file(example)} <= {"model.file"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("site_id: yard", "site_id: 12", "line 2: site_id: given '12', must be text"),
        ("site_id: yard", "site_id: a/b", "line 2: site_id: given 'a/b', must be 1 to 64 letters"),
        ("site_id: yard", "site_id: 'a\n  b'", "line 2: site_id: given 'a b', must be 1 to 64 letters"),
        ("site_id: yard\n", "", "site_id: given nothing, must be given: Name of the site"),
        ("schema_version: 1", "schema_version: 2", "line 1: schema_version: given '2', must be 1 or less"),
        ("schema_version: 1", "schema_version: true", "line 1: schema_version: given 'true', must be a whole number"),
        ("WARNING", "warning", "line 3: severity_without_trains: given 'warning', must be 'NOTICE', 'WARNING' or"),
        ("cameras:", "camras: 1\ncameras:", "line 4: camras: given an unknown key, did you mean cameras?"),
        ("cameras:", "provider: cpu\ncameras:", "line 4: provider: given an unknown key, did you mean model.provider?"),
        ("cameras:", "xyzzy: 1\ncameras:", "line 4: xyzzy: given an unknown key, must be one of schema_version"),
        ("cameras:", "camera_timeout_s: .nan\ncameras:", "line 4: camera_timeout_s: given '.nan', must be a finite"),
        ("cameras:", "camera_timeout_s: 0\ncameras:", "line 4: camera_timeout_s: given '0', must be more than 0"),
        ("    source: clips/east.mp4", "    source: x\n    required: yes", "line 7: cameras[0].required: given 'yes'"),
        ("    source: clips/east.mp4\n", "", "line 5: cameras[0].source: given nothing, must be given"),
        ("[crossing]", "[crossing, yard]", "line 7: sections[1]: given 'yard', section 'yard' must have a zone of"),
        ("[crossing]", "[crossing, crossing]", "line 7: sections[1]: given 'crossing', section must be unique"),
        ("[crossing]", "[]", "line 7: sections: given a list of 0, must have 1 or more entries"),
        ("    camera_id: east\n    section", "    camera_id: west\n    section", "line 10: zones[0].camera_id: given"),
        ("section_id: crossing", "section_id: yard", "line 11: zones[0].section_id: given 'yard', zone 'track' names"),
        ("kind: track", "kind: track\n    blur: true", "zones[0].blur: given 'true', blur must be false in a zone of"),
        ("kind: track", "kind: trak", "line 12: zones[0].kind: given 'trak', must be 'track', 'approach'"),
        ("[0, 0], [1, 0], [1, 1]", "[0, 0], [1, 0]", "line 13: zones[0].polygon: given a list of 2, must have 3 or"),
        ("[0, 0], [1, 0], [1, 1]", "[0, 0], [1, 1], [1, 0], [0, 1]", "zones[0].polygon: given a list of 4, a polygon"),
        ("[0, 0], [1, 0], [1, 1]", "[0, 0], [1, 0], [1, .nan]", "zones[0].polygon[2][1]: given '.nan', must be a fin"),
        ("[0, 0], [1, 0], [1, 1]", "[0, 0], [1, 0], [1, 1.5]", "zones[0].polygon[2][1]: given '1.5', must be 1 or l"),
        ("[0, 0], [1, 0], [1, 1]", "[0, 0], [1, 0], [1, 1, 1]", "zones[0].polygon[2]: given a list of 3, must have 2"),
        ("file: detector.onnx", "file: other.onnx", "line 15: model.file: given 'other.onnx', must be a model file"),
        ("file: detector.onnx", "file: .", "line 15: model.file: given '.', must be a model file that can be read"),
        ("file: detector.onnx", 'file: "a\\0b"', "line 15: model.file: given 'a?b', must be a model file"),
        ("detector.onnx\n", "detector.onnx\n  sha256: ABC\n", "line 16: model.sha256: given 'ABC', must be the 64 hex"),
        ("detector.onnx\n", f"detector.onnx\n  sha256: '{'0' * 64}'\n", "must be the SHA-256 of model.file, which is"),
        ("detector.onnx\n", "detector.onnx\n  threads: 1.5\n", "line 16: model.threads: given '1.5', must be a whole"),
        ("detector.onnx\n", "detector.onnx\n  confidence: true\n", "line 16: model.confidence: given 'true', must be"),
        ("detector.onnx\n", "detector.onnx\nalarm_groups: [ghost]\n", "line 16: alarm_groups[0]: given 'ghost'"),
        ("detector.onnx\n", "detector.onnx\ngroups: {a b: [x]}\n", "line 16: groups.a b: given a list of 1, must be 1"),
        ("detector.onnx\n", "detector.onnx\ngroups: {a: x}\n", "line 16: groups.a: given 'x', must be a list"),
        ("detector.onnx\n", "detector.onnx\ntracker: [1]\n", "line 16: tracker: given a list of 1, must be a map"),
        (
            "detector.onnx\n",
            "detector.onnx\nincidents:\n  on_delay_hits: 9\n",
            "line 17: incidents.on_delay_hits: given '9', on_delay_hits must be at most on_delay_window, 5",
        ),
        (
            "detector.onnx\n",
            "detector.onnx\nmessaging: {bind: 'tcp://0.0.0.0:5556'}\n",
            "line 16: messaging.bind: given 'tcp://0.0.0.0:5556', bind must be a loopback address",
        ),
        (
            "detector.onnx\n",
            "detector.onnx\nmessaging: {bind: 'tcp://127.0.0.1:9', request_bind: 'tcp://127.0.0.1:9'}\n",
            "line 16: messaging.request_bind: given 'tcp://127.0.0.1:9', request_bind must be another endpoint",
        ),
        (
            "detector.onnx\n",
            "detector.onnx\nmessaging: {bind: 'tcp://127.0.0.1:65535'}\n",
            "line 16: messaging.bind: given 'tcp://127.0.0.1:65535', bind 'tcp://127.0.0.1:65535' has no next port",
        ),
        (GOOD, "- 1\n", "line 1: given a list of 1, must be a map of the keys of a site"),
        (GOOD, "~\n", "line 1: given nothing, must be a map of the keys of a site"),
    ],
)
def test_each_fault_is_one_line_with_its_place(site_file, old, new, words):
    assert GOOD.count(old) == 1
    faults = faults_of(site_file, GOOD.replace(old, new))
    assert len([fault for fault in faults if words in fault]) == 1
    assert "\n" not in "".join(faults)
    if not any(only in words for only in ("model.file", "SHA-256")):
        with pytest.raises(SiteFileError):
            load_site(site_file)


def test_contradictions_are_told_beside_faults_of_single_keys(site_file):
    text = GOOD.replace("site_id: yard", "site_id: 5").replace("[1, 0], ", "").replace("[crossing]", "[crossing, b]")
    text = text.replace("cameras:", "alias: *x\ncamera_timeout_s: -1\ncameras:").replace(
        "section_id: c", "section_id: d"
    )
    faults = faults_of(site_file, text)
    keys = [fault.split(": ")[1] for fault in faults]
    assert keys == [
        "site_id",
        "given alias *x, must write the value out",
        "alias",
        "camera_timeout_s",
        "sections[0]",
        "sections[1]",
        "zones[0].section_id",
        "zones[0].polygon",
    ]


def test_a_value_that_was_not_read_is_one_fault(site_file):
    (fault,) = faults_of(site_file, GOOD.replace("site_id: yard", "site_id: *x"))
    assert "no aliases" in fault


def test_an_error_holds_all_faults(site_file):
    site_file.write_text(GOOD.replace("yard", "1").replace("kind: track", "kind: x"))
    with pytest.raises(ConfigError, match=r"has 2 faults: line 2: site_id: .*; line 12: zones\[0\]\.kind: ") as caught:
        load_site(site_file)
    assert [fault.line for fault in caught.value.faults] == [2, 12]


def test_the_number_of_faults_is_bounded(site_file):
    assert len(faults_of(site_file, "a: 1\n" * 10_000)) == MAX_FAULTS


def test_the_pinned_hash_of_the_file_passes(site_file):
    digest = hashlib.sha256(b"model").hexdigest()
    assert faults_of(site_file, f"{GOOD}  sha256: '{digest}'\n") == []


@pytest.mark.parametrize(
    ("name", "words"), [("absent.yaml", "no such file"), (".", "a folder"), ("site.yaml/x", "cannot be read")]
)
def test_a_path_that_is_no_file_is_one_fault(site_file, name, words):
    (fault,) = site_faults_of_file(site_file.parent / name)
    assert words in str(fault)
    with pytest.raises(SiteFileError, match=words):
        load_site(site_file.parent / name)


def test_values_in_memory_make_the_same_site(site_file):
    assert site_from_mapping(yaml.safe_load(GOOD), site_file.parent) == load_site(site_file)
    with pytest.raises(SiteFileError, match=r"the site must .* has 1 fault: zones\[0\]\.kind: given 'x', must be "):
        site_from_mapping(yaml.safe_load(GOOD.replace("kind: track", "kind: x")), site_file.parent)


def test_the_schema_accepts_what_loads_and_refuses_what_does_not():
    import jsonschema

    schema = site_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(GOOD), schema)
    with pytest.raises(jsonschema.ValidationError, match="camras"):
        jsonschema.validate({**yaml.safe_load(GOOD), "camras": 1}, schema)


def paths_of(value, prefix=()):
    yield prefix
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_of(inner, (*prefix, key))


FULL = yaml.safe_load((Path(__file__).resolve().parents[1] / "examples" / "site.yaml").read_text())
JUNK = st.sampled_from([None, True, -1, 1e9, float("nan"), "", "x y", "track", "east", [], [[]], {}, {"a": 1}])


@given(st.lists(st.tuples(st.sampled_from([p for p in paths_of(FULL) if p]), JUNK), min_size=1, max_size=4))
def test_any_mutilated_site_loads_or_is_refused(changes):
    mapping = copy.deepcopy(FULL)
    for path, junk in changes:
        parent = mapping
        try:
            for part in path[:-1]:
                parent = parent[part]
            parent[path[-1]] = copy.deepcopy(junk)
        except (TypeError, KeyError, IndexError):
            continue  # an earlier change took this place away
    with contextlib.suppress(SiteFileError):
        assert site_from_mapping(mapping, Path()).config_rev


def test_there_are_fewer_than_forty_keys_for_who_needs_nothing_special():
    """Keys that hold a value: a map or a list of maps is the heading of others.

    Special are escalation, trains, hours, coverage, evidence, a second look, and cameras of a network.
    """
    headings = {key.rpartition(".")[0].removesuffix("[]") for key in site_keys()}
    special = ("escalation", "risk", "train_sources", "schedules", "cameras[].ground", "evidence")
    special += ("coverage", "cameras[].aspect", "cameras[].people", "zones[].smallest_person_m")
    special += ("camera_hosts", "cameras[].credentials", "cameras[].transport", "cameras[].ca_file")
    special += ("cameras[].evidence_source", "cameras[].vitals_off", "second_look")
    assert len([key for key in site_keys().keys() - headings if not key.startswith(special)]) < 40


def test_a_first_site_file_needs_a_dozen_values_and_every_other_key_has_a_default():
    first = {
        "schema_version": 1,
        "site_id": "yard",
        "severity_without_trains": "WARNING",
        "cameras": [{"camera_id": "east", "source": "0"}],
        "sections": ["main"],
        "zones": [{"zone_id": "t", "camera_id": "east", "section_id": "main", "kind": "track", "polygon": TRIANGLE}],
        "model": {"file": "detector.onnx"},
    }
    assert site_from_mapping(first, Path()).zones[0].zone_id == "t"
    values = [value for value in first.values() if not isinstance(value, list | dict)]
    values += [value for name in ("cameras", "zones") for value in first[name][0].values()]
    assert len([*values, *first["sections"], *first["model"]]) == 12


def ground(**ways):
    return {"cameras": [{"camera_id": "east", "source": "0", "ground": ways}]}


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        ({}, "exactly one of points, rails, horizon, matrix"),
        ({"matrix": [[1.0, 0.0, 0.0]] * 3}, "invertible"),
        ({"points": [{"image": [0.1, 0.9], "ground_m": [0.0, 0.0]}] * 4}, "not all the same"),
        (
            {"horizon": {"left_y": 0.3, "right_y": 0.3, "height_m": 5.0, "hfov_deg": 60.0}, "residual_m": 0.1},
            "goes with matrix",
        ),
    ],
)
def test_a_bad_calibration_is_refused(ways, words):
    with pytest.raises(SiteFileError, match=words):
        site_from_mapping({**yaml.safe_load(GOOD), **ground(**ways)}, Path())


@pytest.mark.parametrize(
    "ways",
    [
        {
            "rails": {
                "left": [[0.3, 0.95], [0.48, 0.45]],
                "right": [[0.7, 0.95], [0.52, 0.45]],
                "gauge_mm": 1676,
                "hfov_deg": 60.0,
            }
        },
        {"horizon": {"left_y": 0.3, "right_y": 0.31, "height_m": 5.0, "hfov_deg": 60.0, "aspect": 1.25}},
    ],
)
def test_a_ground_plane_survives_a_recording(ways):
    site = site_from_mapping({**yaml.safe_load(GOOD), **ground(**ways)}, Path())
    again = site_from_mapping(site_to_mapping(site), Path())
    plane, kept = site.cameras[0].ground, again.cameras[0].ground
    assert (kept.matrix, kept.residual_m) == (plane.matrix, plane.residual_m)
    assert kept.locate(Point(0.5, 0.8)) == plane.locate(Point(0.5, 0.8))


def test_a_zone_option_becomes_a_zone():
    zone = parse_zone_option(" platform_edge:0.1,0.2  0.9,0.2 0.9,0.8 ", 3, "clip", "here")
    assert (zone.zone_id, zone.camera_id, zone.section_id) == ("platform_edge-3", "clip", "here")
    assert zone.kind is ZoneKind.PLATFORM_EDGE
    assert zone.polygon_norm == ((0.1, 0.2), (0.9, 0.2), (0.9, 0.8))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "KIND must be one of track, approach, platform_edge, ignore, but is ''"),
        ("trak:0,0 1,0 1,1", "KIND must be one of"),
        ("track", "at least 3 points, but has 0"),
        ("track:0,0 1,1", "at least 3 points, but has 2"),
        ("track:0,0 1,1 1,0 0,1", "must not cross"),
        ("track:0,0 1,nan 1,0", "finite number"),
        ("track:0,0 1,2 1,0", "must lie in the frame"),
        ("track:0,0 1 1,0", "two numbers with a comma between, but is '1'"),
        ("track:0,0 0.5,0.5 1,1", "must not cross or touch itself|must enclose an area"),
    ],
)
def test_a_zone_option_says_what_is_allowed(text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_zone_option(text, 1, "clip", "here")
    assert f"'{text}' is given" in str(caught.value)


def test_a_time_zone_that_this_machine_does_not_know_is_a_fault_of_the_file_and_lets_it_arm(tmp_path):
    hours = '  - {schedule_id: night, time_zone: Europe/Nowhere, begins: "22:00", ends: "05:00", at_least: WARNING}'
    (tmp_path / "site.yaml").write_text(f"{GOOD}schedules:\n{hours}\n", encoding="utf-8")
    faults = [fault for fault in site_faults_of_file(tmp_path / "site.yaml") if fault.key != "model.file"]
    assert [(fault.key, "must be a time zone that this machine knows" in str(fault)) for fault in faults] == [
        ("schedules[0].time_zone", True)
    ]
    assert load_site(tmp_path / "site.yaml").schedules[0].at_least is Severity.WARNING


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        ('begins: "22:00", ends: "5:00", at_least: WARNING', 'a time of day must be "HH:MM"'),
        ('begins: "22:00", ends: "05:00"', "exactly one of at_least and at_most"),
        ('begins: "22:00", ends: "05:00", at_most: NOTICE, zone_ids: [nowhere]', "must name zones of the site"),
        ('begins: "22:00", ends: "05:00", at_most: NOTICE, days: [monday]', "schedules[0].days[0]"),
    ],
)
def test_hours_that_cannot_be_are_refused(tmp_path, hours, words):
    text = f"{GOOD}schedules:\n  - {{schedule_id: night, time_zone: UTC, {hours}}}\n"
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        load_site(tmp_path / "site.yaml")
    assert words in str(refused.value)
