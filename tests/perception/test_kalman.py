"""The filter in arrays, held against the textbook's matrices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from railwatch.perception.kalman import ACCELERATION, BOX_STD, SPEED_STD, BoxMotion, sizes, to_centre, to_corners

steps = st.lists(
    st.tuples(st.floats(0.0, 2.0), st.booleans(), st.floats(-50.0, 50.0), st.floats(5.0, 90.0), st.floats(0.0, 1.0)),
    max_size=12,
)


def seen(dt_s, motion, boxes, confidence=1.0):
    motion.predict(dt_s, np.zeros(len(motion), np.bool_))
    motion.update(np.arange(len(motion)), boxes, np.full(len(motion), confidence))


class Textbook:
    """Position and rate of one coordinate with 2 x 2 matrices."""

    def __init__(self, value, size, axis):
        self.state = np.array([value, 0.0])
        self.covariance = np.diag([(BOX_STD * size) ** 2, (SPEED_STD[axis] * size) ** 2])
        self.axis = axis

    def predict(self, dt_s, size):
        step = np.array([[1.0, dt_s], [0.0, 1.0]])
        noise = (ACCELERATION[self.axis] * size) ** 2 * np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
        self.state = step @ self.state
        self.covariance = step @ self.covariance @ step.T + noise

    def update(self, value, size, confidence):
        look = np.array([1.0, 0.0])
        gain = self.covariance @ look / (look @ self.covariance @ look + (BOX_STD * size * (2 - confidence)) ** 2)
        self.state = self.state + gain * (value - self.state[0])
        self.covariance = (np.eye(2) - np.outer(gain, look)) @ self.covariance


@given(steps)
def test_equals_the_matrix_form(history):
    box = np.array([[100.0, 50.0, 30.0, 60.0]])
    motion = BoxMotion()
    motion.append(box)
    books = [Textbook(box[0, axis], sizes(box)[0, 0], axis) for axis in range(4)]
    for dt_s, look, shift, side, confidence in history:
        size = sizes(motion.box)[0, 0]
        for book in books:
            book.predict(dt_s, size)
        books[2].state[0], books[3].state[0] = max(books[2].state[0], 0.0), max(books[3].state[0], 0.0)
        motion.predict(dt_s, np.array([False]))
        if look:
            found = np.array([[100.0 + shift, 50.0 - shift, side, 2 * side]])
            for axis, book in enumerate(books):
                book.update(found[0, axis], sizes(found)[0, 0], confidence)
            motion.update(np.array([0]), found, np.array([confidence]))
        np.testing.assert_allclose(motion.box[0], [book.state[0] for book in books], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(motion.rate[0], [book.state[1] for book in books], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(motion.variance[0], [book.covariance[0, 0] for book in books], rtol=1e-6)


def test_learns_a_steady_speed_at_an_uneven_frame_rate():
    motion, now = BoxMotion(), 0.0
    motion.append(np.array([[0.0, 0.0, 20.0, 50.0]]))
    for dt_s in [0.1, 0.2, 0.1, 0.5, 0.1, 0.3] * 5:
        now += dt_s
        seen(dt_s, motion, np.array([[40.0 * now, -10.0 * now, 20.0, 50.0]]))
    np.testing.assert_allclose(motion.rate[0, :2], [40.0, -10.0], atol=0.5)
    motion.predict(1.5, np.array([True]))
    np.testing.assert_allclose(motion.box[0, :2], [40.0 * (now + 1.5), -10.0 * (now + 1.5)], atol=2.0)


def test_a_coasting_box_keeps_its_size():
    motion = BoxMotion()
    motion.append(np.array([[0.0, 0.0, 20.0, 50.0]]))
    for step in range(1, 6):
        seen(0.1, motion, np.array([[0.0, 0.0, 20.0 + 5 * step, 50.0 + 9 * step]]))
    before = motion.box[0, 2:].copy()
    motion.predict(1.0, np.array([True]))
    assert motion.box[0, 2:].tolist() == before.tolist()


@given(st.floats(0.0, 1e300), st.floats(0.0, 1e38), st.booleans())
def test_never_gives_nan_or_disordered_boxes(dt_s, side, coasting):
    motion = BoxMotion()
    motion.append(np.array([[side, -side, side, 0.0]]))
    for _ in range(3):
        motion.predict(dt_s, np.array([coasting]))
        motion.update(np.array([0]), np.array([[-side, side, 0.0, side]]), np.array([0.0]))
    motion.predict(dt_s, np.array([coasting]))
    corners = motion.corners()
    assert np.isfinite(corners).all()
    assert (corners[:, 2:] >= corners[:, :2]).all()


@given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 2, *[st.floats(0, 1e4)] * 2), min_size=1, max_size=5))
def test_corners_and_centres_lead_back(rows):
    boxes = np.array(rows)
    np.testing.assert_allclose(to_centre(to_corners(boxes)), boxes, atol=1e-6)
