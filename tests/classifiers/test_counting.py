"""The closed formula, counting layer by layer, and torch's own counter agree for every network."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from classifiers.config import ACTIVATIONS, BATCH_NORM, POOLING, NetworkConfig
from classifiers.counting import formula, layers, symbolic
from classifiers.network import Network


@st.composite
def networks(draw):
    """Networks of every shape, small enough that meta tensors are made at once."""
    blocks = draw(st.integers(1, 5))
    lists = st.lists(st.integers(1, 40), min_size=blocks, max_size=blocks).map(tuple)
    kernels = st.sampled_from((1, 3, 5, 7))
    return NetworkConfig(
        blocks=blocks,
        filters=draw(st.integers(1, 70)),
        scheme=draw(st.sampled_from((0.5, 1.0, 2.0)) | lists),
        kernel=draw(kernels | st.lists(kernels, min_size=blocks, max_size=blocks).map(tuple)),
        activation=draw(st.sampled_from(ACTIVATIONS)),
        batch_norm=draw(st.sampled_from(BATCH_NORM)),
        dropout=draw(st.sampled_from((0.0, 0.25, 0.5))),
        pooling=draw(st.sampled_from(POOLING)),
        dense=tuple(draw(st.lists(st.integers(1, 70), max_size=3))),
        input_size=draw(st.integers(2**blocks, 256)),
        classes=draw(st.integers(2, 20)),
    )


@settings(max_examples=200)
@given(networks())
def test_three_ways_of_counting_agree(config):
    rows = layers(config)
    counted = sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)
    with torch.device("meta"):
        network = Network(config).eval()
        pictures = torch.empty(1, 3, config.input_size, config.input_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(pictures)
    by_torch = sum(parameter.numel() for parameter in network.parameters()), counter.get_total_flops() / 2
    assert formula(config) == counted == by_torch


@given(networks())
def test_the_symbols_stand_for_the_formula(config):
    symbols = symbolic(config)
    if symbols is None:
        return
    m, k, n = config.filters_of_blocks[0], config.kernels_of_blocks[0], config.dense[0]
    assert tuple(evaluate(text, m, k, n) for text in symbols) == formula(config)


def evaluate(text, m, k, n):
    """A formula as printed, with numbers in the place of its symbols: `4(mk^2 + 1)m` is 4 * (m*k**2 + 1) * m."""
    import re

    spaced = re.sub(r"(?<=[\dmkn)])\s?(?=[mkn(])", "*", text.replace("^", "**"))
    return eval(re.sub(r"(?<=\))\s?(?=[\d])|(?<=[mkn])\s(?=\d)", "*", spaced), {"m": m, "k": k, "n": n})  # noqa: S307


def test_pooling_and_softmax_are_rows_of_their_own():
    kinds = [row.kind for row in layers(NetworkConfig(blocks=2, input_size=16))]
    assert kinds.count("MaxPool2d") == 2
    assert kinds[-1] == "Softmax"


def test_the_network_of_the_question(classifiers):
    done = classifiers("count", "--filters", "32", "--kernel", "3", "--dense", "64", "--batch-norm", "--json")
    document = json.loads(done.stdout)
    assert document["parameters"] == 169_994
    assert document["multiply_adds"] == pytest.approx(257.29e6, rel=1e-4)
    assert document["formula"]["parameters"] == "(3k^2 + 1)m + 4(mk^2 + 1)m + (64m + 1)n + 10(n + 1) + 10m"
