"""`railwatch check`: all faults and exit code 2, or a summary; the schema; the same for machines."""

from __future__ import annotations

import json

import pytest

from railwatch.cli.check import check
from railwatch.config import load_site, site_json_schema
from railwatch.core.errors import ConfigError
from tests.classifier_file import write_classifier

SITE = """\
schema_version: 1
site_id: yard
severity_without_trains: WARNING
cameras: [{camera_id: east, source: east.mp4}, {camera_id: west, source: west.mp4, required: false}]
sections: [crossing]
zones:
  - {zone_id: a, camera_id: east, section_id: crossing, kind: track, polygon: [[0, 0], [1, 0], [1, 1]]}
  - {zone_id: b, camera_id: west, section_id: crossing, kind: approach, polygon: [[0, 0], [1, 0], [1, 1]]}
model: {file: detector.onnx}
"""


@pytest.fixture
def site_file(tmp_path):
    (tmp_path / "detector.onnx").write_bytes(b"model")
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def faulty_file(site_file):
    site_file.write_text(SITE.replace("yard", "a/b").replace("kind: approach", "kind: aproach"))
    return site_file


def test_a_good_file_is_summed_up(site_file, capsys):
    check(site_file)
    out = capsys.readouterr().out
    assert f"config_rev  {load_site(site_file).config_rev}\n" in out
    assert "cameras     2: east, west (not required)\n" in out
    assert "zones       2: a (track of crossing), b (approach of crossing)\n" in out


def test_a_good_file_is_summed_up_for_machines(site_file, capsys):
    check(site_file, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    summary = json.loads(line)
    assert summary["ok"] is True
    assert summary["config_rev"] == load_site(site_file).config_rev
    assert (summary["cameras"], summary["sections"], summary["zones"]) == (["east", "west"], ["crossing"], ["a", "b"])


def test_every_fault_is_a_line(faulty_file, capsys):
    with pytest.raises(ConfigError, match="has 2 faults, listed above"):
        check(faulty_file)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{faulty_file}: line 2: site_id: given 'a/b', must be 1 to 64 letters")
    assert second.startswith(f"{faulty_file}: line 8: zones[1].kind: given 'aproach', must be 'track', 'approach'")


def test_every_fault_is_told_to_machines(faulty_file, capsys):
    with pytest.raises(ConfigError):
        check(faulty_file, as_json=True)
    (line,) = capsys.readouterr().out.splitlines()
    report = json.loads(line)
    assert report["ok"] is False
    assert [(fault["line"], fault["key"], fault["value"]) for fault in report["faults"]] == [
        (2, "site_id", "'a/b'"),
        (8, "zones[1].kind", "'aproach'"),
    ]


def test_one_fault_is_counted_in_the_singular(tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"has 1 fault, listed above"):
        check(tmp_path / "absent.yaml")
    assert "no such file" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
def test_the_schema_needs_no_file(as_json, capsys):
    check(schema=True, as_json=as_json)
    assert json.loads(capsys.readouterr().out) == site_json_schema()


def test_without_a_file_it_says_what_it_needs():
    with pytest.raises(ConfigError, match="check needs a site file"):
        check()


def test_a_second_look_is_checked_with_its_file(tmp_path, site_file, capsys):
    sha256 = write_classifier(tmp_path / "c.onnx")
    (tmp_path / "detector.onnx").write_bytes(b"model")
    look = f'second_look: {{file: c.onnx, sha256: "{sha256}"}}\n'
    site_file.write_text(SITE + look)
    check(site_file)
    assert "has no faults" in capsys.readouterr().out
    for old, new, key, words in (
        ("c.onnx", "absent.onnx", "second_look.file", "is not there"),
        (sha256, "f" * 64, "second_look.file", f"must have the SHA-256 {'f' * 64}, but has {sha256}"),
        ("}", ", herd_taxa: [Bovidae]}", "second_look.herd_taxa", "'Bovidae' is not among Aves, Mammalia"),
    ):
        site_file.write_text(SITE + look.replace(old, new))
        with pytest.raises(ConfigError, match="has 1 fault"):
            check(site_file)
        out = capsys.readouterr().out
        assert f"line 10: {key}: given " in out
        assert words in out
