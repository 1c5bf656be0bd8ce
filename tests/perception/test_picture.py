from __future__ import annotations

import threading

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from hypothesis import assume, given
from hypothesis import strategies as st

from railwatch.core.types import Region, SampleForm, Size
from railwatch.perception.picture import SUBSAMPLING, BgrPicture, Colour, YuvPicture, picture_of
from tests.clips import textured

SQUARE = SampleForm(Size(64, 64), "bgr", "top_left")
COLOURS = ((255, 255, 255), (0, 0, 0), (200, 30, 30), (30, 200, 30), (30, 30, 200), (128, 128, 128), (20, 180, 220))


def bars(width=140, height=80):
    """A bar of each of `COLOURS`, BGR."""
    picture = np.zeros((height, width, 3), np.uint8)
    step = width // len(COLOURS)
    for index, colour in enumerate(COLOURS):
        picture[:, index * step : (index + 1) * step] = colour
    return picture


def smooth(width, height):
    """Without the sharp edges of colour that half as many chroma pixels cannot keep."""
    return cv2.GaussianBlur(textured(width, height), (0, 0), 6)


def decoded(bgr, pix_fmt="yuv420p"):
    return av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(format=pix_fmt)


def planes(width, height, subsampling=(2, 2), padding=0):
    """Grey planes whose lines are longer than the picture, as decoders write them."""
    chroma = (-(-height // subsampling[1]), -(-width // subsampling[0]))
    luma = np.full((height, width + padding), 77, np.uint8)[:, :width]
    u, v = (np.full((chroma[0], chroma[1] + padding), 128, np.uint8)[:, : chroma[1]] for _ in range(2))
    return luma, u, v


def blob(shape, x, y, radius):
    """A smooth spot of 150 levels at (x, y), edges of pixels at whole numbers."""
    ys, xs = np.mgrid[: shape[0], : shape[1]] + 0.5
    return 150.0 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2))


def centroid(weights):
    ys, xs = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return (xs * weights).sum() / weights.sum(), (ys * weights).sum() / weights.sum()


forms = st.builds(
    SampleForm,
    st.builds(Size, st.integers(96, 256), st.integers(96, 256)),
    st.sampled_from(["rgb", "bgr"]),
    st.sampled_from(["top_left", "center"]),
    st.integers(0, 255),
)
sizes = st.builds(Size, st.integers(1, 300), st.integers(1, 300))


@st.composite
def regions(draw, size, least=1):
    left = draw(st.integers(0, size.width - least))
    top = draw(st.integers(0, size.height - least))
    right = draw(st.integers(left + least, size.width))
    bottom = draw(st.integers(top + least, size.height))
    return Region(left, top, right, bottom)


@st.composite
def marked_pictures(draw):
    """A picture of either kind with a spot, the region of it to sample, where the spot is, and its width."""
    size = draw(st.builds(Size, st.integers(120, 400), st.integers(120, 400)))
    region = draw(regions(size, least=100))
    radius = draw(st.floats(6.0, 8.0))
    x = draw(st.floats(region.left + 4 * radius, region.right - 4 * radius))
    y = draw(st.floats(region.top + 4 * radius, region.bottom - 4 * radius))
    spot = blob((size.height, size.width), x, y, radius)
    if draw(st.booleans()):
        picture = BgrPicture(np.dstack([np.round(50 + spot).astype(np.uint8)] * 3))
    else:
        luma, u, v = planes(*size, padding=draw(st.integers(0, 40)))
        luma[:] = np.round(50 + spot)
        picture = YuvPicture(luma, (u, v))
    return picture, region, (x, y)


@given(marked_pictures(), forms)
def test_a_mark_is_found_in_the_sample_where_the_affine_says(marked, form):
    picture, region, (x, y) = marked
    sample = picture.sample(region, form)
    bounds, affine = sample.bounds, sample.to_frame
    assume(affine.scale_x < 3.0)
    shown = sample.tensor[..., 1].astype(float)
    left, top = (-affine.offset_x + bounds.left) / affine.scale_x, (-affine.offset_y + bounds.top) / affine.scale_y
    width = (bounds.right - bounds.left) / affine.scale_x
    height = (bounds.bottom - bounds.top) / affine.scale_y
    part = shown[round(top) : round(top + height), round(left) : round(left + width)]
    found_x, found_y = centroid(np.clip(part - part.min() - 10.0, 0.0, None))
    assert affine.x(found_x + round(left)) == pytest.approx(x, abs=0.5)
    assert affine.y(found_y + round(top)) == pytest.approx(y, abs=0.5)


