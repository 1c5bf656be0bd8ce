"""The declared space of a sweep."""

from __future__ import annotations

import json

import pytest

from classifiers.config import NetworkConfig, TrainConfig
from classifiers.errors import ConfigError
from classifiers.space import REPORT_SPACE, Choice, Range, cells, configured, from_json, read_space, size_of, to_json


def test_the_default_is_the_ten_hyperparameters_of_the_report():
    assert len(REPORT_SPACE) == 10
    assert size_of(REPORT_SPACE) == 3 * 3 * 2 * 2 * 3 * 6 * 3 * 3 * 3 * 3
    assert from_json(to_json(REPORT_SPACE)) == REPORT_SPACE


def test_every_corner_of_the_default_is_a_network():
    for which in (0, -1):
        parameters = {name: part.values[which] for name, part in REPORT_SPACE.items()}
        network, train = configured(parameters, NetworkConfig(input_size=64), TrainConfig())
        assert network.dense == (parameters["neurons"],) * parameters["dense_layers"]
        assert (network.blocks, network.kernel, train.augment) == tuple(
            parameters[name] for name in ("blocks", "kernel", "augment")
        )


def test_names_of_both_configurations_can_be_swept():
    network, train = configured({"rate": 0.01, "pooling": "average"}, NetworkConfig(dense=(8, 4)), TrainConfig())
    assert (network.pooling, network.dense, train.rate) == ("average", (8, 4), 0.01)


def test_cells_are_every_combination_once():
    space = {"kernel": Choice((3, 5)), "batch": Range(16, 48, step=16)}
    listed = list(cells(space))
    assert len(listed) == size_of(space) == 6
    assert {"kernel": 5, "batch": 48} in listed


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "at least one"),
        ([], "must be a map"),
        ({"filter": [1, 2]}, "names 'filter'"),
        ({"seed": [1, 2]}, "names 'seed'"),
        ({"kernel": [3, 4]}, "odd"),
        ({"kernel": []}, "different numbers"),
        ({"kernel": [3, 3]}, "different numbers"),
        ({"kernel": [[3, 5]]}, "different numbers"),
        ({"kernel": 3}, "list of values"),
        ({"activation": ["relu", "tanh"]}, "activation must be one of"),
        ({"rate": {"low": 1, "high": 0.1}}, "low < high"),
        ({"rate": {"low": 0, "high": 0.1, "log": True}}, "low > 0"),
        ({"rate": {"low": 0, "height": 0.1}}, "low, high"),
        ({"rate": {"low": "a", "high": 0.1}}, "must be numbers"),
        ({"dense_layers": [-1]}, "at least 0"),
    ],
)
def test_what_is_no_space_is_refused(document, says):
    with pytest.raises(ConfigError, match=says):
        from_json(document)


def test_a_range_without_steps_has_no_grid():
    with pytest.raises(ConfigError, match="take --sampler tpe"):
        size_of({"rate": Range(0.1, 0.2)})


@pytest.mark.parametrize("name", ["space.json", "space.yaml"])
def test_a_file_is_read(tmp_path, name):
    path = tmp_path / name
    path.write_text(json.dumps({"kernel": [3, 5]}), encoding="utf-8")
    assert read_space(path) == {"kernel": Choice((3, 5))}


@pytest.mark.parametrize(
    ("name", "data"), [("a.json", b"{"), ("a.yaml", b"a: [b"), ("a.yaml", b"\xff"), ("a.json", b" " * 70_000)]
)
def test_a_file_that_is_no_space_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigError):
        read_space(tmp_path / name)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_space(tmp_path / "none.json")
