"""Pictures that may build on damage."""

from __future__ import annotations

from railwatch.perception.taint import Taint


def key(taint, pts):
    taint.packet(pts, b"", keyframe=True, corrupt=False)
    return taint.clean(pts, corrupt=False)


def plain(taint, pts, *, corrupt=False, made_up=False):
    taint.packet(pts, b"", keyframe=False, corrupt=corrupt)
    return taint.clean(pts, corrupt=made_up)


def test_a_stream_that_begins_in_the_middle_is_clean_from_its_first_key_frame_on():
    taint = Taint("hevc")
    assert not plain(taint, 0)
    assert key(taint, 1)
    assert plain(taint, 2)


def test_damage_on_the_way_or_in_decoding_lasts_until_the_next_clean_key_frame():
    for harm in (
        lambda taint: plain(taint, 2, corrupt=True),
        lambda taint: plain(taint, 2, made_up=True),
        lambda taint: taint.damage(),
    ):
        taint = Taint("hevc")
        assert key(taint, 1)
        assert not harm(taint)
        assert not plain(taint, 3)
        taint.packet(4, b"", keyframe=True, corrupt=True)
        assert not taint.clean(4, corrupt=False)
        assert key(taint, 5)
        assert plain(taint, 6)


def test_what_was_taken_before_the_clean_key_frame_stays_tainted_and_taints_nothing():
    taint = Taint("hevc")
    taint.packet(5, b"", keyframe=True, corrupt=False)
    assert not taint.clean(4, corrupt=False)
    assert not taint.clean(4, corrupt=True)
    assert taint.clean(5, corrupt=False)
    assert taint.clean(None, corrupt=False)


def test_a_key_frame_of_which_parts_are_made_up_is_none():
    taint = Taint("hevc")
    taint.packet(5, b"", keyframe=True, corrupt=False)
    assert not taint.clean(5, corrupt=True)
    assert not plain(taint, 6)
    assert key(taint, 7)
