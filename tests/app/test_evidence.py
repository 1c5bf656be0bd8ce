"""Evidence of a running hub: the clip of an incident, its pictures and manifest; and what happens when parts fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from fractions import Fraction

import av
import pytest

from railwatch.app import cutter as cutter_module
from railwatch.app.cutter import MOST_PIECES, Cutter
from railwatch.app.evidence_desk import EvidenceDesk
from railwatch.app.evidence_writer import EvidenceWriter
from railwatch.core.alerts import Action, AlertKind, CameraState, Epoch
from railwatch.core.errors import ConfigError, RailwatchError, WireError
from railwatch.core.evidence import EvidenceSettings, MaskedClips, evidence_id_of
from railwatch.core.geometry import Point
from railwatch.core.types import Frame, Observation, Size, Track, TrackState, Vitals, Zone, ZoneKind
from railwatch.decision.inputs import Stamped
from railwatch.decision.step import start, step
from railwatch.evidence.verify import manifest_of, verify
from railwatch.perception.picture import BgrPicture
from railwatch.seam.clips import ClipOrder, order_to_body
from railwatch.seam.commands import Answer
from railwatch.testing import solid_picture
from tests.evidence.packets import h264_clip, packets_of
from tests.hub_rig import CLEAR, OCCUPIED, ROOT, Follower, RunningHub, wait_until, write_site
from tests.scenario import site as make_site

SIZE = Size(64, 48)
ON = EvidenceSettings(record=True, pre_roll_s=2.0, post_roll_s=0.5, min_free_gib=0.0)


class Chain:
    """Desk and cutter with only a clock between them that a test moves; `refuse` answers in the worker's place."""

    def __init__(self, folder, clip, settings=ON, zones=()):
        self.now_s, self.troubles, self.kept, self.refuse = 0.0, [], [], None
        self.cutter = Cutter(lambda: self.now_s)
        site = make_site()
        self.camera = site.cameras[0].camera_id
        self.site = replace(
            site, evidence=settings, zones=(*site.zones, *(replace(z, camera_id=self.camera) for z in zones))
        )
        self.cutter.arrange(settings, self.site.zones, {self.camera})
        self.ring = self.cutter.ring(self.camera)
        head, self.packets = packets_of(clip)
        self.ring.begin(replace(head, time_base=Fraction(1, 10)))
        self.writer = EvidenceWriter(folder, lambda *said: self.troubles.append(said), lambda *k: self.kept.append(k))
        self.desk = EvidenceDesk(self.ask, self.writer, lambda *said: self.troubles.append(said))
        self.state = start(self.site, Epoch("j", 1), "0" * 64, 0.0)
        self.asked = []

    def ask(self, group, command, then):
        self.asked.append(command.body["do"])
        if self.refuse is not None and self.refuse(command.body):
            then(Answer(command.command_id, ok=False, reason="no worker now"))
            return
        try:
            body, attachment = self.cutter.obey(json.loads(json.dumps(command.body)))
        except RailwatchError as error:
            then(Answer(command.command_id, ok=False, reason=str(error)))
        else:
            then(Answer(command.command_id, ok=True, body=json.loads(json.dumps(body)), attachment=attachment))

    def frame(self, number, present):
        """A tenth of a second later: a packet, a frame, and what is seen in it."""
        self.now_s = number / 10
        self.ring.put(replace(self.packets[number % len(self.packets)], t_s=self.now_s, pts=number, dts=number))
        track = Track(
            1, "person", "person", (20, 10, 40, 40), 0.9, TrackState.CONFIRMED, min(5.0, self.now_s), self.now_s, 9
        )
        seen = Observation(
            self.camera, 1, number, self.now_s, None, "2000-01-01T00:00:00.000Z", SIZE, (track,) if present else (),
            False, Vitals(CameraState.NOMINAL, "", 0.0, 10.0, 0),
        )  # fmt: skip
        frame = Frame(self.camera, number, self.now_s, None, seen.captured_at, BgrPicture(solid_picture(SIZE)))
        self.cutter.looked(frame, seen)
        stamped = Stamped(self.now_s, seen.captured_at, seen)
        self.state, alerts = step(self.state, stamped)
        self.desk.decided(stamped, self.state, alerts)
        self.desk.turn(self.now_s)
        return alerts

    def run(self, first, last, present):
        return [alert for number in range(first, last) for alert in self.frame(number, present(number))]

    def end(self):
        """Let the threads come to an end with everything."""
        for _ in range(3000):
            if not self.desk._jobs:
                break
            threading.Event().wait(0.02)
            self.now_s += 0.02
            self.desk.turn(self.now_s)
        self.desk.close()
        self.cutter.close()


@pytest.fixture
def clip(tmp_path):
    return h264_clip(tmp_path / "c.mp4")


