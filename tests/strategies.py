"""Hypothesis strategies that several test modules share."""

from __future__ import annotations

from hypothesis import strategies as st

from railwatch.core.alerts import (
    AckLevel,
    Action,
    Alert,
    AlertKind,
    AlertObject,
    CameraState,
    CameraStatus,
    Epoch,
    OpenIncident,
    SectionState,
    Severity,
    Status,
    TrainStatus,
)
from railwatch.core.types import Observation, Size, Track, TrackState, Vitals

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
fractions = st.floats(0.0, 1.0)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def boxes(draw, width=1000.0, height=1000.0):
    """A box in pixels that lies around a frame, sometimes partly outside."""
    across, down = st.floats(-0.05 * width, 1.05 * width), st.floats(-0.05 * height, 1.05 * height)
    left, right = sorted(draw(st.tuples(across, across)))
    top, bottom = sorted(draw(st.tuples(down, down)))
    return (left, top, right, bottom)


@st.composite
def tracks(draw, track_id=None):
    """A track of any state and of the groups person, animal, vehicle."""
    first_s, last_s = sorted(draw(st.tuples(st.floats(0.0, 100.0), st.floats(0.0, 100.0))))
    return Track(
        track_id=draw(st.integers(1, 50)) if track_id is None else track_id,
        class_name=draw(st.sampled_from(["person", "cow", "elephant", "car"])),
        group=draw(st.sampled_from(["person", "animal", "vehicle"])),
        xyxy=draw(boxes()),
        confidence=draw(fractions),
        state=draw(st.sampled_from(TrackState)),
        first_seen_s=first_s,
        last_seen_s=last_s,
        hits=draw(st.integers(1, 1000)),
    )


@st.composite
def track_lists(draw, max_size=4):
    """Tracks of one frame: every id once."""
    ids = draw(st.lists(st.integers(1, 50), max_size=max_size, unique=True))
    return tuple(draw(tracks(track_id=number)) for number in ids)


@st.composite
def observations(draw, camera_id="cam", t_s=None):
    """Any Observation of a camera with a picture of 1000 x 1000 pixels."""
    state = draw(st.sampled_from([CameraState.NOMINAL] * 4 + [CameraState.DEGRADED, CameraState.BLIND]))
    return Observation(
        camera_id=camera_id,
        worker_epoch=draw(st.integers(1, 2)),
        index=draw(st.integers(0, 10**9)),
        t_s=draw(finite) if t_s is None else t_s,
        pts_s=draw(st.none() | finite),
        captured_at=draw(names),
        frame_size=Size(1000, 1000),
        tracks=draw(track_lists()),
        truncated=draw(st.booleans()),
        vitals=Vitals(
            state, draw(names), draw(st.floats(0.0, 10.0)), draw(st.floats(0.0, 100.0)), draw(st.integers(0))
        ),
    )


epochs = st.builds(Epoch, st.text("0123456789abcdef-", min_size=1, max_size=36), st.integers(1, 2**53 - 1))
nonces = st.text("abcXYZ019_-", min_size=1, max_size=64)

alert_objects = st.builds(
    AlertObject,
    track_id=st.integers(-(2**53) + 1, 2**53 - 1),
    class_name=names,
    group=names,
    confidence=fractions,
    taxon=st.none() | names,
)

levels = st.none() | st.sampled_from(AckLevel)

alerts = st.builds(
    Alert,
    site_id=names,
    epoch=epochs,
    seq=st.integers(1, 2**53 - 1),
    alert_id=names,
    kind=st.sampled_from(AlertKind),
    action=st.sampled_from(Action),
    severity=st.sampled_from(Severity),
    incident_id=names,
    section_id=names,
    camera_id=st.none() | names,
    zone_id=st.none() | names,
    objects=st.lists(alert_objects, max_size=3).map(tuple),
    why=names,
    margin_s=st.none() | finite,
    captured_at=names,
    published_at=names,
    config_rev=names,
    model_sha256=names,
    camera_ids=st.lists(names, max_size=2).map(tuple),
    addressed_to=st.lists(names, max_size=2).map(tuple),
    level=levels,
    by=st.none() | names,
    key_name=st.none() | names,
    fault=st.none() | names,
    evidence=st.none() | names,
    journaled=st.booleans(),
)

statuses = st.builds(
    Status,
    site_id=names,
    epoch=epochs,
    seq_last=st.integers(0, 2**53 - 1),
    nonces=st.lists(nonces, max_size=3).map(tuple),
    sections=st.dictionaries(names, st.sampled_from(SectionState), max_size=3),
    cameras=st.dictionaries(
        names, st.builds(CameraStatus, st.sampled_from(CameraState), names, st.none() | finite), max_size=3
    ),
    trains=st.lists(st.builds(TrainStatus, names, st.none() | finite, names, st.none() | finite), max_size=2).map(
        tuple
    ),
    open_incidents=st.lists(
        st.builds(
            OpenIncident,
            names,
            names,
            st.sampled_from(AlertKind),
            st.sampled_from(Severity),
            names,
            levels,
            st.none() | names,
            st.lists(names, max_size=2).map(tuple),
            st.none() | names,
        ),
        max_size=2,
    ).map(tuple),
    config_rev=names,
    lease_s=st.floats(0.0, 1e6, exclude_min=True),
)
