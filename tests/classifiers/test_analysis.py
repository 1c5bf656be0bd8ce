"""What is said of a sweep: true where there is something, silent where there is nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from classifiers import analysis, inference, stats
from classifiers.analysis import Row, Table, effects, importance
from classifiers.confirm import compared
from classifiers.space import REPORT_SPACE, Choice, Range


def table(count, seed, effect, *, noise=0.03, space=REPORT_SPACE, random=True):
    """A table of trials whose accuracy is 0.3 + effect(parameters) + noise."""
    generator = np.random.default_rng(seed)
    rows = []
    for number, parameters in enumerate(analysis._drawn(space, count, generator)):
        value = float(np.clip(0.3 + effect(parameters) + noise * generator.normal(), 0, 1))
        started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        curve = tuple((epoch, value * epoch / 5) for epoch in range(1, 6))
        rows.append(
            Row(number, parameters, value, False, random, started, 60.0, curve, {"multiply_adds": 1000 + number})
        )
    return Table(space, tuple(rows))


def said(found, pictures=500):
    """The sentences on hyperparameters."""
    return [i.sentence for i in inference.inferences(found, effects(found), None, pictures)][1:]


def nothing(parameters):
    return 0.0


def test_where_nothing_matters_almost_nothing_is_said():
    """Twenty sweeps without any effect, 16 questions each: at 5 % for all together about one errs, not sixteen."""
    wrong = sum(bool(said(table(30, seed, nothing))) for seed in range(20))
    assert wrong <= 3


def test_an_effect_is_found_named_and_measured():
    found = table(30, 1, lambda p: -0.3 * p["dropout"])
    borne = [effect for effect in effects(found) if effect.borne]
    assert [effect.contrast.name for effect in borne] == ["dropout"]
    assert borne[0].difference.low < -0.15 < borne[0].difference.high
    sentences = inference.inferences(found, effects(found), None, 500)
    assert "Dropout: 0 does better than 0.5." in [i.sentence for i in sentences]
    told = next(i for i in sentences if i.sentence.startswith("Dropout"))
    assert "95 % interval" in told.statistic
    assert "adjusted for 16 questions; 30 random trials" in told.statistic
    assert told.figure == "slices"
    assert "dropout" not in inference.undecided(found, effects(found))
    assert "kernel" in inference.undecided(found, effects(found))


def test_one_word_against_the_others_is_found():
    found = table(60, 2, lambda p: 0.15 * (p["activation"] == "selu"))
    assert "Activation: selu does better than the others." in said(found)


def test_a_range_is_asked_for_its_trend():
    space = {"rate": Range(1e-4, 1e-1, log=True), "kernel": Choice((3, 5))}
    found = table(40, 3, lambda p: 0.05 * np.log10(p["rate"]), space=space)
    assert said(found)[0].startswith("Rate: at least ")


def test_trials_that_a_sampler_chose_are_not_tested():
    found = table(40, 1, lambda p: -0.3 * p["dropout"], random=False)
    assert effects(found) == []
    assert said(found) == []
    assert "there are 0" in inference.undecided(found, [])


def test_an_effect_that_pruning_may_have_made_is_not_said():
    """All trials with dropout were stopped; before that they were as good as the others."""
    found = table(40, 4, nothing, noise=0.02)
    rows = []
    for row in found.rows:
        stopped = row.parameters["dropout"] == 0.5
        early = ((1, 0.1), (2, 0.2 + 0.01 * stopped))
        curve = early if stopped else (*early, (5, row.value))
        rows.append(replace(row, value=0.21 if stopped else row.value, pruned=stopped, curve=curve))
    pruned = replace(found, rows=tuple(rows))
    dropout = next(effect for effect in effects(pruned) if effect.contrast.name == "dropout")
    assert dropout.p < 0.05
    assert not dropout.borne


def test_ways_of_training_with_fewer_epochs_are_compared_by_what_they_reach():
    """Half the trials have one epoch, and after one epoch they were ahead; nothing was pruned."""
    space = {"strategy": Choice(("svm", "last"))}
    found = table(40, 5, lambda p: 0.2 * (p["strategy"] == "last"), space=space)
    rows = []
    for row in found.rows:
        short = row.parameters["strategy"] == "svm"
        rows.append(replace(row, curve=((1, row.value),) if short else ((1, 0.1), (20, row.value))))
    assert said(replace(found, rows=tuple(rows))) == ["Strategy: last does better than svm."]


def test_importance_finds_what_holds_the_variance_and_knows_chance():
    for seed in range(2):
        shares = importance(table(20, seed, lambda p: 0.2 * (p["batch_norm"] == "before")), rounds=10)
        assert max(shares.shares, key=lambda name: shares.shares[name].value) == "batch_norm"
        assert shares.out_of_bag > 0.3
        assert shares.shares["batch_norm"].value > shares.chance
    empty = importance(table(20, 7, nothing), rounds=10)
    assert all(share.low <= empty.chance for share in empty.shares.values())


def test_too_few_trials_bear_nothing():
    few = table(7, 1, lambda p: -0.3 * p["dropout"])
    assert effects(few) == []
    assert importance(few) is None
    assert importance(table(20, 1, nothing, noise=0)) is None


def test_the_best_is_a_trial_that_was_not_pruned():
    found = table(10, 1, nothing)
    rows = (replace(found.rows[0], value=0.9, pruned=True), *found.rows[1:])
    assert found.best.value == max(row.value for row in found.rows)
    assert replace(found, rows=rows).best.value < 0.9


def test_seeds_and_pictures_decide_whether_the_best_beats_the_default():
    generator = np.random.default_rng(0)
    better = [generator.random(300) < 0.5 for _ in range(3)]
    worse = [generator.random(300) < 0.3 for _ in range(3)]
    clear = compared(better, worse)
    assert clear.difference.low > 0.1
    assert not compared(worse, worse[::-1]).difference.excludes_zero
    found = table(10, 1, nothing)
    sentences = [i.sentence for i in inference.inferences(found, [], None, 300, clear)]
    assert "the best configuration beats the untuned default one" in sentences[1]
    sentences = [i.sentence for i in inference.inferences(found, [], None, 300, compared(worse, worse))]
    assert "cannot be told apart" in sentences[1]


def test_adjusted_p_is_exact_under_shuffling_and_minds_the_number_of_questions():
    generator = np.random.default_rng(0)
    outcomes = generator.normal(size=24)
    design = (np.arange(24) % 2).astype(float)[None]
    alone = stats.adjusted_p(design, outcomes)[0]
    many = stats.adjusted_p(np.concatenate([design, generator.normal(size=(30, 24))]), outcomes)[0]
    assert alone <= many <= 1.0
    perfect = stats.adjusted_p(np.arange(8.0)[None], np.arange(8.0), permutations=999)[0]
    assert perfect == pytest.approx(1 / 1000)


def test_an_interval_covers_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        high, low = generator.normal(1.0, 1.0, 40), generator.normal(0.5, 1.0, 40)
        estimate = stats.bootstrap_difference(high, low, resamples=200)
        covered += estimate.low <= 0.5 <= estimate.high
    assert 85 <= covered <= 100
    with pytest.raises(ValueError, match="in each group"):
        stats.bootstrap_difference(np.array([]), np.array([1.0]))
