from __future__ import annotations

import pytest

from scenes.scenario import ScenarioError, load, parse

GOOD = "name: good\ntitle: Something is seen\nnegative: true\n"


def test_defaults_make_a_whole_scene():
    scene = parse(GOOD)
    assert scene.frames == 100
    assert [track.id for track in scene.tracks] == ["main", "loop"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must be a mapping"),
        ("- a\n", "must be a mapping"),
        ("name: [", "must be YAML"),
        ("name: good\ntitle: Something\n", "negative: Field required"),
        (GOOD + "name: other\n", "'name'] must be given once"),
        (GOOD + "wether: {}\n", "wether: Extra inputs are not permitted"),
        (GOOD + "fps: 0\n", "fps:"),
        (GOOD + "duration_s: .nan\n", "duration_s:"),
        (GOOD + "camera: {size_px: [641, 360]}\n", "must be even"),
        (GOOD + "camera: {look_at_m: [0, -5, 1]}\n", "look_at_m must lie"),
        (GOOD + "weather: {fog_visibility_m: 3}\n", "weather.fog_visibility_m:"),
        (GOOD + "tracks: []\n", "at least one track"),
        (GOOD + "trains: [{id: t, track: third, front_m: 9}]\n", "trains.t.track must be among"),
        (GOOD + "people: [{id: p, at_m: [0, 0]}, {id: p, at_m: [1, 1]}]\n", "every id must be given once"),
        (GOOD + "people: [{id: p, at_m: [0, 0], actions: [{do: fly}]}]\n", "people.0.actions.0"),
        (GOOD + "people: [{id: p, at_m: [0, 0], actions: [{do: fall}, {do: stand, for_s: 1}]}]\n", "may follow"),
        (GOOD + "people: [{id: p, at_m: [0, 0], clothing: {shirt: plaid}}]\n", "people.0.clothing.shirt"),
    ],
)
def test_a_fault_is_told_with_its_key(text, fault):
    with pytest.raises(ScenarioError) as told:
        parse(text)
    assert fault in str(told.value)


def test_the_name_must_be_the_files(tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ScenarioError, match="name must be 'other' like the file"):
        load(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ScenarioError, match="must be a readable file"):
        load(tmp_path / "none.yaml")
