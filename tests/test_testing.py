"""The shipped stand-ins keep the contracts of what they stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from railwatch.core.alerts import Action, Alert, AlertKind, Epoch, SectionState, Severity
from railwatch.core.errors import MessagingError, ModelError, SourceError, WireError
from railwatch.core.types import SampleForm, Size
from railwatch.messaging.heartbeat import StatusBody
from railwatch.perception.picture import BgrPicture
from railwatch.testing import CAPTURED_AT, FakeDetector, ListSource, MemoryPublisher, detections, solid_picture

SIZE = Size(32, 24)
ALERT = Alert(
    site_id="site",
    epoch=Epoch("j", 1),
    seq=1,
    alert_id="j.1-1",
    kind=AlertKind.INTRUSION,
    action=Action.OPENED,
    severity=Severity.WARNING,
    incident_id="i1",
    section_id="a",
    camera_id="cam",
    zone_id="z",
    objects=(),
    why="a person is on the track",
    margin_s=None,
    captured_at=CAPTURED_AT,
    published_at=CAPTURED_AT,
    config_rev="c",
    model_sha256="0" * 64,
)


def sample_for(detector, size=SIZE):
    return BgrPicture(solid_picture(size)).sample(None, detector.form)


def test_detector_says_what_the_script_says_over_batches_and_then_fails():
    one, two = detections((0, 0, 5, 5, 0.9, 0)), detections()
    detector = FakeDetector([one, two, one])
    sample = sample_for(detector)
    assert detector.detect([sample, sample]) == [one, two]
    assert detector.detect([sample]) == [one]
    with pytest.raises(ModelError, match="3 entries"):
        detector.detect([sample])


def test_detector_can_fail_in_the_middle_and_go_on():
    detector = FakeDetector([ModelError("broken"), detections()])
    with pytest.raises(ModelError, match="broken"):
        detector.detect([sample_for(detector)])
    assert len(detector.detect([sample_for(detector)])[0]) == 0


def test_detector_can_be_a_function_of_the_picture():
    detector = FakeDetector(lambda sample: detections((0, 0, *sample.bounds[2:], 0.5, 0)))
    assert detector.detect([sample_for(detector)])[0].xyxy.tolist() == [[0.0, 0.0, 32.0, 24.0]]


def test_detector_refuses_a_sample_of_another_form():
    other = FakeDetector([], form=SampleForm(Size(32, 32), "rgb", "center"))
    with pytest.raises(ModelError, match="form"):
        FakeDetector([detections()]).detect([sample_for(other)])


def test_source_gives_every_picture_once_with_its_time():
    pictures = [solid_picture(SIZE, (shade, 0, 0)) for shade in (1, 2, 3)]
    with ListSource(pictures, [5.0, 5.0, 7.5], "gate") as source:
        frames = list(source.frames())
        assert [(f.camera_id, f.index, f.t_s, int(f.picture.bgr()[0, 0, 0])) for f in frames] == [
            ("gate", 0, 5.0, 1),
            ("gate", 1, 5.0, 2),
            ("gate", 2, 7.5, 3),
        ]
        with pytest.raises(ValueError, match="once"):
            source.frames()
    assert source.closed
    assert (source.info.size, source.info.frame_count, source.info.duration_s, source.info.live) == (
        SIZE,
        3,
        2.5,
        False,
    )


def test_source_leaves_the_callers_array_writable():
    picture = solid_picture(SIZE)
    ListSource([picture], [0.0])
    picture[:] = 0


def test_source_can_break_like_a_camera():
    source = ListSource([solid_picture(SIZE)], [0.0], failure=SourceError("unplugged"))
    frames = source.frames()
    assert next(frames).index == 0
    with pytest.raises(SourceError, match="unplugged"):
        next(frames)
    assert source.info.live


@pytest.mark.parametrize(
    ("pictures", "times_s", "message"),
    [
        ([], [], "every picture needs a time"),
        ([solid_picture(SIZE)], [0.0, 1.0], "every picture needs a time"),
        ([solid_picture(SIZE)] * 2, [1.0, 0.5], "backwards"),
        ([solid_picture(SIZE), solid_picture(Size(2, 2))], [0.0, 1.0], "one size"),
        ([np.zeros((4, 4), np.uint8)], [0.0], "uint8"),
    ],
)
def test_source_refuses_what_no_source_gives(pictures, times_s, message):
    with pytest.raises(ValueError, match=message):
        ListSource(pictures, times_s)


def test_publisher_keeps_alerts_and_states_in_order():
    body = StatusBody({"a": SectionState.CLEAR})
    with MemoryPublisher(subscribers=1) as publisher:
        publisher.publish(ALERT)
        publisher.publish(replace(ALERT, seq=2))
        publisher.set_status(body)
        assert publisher.wait_subscribers(1, 0.0)
        assert not publisher.wait_subscribers(2, 0.0)
    assert [alert.seq for alert in publisher.alerts] == [1, 2]
    assert publisher.statuses == [body]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"seq": 3}, ValueError),
        ({"seq": 1}, ValueError),
        ({"seq": 2, "epoch": Epoch("j", 2)}, ValueError),
        ({"seq": 2, "site_id": "other"}, ValueError),
        ({"seq": 2, "config_rev": "x" * 100_000}, WireError),
    ],
)
def test_publisher_refuses_what_the_real_one_refuses(change, error):
    publisher = MemoryPublisher()
    publisher.publish(ALERT)
    with pytest.raises(error):
        publisher.publish(replace(ALERT, **change))
    assert publisher.alerts == [ALERT]


@pytest.mark.parametrize(
    "call",
    [
        lambda p: p.publish(ALERT),
        lambda p: p.set_status(StatusBody({})),
        lambda p: p.wait_subscribers(0, 0.0),
    ],
)
def test_publisher_takes_nothing_once_closed(call):
    publisher = MemoryPublisher()
    publisher.close()
    publisher.close()
    with pytest.raises(MessagingError, match="closed"):
        call(publisher)