@given(sizes, forms, st.data())
def test_the_way_there_and_back_is_exact_and_covers_the_region(size, form, data):
    region = data.draw(regions(size))
    sample = YuvPicture(*_split(planes(*size))).sample(region, form)
    affine, bounds = sample.to_frame, sample.bounds
    assert bounds.left <= region.left
    assert bounds.top <= region.top
    assert bounds.right >= region.right
    assert bounds.bottom >= region.bottom
    assert bounds.left >= region.left - 1
    assert bounds.right <= min(size.width, region.right + 1)
    for x, y in ((bounds.left, bounds.top), (bounds.right, bounds.bottom), (region.left + 0.3, region.bottom - 0.7)):
        sample_x, sample_y = (x - affine.offset_x) / affine.scale_x, (y - affine.offset_y) / affine.scale_y
        assert -1e-6 <= sample_x <= form.size.width + 1e-6
        assert -1e-6 <= sample_y <= form.size.height + 1e-6
        assert (affine.x(sample_x), affine.y(sample_y)) == pytest.approx((x, y), abs=1e-6)


@given(sizes, forms, st.data())
def test_the_padding_is_where_the_picture_is_not(size, form, data):
    luma, u, v = planes(*size)
    luma[:] = 235
    region = data.draw(st.none() | regions(size))
    for picture in (YuvPicture(luma, (u, v)), BgrPicture(np.full((size.height, size.width, 3), 255, np.uint8))):
        sample = picture.sample(region, form)
        affine, bounds = sample.to_frame, sample.bounds
        xs, ys = (affine.x(np.arange(form.size.width) + 0.5), affine.y(np.arange(form.size.height) + 0.5))
        inside = ((ys > bounds.top) & (ys < bounds.bottom))[:, None] & ((xs > bounds.left) & (xs < bounds.right))
        assert inside.any()
        assert (sample.tensor[inside] >= 253).all()
        assert (sample.tensor[~inside] == form.pad_value).all()


def _split(all_planes):
    luma, *chroma = all_planes
    return luma, tuple(chroma)


@pytest.mark.parametrize("picture", [BgrPicture(textured(100, 60)), YuvPicture(*_split(planes(100, 60)))])
class TestRegions:
    @pytest.mark.parametrize(
        "region",
        [(100, 0, 120, 50), (0, 60, 10, 70), (-20, 0, 0, 10), (10, 10, 10, 20), (20, 10, 10, 20), (10, 20, 20, 20)],
    )
    def test_a_region_without_area_in_the_picture_is_refused(self, picture, region):
        with pytest.raises(ValueError, match="must have an area within the picture of 100 x 60"):
            picture.sample(Region(*region), SQUARE)

    def test_a_region_is_clipped_to_the_picture(self, picture):
        assert picture.sample(Region(-50, -50, 1000, 1000), SQUARE).bounds == Region(0, 0, 100, 60)
        assert picture.sample(None, SQUARE).bounds == Region(0, 0, 100, 60)
        assert picture.sample(Region(90, 50, 1000, 1000), SQUARE).bounds == Region(90, 50, 100, 60)

    def test_letterboxes(self, picture):
        top_left = picture.sample(None, SampleForm(Size(200, 200), "bgr", "top_left"))
        center = picture.sample(None, SampleForm(Size(200, 200), "bgr", "center"))
        assert top_left.to_frame == (0.5, 0.5, 0.0, 0.0)
        assert center.to_frame == (0.5, 0.5, 0.0, -20.0)
        assert np.array_equal(center.tensor[40:160], top_left.tensor[:120])

    def test_channel_orders(self, picture):
        bgr = picture.sample(None, SQUARE).tensor
        rgb = picture.sample(None, SampleForm(SQUARE.size, "rgb", SQUARE.letterbox)).tensor
        assert np.array_equal(bgr[..., ::-1], rgb)

    def test_a_form_of_one_pixel(self, picture):
        assert picture.sample(None, SampleForm(Size(1, 1), "bgr", "center")).tensor.shape == (1, 1, 3)

    def test_threads_may_sample_the_same_picture(self, picture):
        expected = picture.sample(None, SQUARE).tensor
        same = []

        def sample():
            same.extend(np.array_equal(picture.sample(None, SQUARE).tensor, expected) for _ in range(50))

        threads = [threading.Thread(target=sample) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert same == [True] * 200


def test_an_odd_region_grows_to_whole_chroma_pixels():
    luma, u, v = planes(99, 61)
    sample = YuvPicture(luma, (u, v)).sample(Region(5, 7, 51, 33), SQUARE)
    assert sample.bounds == Region(4, 6, 52, 34)
    assert YuvPicture(luma, (u, v)).sample(Region(97, 59, 99, 61), SQUARE).bounds == Region(96, 58, 99, 61)


@pytest.mark.parametrize("pix_fmt", [*SUBSAMPLING, "gray", "rgb24", "yuv420p10le", "yuv410p", "bgra"])
@pytest.mark.parametrize(("width", "height"), [(140, 80), (141, 81)])
def test_every_pixel_format_gives_the_picture_as_well_as_libav_does(pix_fmt, width, height):
    original = smooth(width, height)
    frame = decoded(original, pix_fmt)
    found = picture_of(frame).bgr()
    assert found.shape == original.shape
    error, libav_error = (
        np.abs(result.astype(int) - original).mean() for result in (found, frame.to_ndarray(format="bgr24"))
    )
    assert error < max(1.0, libav_error + 0.3)


@pytest.mark.parametrize("space", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("extent", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "nv12"])
def test_colours_come_back_whatever_matrix_and_range_the_stream_is_marked_with(space, extent, pix_fmt):
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(bars(), format="bgr24"), format=pix_fmt, dst_colorspace=space, dst_color_range=extent
    )
    frame.colorspace, frame.color_range = (1 if space == Colorspace.ITU709 else 5), int(extent)
    picture = picture_of(frame)
    tensor = picture.sample(None, SampleForm(Size(140, 80), "bgr", "top_left")).tensor
    for found in (picture.bgr(), tensor):
        for index, colour in enumerate(COLOURS):
            assert found[40, index * 20 + 10].astype(int) == pytest.approx(colour, abs=5)


