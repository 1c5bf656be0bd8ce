"""The worker's end of the second look: batches, abstention, and a process that dies, hangs or lies."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from railwatch.app import second_look
from railwatch.app.second_look import MOST_IN_BATCH, MOST_WAITING, SecondLook
from railwatch.app.second_look_check import second_look_faults
from railwatch.app.second_look_health import SecondLookHealth
from railwatch.app.second_look_pipe import OutError, Pipe
from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.types import Frame
from railwatch.perception.picture import BgrPicture
from tests.classifier_file import write_classifier
from tests.hub_rig import alive, wait_until
from tests.scenario import observation, track

WHO = '{"classes": ["Aves", "Mammalia"], "side": 4, "abstain_below": 0.6}'
READ = """
import json, sys, time
source = sys.stdin.buffer
source.readline()
def say(text):
    sys.stdout.write(text + "\\n")
    sys.stdout.flush()
def batches():
    while head := source.readline():
        count = json.loads(head)["count"]
        yield count, source.read(count * 48)
"""
HONEST = f"""{READ}
say('{WHO}')
for count, content in batches():
    say(json.dumps({{"answers": [[1, content[48 * n] / 100] for n in range(count)]}}))
"""
SETTINGS = SecondLookSettings("classifier.onnx", "a" * 64, every_s=0.5)


def command(program):
    return (sys.executable, "-S", "-E", "-c", program)


def shown(level, size=64):
    """A frame of one level."""
    return Frame("cam", 0, 0.0, None, "", BgrPicture(np.full((size, size, 3), level, np.uint8)))


def seen(t_s, *ids, camera_id="cam"):
    """Animals that fill the frame."""
    found = [track(0.5, track_id=number, group="animal", t_s=t_s) for number in ids]
    return observation(t_s, *found, camera_id=camera_id)


def frame_and_sight(t_s, level=95, *ids, camera_id="cam"):
    sight = seen(t_s, *(ids or (1,)), camera_id=camera_id)
    return shown(level, 1000), sight


@pytest.fixture
def looking():
    """Make a second look with a program in place of its process."""
    made = []

    def make(program, settings=SETTINGS, answer_s=5.0):
        made.append(SecondLook(settings, lambda: None, command(program), answer_s))
        return made[-1]

    yield make
    for second in made:
        second.close()


def test_answers_come_late_with_the_track_and_below_the_confidence_there_is_none(looking):
    second = looking(HONEST)
    second.settle(20.0)
    second.look(*frame_and_sight(1.0, 95, 7, 8, camera_id="east"))
    second.look(*frame_and_sight(1.5, 30, 3, camera_id="west"))
    second.settle(20.0)
    assert sorted(second.take(), key=lambda said: said.track_id) == [
        Annotation("west", 1, 3, 1.5, None, 0.3),
        Annotation("east", 1, 7, 1.0, "Mammalia", 0.95),
        Annotation("east", 1, 8, 1.0, "Mammalia", 0.95),
    ]
    assert second.take() == []
    assert second.trouble is None


def test_a_confidence_of_the_site_takes_the_place_of_the_files(looking):
    second = looking(HONEST, SecondLookSettings("c.onnx", least_confidence=0.2))
    second.settle(20.0)
    second.look(*frame_and_sight(1.0, 30))
    second.settle(20.0)
    assert [said.taxon for said in second.take()] == ["Mammalia"]


SLOW = f"{READ}\nsay('{WHO}')\nfor count, content in batches():\n    time.sleep(0.0 if not count else 30.0)\n"
MEMORY = f"""{READ}
import os
say('{WHO}')
for count, content in batches():
    while count and not os.path.exists(GATE):
        time.sleep(0.01)
    say(json.dumps({{"answers": [[1, count / 100]] * count}}))
