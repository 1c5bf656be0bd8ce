"""Evidence of an incident before a real RTSP camera, from its finer stream; and on a disk that is full.

    PYTHONPATH=. python tests/integration/camera_evidence.py [CLIP.mp4]

Needs GStreamer's RTSP server; the full disk also needs root. The clip is kept at CLIP.mp4 if given.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import av

from railwatch.core.alerts import Action, AlertKind
from railwatch.evidence.verify import manifest_of, verify
from railwatch.messaging.events import AlertReceived
from tests.hub_rig import CLEAR, OCCUPIED, Follower, RunningHub, wait_until, write_site
from tests.integration.camera_latency import coming_clip
from tests.rtsp_rig import RtspCamera, empty_line_clip, why_no_camera, write_camera_site

FPS = 25


def keep(pre_roll_s):
    """The settings of evidence."""
    return {"record": True, "pre_roll_s": pre_roll_s, "post_roll_s": 1.0, "min_free_gib": 0.0}


def of_a_camera(folder, empty_s=4.0, pre_roll_s=3.0, size=(1280, 720)):
    """Figures of the first piece of evidence, and its clip: the small stream is looked at, the fine one is kept."""
    with ExitStack() as stack:
        clip, _ = coming_clip(folder, FPS, empty_s, size)
        _, polygon = empty_line_clip(folder)
        small = folder / "small"
        small.mkdir()
        looked_at = stack.enter_context(RtspCamera(coming_clip(small, FPS, empty_s, (640, 360))[0], fps=FPS))
        fine = stack.enter_context(RtspCamera(clip, fps=FPS))
        more = {"incidents": {"off_delay_s": 0.5}, "risk": {"stay_hold_s": 0.0}, "evidence": keep(pre_roll_s)}
        more |= {"camera": {"evidence_source": fine.url}}
        path, endpoint = write_camera_site(folder, looked_at.url, polygon, **more)
        hub = stack.enter_context(RunningHub(path))
        client = stack.enter_context(Follower(endpoint))
        client.wait_state("main", CLEAR)
        client.wait_state("main", OCCUPIED)
        client.wait_state("main", CLEAR)
        client.wait_state("main", OCCUPIED)
        kept = folder / "state" / "evidence"
        # The second incident: the camera had been watched for longer than the pre-roll.
        wait_until(
            lambda: len(opened(client)) >= 2 and opened(client)[1].evidence in verify(kept).kept, 40.0, "a piece"
        )
        name = opened(client)[1].evidence
        hub.stop()
        manifest = manifest_of(kept, name)
        about = next(file for file in manifest["files"] if file["kind"] == "clip")
        shown = kept / name / "clip-1.mp4"
        with av.open(str(shown)) as reading:
            size = (reading.streams.video[0].codec_context.width, reading.streams.video[0].codec_context.height)
            pictures = sum(1 for _ in reading.decode(video=0))
        return {
            "pre_roll_s": round(manifest["cameras"][0]["first_detection_s"] - about["begin_s"], 2),
            "size": list(size),
            "packets": about["packets"],
            "decoded": pictures,
            "notes": manifest["cameras"][0]["notes"],
            "faults": list(verify(kept).faults),
        }, shown


def opened(client):
    """Alerts of people, so far."""
    alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
    return [alert for alert in alerts if alert.kind is AlertKind.INTRUSION and alert.action is Action.OPENED]


@contextmanager
def small_disk(folder, kib):
    """A disk of its own of so many KiB at `folder`, until the end of the block. Raises OSError where it may not."""
    folder.mkdir(parents=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        raise OSError("mount and umount must be installed to mount a small disk, but are not")
    command = [mount, "-t", "tmpfs", "-o", f"size={kib}k", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"no disk can be mounted here: {done.stderr.decode(errors='replace').strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "-l", str(folder)], capture_output=True, check=True)


def on_a_full_disk(folder, incidents=3):
    """What a hub tells when evidence finds the disk full, and whether the alerts go on."""
    site = write_site(folder, persons=(False,) * 10 + (True,) * 10)
    site.write_text(site.read_text(encoding="utf-8") + f"evidence: {json.dumps(keep(1.0))}\n", encoding="utf-8")
    with small_disk(folder / "state" / "evidence", 64):
        (folder / "state" / "evidence" / "ballast").write_bytes(bytes(40 * 1024))
        with RunningHub(site) as hub, Follower(hub.endpoint) as client:
            wait_until(lambda: len(opened(client)) >= incidents, 60.0, "incidents")
            alerts = [event.alert for _, event in client.events if isinstance(event, AlertReceived)]
            return {
                "opened": len(opened(client)),
                "told": sorted({alert.why for alert in alerts if alert.kind is AlertKind.SYSTEM}),
                "exit": hub.stop(),
                "traceback": any("Traceback" in line for line in hub.lines),
            }


def main():
    """Both; a line of JSON each."""
    if reason := why_no_camera():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as text:
        found, shown = of_a_camera(Path(text))
        if len(sys.argv) > 1:
            Path(sys.argv[1]).write_bytes(shown.read_bytes())
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
    with tempfile.TemporaryDirectory() as text:
        sys.stdout.write(json.dumps(on_a_full_disk(Path(text) / "site")) + "\n")


if __name__ == "__main__":
    main()
