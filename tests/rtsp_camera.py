"""A real RTSP camera for tests: GStreamer's server with the pictures of a clip, as the camera's own encoder made them.

    /usr/bin/python3 tests/rtsp_camera.py PORT CLIP.mp4 [--fps 25] [--user NAME:PASSWORD] [--log FILE] [--cut SECONDS]

Runs with the Python of the system, which has GStreamer's bindings (CONTRIBUTING names the packages). It begins at the
next key frame for whoever connects, sends the clip again and again on one clock, and prints READY when it listens.
`--log` gets a line for every picture that is pushed: its number, that in the clip, the monotonic time, K for a key
frame, and what harm it came to. `--cut` ends all connections every so many seconds. `--harm lost+gone:40` harms every
40th picture, in turn: `lost`: one of its RTP packets is lost, `gone`: all of them, `flipped`: some of its bytes change.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstApp", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - after their versions

CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"


def pictures_of(path):
    """Every encoded picture of a clip, and whether it is a key frame."""
    reading = Gst.parse_launch(
        f'filesrc location="{path}" ! qtdemux ! h264parse config-interval=-1 ! {CAPS} ! appsink name=out sync=false'
    )
    out, found = reading.get_by_name("out"), []
    reading.set_state(Gst.State.PLAYING)
    while (sample := out.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        _, content = buffer.map(Gst.MapFlags.READ)
        found.append((bytes(content.data), not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)))
        buffer.unmap(content)
    reading.set_state(Gst.State.NULL)
    return found


class Harm:
    """What one picture of `every` meets on its way; None for all others."""

    def __init__(self, text):
        kinds, _, every = text.partition(":")
        self._kinds, self._every = kinds.split("+"), int(every)
        self._due, self._within = {}, False

    def of(self, count, when):
        """The harm that picture `count` of the time `when` is to meet."""
        if count % self._every != self._every // 2:
            return None
        how = self._kinds[count // self._every % len(self._kinds)]
        self._due[when] = how
        return how

    def packets(self, pad, info):
        """Lose packets as they leave."""
        if self._within:
            return Gst.PadProbeReturn.OK
        sent = info.get_buffer_list() if info.type & Gst.PadProbeType.BUFFER_LIST else None
        how = self._due.get((sent.get(0) if sent else info.get_buffer()).pts)
        if how == "gone":
            return Gst.PadProbeReturn.DROP
        if how != "lost" or sent is None:
            return Gst.PadProbeReturn.OK
        self._within = True
        for place in range(sent.length()):
            if place != sent.length() // 2:
                pad.push(sent.get(place).copy())
        self._within = False
        return Gst.PadProbeReturn.DROP


def flipped(content, seed):
    """An encoded picture of which some bytes have changed, after its first half."""
    chance, changed = random.Random(seed), bytearray(content)  # noqa: S311 - the same in every run
    for _ in range(8):
        changed[chance.randrange(len(changed) // 2, len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


class Camera(GstRtspServer.RTSPMediaFactory):
    """One stream that all who connect share."""

    def __init__(self, pictures, fps, log, harm):
        super().__init__()
        self.pictures, self.fps, self.log, self.harm = pictures, fps, log, harm
        self.set_shared(True)
        self.set_launch(
            f"( appsrc name=src is-live=true format=time do-timestamp=false caps={CAPS} "
            "! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 mtu=400 )"
        )

    def do_configure(self, media):
        """Begin to push when somebody connects."""
        source, period = media.get_element().get_by_name("src"), Gst.SECOND // self.fps
        begun, count = time.monotonic(), 0
        if self.harm is not None:
            leaving = media.get_element().get_by_name("pay0").get_static_pad("src")
            leaving.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self.harm.packets)

        def push():
            nonlocal count
            # What is due by now, as an encoder that goes by its own clock: a frozen one goes on with the newest.
            due = int((time.monotonic() - begun) * self.fps)
            if due < count:
                return True
            count = max(count, due)
            number = count % len(self.pictures)
            content, key = self.pictures[number]
            harm = self.harm and self.harm.of(count, count * period)
            buffer = Gst.Buffer.new_wrapped(flipped(content, count) if harm == "flipped" else content)
            buffer.pts = buffer.dts = count * period
            buffer.duration = period
            if not key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            if self.log is not None:
                self.log.write(f"{count} {number} {time.monotonic():.6f} {'K' if key else '-'} {harm or '-'}\n")
            count += 1
            return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK

        GLib.timeout_add(max(1, 250 // self.fps), push)


def protect(server, factory, user):
    """Ask whoever connects for a name and a password."""
    name, _, password = user.partition(":")
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(name, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for what in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{what}", True)
    factory.set_permissions(permissions)


def cut(server):
    """End the connections of all who are there."""
    server.client_filter(lambda _, client: GstRtspServer.RTSPFilterResult.REMOVE)
    return True


def main():
    """Serve until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("clip")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--user")
    parser.add_argument("--log")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--cut", type=float)
    parser.add_argument("--harm")
    given = parser.parse_args()
    Gst.init(None)
    log = open(given.log, "w", buffering=1) if given.log else None  # noqa: SIM115, PTH123 - open as long as it serves
    factory = Camera(pictures_of(given.clip), given.fps, log, Harm(given.harm) if given.harm else None)
    server = GstRtspServer.RTSPServer()
    server.set_address(given.host)
    server.set_service(str(given.port))
    if given.user:
        protect(server, factory, given.user)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    if given.cut:
        GLib.timeout_add(int(given.cut * 1000), cut, server)
    sys.stdout.write(f"READY rtsp://{given.host}:{given.port}/cam\n")
    sys.stdout.flush()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
