"""What must hold of the decision whatever the cameras say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from railwatch.core.alerts import Action, CameraState, SectionState
from railwatch.core.geometry import Point
from railwatch.core.settings import CameraSettings
from railwatch.core.types import TrackState, ZoneKind
from railwatch.decision.inputs import Tick, WorkerLost
from tests.scenario import ON_TRACK, Hub, actions, band, observation, site, track
from tests.strategies import observations, track_lists, tracks

TWO = (CameraSettings("a", "a.mp4"), CameraSettings("b", "b.mp4", required=False))
inputs = st.one_of(
    observations("a"),
    observations("b"),
    st.builds(Tick, st.floats(0.0, 100.0)),
    st.builds(WorkerLost, st.sampled_from([("a",), ("b",), ("a", "b"), ()]), st.just("gone")),
)
histories = st.lists(st.tuples(st.floats(0.0, 1.5), inputs), max_size=40)
glimpses = st.lists(
    st.tuples(
        st.sampled_from([CameraState.NOMINAL] * 3 + [CameraState.DEGRADED, CameraState.BLIND]),
        st.sampled_from([None, 0.2, 0.5, 0.95]),
    ),
    min_size=1,
    max_size=60,
)


def run(history, the_site=None):
    """Feed a history of (seconds since the last input, input)."""
    hub = Hub(the_site or site(TWO, on_delay_hits=2, on_delay_window=3))
    now_s = 0.0
    for wait_s, value in history:
        now_s += wait_s
        hub.feed(value, now_s)
    return hub


@given(histories)
def test_numbers_have_no_hole_and_incidents_open_and_close_once(history):
    hub = run(history)
    assert [alert.seq for alert in hub.alerts] == list(range(1, len(hub.alerts) + 1))
    life: dict[str, list[Action]] = {}
    for alert in hub.alerts:
        life.setdefault(alert.incident_id, []).append(alert.action)
    for told in life.values():
        assert told[0] is Action.OPENED
        assert Action.OPENED not in told[1:]
        assert Action.CLOSED not in told[:-1]
    still_open = {incident.incident_id for incident in hub.state.incidents.values()}
    assert still_open == {name for name, told in life.items() if told[-1] is not Action.CLOSED}


@given(histories)
def test_the_same_inputs_give_the_same_alerts(history):
    assert run(history).alerts == run(history).alerts


@given(glimpses)
def test_never_clear_while_the_camera_is_not_trusted_or_an_object_is_held(history):
    hub = Hub(site(on_delay_hits=2, on_delay_window=3))
    for number, (state, x) in enumerate(history):
        hub.see(number / 10, *([] if x is None else [track(x)]), state=state)
        if state is not CameraState.NOMINAL:
            assert hub.section() is not SectionState.CLEAR
    last = [x for _, x in history[-3:]]
    if last == [ON_TRACK] * 3:
        assert hub.section() is SectionState.OCCUPIED


@given(st.integers(0, 8), st.integers(1, 50))
def test_blind_frames_never_bring_the_closing_forward(quiet_frames, blind_frames):
    hub = Hub(site(on_delay_hits=2, on_delay_window=3))
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.watch(1.0, 1.0 + quiet_frames / 10)
    blind_until_s = 1.0 + (quiet_frames + blind_frames) / 10
    hub.watch(1.0 + quiet_frames / 10, blind_until_s, state=CameraState.BLIND)
    # The step out of blindness is not observed either: 1.0 s of quiet need ten observed steps of 0.1 s in all.
    needed = 10 - quiet_frames
    for number in range(needed):
        hub.see(blind_until_s + number / 10)
        assert hub.section() is SectionState.OCCUPIED
    hub.watch(blind_until_s + needed / 10, blind_until_s + needed / 10 + 0.5)
    assert hub.section() is SectionState.CLEAR


@given(st.lists(track_lists(), min_size=3, max_size=12), tracks(track_id=99))
def test_one_more_object_never_lowers_severity(frames, extra):
    extra = replace(extra, group="person", state=TrackState.CONFIRMED)
    without, with_extra = Hub(site()), Hub(site())
    for number, found in enumerate(frames):
        without.see(number / 10, *found)
        with_extra.see(number / 10, *found, extra)
        below = [incident.severity for incident in without.state.incidents.values()]
        above = [incident.severity for incident in with_extra.state.incidents.values()]
        assert not below or max(above) >= max(below)


@given(st.lists(track_lists(), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_objects_changes_nothing(frames, random):
    plain, shuffled = Hub(site()), Hub(site())
    for number, found in enumerate(frames):
        mixed = list(found)
        random.shuffle(mixed)
        plain.see(number / 10, *found)
        shuffled.see(number / 10, *mixed)
    assert plain.alerts == shuffled.alerts


@given(st.lists(track_lists(), min_size=1, max_size=12))
def test_a_mirrored_picture_has_the_mirrored_history(frames):
    # 0.75 of the width is kept clear of the zones' edges by using widths that binary fractions hold exactly.
    zones = [band("t", ZoneKind.TRACK, 0.25, 0.5), band("a", ZoneKind.APPROACH, 0.5, 0.75)]
    mirror = [replace(z, polygon_norm=tuple(Point(1.0 - p.x, p.y) for p in z.polygon_norm)) for z in zones]
    plain, mirrored = Hub(site(zones=zones)), Hub(site(zones=mirror))
    for number, found in enumerate(frames):
        snapped = [replace(t, xyxy=tuple(float(round(v / 8) * 8) for v in t.xyxy)) for t in found]
        plain.see(number / 10, *snapped)
        mirrored.see(number / 10, *(_mirrored(t) for t in snapped))
    assert actions(plain.alerts) == actions(mirrored.alerts)


def _mirrored(value):
    left, top, right, bottom = value.xyxy
    return replace(value, xyxy=(1000.0 - right, top, 1000.0 - left, bottom))


@settings(max_examples=30)
@given(st.lists(track_lists(), min_size=1, max_size=12), st.integers(0, 10**6))
def test_when_it_happens_changes_nothing_but_the_times(frames, offset_s):
    early, late = Hub(site()), Hub(site(), float(offset_s))
    for number, found in enumerate(frames):
        t_s = number * 0.125  # exact in binary, at any offset
        early.feed(observation(t_s, *found), t_s)
        late.feed(observation(t_s + offset_s, *found), t_s + offset_s)
    assert actions(early.alerts) == actions(late.alerts)
