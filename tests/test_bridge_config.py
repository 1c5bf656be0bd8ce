"""bridges.yaml: strict as a site file, and without a secret in it."""

from __future__ import annotations

import re

import pytest
import yaml

from railwatch.bridge_config import bridge_keys, load_bridges
from railwatch.core.alerts import Severity
from railwatch.core.errors import ConfigError
from railwatch.messaging.bridge_settings import AppriseSettings, MqttSettings, WebhookSettings

GOOD = """\
schema_version: 1
site_id: yard
state_dir: state
mqtt:
  - {name: m, host: broker.example, username: u, password_file: secret}
webhooks:
  - {name: w, url: 'https://hook.example/a', secret_file: secret}
apprise:
  - {name: a, url_file: secret, min_severity: NOTICE}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("pa55\n")
    (tmp_path / "secret").chmod(0o600)
    return tmp_path


def load(folder, text):
    path = folder / "bridges.yaml"
    path.write_text(text)
    return load_bridges(path)


def test_a_good_file_gives_the_sinks_with_their_secrets(folder):
    found = load(folder, GOOD)
    assert found.state_dir == folder / "state"
    assert found.sinks == (
        MqttSettings("m", "broker.example", username="u", password="pa55"),  # noqa: S106 - of the test
        WebhookSettings("w", "https://hook.example/a", "pa55"),
        AppriseSettings("a", "pa55", Severity.NOTICE),
    )
    assert "pa55" not in repr(found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("state_dir", "state_dri", "line 3: state_dri: given an unknown key, did you mean state_dir?"),
        ("schema_version: 1", "schema_version: 2", "schema_version: given '2', must be 1 or less"),
        ("host: broker.example", "port: 70000", "mqtt[0].port: given '70000', must be 65535 or less"),
        ("host: broker.example, ", "", "mqtt[0].host: given nothing, must be given"),
        ("broker.example", "broker.example, tls: false", "tls must be true unless the broker is on this machine"),
        ("username: u, ", "", "username must be given together with password_file"),
        ("https://hook", "http://hook", "must be https://HOST/..., or http:// on this machine"),
        ("hook.example/a", "hook.example/a?token=t0ken", "use url_file"),
        ("url: 'https://hook.example/a', ", "", "url must be given, or url_file, and not both"),
        ("name: w", "name: m", "names of sinks must be unique, but 'm' is given twice"),
        ("url_file: secret", "url_file: absent", "apprise[0].url_file: given 'absent', must name a secret file"),
        ("NOTICE", "LOUD", "'NOTICE', 'WARNING' or 'EMERGENCY'"),
        ("site_id: yard", "site_id: &a yard", "must have no anchors"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_place(folder, old, new, words):
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(folder, GOOD.replace(old, new))
    assert words in str(caught.value)
    assert "t0ken" not in str(caught.value)


def test_a_file_without_a_sink_is_refused(folder):
    with pytest.raises(ConfigError, match="must name at least one sink"):
        load(folder, "schema_version: 1\nsite_id: yard\nstate_dir: state\n")


@pytest.mark.parametrize(
    ("content", "rights"), [("pa55\n", 0o644), ("", 0o600), ("a\nb\n", 0o600), ("x" * 5000, 0o600)]
)
def test_a_secret_that_others_can_read_or_that_is_none_is_refused_without_showing_it(folder, content, rights):
    (folder / "secret").write_text(content)
    (folder / "secret").chmod(rights)
    with pytest.raises(ConfigError, match="has 3 faults") as caught:
        load(folder, GOOD)
    assert "pa55" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a", "absent"])
def test_what_is_no_map_is_refused(folder, text):
    with pytest.raises(ConfigError, match="must be a bridge file without faults"):
        load(folder, text) if text != "absent" else load_bridges(folder / "absent.yaml")


def test_every_key_is_documented_with_its_default_and_no_other(root):
    text = (root / "docs" / "bridges.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    table = {row[0].strip("`"): row[2] for row in rows if len(row) == 5}
    keys = bridge_keys()
    assert set(table) == set(keys)
    for key, default in table.items():
        entry = keys[key]
        if default.startswith("`"):
            assert yaml.safe_load(default.strip("`")) == entry["default"], key
        else:
            assert {"required": "default" not in entry, "none": entry.get("default") is None}.get(default, True), key


def test_the_example_names_every_key_and_is_a_bridge_file(root, tmp_path):
    text = (root / "examples" / "bridges.yaml").read_text(encoding="utf-8")
    for key in bridge_keys():
        assert re.search(rf"^[\s#-]*{key.rpartition('.')[2]}:", text, re.MULTILINE), key
    assert [sink.name for sink in load(tmp_path, text).sinks] == ["house"]
