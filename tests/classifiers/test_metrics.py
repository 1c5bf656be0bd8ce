"""Scores equal those of scikit-learn, and intervals cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, log_loss, precision_recall_fscore_support

from classifiers.metrics import bootstrap, calibration_error, score

NAMES = ("a", "b", "c", "d")


def draw_answers(seed, count=60):
    rng = np.random.default_rng(seed)
    raw = rng.random((count, len(NAMES))) ** 3
    return raw / raw.sum(1, keepdims=True), rng.integers(0, len(NAMES), count)


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_scores_are_those_of_scikit_learn(seed):
    probabilities, labels = draw_answers(seed)
    found, predicted = score(probabilities, labels, NAMES), probabilities.argmax(1)
    every = range(len(NAMES))
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert found.loss == pytest.approx(log_loss(labels, probabilities, labels=every))
    present = sorted(set(labels))
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro", labels=present))
    assert np.array_equal(found.confusion, confusion_matrix(labels, predicted, labels=every))
    theirs = precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    ours = [(c.precision, c.recall, c.f1, c.pictures) for c in found.classes]
    assert np.allclose(np.array(ours).T, theirs)
    low, high = found.intervals["accuracy"]
    assert low <= found.accuracy <= high


def test_calibration_error_by_hand():
    # Two bins: 0.9 sure and right 1 of 2 (gap 0.4), 0.6 sure and right 2 of 2 (gap 0.4).
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert calibration_error(probabilities, np.array([0, 1, 0, 0])) == pytest.approx(0.4)
    assert calibration_error(np.eye(2), np.array([0, 1])) == 0


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap(lambda rows: float(values[rows].mean()), 400)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert low < values.mean() < high
