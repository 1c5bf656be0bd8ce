"""What the network of the recipe is taught."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from models.recipes.railwatch_nano.loss import Target, assigned, corners, iou_pairs, iou_table, picture_loss  # noqa: E402
from models.recipes.railwatch_nano.network import boxes, grid  # noqa: E402
from models.recipes.railwatch_nano.optimiser import ChannelAdam  # noqa: E402

WIDTH, HEIGHT, CLASSES = 160, 96, 15
DOG = 9
CELLS, STRIDES = grid(WIDTH, HEIGHT)
MIDDLES = (CELLS + 0.5) * STRIDES
SIDE = st.floats(6, 60)


def truth(xyxy, classes=None, *, unknown=(), complete=True):
    boxes_ = torch.tensor(xyxy, dtype=torch.float32).reshape(-1, 4)
    kinds = torch.zeros(len(boxes_), dtype=torch.long) if classes is None else torch.tensor(classes)
    nothing = torch.tensor(unknown, dtype=torch.float32).reshape(-1, 4)
    return Target(kinds, boxes_, nothing, torch.full((len(CELLS), CLASSES), complete))


def loss_of(rows, target, teacher=None):
    teacher = torch.full_like(rows, -8.0) if teacher is None else teacher
    decoded = [corners(boxes(raw, CELLS, STRIDES)) for raw in (rows, teacher)]
    return picture_loss(rows, decoded[0], teacher, decoded[1], MIDDLES, STRIDES, target)


def quiet_rows():
    return torch.full((len(CELLS), 5 + CLASSES), -8.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 50), SIDE, SIDE), min_size=1, max_size=6), st.integers(0, 99))
def test_every_box_gets_a_cell_and_no_cell_serves_two(places, seed):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn((len(CELLS), 5 + CLASSES), generator=generator)
    target = truth([(x, y, x + w, y + h) for x, y, w, h in places])
    predicted = corners(boxes(raw, CELLS, STRIDES))
    cells, owner, iou = assigned(predicted, raw[:, 4], raw[:, 5:], MIDDLES, STRIDES, target)
    assert len(set(cells.tolist())) == len(cells) <= len(CELLS)
    assert len(cells) == len(owner) == len(iou)
    assert len(owner.unique()) >= 1
    if len(places) == 1:
        assert len(cells) >= 1
    for cell, box in zip(cells.tolist(), owner.tolist(), strict=True):
        middle, (x0, y0, x1, y1) = MIDDLES[cell], target.boxes[box].tolist()
        near = (middle - torch.tensor([(x0 + x1) / 2, (y0 + y1) / 2])).abs().max() < 2.5 * STRIDES[cell, 0]
        assert near or (x0 < middle[0] < x1 and y0 < middle[1] < y1)


def test_iou_of_known_boxes():
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[5.0, 0, 15, 10], [20, 20, 30, 30]])
    torch.testing.assert_close(iou_pairs(first, second), torch.tensor([1 / 3, 0.0]))
    torch.testing.assert_close(iou_table(first, second)[0], torch.tensor([1 / 3, 0.0]))


def test_the_right_answer_costs_little_and_a_missed_person_much():
    target = truth([(40, 24, 56, 72)])
    right = quiet_rows()
    serving = (MIDDLES - torch.tensor([48.0, 48.0])).abs().amax(1) < 8
    right[serving, :2] = torch.tensor([48.0, 48.0]) / STRIDES[serving] - CELLS[serving]
    right[serving, 2:4] = (torch.tensor([16.0, 48.0]) / STRIDES[serving]).log()
    right[serving, 4], right[serving, 5] = 8.0, 8.0
    good, missed = loss_of(right, target), loss_of(quiet_rows(), target)
    assert float(good.box) < 1e-3
    assert float(good.objectness) < float(missed.objectness) / 5


def test_nothing_is_said_where_nothing_is_known():
    rows = quiet_rows()
    rows[:, 4] = 3.0
    rows.requires_grad_()
    loss_of(rows, truth([], unknown=[(60, 30, 100, 60)])).objectness.backward()
    inside = ((torch.tensor([60.0, 30]) < MIDDLES) & (torch.tensor([100.0, 60]) > MIDDLES)).all(1)
    assert rows.grad[inside, 4].abs().max() == 0
    assert rows.grad[(MIDDLES[:, 0] < 40), 4].min() > 0


def test_the_start_is_kept_only_where_the_truth_is_silent():
    teacher = quiet_rows()
    teacher[5, 4], teacher[5, 5 + DOG] = 4.0, 4.0
    rows = quiet_rows()
    rows[5, 4], rows[5, 5 + DOG] = 4.0, 4.0
    silent, told = (loss_of(rows, truth([], complete=known), teacher) for known in (False, True))
    assert float(silent.objectness) < float(told.objectness) - 2
    assert float(told.kept) == 0
    assert float(silent.kept) < 0.2


def test_every_channel_moves_by_a_share_of_its_size():
    layer = torch.nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([0.01, 0.02]).reshape(2, 1, 1, 1)
        layer.bias[:] = 1.0
    before = layer.weight.detach().clone()
    optimiser = ChannelAdam(layer)
    layer(torch.ones(1, 1, 1, 1)).sum().backward()
    optimiser.step(0.1)
    torch.testing.assert_close(layer.weight, before * 0.9, rtol=1e-3, atol=0)
    torch.testing.assert_close(layer.bias.detach(), torch.full((2,), 0.9), rtol=1e-3, atol=0)


def test_what_has_no_gradient_stays_and_what_follows_a_slope_goes_down():
    torch.manual_seed(0)
    used, unused = torch.nn.Conv2d(2, 3, 1), torch.nn.Conv2d(2, 3, 1)
    kept = unused.weight.detach().clone()
    optimiser = ChannelAdam(torch.nn.ModuleList([used, unused]))
    picture, losses = torch.rand(1, 2, 4, 4), []
    for _ in range(60):
        optimiser.clear()
        loss = (used(picture) - 0.3).square().mean()
        loss.backward()
        optimiser.step(0.03)
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 10
    assert torch.equal(unused.weight, kept)
