"""The file that keeps how far a reader has come."""

from __future__ import annotations

import pytest

from railwatch.core.alerts import Epoch
from railwatch.core.errors import JournalError
from railwatch.messaging.position import Position
from railwatch.messaging.requests import Mark

MARK = Mark(Epoch("j", 2), 7)


def test_what_is_saved_is_loaded_and_replaces_what_was_there(tmp_path):
    position = Position(tmp_path / "p")
    assert position.load() is None
    position.save("yard", Mark(Epoch("j", 1), 1))
    position.save("Bahnhof Süd", MARK)
    assert Position(tmp_path / "p").load() == ("Bahnhof Süd", MARK)
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_one_who_dies_while_saving_leaves_the_old_one(tmp_path, monkeypatch):
    position = Position(tmp_path / "p")
    position.save("yard", MARK)

    def dies(_):
        raise OSError("the disk is gone")

    monkeypatch.setattr("railwatch.messaging.position.os.fsync", dies)
    with pytest.raises(JournalError, match="must be a file that can be written, but: the disk is gone"):
        position.save("yard", Mark(Epoch("j", 3), 1))
    assert position.load() == ("yard", MARK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"version":2,"site_id":"yard","epoch":"j.1","seq":1}',
        '{"version":1,"site_id":"yard","epoch":"j","seq":1}',
        '{"version":1,"site_id":"yard","epoch":"j.1","seq":-1}',
        '{"version":1,"site_id":"yard","epoch":7,"seq":1}',
    ],
)
def test_a_file_that_is_none_is_refused_with_a_remedy(tmp_path, text):
    (tmp_path / "p").write_text(text)
    with pytest.raises(JournalError, match="remove it to begin anew"):
        Position(tmp_path / "p").load()


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(JournalError, match="that can be read"):
        Position(tmp_path).load()
    (tmp_path / "p").write_bytes(b"\xff\xfe")
    with pytest.raises(JournalError, match="that can be read"):
        Position(tmp_path / "p").load()
