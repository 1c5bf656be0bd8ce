"""Augmentation and mixing: bounded, drawn by seed, equal however many processes share the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.chance import generator, order
from classifiers.transforms import Draws, augmented, draw, mix


@settings(max_examples=20)
@given(st.integers(1, 8), st.floats(0, 1), st.integers(0, 100))
def test_augmented_pictures_are_pictures(count, strength, seed):
    pictures = torch.randint(0, 256, (count, 3, 12, 12), dtype=torch.uint8, generator=generator(seed))
    new = augmented(pictures, draw(count, strength, generator(seed)))
    assert new.shape == pictures.shape
    assert new.dtype == torch.float32
    assert 0 <= new.min() <= new.max() <= 1


def test_without_strength_a_picture_stays_or_is_mirrored():
    pictures = torch.rand(40, 3, 8, 8, generator=generator(0))
    new = augmented(pictures, draw(40, 0.0, generator(1)))
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(new, pictures, strict=True)]
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(new, pictures, strict=True)]
    assert all(one != other for one, other in zip(same, mirrored, strict=True))
    assert 10 <= sum(same) <= 30


def test_uint8_and_fractions_are_augmented_alike():
    pictures = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=generator(0))
    draws = draw(4, 0.5, generator(1))
    assert torch.equal(augmented(pictures, draws), augmented(pictures.float() / 255, draws))


def test_each_process_gets_its_part_of_the_same_draws():
    whole = draw(7, 0.5, generator(3))
    parts = [whole.part(slice(rank, None, 2)) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.affine for part in parts]), whole.affine[[0, 2, 4, 6, 1, 3, 5]])
    assert isinstance(parts[0], Draws)


def test_no_strength_moves_a_constant_picture():
    level = torch.full((5, 3, 8, 8), 0.5)
    light = Draws(draw(5, 1.0, generator(0)).affine, torch.ones(5, 3))
    assert torch.allclose(augmented(level, light), level, atol=1e-5)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([(0.4, 0.0), (0.0, 1.0), (0.3, 0.3), (0.01, 0.0), (900.0, 0.0)]))
def test_mixed_pictures_are_as_much_of_each_as_the_share_says(seed, alphas):
    """Every picture is black or white as its label says, so the mean of a mixed one is its share of white."""
    labels = torch.tensor([0, 1] * 4)
    pictures = labels.float()[:, None, None, None].expand(8, 3, 10, 10).contiguous()
    batch = mix(pictures, labels, *alphas, np.random.default_rng(seed))
    expected = batch.share * batch.first + (1 - batch.share) * batch.second
    assert torch.allclose(batch.pictures.mean((1, 2, 3)), expected, atol=1e-5)
    assert 0 <= batch.share <= 1


def test_without_alphas_nothing_is_mixed():
    pictures, labels = torch.rand(3, 3, 4, 4), torch.tensor([0, 1, 2])
    batch = mix(pictures, labels, 0.0, 0.0, np.random.default_rng(0))
    assert batch.pictures is pictures
    assert batch.share == 1.0


@given(st.integers(0, 10**6), st.integers(1, 100), st.integers(1, 200))
def test_the_order_of_an_epoch_is_a_permutation_by_seed_and_epoch(seed, epoch, count):
    assert np.array_equal(np.sort(order(seed, epoch, count)), np.arange(count))
    assert np.array_equal(order(seed, epoch, count), order(seed, epoch, count))
    if count > 20:
        assert not np.array_equal(order(seed, epoch, count), order(seed, epoch + 1, count))


def test_draws_do_not_touch_the_global_state():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    draw(4, 1.0, generator("x"))
    assert torch.equal(torch.rand(1), expected)
    assert torch.rand(1) != pytest.approx(float(expected))
