"""A real Mosquitto on loopback, and a subscriber that keeps everything it is given."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"


class Mosquitto:
    """The broker, with its memory on the disk, so that it can be killed and started again on the same port."""

    def __init__(self, folder):
        self._program = shutil.which("mosquitto") or shutil.which("mosquitto", path=PATH)
        if self._program is None:
            pytest.skip("mosquitto is not installed here (Debian: apt-get install mosquitto)")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_interval 1\nautosave_on_changes true\n"
            "max_queued_messages 0\nlog_dest none\n"
            + ("user root\n" if os.geteuid() == 0 else "")  # else it becomes a user who may not write here
        )
        self._process = None

    def start(self):
        self._process = subprocess.Popen([self._program, "-c", str(self._config)])
        end_s = time.monotonic() + 20.0
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not answer")

    def kill(self):
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


class Listener:
    """A subscriber with a session that outlives its connection: `messages` are (topic, payload, retained)."""

    def __init__(self, port, topic="#", name="listener"):
        self.messages, self._changed = [], threading.Condition()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv311, clean_session=False
        )
        self._client.on_connect = lambda *_: self._client.subscribe(topic, qos=1)
        self._client.on_message = self._note
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", port, keepalive=5)
        self._client.loop_start()

    def _note(self, _client, _user, message):
        with self._changed:
            self.messages.append((message.topic, message.payload, message.retain))
            self._changed.notify_all()

    def wait(self, accept, timeout_s=30.0):
        """Wait until `accept` is true of the messages; gives them."""
        with self._changed:
            assert self._changed.wait_for(lambda: accept(self.messages), timeout_s), self.messages[-5:]
            return list(self.messages)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.contextmanager
def broker(folder):
    """A running broker."""
    folder.mkdir(exist_ok=True)
    made = Mosquitto(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()


@contextlib.contextmanager
def listening(port, topic="#", name="listener"):
    """A subscriber that is closed at the end."""
    made = Listener(port, topic, name)
    try:
        yield made
    finally:
        made.close()
