"""`railwatch watch rtsp://...` on a real camera that asks for a password."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from railwatch.core.alerts import CameraState
from railwatch.messaging.client import Client
from railwatch.messaging.events import StatusReceived
from tests.hub_rig import ROOT, free_port, wait_until
from tests.rtsp_rig import RtspCamera, empty_line_clip, needs_camera


def watching(camera, bind, *options, holder="anna:s3cr3t"):
    """The command as a process, with the password in its environment."""
    command = [sys.executable, "-m", "railwatch", "watch", camera.url, "--bind", bind, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EAST": holder}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - ignored in a run in the background
    )


def is_seen(client):
    """Whether a Status says that the camera gives good pictures."""
    told = [event.status for event in client.poll(0.1) if isinstance(event, StatusReceived)]
    return any(status.cameras["camera"].state is CameraState.NOMINAL for status in told)


def test_a_stream_is_watched_until_ctrl_c_and_a_wrong_password_is_one_line(tmp_path):
    needs_camera()
    clip, _ = empty_line_clip(tmp_path)
    bind = f"tcp://127.0.0.1:{free_port()}"
    with RtspCamera(clip, user="anna:s3cr3t") as camera:
        process = watching(camera, bind, "--credentials", "env:EAST")
        seen = threading.Event()
        try:
            with Client(bind) as client:
                wait_until(lambda: is_seen(client), 90.0, "a good picture")
                seen.set()
                assert "s3cr3t" not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=30.0)
        finally:
            process.kill()
        assert seen.is_set(), said
        assert process.returncode == 130, said
        assert "s3cr3t" not in said
        assert "BLINDNESS" not in said
        wrong = watching(camera, bind, "--credentials", "env:EAST", holder="anna:wr0ng")
        said, _ = wrong.communicate(timeout=60.0)
    assert wrong.returncode == 3, said
    assert said.count("railwatch:") == 1
    assert "UNAUTHORIZED" in said
    assert "wr0ng" not in said
    assert "Traceback" not in said
