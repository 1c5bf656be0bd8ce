"""Trains, possessions and people who are not seen any more, through the one function that decides."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.alerts import Action, CameraState, SectionState, Severity
from railwatch.core.geometry import Point
from railwatch.core.ground import plane_of_points
from railwatch.core.risk_settings import RiskSettings, TrainSourceSettings
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Track, TrackState, TrainReport, Zone, ZoneKind
from railwatch.decision.inputs import Possession
from railwatch.decision.status import status_of
from tests.scenario import ON_TRACK, Hub, actions, band, observation, site, track

FEED = TrainSourceSettings("feed", ("t1",), authoritative=True, max_age_s=5.0)
WARNING, EMERGENCY, NOTICE = Severity.WARNING, Severity.EMERGENCY, Severity.NOTICE


def report(eta_s: float | None, seq: int = 1, **change) -> TrainReport:
    return replace(TrainReport("t1", "east", eta_s, None, None, "feed", seq, 0.0, authoritative=True), **change)


def fed(eta_s: float | None = None, **options) -> Hub:
    hub = Hub(site(train_sources=[FEED], **options))
    hub.feed(report(eta_s), 0.0)
    return hub


def severities(hub: Hub) -> list[Severity]:
    return [alert.severity for alert in hub.alerts]


def test_without_a_train_somebody_on_the_track_is_a_warning():
    hub = fed()
    (opened,) = hub.watch(0.0, 2.0, ON_TRACK)
    assert opened.severity is WARNING
    assert opened.margin_s is None
    assert opened.why == "1 person on the track t1; feed vouches that no train comes"


def test_a_train_that_is_told_of_makes_it_an_emergency_at_the_next_input():
    hub = fed()
    hub.watch(0.0, 2.0, ON_TRACK)
    (raised,) = hub.feed(report(60.0, seq=2, speed_mps=20.0), 2.0)
    assert (raised.action, raised.severity) == (Action.ESCALATED, EMERGENCY)
    assert raised.margin_s == pytest.approx(60.0 - 180.0)
    assert "train in 60 s at 72 km/h, needs 47 s to stop (feed)" in raised.why
    assert raised.why.endswith("taken to stay 180 s: stop the train")


def test_a_train_comes_nearer_without_a_word_and_without_a_frame():
    hub = Hub(site(train_sources=[replace(FEED, max_age_s=600.0)]))
    hub.feed(report(300.0, speed_mps=20.0), 0.0)
    hub.watch(0.0, 1.0, ON_TRACK)
    hub.see(1.0, track(0.5), state=CameraState.BLIND)
    assert severities(hub)[0] is WARNING
    found = [alert for second in range(2, 200) for alert in hub.tick(float(second)) if alert.severity is EMERGENCY]
    assert [alert.action for alert in found] == [Action.ESCALATED]
    assert found[0].margin_s < 10.0


def test_a_feed_that_falls_silent_is_a_train_now():
    hub = fed()
    hub.watch(0.0, 8.0, ON_TRACK)
    told = [alert for alert in hub.alerts if alert.severity is EMERGENCY]
    assert [alert.action for alert in told] == [Action.ESCALATED]
    assert "5 s old" in told[0].why


def test_a_feed_that_never_spoke_is_a_train_now():
    hub = Hub(site(train_sources=[FEED]))
    (opened,) = hub.watch(0.0, 1.0, ON_TRACK)
    assert opened.severity is EMERGENCY
    assert "has not reported" in opened.why


def test_severity_falls_only_after_the_off_delay_when_the_train_is_gone():
    hub = fed(20.0)
    hub.watch(0.0, 1.0, ON_TRACK)
    assert severities(hub) == [EMERGENCY]
    hub.feed(report(None, seq=2), 1.0)
    (fell,) = hub.watch(1.0, 3.0, ON_TRACK)
    assert (fell.action, fell.severity) == (Action.DEESCALATED, WARNING)
    assert fell.published_at in {"received 1.900", "received 2.000"}


def test_status_tells_what_is_believed_of_every_named_track():
    hub = fed(30.0)
    hub.tick(1.0)
    (said,) = status_of(hub.state).trains
    assert (said.rail_track_id, said.eta_s, said.source, said.age_s) == ("t1", 29.0, "feed", 1.0)
    assert status_of(Hub(site()).state).trains == ()


def test_workers_under_a_possession_are_a_notice_until_it_ends_or_a_train_comes():
    hub = fed()
    hub.feed(Possession("t1", "Anna", 3.0), 0.0)
    (opened,) = hub.watch(0.0, 2.0, ON_TRACK)
    assert opened.severity is NOTICE
    assert "under a possession" in opened.why
    assert hub.section() is SectionState.OCCUPIED
    (raised,) = hub.watch(2.0, 4.0, ON_TRACK)
    assert (raised.severity, raised.published_at) == (WARNING, "received 3.000")
    hub.feed(Possession("t1", "Anna", 60.0), 4.0)
    (emergency,) = hub.feed(report(30.0, seq=2), 4.05)
    assert emergency.severity is EMERGENCY


def test_a_possession_is_ended_by_hand():
    hub = fed()
    hub.feed(Possession("t1", "Anna", 600.0), 0.0)
    hub.watch(0.0, 1.0, ON_TRACK)
    (raised,) = hub.feed(Possession("t1", "Anna", 0.0), 1.0)
    assert raised.severity is WARNING


@pytest.mark.parametrize(
    ("change", "words"),
    [({"rail_track_id": ""}, "rail_track_id"), ({"holder": "x" * 201}, "holder"), ({"lasts_s": -1.0}, "lasts_s")],
)
def test_a_possession_out_of_bounds_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Possession(**{"rail_track_id": "t1", "holder": "Anna", "lasts_s": 60.0, **change})


def train(t_s: float, grow: float, track_id: int = 9) -> Track:
    """A train whose box covers the track and grows by `grow` (fraction of the frame) a second."""
    size = 100.0 + 1000.0 * grow * t_s
    box = (500.0 - size, 500.0 - size, 500.0 + size, 500.0 + size)
    return Track(track_id, "train", "train", box, 0.9, TrackState.CONFIRMED, t_s, t_s, 3)


def run(hub: Hub, begin_s: float, end_s: float, *makers, **kwargs) -> list:
    before = len(hub.alerts)
    for number in range(round((end_s - begin_s) * 10)):
        t_s = round(begin_s + number / 10, 6)
        hub.see(t_s, *(maker(t_s) for maker in makers), **kwargs)
    return hub.alerts[before:]


def man(t_s: float) -> Track:
    return track(ON_TRACK, t_s=t_s)


def test_a_train_that_the_camera_sees_coming_makes_it_an_emergency():
    hub = Hub(site())
    run(hub, 0.0, 2.0, man)
    raised = run(hub, 2.0, 4.0, man, lambda t: train(t - 2.0, 0.1))
    assert [(alert.action, alert.severity) for alert in raised] == [(Action.ESCALATED, EMERGENCY)]
    assert "train now (camera)" in raised[0].why


def test_a_track_that_is_called_a_train_changes_nothing():
    hub = Hub(site())
    alerts = run(hub, 0.0, 6.0, man, lambda t: train(0.0, 0.0))
    assert severities(hub) == [WARNING]
    assert len(alerts) == 1


def test_a_train_on_another_track_named_by_its_zone_does_not_count():
    zones = [
        band("near", ZoneKind.TRACK, 0.6, 0.9),
        replace(band("far", ZoneKind.TRACK, 0.3, 0.55), rail_track_id="t2"),
    ]
    hub = Hub(site(zones=zones))
    run(hub, 0.0, 4.0, lambda t: track(0.75, t_s=t), lambda t: train(t, 0.03))
    assert severities(hub) == [WARNING]


def passenger(t_s: float) -> Track:
    size = 100.0 + 100.0 * t_s
    box = (495.0, 490.0, 505.0, 510.0 + size * 0.2)
    return Track(3, "person", "person", box, 0.9, TrackState.CONFIRMED, t_s, t_s, 9)


def test_passengers_of_a_train_in_motion_raise_nothing_and_the_zone_is_armed_once_it_is_gone():
    hub = Hub(site())
    run(hub, 0.0, 1.0, lambda t: train(t, 0.1))
    assert run(hub, 1.0, 2.0, lambda t: train(t, 0.1), passenger) == []
    assert actions(run(hub, 2.0, 3.0, passenger)) == ["INTRUSION OPENED WARNING"]


def test_a_man_within_the_box_of_what_never_moved_is_not_a_passenger():
    hub = Hub(site())
    run(hub, 0.0, 1.0, lambda t: train(0.0, 0.0), lambda t: passenger(0.0))
    assert severities(hub) == [WARNING]


def seated(t_s: float) -> Track:
    """A passenger who comes into the picture with the train, and stays within its box."""
    return replace(passenger(t_s), first_seen_s=0.0)


def test_passengers_of_a_train_that_is_new_are_not_counted_until_it_is_known_to_move():
    hub = Hub(site())
    assert run(hub, 0.0, 3.0, lambda t: train(t, 0.1), seated) == []


def test_what_is_called_a_train_for_a_moment_hides_nobody_who_was_there_before():
    hub = Hub(site())
    old = run(
        hub,
        0.0,
        0.9,
        lambda t: replace(passenger(0.0), first_seen_s=-0.5),
        lambda t: train(0.0, 0.0, 50 + round(t * 10)),
    )
    assert actions(old) == ["INTRUSION OPENED WARNING"]
    assert old[0].published_at == "received 0.200"
    still = Hub(site())
    (opened,) = run(still, 0.0, 1.5, lambda t: replace(passenger(0.0), first_seen_s=0.0), lambda t: train(0.0, 0.0))
    assert opened.published_at == "received 0.500"


def test_a_train_that_draws_in_over_somebody_makes_no_passenger_of_him():
    hub = Hub(site())
    run(hub, 0.0, 1.2, passenger)
    run(hub, 1.2, 5.0, passenger, lambda t: train(t, 0.1))
    assert [alert.action for alert in hub.alerts] == [Action.OPENED, Action.ESCALATED]
    brief = Hub(site(off_delay_s=0.5))
    run(brief, 0.0, 0.8, lambda t: train(t, 0.1))
    run(brief, 0.8, 1.4, passenger)
    run(brief, 1.4, 4.0, passenger, lambda t: train(t, 0.1))
    assert brief.alerts[-1].action is Action.CLOSED


STAYS = RiskSettings(stay_hold_s=5.0)


def test_who_is_not_seen_any_more_on_the_track_is_held_for_a_while():
    hub = Hub(site(risk=STAYS))
    hub.watch(0.0, 2.0, ON_TRACK)
    assert hub.watch(2.0, 6.8) == []
    assert hub.section() is SectionState.OCCUPIED
    closed = hub.watch(6.8, 9.0)
    assert [alert.action for alert in closed] == [Action.CLOSED]


def test_a_train_makes_who_is_held_an_emergency():
    hub = fed(risk=STAYS)
    hub.watch(0.0, 2.0, ON_TRACK)
    hub.watch(2.0, 3.0)
    (raised,) = hub.feed(report(30.0, seq=2), 3.0)
    assert raised.severity is EMERGENCY
    assert raised.why.startswith("1 person on the track t1, for 3 s")


def test_who_walks_off_is_let_go_after_the_off_delay():
    hub = Hub(site(risk=STAYS))
    run(hub, 0.0, 2.0, lambda t: track(0.42 + 0.09 * t, t_s=t))
    closed = hub.watch(2.0, 4.0)
    assert [alert.action for alert in closed] == [Action.CLOSED]


def test_who_is_seen_again_nearby_under_another_number_is_no_longer_held():
    hub = Hub(site(risk=STAYS))
    hub.watch(0.0, 2.0, ON_TRACK)
    hub.watch(2.0, 3.0)
    run(hub, 3.0, 4.0, lambda t: track(0.55, track_id=7, t_s=t))
    run(hub, 4.0, 5.0, lambda t: track(0.65, track_id=7, t_s=t))
    run(hub, 5.0, 6.0, lambda t: track(0.95, track_id=7, t_s=t))
    assert hub.alerts[-1].action is Action.CLOSED


def test_a_bystander_or_something_of_another_group_does_not_release_who_is_held():
    hub = Hub(site(risk=STAYS))

    def bystander(t_s):
        return replace(track(0.62, track_id=7, t_s=t_s), first_seen_s=0.0)

    run(hub, 0.0, 2.0, man, bystander)
    assert run(hub, 2.0, 4.0, bystander, lambda t: track(0.65, 8, "vehicle", t_s=t)) == []
    assert hub.section() is SectionState.OCCUPIED


def test_whom_the_tracker_followed_twice_is_not_held_when_one_of_the_two_is_lost():
    hub = Hub(site(risk=STAYS))

    def twin(t_s):
        return replace(track(0.53 + 0.05 * t_s, track_id=2, t_s=t_s), first_seen_s=0.0)

    run(hub, 0.0, 1.0, man, twin)
    run(hub, 1.0, 4.0, twin)
    run(hub, 4.0, 6.0, lambda t: replace(track(0.95, track_id=2, t_s=t), first_seen_s=0.0))
    assert hub.alerts[-1].action is Action.CLOSED


def test_who_walked_on_unseen_is_released_where_he_appears():
    hub = Hub(site(risk=STAYS))
    hub.watch(0.0, 2.0, ON_TRACK)
    hub.watch(2.0, 3.0)
    run(hub, 3.0, 4.5, lambda t: track(0.85, track_id=7, t_s=t))
    assert hub.alerts[-1].action is Action.CLOSED


def test_who_stands_beside_the_track_or_was_seen_too_shortly_is_not_held():
    hub = Hub(site(risk=STAYS))
    hub.watch(0.0, 2.0, 0.2)
    assert actions(hub.watch(2.0, 4.0)) == ["INTRUSION CLOSED NOTICE"]
    brief = Hub(site(risk=STAYS))
    run(brief, 0.0, 1.0, lambda t: replace(man(t), hits=2))
    assert actions(brief.watch(1.0, 3.0)) == ["INTRUSION CLOSED WARNING"]


def test_who_leaves_the_picture_is_not_held():
    hub = Hub(site(zones=[band("track-cam", ZoneKind.TRACK, 0.0, 1.0)], risk=STAYS))
    run(hub, 0.0, 2.0, lambda t: track(0.75 + 0.1 * t, t_s=t))
    assert actions(hub.watch(2.0, 4.0)) == ["INTRUSION CLOSED WARNING"]


def test_who_was_seen_in_two_frames_is_held_where_he_was():
    hub = Hub(site(zones=[band("wide", ZoneKind.TRACK, 0.1, 0.9)], risk=STAYS, update_interval_s=0.0))
    run(hub, 0.0, 1.8, lambda t: track(0.2, t_s=t))
    run(hub, 1.8, 2.0, lambda t: track(0.2, t_s=t), lambda t: track(0.8, 2, t_s=t))
    (update,) = run(hub, 2.0, 3.0, lambda t: track(0.2, t_s=t))
    assert update.why.startswith("2 people on the track t1")


def test_who_is_held_is_forgotten_with_the_worker_that_saw_him():
    hub = Hub(site(risk=STAYS))
    hub.watch(0.0, 2.0, ON_TRACK)
    hub.watch(2.0, 2.5)
    closed = hub.watch(2.5, 5.0, worker_epoch=2)
    assert [alert.action for alert in closed] == [Action.CLOSED]


PLANE = plane_of_points([((0.0, 1.0), (-8, 0)), ((1.0, 1.0), (8, 0)), ((0.75, 0.4), (8, 40)), ((0.25, 0.4), (-8, 40))])
CALIBRATED = CameraSettings("cam", "x.mp4", ground=PLANE)


def walker(speed_mps: float, x_m: float = -1.0):
    def at(t_s: float) -> Track:
        foot = PLANE.picture_of(x_m + speed_mps * t_s, 15.0)
        x, y = foot.x * 1000, foot.y * 1000
        return Track(1, "person", "person", (x - 10, y - 60, x + 10, y), 0.9, TrackState.CONFIRMED, t_s, t_s, 3)

    return at


def test_somebody_who_crosses_in_time_is_a_warning_and_one_who_stops_an_emergency():
    strip = tuple(PLANE.picture_of(x, y) for x, y in [(-2, 2), (2, 2), (2, 35), (-2, 35)])
    zone = Zone("track-cam", "cam", "main", "t1", ZoneKind.TRACK, tuple(Point(*at) for at in strip))
    crossing = Hub(site([CALIBRATED], zones=[zone], train_sources=[FEED]))
    crossing.feed(report(60.0), 0.0)
    run(crossing, 0.0, 4.0, walker(1.4, x_m=-5.0))
    assert severities(crossing) == [WARNING]
    assert crossing.alerts[0].margin_s == pytest.approx(60 - 2.4 - 5.0 / 1.4, abs=1.5)
    assert "out of danger in" in crossing.alerts[0].why
    stopping = Hub(site([CALIBRATED], zones=[zone], train_sources=[FEED]))
    stopping.feed(report(60.0), 0.0)
    run(stopping, 0.0, 1.5, walker(0.0))
    assert severities(stopping) == [EMERGENCY]
    assert "taken to stay" in stopping.alerts[-1].why


def test_many_animals_are_a_herd():
    hub = fed(400.0)
    hub.watch(0.0, 0.1)
    run(hub, 0.1, 1.0, *(lambda t, n=n: track(0.45 + n * 0.04, n + 1, "animal", "cow", t_s=t) for n in range(3)))
    told = hub.alerts[-1]
    assert "in a herd, taken to stay" in told.why
    assert "3 cows" in told.why


def test_a_camera_of_another_section_does_not_bring_its_train_here():
    zones = [
        band("a", ZoneKind.TRACK, 0.4, 0.6),
        replace(band("b", ZoneKind.TRACK, 0.0, 0.1, "far", "other"), rail_track_id=None),
    ]
    hub = Hub(site([CameraSettings("cam", "x.mp4"), CameraSettings("far", "y.mp4")], zones=zones))
    for number in range(20):
        t_s = number / 10
        hub.see(t_s, man(t_s))
        hub.feed(observation(t_s, train(t_s, 0.1), camera_id="far"), t_s)
    assert severities(hub) == [WARNING]
