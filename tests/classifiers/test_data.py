"""The split: by content and seed, near-duplicates on one side, unreadable pictures named; the cache as files are."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from classifiers.data import natural_size, open_data, split_root
from classifiers.errors import ConfigError, DataError, OutputError
from classifiers.likeness import look, pairs
from classifiers.sealed import open_test
from classifiers.split import SIDES, load_split, make_split, save_split
from classifiers.survey import Seen
from tests.classifiers.conftest import CLASSES, draw_picture, fill


def photo(seed, side=96):
    """A picture with more in its large shapes than in its small ones, as photographs have."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize((side, side), 3), dtype=float
        )
        for n in (3, 6, 12)
    ]
    return Image.fromarray((layers[0] * 0.6 + layers[1] * 0.25 + layers[2] * 0.15).astype(np.uint8))


def test_every_class_has_its_share_on_every_side(folders):
    split = split_root(folders)
    for side, count in (("train", 14), ("validation", 3), ("test", 3)):
        assert Counter(picture.class_name for picture in split.on(side)) == dict.fromkeys(CLASSES, count)


def test_the_split_follows_from_content_and_seed_and_from_no_name(folders, tmp_path):
    renamed = tmp_path / "renamed"
    for path in folders.glob("*/*.png"):
        target = renamed / path.parent.name / f"x{999 - int(path.stem)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    assert split_root(renamed).hash == split_root(folders).hash
    assert split_root(folders, seed=1).hash != split_root(folders).hash


def test_a_changed_picture_or_side_changes_the_hash(folders, tmp_path):
    split = split_root(folders)
    save_split(tmp_path / "split.json", split)
    assert load_split(tmp_path / "split.json") == split
    document = json.loads((tmp_path / "split.json").read_text())
    row = next(row for row in document["pictures"] if row[2] == "test")
    row[2] = "train"
    (tmp_path / "split.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="must be as it was written"):
        load_split(tmp_path / "split.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.resize((160, 160)),
        lambda p: p.resize((48, 48)),
        ImageOps.mirror,
        lambda p: ImageEnhance.Brightness(p).enhance(1.1),
        lambda p: p.crop((1, 1, 95, 95)),
    ],
    ids=["larger", "smaller", "mirrored", "brighter", "cropped"],
)
def test_near_duplicates_are_found(change, tmp_path):
    for seed in range(8):
        original = photo(seed)
        changed = change(original)
        changed.save(tmp_path / "a.jpg", quality=60)
        with Image.open(tmp_path / "a.jpg") as again:
            assert list(pairs([look(original), look(again.convert("RGB"))])) == [(0, 1)], seed


def test_different_pictures_are_no_near_duplicates():
    looks = [look(photo(seed)) for seed in range(300)] + [look(Image.new("RGB", (64, 64), c)) for c in ("red", "blue")]
    assert list(pairs(looks)) == []


@settings(max_examples=25)
@given(st.data())
def test_near_duplicates_are_never_on_two_sides(data):
    """Pictures of 40 scenes, some taken several times: each scene is on one side."""
    scenes = [look(photo(seed, 32)) for seed in range(40)]
    taken = data.draw(st.lists(st.integers(0, 39), min_size=40, max_size=90))
    numbers = [*range(40), *taken]
    seen = [Seen(f"{i}.jpg", n % 2, f"{i:064x}", (32, 32), scenes[n]) for i, n in enumerate(numbers)]
    split = make_split(("a", "b"), seen, seed=data.draw(st.integers(0, 1000)))
    sides = {}
    for picture in split.pictures:
        sides.setdefault(numbers[int(picture.path.partition(".")[0])], set()).add(picture.side)
    assert all(len(found) == 1 for found in sides.values())
    assert {picture.side for picture in split.pictures} == set(SIDES)


def test_planted_duplicates_stay_on_one_side(folders, tmp_path):
    root = tmp_path / "planted"
    shutil.copytree(folders, root)
    for number in range(6):
        with Image.open(root / "Aves" / f"{number:03}.png") as picture:
            ImageOps.mirror(picture).save(root / "Aves" / f"copy{number}.bmp")
    sides = {picture.path: picture.side for picture in split_root(root).pictures}
    for number in range(6):
        assert sides[f"Aves/{number:03}.png"] == sides[f"Aves/copy{number}.bmp"]


