"""The whole way in one process: a clip whose brightness says when somebody is there, and a model that reads it."""

from __future__ import annotations

import json
import os
import shutil
import signal

import av
import numpy as np
import onnx
import pytest

from railwatch.app import watch_again
from railwatch.app.interrupt import noted_interrupt
from railwatch.app.replay import replay_file
from railwatch.app.watch import Watch
from railwatch.app.watch_output import alert_line
from railwatch.app.watch_site import WatchOptions, site_for
from railwatch.core.alerts import AlertKind, SectionState
from railwatch.core.errors import ConfigError, MessagingError, SourceError
from tests.classifier_file import write_classifier
from tests.perception.onnx_models import own_metadata, presence_model

ANY_PORT = "tcp://127.0.0.1:0"
CLOCKS = ("captured_at", "published_at")
DARK, BRIGHT = 16, 235


def picture_of(level, index):
    """A picture that is about `level` below a strip of sky, with something to see in it and the noise of a sensor."""
    blocks = np.random.default_rng(1).integers(-7, 8, (8, 8, 1)).repeat(8, 0).repeat(8, 1)
    blocks[:16] += max(0, 110 - level)
    noise = np.random.default_rng(index).integers(-4, 5, (64, 64, 1))
    return np.broadcast_to((level + blocks + noise).clip(0, 255).astype(np.uint8), (64, 64, 3)).copy()


