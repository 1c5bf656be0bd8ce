"""Configurations: whole values or a refusal that names the field, the same in files and in sweeps."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.config import (
    ACTIVATIONS,
    BATCH_NORM,
    OPTIMISERS,
    PRESETS,
    SCHEDULES,
    NetworkConfig,
    TrainConfig,
    from_dict,
    read_config,
    to_dict,
)
from classifiers.errors import ConfigError

NETWORKS = st.builds(
    NetworkConfig,
    blocks=st.integers(1, 5),
    filters=st.integers(1, 128),
    scheme=st.sampled_from((0.5, 1.0, 2.0)),
    kernel=st.sampled_from((3, 5, 7)),
    activation=st.sampled_from(ACTIVATIONS),
    batch_norm=st.sampled_from(BATCH_NORM),
    dropout=st.floats(0, 0.9),
    dense=st.lists(st.integers(1, 64), max_size=3).map(tuple),
    input_size=st.integers(32, 256),
)
TRAININGS = st.builds(
    TrainConfig,
    epochs=st.integers(1, 100),
    optimiser=st.sampled_from(OPTIMISERS),
    schedule=st.sampled_from(SCHEDULES),
    rate=st.floats(1e-6, 1),
    ema=st.floats(0, 0.999),
)


@given(NETWORKS, TRAININGS)
def test_a_configuration_survives_json(network, train):
    for config in (network, train):
        assert from_dict(type(config), json.loads(json.dumps(to_dict(config)))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_a_file_with_its_name_gives(name, tmp_path):
    (tmp_path / "c.yaml").write_text(f"preset: {name}\n")
    assert read_config(tmp_path / "c.yaml") == PRESETS[name]


WRONG = {
    "blocks": 0, "filters": 1.5, "scheme": -1.0, "kernel": 2, "activation": "tanh", "batch_norm": True, "dropout": 1.0,
    "pooling": "min", "dense": [0], "input_size": 16, "classes": 1,
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_every_field_of_a_network_is_checked_and_named(name, value):
    with pytest.raises(ConfigError, match=name):
        from_dict(NetworkConfig, {name: value})


def test_no_field_of_a_network_is_left_unchecked():
    assert set(WRONG) == {field.name for field in fields(NetworkConfig)}


@pytest.mark.parametrize("field", fields(TrainConfig), ids=lambda field: field.name)
@pytest.mark.parametrize("value", ["nonsense", -1, None, float("nan")])
def test_every_field_of_a_training_is_checked_and_named(field, value):
    with pytest.raises(ConfigError, match=field.name):
        from_dict(TrainConfig, {field.name: value})


@pytest.mark.parametrize("text", ["- 1", "network: 3", "{", "preset: best", "train: {epoch: 3}", "x: 1"])
def test_a_file_of_another_form_is_refused(text, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError):
        read_config(tmp_path / "c.yaml")
