"""The exact assignment, held against SciPy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from railwatch.perception.assignment import assign

shapes = st.tuples(st.integers(0, 9), st.integers(0, 9))
any_similarity = arrays(np.float64, shapes, elements=st.floats(-0.5, 1.0))
tied_similarity = arrays(np.float64, shapes, elements=st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0]))


def best_total(similarity):
    positive = np.maximum(similarity, 0.0)
    rows, columns = linear_sum_assignment(positive, maximize=True)
    return positive[rows, columns].sum()


@given(any_similarity | tied_similarity)
def test_total_is_the_greatest_there_is(similarity):
    rows, columns = assign(similarity)
    assert np.isclose(similarity[rows, columns].sum(), best_total(similarity), rtol=0, atol=1e-9)


@given(any_similarity | tied_similarity)
def test_every_row_and_column_is_used_at_most_once_and_only_where_allowed(similarity):
    rows, columns = assign(similarity)
    assert (np.diff(rows) > 0).all()
    assert len(set(columns.tolist())) == len(columns)
    assert (similarity[rows, columns] > 0.0).all()


@given(tied_similarity)
def test_equal_input_gives_equal_output(similarity):
    first, second = assign(similarity), assign(similarity.copy())
    assert [part.tolist() for part in first] == [part.tolist() for part in second]


def test_large_crowd_is_exact_too():
    rng = np.random.default_rng(0)
    for density in (0.02, 0.2):
        similarity = rng.random((120, 100)) * (rng.random((120, 100)) < density)
        rows, columns = assign(similarity)
        assert np.isclose(similarity[rows, columns].sum(), best_total(similarity))


def test_two_good_pairs_beat_one_very_good():
    rows, columns = assign(np.array([[0.9, 0.8], [0.8, 0.0]]))
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 1), (1, 0)]