"""


def test_what_waits_is_asked_in_one_batch_and_the_oldest_gives_way(looking, tmp_path):
    second = looking(
        MEMORY.replace("GATE", repr(str(tmp_path / "gate"))), SecondLookSettings("c.onnx", least_confidence=0.0)
    )
    second.settle(20.0)
    second.look(*frame_and_sight(0.0, 95, 1))
    wait_until(lambda: second._asking == 1, what="the first batch")
    for number in range(MOST_WAITING + 10):
        second.look(*frame_and_sight(10.0 + number, 95, number + 2))
    assert len(second._waiting) == MOST_WAITING
    (tmp_path / "gate").touch()
    second.settle(20.0)
    said = second.take()
    assert [item.confidence for item in said[1:]] == [MOST_IN_BATCH / 100] * MOST_WAITING
    assert [item.track_id for item in said] == [1, *range(12, MOST_WAITING + 12)]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit(7)", "it ended with exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "it was killed by SIGSEGV"),
        (f"{READ}\nsay('nonsense')", "it must answer in JSON"),
        (f"{READ}\nsay('[]')", "it must tell who it is"),
        (f'{READ}\nsay(\'{{"error": "the classifier c.onnx must be there"}}\')', "the classifier c.onnx must be there"),
        (SLOW, "it gave no answer within 1.3 s"),
        (HONEST.replace("range(count)", "[0] * (count + 1)"), "it must answer for 1 pictures, but answered something"),
        (HONEST.replace("Aves", "A\\\\nves"), "it must tell who it is"),
        (HONEST.replace("[1,", "[2,"), "it must answer with a class and a probability"),
        (HONEST.replace("/ 100]", "/ 10]"), "it must answer with a class and a probability"),
        (HONEST.replace("content[48 * n] / 100", "float('nan')"), "it must answer with a class and a probability"),
    ],
)
def test_a_process_that_dies_hangs_or_lies_is_told_and_holds_nobody_up(looking, program, words):
    second = looking(program, answer_s=0.3 if program is SLOW else 20.0)
    wait_until(lambda: second.trouble is not None or second._side, what="the first word")
    second.look(*frame_and_sight(1.0))
    wait_until(lambda: second.trouble is not None, what="the trouble")
    assert second.trouble.startswith("the second look at animals is out, alarms go on without it: ")
    assert words in second.trouble
    second.look(*frame_and_sight(9.0))  # nobody is there to look: nothing waits
    second.settle(0.0)
    assert second.take() == []


def test_a_process_that_was_killed_is_started_again_and_is_well_when_it_has_answered(looking):
    second = looking(HONEST)
    wait_until(lambda: second._side, what="a process")
    pid = second.pid
    os.kill(pid, signal.SIGKILL)
    second.look(*frame_and_sight(1.0))
    wait_until(lambda: second.trouble is not None, what="the trouble")
    wait_until(lambda: second._side, what="another process")
    assert not alive(pid)
    second.look(*frame_and_sight(100.0))
    wait_until(lambda: second.trouble is None, what="that it is well")
    assert [said.t_s for said in second.take()] == [100.0]


def test_what_cannot_be_cut_out_is_told_and_blinds_nobody(looking, monkeypatch):
    def fail(*_):
        raise RuntimeError("no memory")

    second = looking(HONEST)
    second.settle(20.0)
    monkeypatch.setattr(second_look, "crop_of", fail)
    second.look(*frame_and_sight(1.0))
    assert "an animal cannot be cut out: no memory" in second.trouble
    monkeypatch.undo()
    second.look(*frame_and_sight(9.0))
    wait_until(lambda: second.trouble is None, what="that it is well")


def test_closing_ends_a_process_that_does_not_get_ready(looking):
    second = looking("import time; time.sleep(60)")
    wait_until(lambda: second.pid, what="the process")
    pid = second.pid
    second.close()
    assert not alive(pid)


def test_what_cannot_be_started_is_told():
    with pytest.raises(OutError, match="it cannot be started"):
        Pipe(SETTINGS, ("no-such-program-here",))


def test_the_real_process_looks_with_the_file_and_says_why_it_cannot(tmp_path):
    sha256 = write_classifier(tmp_path / "c.onnx")
    settings = SecondLookSettings(str(tmp_path / "c.onnx"), sha256)
    with Pipe(settings) as pipe:
        who = pipe.introduce()
        assert (who.classes, who.side, who.abstain_below) == (("Aves", "Mammalia"), 8, 0.6)
        answers = pipe.ask([np.full((8, 8, 3), level, np.uint8) for level in (255, 0)])
        assert [name for name, _ in answers] == ["Mammalia", "Aves"]
        assert pipe.ask([]) == []
    assert second_look_faults(settings) == second_look_faults(None) == []
    with (
        Pipe(SecondLookSettings(str(tmp_path / "c.onnx"), "0" * 64)) as other,
        pytest.raises(OutError, match="must have the SHA-256 000"),
    ):
        other.introduce()


def test_faults_name_the_key(tmp_path):
    write_classifier(tmp_path / "c.onnx", facts={"abstain_below": 1.0})
    (herd, least) = second_look_faults(SecondLookSettings(str(tmp_path / "c.onnx"), herd_taxa=("Bovidae",)))
    assert herd.path == ("second_look", "herd_taxa")
    assert herd.text == "herd_taxa must name classes of the file, but 'Bovidae' is not among Aves, Mammalia"
    assert "least_confidence must be given" in least.text
    (file,) = second_look_faults(SecondLookSettings(str(tmp_path / "absent.onnx")))
    assert (file.path, "absent.onnx" in file.text) == (("second_look", "file"), True)


def test_each_change_of_health_is_told_once_and_what_is_gone_is_over():
    told = []
    health = SecondLookHealth(lambda name, reason: told.append((name, reason)))
    for reason in (None, "out", "out", "out again", None, None, "out"):
        health.heard("main", reason)
    health.tend({"main"})
    health.tend(set())
    assert told == [("second-look-main", reason) for reason in ("out", "out again", None, "out", None)]