def write_visits(path, visits, seconds, fps=10):
    """A clip that is bright while somebody is there: `visits` are (from, to) in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.gop_size = 5
        for index in range(round(seconds * fps)):
            there = any(begin <= index / fps < end for begin, end in visits)
            frame = av.VideoFrame.from_ndarray(picture_of(BRIGHT if there else DARK, index), "bgr24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "presence.onnx"
    onnx.save(presence_model(metadata=own_metadata(pixel_max="1")), path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("clip") / "visits.mp4", [(2.0, 4.0), (8.0, 9.0)], 13.0)


def run(source, model, **options):
    said = []
    with Watch(WatchOptions(str(source), model=model, bind=ANY_PORT, **options), said.append) as watch:
        watch.wait()
        watch.run(lambda _: None)
    return watch.report, said


def test_every_visit_is_one_incident(clip, model, tmp_path):
    report, said = run(clip, model, jsonl=tmp_path / "alerts.jsonl")
    assert (report.frames, round(report.source_s, 3)) == (130, 12.9)
    told = [[(t_s, alert.action.value) for t_s, alert in incident] for incident in report.incidents()]
    assert told == [
        [(pytest.approx(2.3, abs=0.11), "OPENED"), (pytest.approx(5.9, abs=0.11), "CLOSED")],
        [(pytest.approx(8.3, abs=0.11), "OPENED"), (pytest.approx(10.9, abs=0.11), "CLOSED")],
    ]
    assert all(0.1 < seconds < 0.5 for seconds in report.seconds_to_alert.values())
    assert report.states_seen["section"][:4] == [
        SectionState.UNKNOWN,
        SectionState.CLEAR,
        SectionState.OCCUPIED,
        SectionState.CLEAR,
    ]
    assert "no --zone given: the whole frame is one track zone" in said
    lines = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(line)["t_s"] for line in lines] == [t_s for t_s, _ in report.alerts]
    assert [line + "\n" for line in lines] == [alert_line(alert, t_s) for t_s, alert in report.alerts]


def test_the_same_clip_twice_differs_only_in_clock_stamps(clip, model, tmp_path):
    logs = []
    for name in ("a", "b"):
        run(clip, model, jsonl=tmp_path / name)
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        logs.append([{key: value for key, value in line.items() if key not in CLOCKS} for line in lines])
    assert logs[0] == logs[1]
    assert len(logs[0]) == 4


def test_a_replay_of_the_recording_is_the_same_byte_for_byte(clip, model, tmp_path):
    run(
        clip,
        model,
        jsonl=tmp_path / "alerts",
        record=tmp_path / "inputs",
        zones=("track:0.2,0.2 0.8,0.2 0.8,0.9 0.2,0.9",),
    )
    again = []
    replay_file(tmp_path / "inputs", None, lambda alert, t_s: again.append(alert_line(alert, t_s)))
    assert "".join(again) == (tmp_path / "alerts").read_text()
    assert len(again) == 1  # who was lost in the middle of the track is taken to be there


def test_a_group_that_the_model_cannot_see_is_told(clip, tmp_path):
    path = tmp_path / "people-only.onnx"
    onnx.save(presence_model(metadata=own_metadata(pixel_max="1", classes='["person"]')), path)
    _, said = run(clip, path)
    assert "this model has no class of the group animal: nothing of it can be seen" in said


def test_a_zone_elsewhere_sees_nothing(clip, model):
    report, said = run(clip, model, zones=("track:0,0 0.2,0 0.2,1 0,1",))
    assert report.alerts == []
    assert not any("whole frame" in text for text in said)


def test_the_annotated_video_has_every_frame(clip, model, tmp_path):
    run(clip, model, save=tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 130


def test_realtime_goes_at_the_speed_of_the_clip(model, tmp_path):
    report, _ = run(write_visits(tmp_path / "short.mp4", [], 1.0), model, realtime=True)
    assert report.work_s >= 0.9  # a lower bound only: the last of ten frames is due then


def test_a_clip_that_breaks_makes_the_camera_blind_before_it_is_told(clip, model, tmp_path):
    broken = tmp_path / "broken.avi"
    with av.open(str(clip)) as whole, av.open(str(broken), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                cut.mux(packet)
    data = broken.read_bytes()
    broken.write_bytes(data[: len(data) * 6 // 10])
    options = WatchOptions(str(broken), model=model, bind=ANY_PORT, jsonl=tmp_path / "alerts")
    with Watch(options, lambda _: None) as watch, pytest.raises(SourceError):
        watch.run(lambda _: None)
    assert watch.report.frames > 20
    _, last = watch.report.alerts[-1]
    assert last.kind is AlertKind.BLINDNESS
    assert "camera camera: " in last.why
    assert watch.report.states_seen["section"][-1] is SectionState.UNKNOWN
    assert json.loads((tmp_path / "alerts").read_text().splitlines()[-1])["kind"] == "BLINDNESS"


@pytest.fixture
def ctrl_c():
    """Ctrl-C as at a terminal: a run in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_after_the_frame_and_a_second_one_at_once(clip, model, ctrl_c):
    seen = []

    def press(progress):
        seen.append(progress.frames)
        if progress.frames == 5:
            os.kill(os.getpid(), signal.SIGINT)

    with Watch(WatchOptions(str(clip), model=model, bind=ANY_PORT), [].append) as watch:
        watch.run(press)
    assert (watch.report.interrupted, seen) == (True, [1, 2, 3, 4, 5])
    with noted_interrupt() as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.wait(5.0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_ctrl_c_is_anothers_it_is_left_to_it():
    other = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noted_interrupt():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, other)


def test_subscribers_that_never_come_are_not_waited_for_for_ever(clip, model, monkeypatch):
    monkeypatch.setattr("railwatch.app.watch.WAIT_SUBSCRIBERS_S", 0.05)
    options = WatchOptions(str(clip), model=model, bind=ANY_PORT, wait_subscribers=1)
    with Watch(options, lambda _: None) as watch, pytest.raises(MessagingError, match="1 subscribers must connect"):
        watch.wait()


def test_nothing_stays_open_when_something_is_wrong(clip, model, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match="cannot be written"):
        run(clip, model, save=tmp_path / "folder")
    run(clip, model, save=tmp_path / "out.mp4")


SITE_YAML = """
schema_version: 1
site_id: yard
severity_without_trains: EMERGENCY
cameras:
  - {camera_id: north, source: north.mp4}
  - {camera_id: south, source: south.mp4}
sections: [up, down]
zones:
  - {zone_id: n, camera_id: north, section_id: up, kind: track, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}
  - {zone_id: s, camera_id: south, section_id: down, kind: track, polygon: [[0, 0], [1, 0], [1, 1], [0, 1]]}
model: {file: presence.onnx}
"""


@pytest.fixture
def site_file(tmp_path, model):
    shutil.copy(model, tmp_path / "presence.onnx")
    (tmp_path / "site.yaml").write_text(SITE_YAML)
    return tmp_path / "site.yaml"


