"""From the push of a picture by a real RTSP camera to the alert at a subscriber; how old frames are for a slow reader.

    PYTHONPATH=. python tests/integration/camera_latency.py [SECONDS]

Needs GStreamer's RTSP server. A person appears on the line from one picture to the next, again and again. The picture
that satisfies the on-delay is told by the recording of the inputs, and when it was pushed by the log of the camera.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from railwatch.app.camera_reader import CameraReader
from railwatch.app.record import read_record
from railwatch.app.sources import open_live_source
from railwatch.core.alerts import Action, AlertKind
from railwatch.core.clock import elapsed_s
from railwatch.core.settings import CameraSettings
from railwatch.core.types import Observation
from railwatch.messaging.events import AlertReceived
from railwatch.perception.intruder import Spot, with_intruder
from railwatch.perception.picture import BgrPicture
from tests.camera_clip import camera_clip
from tests.hub_rig import CLEAR, ROOT, Follower, RunningHub
from tests.rtsp_rig import RtspCamera, empty_line_clip, why_no_camera, write_camera_site

EMPTY_S, PERSON_S = 1.6, 1.2
SIZE = (1280, 720)


def coming_clip(folder, fps, empty_s=EMPTY_S, size=SIZE):
    """A clip in which a person appears on the empty line, and the number of the first picture with it."""
    width, height = size
    with av.open(str(ROOT / "scenes" / "clips" / "nobody.mp4")) as reading:
        pictures = [frame.reformat(width, height, "bgr24").to_ndarray() for frame in reading.decode(video=0)]
    first, last = round(empty_s * fps), round((empty_s + PERSON_S) * fps)
    plain = folder / "plain.mp4"
    with av.open(str(plain), "w") as writing:
        stream = writing.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "12", "preset": "ultrafast", "threads": "1"}
        for number in range(last):
            shown = pictures[number % len(pictures)]
            if number >= first:
                spot = Spot(0.6 * width, 0.8 * height, 0.35 * height)
                shown = with_intruder(BgrPicture(np.ascontiguousarray(shown)), spot).bgr()
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode())
    return camera_clip(plain, folder / "coming.mp4", fps=fps), first


def pushes_of(log):
    """(number of the push, number in the clip, when) of every picture."""
    rows = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    return [(int(row[0]), int(row[1]), float(row[2])) for row in rows if len(row) == 5]


def has_somebody(seen):
    """Whether somebody was found in this very picture: a track that is only predicted does not count."""
    return any(track.last_seen_s >= seen.t_s for track in seen.tracks)


def latencies(alerts, seen, pushes, first, fps):
    """For each alert the seconds since the push of the picture that raised it, and since that of the first one.

    Stamps of the stream and numbers of the camera differ by a constant: the earliest place in the clip at which
    somebody was found is taken for the first picture with the person. If the detector needs another one, the figures
    are too long by it, never too short.
    """
    at = {count: when for count, _, when in pushes}
    length = 1 + max(number for _, number, _ in pushes)
    numbers = [round(item.pts_s * fps) for item in seen]
    begins = [place for place in range(1, len(seen)) if has_somebody(seen[place]) and not has_somebody(seen[place - 1])]
    phases = [numbers[place] % length for place in begins]
    earliest = min(phases, key=lambda phase: sum((other - phase) % length for other in phases))
    by_time = {item.captured_at: place for place, item in enumerate(seen)}
    from_hit, from_entry = [], []
    for told_s, alert in alerts:
        step = (numbers[by_time[alert.captured_at]] - earliest) % length
        entry = max((count for count, number, when in pushes if number == first and when < told_s), default=None)
        if entry is not None and entry + step in at:
            from_hit.append(told_s - at[entry + step])
            from_entry.append(told_s - at[entry])
    return from_hit, from_entry


def watch_coming(folder, fps, seconds, *, harm=None, **camera):
    """A hub watches a camera that shows `coming_clip`, for so many seconds from its first CLEAR on.

    The events of a subscriber, the Observations, the log of the camera, and the number of the first picture with the
    person.
    """
    with ExitStack() as stack:
        clip, first = coming_clip(folder, fps)
        _, polygon = empty_line_clip(folder, fps=fps)
        log, record = folder / "push.log", folder / "inputs.jsonl"
        served = stack.enter_context(RtspCamera(clip, fps=fps, log=log, harm=harm))
        more = {"incidents": {"off_delay_s": 0.5}, "risk": {"stay_hold_s": 0.0}, "camera": camera}
        path, endpoint = write_camera_site(folder, served.url, polygon, **more)
        hub = stack.enter_context(RunningHub(path, "--record", str(record)))
        client = stack.enter_context(Follower(endpoint))
        client.wait_state("main", CLEAR)
        threading.Event().wait(seconds)
        hub.stop()
        seen = [stamped.input for stamped in read_record(record)[1] if isinstance(stamped.input, Observation)]
        return client.events, seen, log, first


def measure(fps, seconds):
    """Figures of one frame rate."""
    with tempfile.TemporaryDirectory() as text:
        events, seen, log, first = watch_coming(Path(text), fps, seconds)
        alerts = [(at_s, event.alert) for at_s, event in events if isinstance(event, AlertReceived)]
        opened = [
            (at_s, alert)
            for at_s, alert in alerts
            if alert.kind is AlertKind.INTRUSION
            and alert.action is Action.OPENED
            and not alert.why.startswith("replay")
        ]
        hit, entry = latencies(opened, seen, pushes_of(log), first, fps)
        return {
            "fps": fps,
            "size": SIZE,
            "alerts": len(opened),
            "looked_at": len(seen),
            "dropped": seen[-1].vitals.dropped,
            "on_delay": "3 of 5",
            "push_to_alert_ms": spread(hit),
            "entry_to_alert_ms": spread(entry),
        }


def spread(values_s):
    """Median, 95th and longest, in milliseconds."""
    if not values_s:
        return None
    return [round(1000.0 * float(value)) for value in (*np.percentile(values_s, (50, 95)), max(values_s))]


def slow_consumer(fps, seconds, slower=5.0):
    """The age of the frames that a consumer sees which takes `slower` periods for each: when it has looked at them."""
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        clip, _ = empty_line_clip(Path(text), fps=fps, size=SIZE)
        camera = stack.enter_context(RtspCamera(clip, fps=fps))
        stop = threading.Event()
        reader = CameraReader(
            CameraSettings("east", camera.url),
            lambda settings, loop, end: open_live_source(settings, loop=loop, stop=end),
            loop=False,
            mark=lambda: 0,
            wake=lambda: None,
            clock=elapsed_s,
        )
        ages, dropped, end_s = [], 0, elapsed_s() + seconds
        while elapsed_s() < end_s:
            reader.turn()
            taken = reader.latest.take()
            if taken is None:
                stop.wait(0.002)
                continue
            stop.wait(slower / fps)
            ages.append(elapsed_s() - taken.frame.t_s)
            dropped = taken.dropped
        reader.close()
        return {
            "slow_consumer_takes_ms": round(1000 * slower / fps),
            "frames": len(ages),
            "dropped": dropped,
            "age_ms_p50_p99_max": [
                round(1000.0 * float(value)) for value in (*np.percentile(ages, (50, 99)), max(ages))
            ],
        }


def main():
    """A line of JSON for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    if reason := why_no_camera():
        sys.exit(reason)
    for figures in (
        lambda: measure(25, seconds),
        lambda: measure(5, seconds),
        lambda: slow_consumer(25, seconds / 2),
    ):
        sys.stdout.write(json.dumps(figures()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
