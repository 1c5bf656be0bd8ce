"""`railwatch bridge` as a user starts it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from railwatch.app import bridges
from railwatch.app.bridges import run_bridges
from railwatch.core.errors import InstallError
from railwatch.messaging.bridge_settings import BridgeSettings, WebhookSettings
from railwatch.messaging.keys import KeyStore
from railwatch.messaging.roles import Role
from tests.messaging.bridge_rig import Receiver, hub


def test_the_command_hands_on_until_it_is_told_to_end_and_goes_on_there(tmp_path, root):
    KeyStore(tmp_path / "keys").new("bridge", Role.SUBSCRIBER, tmp_path / "bridge.key")
    (tmp_path / "secret").write_text("s3cret")
    (tmp_path / "secret").chmod(0o600)
    with contextlib.closing(Receiver([500])) as receiver, hub(tmp_path) as site:
        (tmp_path / "bridges.yaml").write_text(
            f"schema_version: 1\nsite_id: yard\nconnect: {site.publishing.endpoint}\n"
            f"request_connect: {site.publishing.request_endpoint}\nstate_dir: state\n"
            f"webhooks:\n  - {{name: hook, url: 'http://127.0.0.1:{receiver.port}/t0ken', secret_file: secret}}\n"
        )
        command = [sys.executable, "-m", "railwatch", "bridge", str(tmp_path / "bridges.yaml")]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        for count in (2, 4):
            site.alerts(2)
            with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
                receiver.wait(lambda: len(receiver.accepted()) >= count)  # noqa: B023 - called at once
                process.send_signal(signal.SIGTERM)
                _, told = process.communicate(timeout=30)
            assert process.returncode == 0, told
            assert b"t0ken" not in told
    assert receiver.accepted() == [1, 2, 3, 4]


def test_a_missing_library_is_told_with_the_remedy(tmp_path, monkeypatch):
    def missing(_):
        raise ModuleNotFoundError("No module named 'requests'", name="requests")

    monkeypatch.setattr(bridges.importlib, "import_module", missing)
    settings = BridgeSettings("yard", (WebhookSettings("w", "https://h.example", "s"),), tmp_path)
    with pytest.raises(InstallError, match=r"need requests, .* pip install 'railwatch\[bridge\]'"):
        run_bridges(settings, lambda _: None, None)
