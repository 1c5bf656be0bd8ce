"""When self-tests begin."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from railwatch.app.prober import AFTER_A_MISS_S, WHILE_FAILING_S, Prober
from railwatch.core.self_test import SelfTestSettings
from railwatch.core.settings import CameraSettings
from railwatch.decision.inputs import Probe, ProbeSight
from railwatch.seam.commands import Answer
from tests.scenario import ON_TRACK, Hub, observation, site, track

TWO = (CameraSettings("a", "a.mp4", worker_group="one"), CameraSettings("b", "b.mp4"))


class Bench:
    """A prober with a decision behind it; `asked` are the commands to workers."""

    def __init__(self, interval_s=10.0, cameras=TWO):
        settings = replace(site(cameras), self_test=SelfTestSettings(interval_s, 2.0))
        self.hub, self.asked, self.begun = Hub(settings), [], []
        self.prober = Prober(lambda *asked: self.asked.append(asked), self._feed)
        self.now_s = 0.0
        self.names = [camera.camera_id for camera in cameras]

    def _feed(self, value):
        if isinstance(value, Probe):
            self.begun.append((round(self.now_s, 1), value.camera_id))
        self.hub.feed(value, self.now_s)

    def run(self, seconds, pass_after=None):
        """So many seconds of ten frames; a self-test is passed when it is `pass_after` old."""
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            for name in self.names:
                self.hub.see(self.now_s, camera_id=name)
            self.prober.turn(self.hub.state, self.now_s)
            for name in self.names:
                self._pass(name, pass_after)

    def _pass(self, name, pass_after):
        running = self.hub.state.probing(name).running
        if running is None or pass_after is None or self.now_s - running.begun_s < pass_after:
            return
        for _ in range(3):
            self.hub.feed(
                ProbeSight(running.probe_id, observation(self.now_s, track(ON_TRACK), camera_id=name)), self.now_s
            )
        self.prober.heard(self.hub.state, self.hub.alerts[-1])


def test_cameras_are_tried_in_turn_and_one_at_a_time():
    bench = Bench()
    bench.run(31.0, pass_after=0.5)
    assert [name for _, name in bench.begun] == ["a", "b", "a", "b", "a"]
    assert 5.0 <= bench.begun[0][0] <= 5.3
    times = [at for at, name in bench.begun if name == "a"]
    assert all(10.0 <= later - before <= 11.0 for before, later in pairwise(times))
    group, command, _ = bench.asked[0]
    assert (group, command.body["camera_id"], command.body["frames"]) == ("one", "a", 5 + 2 + 3)
    assert bench.hub.state.probing("a").runs == 3
    assert bench.hub.state.probing("a").misses == 0


def test_after_a_miss_it_is_tried_again_soon_and_while_it_fails_from_time_to_time():
    bench = Bench(interval_s=100.0, cameras=(CameraSettings("a", "a.mp4"),))
    bench.run(130.0)
    first, second, third, fourth = (at for at, _ in bench.begun[:4])
    assert 2.0 + AFTER_A_MISS_S <= second - first < 3.0 + AFTER_A_MISS_S
    assert 2.0 + WHILE_FAILING_S <= third - second < 3.0 + WHILE_FAILING_S
    assert 2.0 + WHILE_FAILING_S <= fourth - third < 3.0 + WHILE_FAILING_S
    bench.run(40.0, pass_after=0.2)
    assert not bench.hub.state.probing("a").failing


def test_without_an_interval_only_who_asks_gets_one():
    bench = Bench(interval_s=0.0)
    bench.run(20.0, pass_after=0.2)
    assert bench.begun == []
    assert bench.prober.request(bench.hub.state, ["b", "nobody"], bench.now_s) == ("b",)
    bench.run(20.0, pass_after=0.2)
    assert [name for _, name in bench.begun] == ["b"]


def test_a_camera_that_is_blind_or_has_just_come_back_is_left_alone():
    bench = Bench(interval_s=1.0, cameras=(CameraSettings("a", "a.mp4"),))
    bench.hub.lose(0.0, "a")
    bench.names = []
    bench.run(5.0)
    assert bench.begun == []
    bench.names = ["a"]
    bench.run(0.9)
    assert bench.begun == []
    bench.run(0.5)
    assert [name for _, name in bench.begun] == ["a"]


def test_a_worker_that_refuses_is_a_miss_with_its_reason():
    bench = Bench(interval_s=1.0, cameras=(CameraSettings("a", "a.mp4"),))
    bench.run(2.5)
    _, command, on_answer = bench.asked[0]
    on_answer(Answer(command.command_id, ok=True))
    assert bench.hub.state.probing("a").running is not None
    on_answer(Answer(command.command_id, ok=False, reason="no such camera"))
    assert bench.hub.state.probing("a").words == "it could not be carried out: no such camera"


def test_an_alert_of_another_self_test_is_not_taken_for_this_one():
    bench = Bench(interval_s=1.0, cameras=(CameraSettings("a", "a.mp4"),))
    bench.run(2.5)
    running = bench.hub.state.probing("a").running
    for _ in range(3):
        seen = observation(bench.now_s, track(ON_TRACK), camera_id="a")
        bench.hub.feed(ProbeSight(running.probe_id, seen), bench.now_s)
    old = replace(bench.hub.alerts[-1], incident_id="an older one")
    bench.prober.heard(bench.hub.state, old)
    assert bench.hub.state.probing("a").runs == 0
    bench.prober.heard(bench.hub.state, bench.hub.alerts[-1])
    assert bench.hub.state.probing("a").runs == 1