def test_a_site_file_is_narrowed_to_the_camera_that_the_clip_stands_for(clip, site_file):
    report, _ = run(clip, None, config=site_file, camera="south")
    assert {(alert.section_id, alert.severity.value) for _, alert in report.alerts} == {("down", "EMERGENCY")}
    assert {alert.site_id for _, alert in report.alerts} == {"yard"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"camera": None}, "--camera must name one of the cameras north, south"),
        ({"camera": "west"}, "but is west"),
        ({"camera": "north", "zones": ("track:0,0 1,0 1,1",)}, "--zone must not be given together with --config"),
    ],
)
def test_a_site_file_needs_to_know_its_camera(clip, site_file, options, words):
    with pytest.raises(ConfigError, match=words):
        site_for(WatchOptions(str(clip), config=site_file, **options))


def test_a_site_without_a_track_does_not_arm(clip, model):
    with pytest.raises(ConfigError, match="must have a zone of kind track"):
        site_for(WatchOptions(str(clip), model=model, zones=("approach:0,0 1,0 1,1",)))


def again(site_file, tmp_path, lie=None):
    """The site with a second look at the animals that its model sees; what is bright is a mammal."""
    sha256 = write_classifier(tmp_path / "c.onnx", lie=lie)
    keys = f'second_look: {{file: c.onnx, sha256: "{sha256}", every_s: 0.5}}\n'
    animals = "groups: {animal: [person]}\nalarm_groups: [animal]\n"
    path = tmp_path / "again.yaml"
    path.write_text(site_file.read_text().replace("EMERGENCY", "WARNING") + animals + keys)
    (tmp_path / "once.yaml").write_text(path.read_text().replace(keys, ""))
    return path


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return write_visits(tmp_path_factory.mktemp("short") / "visit.mp4", [(1.0, 3.0)], 4.0)


def told(report):
    return [(t_s, alert.action.value, alert.severity.value) for t_s, alert in report.alerts]


def test_a_second_look_raises_and_the_same_clip_gives_the_same_each_time(short, site_file, tmp_path):
    path = again(site_file, tmp_path)
    reports = [run(short, None, config=path, camera="south")[0] for _ in range(2)]
    assert told(reports[0]) == told(reports[1])
    once, _ = run(short, None, config=tmp_path / "once.yaml", camera="south")
    kept = [(t_s, action) for t_s, action, _ in told(reports[0]) if action in ("OPENED", "CLOSED")]
    assert kept == [(t_s, action) for t_s, action, _ in told(once) if action in ("OPENED", "CLOSED")]
    assert kept
    (raised,) = [alert for _, alert in reports[0].alerts if alert.severity.value == "EMERGENCY"]
    assert raised.objects[0].taxon == "Mammalia"
    assert "second look: Mammalia" in raised.why


def test_a_classifier_that_lies_is_refused_before_the_clip_begins(short, site_file, tmp_path):
    path = again(site_file, tmp_path, lie=("Mul", 3.0))
    with pytest.raises(ConfigError, match=r"second_look must be usable, but is not: the classifier c\.onnx"):
        run(short, None, config=path, camera="south")


class Dying:
    """A second look whose process dies after a second of the clip."""

    def __init__(self, *_):
        self.trouble = None

    def look(self, _frame, seen):
        self.trouble = "it is out" if 1.0 < seen.t_s < 3.0 else None

    def settle(self, _):
        pass

    def take(self):
        return []

    def close(self):
        pass


def test_a_second_look_that_dies_is_told_and_changes_no_alarm(short, site_file, tmp_path, monkeypatch):
    path = again(site_file, tmp_path)
    monkeypatch.setattr(watch_again, "SecondLook", Dying)
    report, _ = run(short, None, config=path, camera="south")
    once, _ = run(short, None, config=tmp_path / "once.yaml", camera="south")
    assert [item for item in told(report) if item[2] == "NOTICE"] == [
        (1.1, "OPENED", "NOTICE"),
        (3.0, "CLOSED", "NOTICE"),
    ]
    assert [item for item in told(report) if item[2] != "NOTICE"] == told(once)