def test_an_incident_leaves_a_clip_pictures_and_decisions(tmp_path, clip):
    chain = Chain(tmp_path / "e", clip)
    alerts = chain.run(0, 70, lambda number: number >= 50)
    (opened,) = [alert for alert in alerts if alert.kind is AlertKind.INTRUSION and alert.action is Action.OPENED]
    assert opened.evidence == evidence_id_of(opened.alert_id)
    chain.end()
    assert chain.troubles == []
    assert verify(tmp_path / "e").faults == ()
    manifest = manifest_of(tmp_path / "e", opened.evidence)
    assert {file["kind"]: file["name"] for file in manifest["files"]} == {
        "clip": "clip-1.mp4", "raw": "raw-1.jpg", "marked": "marked-1.jpg",
    }  # fmt: skip
    about = next(file for file in manifest["files"] if file["kind"] == "clip")
    assert manifest["cameras"][0]["first_detection_s"] == 5.0
    assert about["begin_s"] <= 5.0 - ON.pre_roll_s
    assert (about["encoded_again"], about["damaged"]) == (False, 0)
    assert next(file for file in manifest["files"] if file["kind"] == "raw")["index"] == 52
    frames = {frame["index"]: frame for frame in manifest["frames"]}
    assert frames[52]["told"][0]["incident_id"] == opened.incident_id
    assert frames[52]["objects"][0]["in"][0]["rule"]
    assert set(range(56)) <= set(frames)
    assert (manifest["config_rev"], manifest["alert"]["evidence"]) == (chain.site.config_rev, opened.evidence)
    assert chain.kept[0][1].evidence_id == opened.evidence
    with av.open(str(tmp_path / "e" / opened.evidence / "clip-1.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == about["packets"]


def test_a_large_clip_comes_in_chunks(tmp_path, clip, monkeypatch):
    monkeypatch.setattr(cutter_module, "CHUNK_BYTES", 2000)
    chain = Chain(tmp_path / "e", clip)
    chain.run(0, 70, lambda number: number >= 50)
    chain.end()
    (piece,) = verify(tmp_path / "e").kept
    sizes = [file["bytes"] for file in manifest_of(tmp_path / "e", piece)["files"]]
    assert max(sizes) > 3 * 2000
    assert chain.asked.count("fetch") == sum(-(-size // 2000) for size in sizes)
    assert chain.asked[-1] == "forget"


@pytest.mark.parametrize("what", ["begin", "ask", "fetch"])
def test_what_a_worker_does_not_give_is_noted_and_the_rest_is_kept(tmp_path, clip, what):
    chain = Chain(tmp_path / "e", clip)
    chain.refuse = lambda body: body["do"] == what
    chain.run(0, 70, lambda number: number >= 50)
    chain.end()
    (piece,) = verify(tmp_path / "e").kept
    manifest = manifest_of(tmp_path / "e", piece)
    assert manifest["files"] == []
    assert manifest["cameras"][0]["notes"] == ["no worker now"]
    assert len(manifest["frames"]) >= 50


def test_a_hub_that_ends_keeps_what_it_has(tmp_path, clip):
    chain = Chain(tmp_path / "e", clip)
    chain.run(0, 54, lambda number: number >= 50)
    chain.desk.close()
    chain.cutter.close()
    (piece,) = verify(tmp_path / "e").kept
    assert "the hub ended" in manifest_of(tmp_path / "e", piece)["cameras"][0]["notes"][0]


MASK = Zone("m", "c", "s1", None, ZoneKind.IGNORE, (Point(0, 0), Point(0.2, 0), Point(0.2, 0.2)), blur=True)


@pytest.mark.parametrize("masked", MaskedClips)
def test_a_masked_camera_gives_a_masked_clip_or_none(tmp_path, clip, masked):
    chain = Chain(
        tmp_path / "e", clip, replace(ON, masked_clips=masked), [replace(MASK, section_id=make_site().sections[0])]
    )
    chain.run(0, 70, lambda number: number >= 50)
    chain.end()
    (piece,) = verify(tmp_path / "e").kept
    manifest = manifest_of(tmp_path / "e", piece)
    clips = [file for file in manifest["files"] if file["kind"] == "clip"]
    assert all(file["masked"] for file in manifest["files"] if file["kind"] != "clip")
    if masked is MaskedClips.BLUR:
        assert clips[0]["encoded_again"]
    else:
        assert clips == []
        assert "evidence.masked_clips is none" in manifest["cameras"][0]["notes"][0]


def test_no_room_is_an_alarm_and_the_alerts_go_on(tmp_path, clip):
    chain = Chain(tmp_path / "e", clip, replace(ON, max_gib=1e-5))
    alerts = chain.run(0, 70, lambda number: number >= 50)
    chain.end()
    assert [alert.action for alert in alerts if alert.kind is AlertKind.INTRUSION] == [Action.OPENED]
    name, reason = chain.troubles[-1]
    assert name == "evidence"
    assert "must find room" in reason


def test_nothing_is_kept_or_named_where_nothing_is_to_be_recorded(tmp_path, clip):
    chain = Chain(tmp_path / "e", clip, EvidenceSettings())
    alerts = chain.run(0, 70, lambda number: number >= 50)
    chain.end()
    assert [alert.evidence for alert in alerts if alert.kind is AlertKind.INTRUSION] == [None]
    assert (chain.asked, chain.ring.size, (tmp_path / "e").exists()) == ([], 0, False)
    with pytest.raises(ConfigError, match="that is recorded"):
        chain.cutter.obey(order_to_body(ClipOrder("0" * 32, chain.camera, 1, 0.0, 1.0, "")))


def test_a_worker_takes_only_so_many_and_only_what_is_well_formed(tmp_path, clip):
    chain = Chain(tmp_path / "e", clip)
    for number in range(MOST_PIECES):
        chain.cutter.obey(order_to_body(ClipOrder(f"{number:032x}", chain.camera, 1, 0.0, 100.0, "")))
    with pytest.raises(ConfigError, match="at most 8 pieces"):
        chain.cutter.obey(order_to_body(ClipOrder("f" * 32, chain.camera, 1, 0.0, 1.0, "")))
    for body in ({}, {"do": "eat"}, {"do": "ask", "evidence_id": "../x"}, {"do": "fetch", "evidence_id": "0" * 32}):
        with pytest.raises(ConfigError):
            chain.cutter.obey(body)
    good = order_to_body(ClipOrder("f" * 32, chain.camera, 1, 0.0, 1.0, ""))
    for wrong in (
        {"evidence_id": "../../etc/passwd"},
        {"index": 1.5},
        {"end_s": 1e9},
        {"end_s": float("nan")},
        {"x": 1},
    ):
        with pytest.raises(WireError):
            chain.cutter.obey({**good, **wrong})
    chain.cutter.close()


def test_a_running_hub_keeps_evidence_of_an_incident(tmp_path):
    """The bar: the clip starts at least the pre-roll before the first detection, and plays."""
    site = write_site(tmp_path, persons=(False,) * 35 + (True,) * 15 + (False,) * 15)
    h264 = tmp_path / "h264.mp4"
    transcode(tmp_path / "east.mp4", h264)
    h264.replace(tmp_path / "east.mp4")
    text = site.read_text(encoding="utf-8")
    site.write_text(text + "evidence: {record: true, pre_roll_s: 2.0, post_roll_s: 0.5, min_free_gib: 0.0}\n")
    folder = tmp_path / "state" / "evidence"
    record = tmp_path / "inputs.jsonl"
    with RunningHub(site, "--record", str(record)) as hub, Follower(hub.endpoint) as client:
        client.wait_state("s-east", OCCUPIED)
        client.wait_state("s-east", CLEAR)
        wait_until(lambda: (folder / "chain.jsonl").read_bytes().count(b'"kept"') == 2, what="two pieces")
        alerts = [event.alert for _, event in client.events if hasattr(event, "alert")]
    told = [alert.evidence for alert in alerts if alert.kind is AlertKind.INTRUSION]
    found = verify(folder)
    assert (list(found.kept), found.faults) == (told[:2], ())
    manifest = manifest_of(folder, told[0])
    about = next(file for file in manifest["files"] if file["kind"] == "clip")
    assert about["begin_s"] <= manifest["cameras"][0]["first_detection_s"] - 2.0
    assert manifest["cameras"][0]["notes"] == []
    with av.open(str(folder / told[0] / "clip-1.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == about["packets"]
    done = run("evidence", "verify", str(folder))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything is as it was kept")
    replayed = run("replay", str(record))
    assert told[0] in replayed.stdout
    # Without its last piece, told of by nothing but the journal, it is not as it was kept.
    for path in (folder / told[1]).iterdir():
        path.unlink()
    (folder / told[1]).rmdir()
    lines = (folder / "chain.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "chain.jsonl").write_bytes(b"".join(lines[:2]))
    assert verify(folder).faults == ()
    done = run("evidence", "verify", str(folder))
    assert done.returncode == 10
    assert f"{told[1]}: the journal says that it was kept, but the chain does not" in done.stdout
    assert "Traceback" not in done.stderr


def run(*arguments):
    command, environment = [sys.executable, "-m", "railwatch", *arguments], {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def transcode(source, target):
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 64, 48, "yuv420p", 15
        for frame in read.decode(video=0):
            write.mux(stream.encode(frame))
        write.mux(stream.encode(None))