def test_the_same_file_in_two_classes_is_refused(folders, tmp_path):
    root = tmp_path / "contradiction"
    shutil.copytree(folders, root)
    shutil.copy(root / "Aves" / "000.png", root / "Fungi" / "x.png")
    with pytest.raises(DataError, match=r"Aves/000.png \(Aves\) and Fungi/x.png \(Fungi\) are the same file"):
        split_root(root)


def test_a_class_of_one_scene_is_refused(tmp_path):
    root = fill(tmp_path / "data", 8)
    for path in (root / "Aves").iterdir():
        photo(1).save(path)
    with pytest.raises(DataError, match=r"'Aves' must fill every side.*8 pictures in 1 groups"):
        split_root(root)


@pytest.mark.parametrize(("validation", "test"), [(0.6, 0.5), (-0.1, 0.1), (1.0, 0.0)])
def test_shares_must_leave_something_to_train_on(folders, validation, test):
    with pytest.raises(ConfigError, match="shares must be"):
        split_root(folders, validation=validation, test=test)


def test_decoded_pictures_are_those_of_the_files_and_read_only(folders, small_data):
    for side in (small_data.train, small_data.validation):
        for pixels, label, path in zip(side.pixels, side.labels, side.paths, strict=True):
            with Image.open(folders / path) as picture:
                assert np.array_equal(pixels, np.asarray(picture))
            assert CLASSES[label] == path.partition("/")[0]
        with pytest.raises(ValueError, match="read-only"):
            side.pixels[0] = 0


def test_the_second_opening_decodes_nothing(folders, tmp_path, monkeypatch):
    first = open_data(folders, cache=tmp_path)

    def fail(*_):
        raise AssertionError

    monkeypatch.setattr("classifiers.cache.decode", fail)
    monkeypatch.setattr("classifiers.survey.decode", fail)
    assert np.array_equal(open_data(folders, cache=tmp_path).train.pixels, first.train.pixels)


def test_a_damaged_cache_is_made_anew(folders, tmp_path):
    first = np.array(open_data(folders, cache=tmp_path).train.pixels)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(open_data(folders, cache=tmp_path).train.pixels, first)


def test_a_picture_that_changed_after_the_split_is_noticed(folders, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(folders, root)
    split = split_root(root)
    draw_picture(0, np.random.default_rng(99)).save(root / split.on("train")[0].path)
    with pytest.raises(DataError, match="has changed since: split again"):
        open_data(root, split=split, cache=tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_told(folders, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="must be writable"):
        open_data(folders, cache=tmp_path / "file" / "cache")


def test_sizes_follow_the_data():
    assert natural_size([(64, 64)] * 3) == 64
    assert natural_size([(500, 375), (640, 480), (90, 80)]) == 256


def test_pictures_of_another_size_are_scaled_and_cut_to_the_middle_square(tmp_path):
    root = tmp_path / "data"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        for number in range(8):
            wide = photo(number * 2 + (name == "b")).resize((80, 40))
            wide.save(root / name / f"{number}.jpg")
    data = open_data(root, cache=tmp_path / "cache", size=24)
    assert data.train.pixels.shape[1:] == (24, 24, 3)
    assert open_data(root, cache=tmp_path / "cache").size == 40


def test_a_test_folder_with_training_pictures_is_refused_or_they_are_dropped(rooted, tmp_path):
    root = tmp_path / "leaky"
    shutil.copytree(rooted, root)
    data = open_data(root)
    for picture in data.split.on("train")[:3]:
        with Image.open(root / picture.path) as planted:
            ImageOps.mirror(planted).save(root / "val" / picture.class_name / f"planted-{picture.sha256[:6]}.bmp")
    with pytest.raises(DataError, match="3 of 18 are or look like pictures that training or validation saw"):
        open_test(root, data.split, data.size)
    test = open_test(root, data.split, data.size, drop_leaks=True)
    assert (len(test.pictures), len(test.leaks)) == (15, 3)


def test_the_carved_test_side_is_what_evaluation_gets(folders, small_data):
    test = open_test(folders, small_data.split, small_data.size)
    assert set(test.pictures.paths) == {picture.path for picture in small_data.split.on("test")}


def test_class_folders_of_their_own_may_be_a_test(rooted, small_data, tmp_path):
    data = open_data(rooted)
    assert len(open_test(rooted / "val", data.split, data.size).pictures) == 15
    fill(tmp_path / "strange", 4, classes=("Aves", "Ufos"))
    with pytest.raises(DataError, match="'Ufos' is not"):
        open_test(tmp_path / "strange", small_data.split, small_data.size)
