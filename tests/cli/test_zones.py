from __future__ import annotations

import json
import subprocess
import sys

import cv2
import pytest

from railwatch.app import arming
from railwatch.app.arming import armable_site
from railwatch.app.coverage import coverage_faults, eye_of, site_coverage
from railwatch.config import load_site, site_faults_of_file
from railwatch.core.errors import ConfigError
from railwatch.perception.manifest import load_manifest

SHA256 = next(entry.sha256 for entry in load_manifest().entries if entry.name == "railwatch-nano")


ZONE = {
    "zone_id": "track",
    "camera_id": "east",
    "section_id": "main",
    "kind": "track",
    "polygon": [[0.4, 0.6], [0.6, 0.6], [0.7, 0.95]],
}


def site_file(folder, smallest_m=None, **change):
    """A site with one camera that looks along a track from 4 m above it; the zone ends where `far` says."""
    far = change.pop("far", 0.6)
    camera = {
        "camera_id": "east",
        "source": "absent.mp4",
        "ground": {"horizon": {"left_y": 0.3, "right_y": 0.3, "height_m": 4.0, "hfov_deg": 60.0}},
        **change.pop("camera", {}),
    }
    zone = {**ZONE, "polygon": [[0.4, far], [0.6, far], [0.7, 0.95], [0.3, 0.95]]}
    if smallest_m is not None:
        zone["smallest_person_m"] = smallest_m
    site = {
        "schema_version": 1,
        "site_id": "yard",
        "severity_without_trains": "WARNING",
        "cameras": [camera],
        "sections": ["main"],
        "zones": [zone, {**ZONE, "zone_id": "out", "kind": "ignore"}],
        "model": {"file": "railwatch-nano", "sha256": SHA256},
        **change,
    }
    path = folder / "site.yaml"
    path.write_text(json.dumps(site, indent=1))
    return path


def refusals(path):
    """Why the site must not arm, in this process."""
    site = load_site(path)
    eye = eye_of(site.model)
    return [fault.text for fault in coverage_faults(site, site_coverage(site, eye), eye)]


def railwatch(root, *words):
    command = [sys.executable, "-m", "railwatch", *map(str, words)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100, check=False)


def test_the_coverage_of_a_zone_is_told_and_drawn(root, tmp_path):
    path = site_file(tmp_path)
    done = railwatch(root, "zones", "coverage", path, "--out", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    # At y 0.6 a person of 1.7 m is 0.3 * 1.7 / 4 of 270 px, less what looking down takes; 32 px are needed.
    assert "finds people from 32 px on" in done.stdout
    assert "track                east             1.6 m   0.49, 0.60    34 to  70 px" in done.stdout
    assert cv2.imread(str(tmp_path / "map.png")).shape == (630, 960, 3)


def test_every_cell_is_in_the_json(root, tmp_path):
    document = json.loads(railwatch(root, "zones", "coverage", site_file(tmp_path), "--json").stdout)
    assert (document["input"], document["needed_px"]) == ([480, 416], 32)
    (zone,) = document["zones"]
    sizes = {cell[1]: cell[2] for cell in zone["cells"]}
    assert sizes[0.95] > sizes[0.6]
    assert all(smallest == pytest.approx(1.7 * 32 / px, rel=0.01) for _, _, px, smallest in zone["cells"])


@pytest.mark.parametrize("words", [("check",), ("zones", "coverage"), ("run",)])
def test_a_zone_in_which_a_child_is_too_small_does_not_arm(root, tmp_path, words):
    done = railwatch(root, *words, site_file(tmp_path, smallest_m=1.2))
    assert done.returncode == 2
    told = done.stdout + done.stderr
    assert "smallest_person_m must hold in all of zone track" in told
    assert "at (0.49, 0.60) of the frame a person of 1.7 m is 34 px tall" in told
    assert "only people from 1.6 m on are found" in told
    assert "Traceback" not in told
    if words != ("zones", "coverage"):
        assert "zones[0].smallest_person_m: given '1.2'" in told


def test_what_is_covered_arms(tmp_path):
    assert armable_site(site_file(tmp_path, smallest_m=1.7)).coverage.wanted == (("track", 1.7),)
    assert refusals(site_file(tmp_path, smallest_m=0.9, far=0.9)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"camera": {"ground": None}}, "cameras[].ground or cameras[].people of camera east"),
        ({"coverage": {"least_recall": 0.99}}, "a model that finds 99% of tall people (coverage.least_recall)"),
        (
            {"coverage": {"smallest_px": 120}},
            "which finds people from 120 px on, so only people from 6.1 m on are found",
        ),
        ({"far": 0.32}, "so only people from 23.7 m on are found"),
        (
            {"far": 0.2},
            "is 0 px tall in the input of railwatch-nano, which finds people from 32 px on, so nobody is found",
        ),
    ],
)
def test_a_zone_of_which_it_is_not_known_or_not_true_does_not_arm(tmp_path, change, words):
    (told,) = refusals(site_file(tmp_path, smallest_m=1.7, **change))
    assert words in told