def test_a_jpeg_range_format_needs_no_mark():
    frame = decoded(bars(), "yuvj420p")
    assert picture_of(frame).colour == Colour(full_range=True)
    assert picture_of(frame).bgr()[40, 10].astype(int) == pytest.approx((255, 255, 255), abs=3)


def test_bt2020_is_not_taken_for_bt601():
    luma, u, v = planes(8, 8)
    luma[:], u[:], v[:] = 81, 90, 240  # pure red in BT.601
    assert YuvPicture(luma, (u, v)).bgr()[4, 4].astype(int) == pytest.approx((0, 0, 255), abs=3)
    frame = decoded(bars())
    frame.colorspace = 9
    assert picture_of(frame).colour == Colour(0.2627, 0.0593)


def test_a_sample_is_what_resizing_the_whole_picture_gives():
    frame = decoded(smooth(768, 576))
    form = SampleForm(Size(416, 416), "bgr", "top_left")
    whole = BgrPicture(frame.to_ndarray(format="bgr24")).sample(None, form)
    direct = picture_of(frame).sample(None, form)
    assert direct.to_frame == whole.to_frame
    assert np.abs(direct.tensor.astype(int) - whole.tensor).mean() < 1.5


@pytest.mark.parametrize("turn", [0, 90, 180, 270, -90, 360])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "nv12"])
def test_a_turned_picture(turn, pix_fmt):
    frame = decoded(smooth(140, 80), pix_fmt)
    straight, turned = picture_of(frame), picture_of(frame, turn_degrees=turn)
    expected = np.rot90(straight.bgr(), turn // 90)
    assert turned.size == Size(expected.shape[1], expected.shape[0])
    assert np.abs(turned.bgr().astype(int) - expected).mean() < 1.0


def test_only_quarter_turns_are_possible():
    with pytest.raises(ValueError, match="multiples of 90 degrees, but not by 45"):
        picture_of(decoded(bars()), turn_degrees=45)


def test_planes_are_used_where_the_decoder_wrote_them():
    frame = decoded(textured(141, 81))
    picture = picture_of(frame)
    assert picture.luma.__array_interface__["data"][0] == frame.planes[0].buffer_ptr
    assert picture.luma.strides[0] == frame.planes[0].line_size


def test_a_picture_keeps_the_memory_of_its_frame():
    picture = picture_of(decoded(textured(640, 480)))
    before = picture.bgr()
    others = [decoded(textured(640, 480, seed=seed)) for seed in range(2, 12)]
    assert len(others) == 10
    assert np.array_equal(picture.bgr(), before)


def test_samples_and_pictures_are_read_only():
    picture = BgrPicture(textured())
    with pytest.raises(ValueError, match="read-only"):
        picture.bgr()[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        picture.sample(None, SQUARE).tensor[0, 0] = 0


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_an_array_that_is_no_bgr_picture_is_refused(array):
    with pytest.raises(ValueError, match="array must be uint8"):
        BgrPicture(array)


def test_planes_that_do_not_belong_together_are_refused():
    luma, u, v = planes(100, 60)
    for chroma in ((u,), (u, v, v), (u, v[:-1]), (luma, luma)):
        with pytest.raises(ValueError, match="chroma of luma"):
            YuvPicture(luma, chroma)
