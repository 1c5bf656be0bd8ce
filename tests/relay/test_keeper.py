"""The keeper holds an output for as long as it is told to, and not a moment longer."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest

from railwatch.core.errors import RelayError
from railwatch.relay.keeper import BEAT_S, MAX_HOLD_S, Keeper, StallWatch, serve


class Recorded:
    """An output that keeps what it was set to; it fails while `reason` is given."""

    def __init__(self):
        self.states, self.reason, self.closed = [], None, False

    def set(self, energised):
        if self.reason is not None:
            raise RelayError(self.reason)
        self.states.append(energised)

    def drop(self):
        self.states.append("dropped")

    def close(self):
        self.closed = True


class Clock:
    def __init__(self, now_s=100.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


@pytest.fixture
def kept():
    output, clock = Recorded(), Clock()
    return Keeper(output, clock), output, clock


def test_it_begins_de_energised(kept):
    keeper, output, _ = kept
    assert keeper.beat() == "0"
    assert output.states == [False]


def test_it_is_energised_up_to_the_moment_told(kept):
    keeper, output, clock = kept
    keeper.hear(b"100.500\n")
    assert keeper.beat() == "1"
    clock.now_s = 100.499
    assert keeper.beat() == "1"
    clock.now_s = 100.5
    assert keeper.beat() == "0"
    assert output.states == [True, True, False]


def test_no_word_holds_it_for_longer_than_the_bound(kept):
    keeper, _, clock = kept
    keeper.hear(b"1e9\n")
    clock.now_s = 100.0 + MAX_HOLD_S
    assert keeper.beat() == "0"


@pytest.mark.parametrize(
    "line", [b"-inf\n", b"nan\n", b"inf\n", b"\n", b"CLEAR\n", b"\xff\n", b"100.5\n99.0\n", b"100.5\nx\n"]
)
def test_anything_but_a_moment_to_come_lets_it_fall(kept, line):
    keeper, _, _ = kept
    keeper.hear(b"100.9\n")
    assert keeper.beat() == "1"
    keeper.hear(line)
    assert keeper.beat() == "0"


def test_a_full_pipe_of_old_words_energises_nothing(kept):
    """The keeper was frozen for a minute and wakes to what was written meanwhile."""
    keeper, output, clock = kept
    clock.now_s = 160.0
    keeper.hear(b"".join(b"%.3f\n" % (100.0 + number / 10) for number in range(500)))
    assert keeper.beat() == "0"
    assert output.states == [False]


def test_words_may_arrive_in_pieces(kept):
    keeper, _, _ = kept
    keeper.hear(b"100")
    assert keeper.beat() == "0"
    keeper.hear(b".7")
    keeper.hear(b"\n100.")
    assert keeper.beat() == "1"


def test_a_flood_without_a_line_end_stays_bounded(kept):
    keeper, _, _ = kept
    for _ in range(10):
        keeper.hear(b"1" * 60000)
    assert len(keeper._rest) <= 65536


def test_it_wakes_when_the_time_runs_out(kept):
    keeper, _, clock = kept
    assert keeper.wait_s() == BEAT_S
    keeper.hear(b"100.04\n")
    assert keeper.wait_s() == pytest.approx(0.04)
    clock.now_s = 100.05
    assert keeper.wait_s() == BEAT_S


def test_a_fault_of_the_output_is_reported_in_one_line(kept):
    keeper, output, _ = kept
    output.reason = "it is\nbroken"
    keeper.hear(b"100.5\n")
    assert keeper.beat() == "! it is broken"


def test_a_stall_is_noticed_once_and_a_turning_loop_is_not():
    stalled = threading.Event()
    watch = StallWatch(0.2, stalled.set)
    for _ in range(20):
        watch.alive()
        time.sleep(0.02)
    assert not stalled.is_set()
    assert stalled.wait(20.0)
    watch.stop()


class Pipes:
    """The two ends of a keeper that serves in a thread."""

    def __init__(self, output, on_stall=lambda: None):
        self.commands, write = os.pipe()
        self.write = write
        self.read, self.reports = os.pipe()
        arguments = (output, self.commands, self.reports, time.monotonic, on_stall)
        self.thread = threading.Thread(target=serve, args=arguments)
        self.thread.start()

    def end(self):
        os.close(self.write)
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        for end in (self.commands, self.read, self.reports):
            os.close(end)


def until(condition):
    deadline_s = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_serving_sets_the_output_at_every_beat_and_closes_it_at_the_end():
    output = Recorded()
    pipes = Pipes(output)
    until(lambda: output.states[-1:] == [False])
    os.write(pipes.write, f"{time.monotonic() + 60.0}\n".encode())
    until(lambda: True in output.states)
    until(lambda: output.states[-1] is False)  # nothing more was said
    assert os.read(pipes.read, 65536).splitlines()[0] == b"0"
    pipes.end()
    assert output.closed


def test_reports_that_nobody_reads_stop_nothing():
    output = Recorded()
    pipes = Pipes(output)
    os.set_blocking(pipes.reports, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipes.reports, b"x" * 4096)
    count = len(output.states)
    until(lambda: len(output.states) > count + 3)
    pipes.end()


def test_an_output_that_hangs_is_dropped_from_beside():
    class Hanging(Recorded):
        def set(self, energised):
            released.wait(60.0)

    released, output = threading.Event(), Hanging()
    pipes = Pipes(output, lambda: (output.drop(), released.set()))
    until(lambda: "dropped" in output.states)
    pipes.end()