def test_sizes_may_be_declared_instead_of_a_calibration(tmp_path):
    people = [{"foot": [0.5, 0.95], "height": 0.3}, {"foot": [0.5, 0.6], "height": 0.13}]
    camera = {"ground": None, "people": people}
    assert refusals(site_file(tmp_path, smallest_m=1.7, camera=camera)) == []
    (told,) = refusals(site_file(tmp_path, smallest_m=1.4, camera=camera))
    assert "is 35 px tall" in told
    assert "only people from 1.5 m on" in told
    assert refusals(site_file(tmp_path, smallest_m=1.4, camera={**camera, "aspect": 4 / 3})) == []


def test_a_model_of_which_no_recall_is_known_needs_a_declared_height(tmp_path, shared):
    entry = next(entry for entry in load_manifest().entries if entry.name == "yolox_nano_416")
    model = {"file": str(shared / "models" / "yolox_nano_416.onnx"), "sha256": entry.sha256}
    (told,) = refusals(site_file(tmp_path, smallest_m=1.7, model=model))
    assert "needs coverage.smallest_px, for nothing is known" in told
    assert refusals(site_file(tmp_path, smallest_m=1.7, coverage={"smallest_px": 20}, model=model)) == []


def test_nobody_is_looked_for_in_a_zone_that_is_ignored(tmp_path):
    path = site_file(tmp_path, zones=[ZONE, {**ZONE, "zone_id": "out", "kind": "ignore", "smallest_person_m": 1.0}])
    (fault,) = site_faults_of_file(path)
    assert "must not be given for a zone of kind ignore" in fault.allowed


@pytest.mark.parametrize(
    ("people", "words"),
    [
        ([{"foot": [0.5, 0.9], "height": 0.3}], "2"),
        ([{"foot": [0.5, 0.9], "height": 0.1}, {"foot": [0.5, 0.5], "height": 0.3}], "taller nearer to the camera"),
        ([{"foot": [0.5, 0.9], "height": 0.3}, {"foot": [0.1, 0.9], "height": 0.3}], "at different y"),
    ],
)
def test_declared_sizes_that_cannot_be_are_a_fault(tmp_path, people, words):
    (fault,) = site_faults_of_file(site_file(tmp_path, camera={"people": people}))
    assert fault.key.startswith("cameras[0].people")
    assert words in fault.allowed


def test_a_site_that_asks_for_nobody_is_not_looked_at(tmp_path, monkeypatch):
    path = site_file(tmp_path)
    monkeypatch.setattr(arming.subprocess, "run", lambda *_, **__: pytest.fail("must not be asked"))
    armable_site(path)


def test_a_check_that_cannot_be_made_does_not_arm(tmp_path, monkeypatch):
    path = site_file(tmp_path, smallest_m=1.7)

    def fail(*_, **__):
        raise subprocess.TimeoutExpired("check", 120)

    monkeypatch.setattr(arming.subprocess, "run", fail)
    with pytest.raises(ConfigError, match="must be checked to be armed, but cannot be"):
        armable_site(path)
