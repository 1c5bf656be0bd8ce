"""A journal, and every way to break its last 4 KiB: in short for a test, in full for benchmarks/journal_damage.py."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from railwatch.messaging.journal import Journal
from railwatch.messaging.records import Record
from tests.messaging.rig import make_alert

TAIL_BYTES = 4096
SIDE = ("", "-wal", "-head")


@dataclass(frozen=True)
class Original:
    """A journal of `alerts`; `target` is the file of it that is broken."""

    folder: Path
    target: str
    alerts: tuple[bytes, ...]

    @property
    def size(self):
        return (self.folder / f"j.db{self.target}").stat().st_size


def fill(journal, count):
    """Alerts of one boot, one commit each, with bodies of different lengths."""
    for seq in range(1, count + 1):
        alert = make_alert(seq, epoch=journal.epoch, incident_id=f"i{seq // 3}", why="x" * (37 * seq % 401))
        journal.append([Record.alert(alert)])


def closed(folder, count=60):
    """A journal that was closed in peace: all is in the main file."""
    folder.mkdir()
    with Journal.open(folder / "j.db") as journal:
        fill(journal, count)
        alerts = journal.read_after(None).alerts
    return Original(folder, "", alerts)


def killed(folder, count=60):
    """A journal whose process was killed: the last commits are in the write-ahead log."""
    folder.mkdir()
    live = folder / "live"
    live.mkdir()
    with Journal.open(live / "j.db") as journal:
        fill(journal, count)
        alerts = journal.read_after(None).alerts
        for side in SIDE:
            shutil.copy(live / f"j.db{side}", folder / f"j.db{side}")
    shutil.rmtree(live)
    return Original(folder, "-wal", alerts)


def broken(original, folder, offset, how):
    """A copy that is broken `offset` bytes before the end: cut off there, or one bit of that byte turned."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for side in SIDE:
        if (original.folder / f"j.db{side}").exists():
            shutil.copy(original.folder / f"j.db{side}", folder / f"j.db{side}")
    path = folder / f"j.db{original.target}"
    place = original.size - offset
    if how == "cut":
        os.truncate(path, place)
    else:
        data = bytearray(path.read_bytes())
        data[place] ^= 1 << (offset % 8)
        path.write_bytes(data)
    return folder / "j.db"


def judge(original, path):
    """Open the broken journal: how many rows it kept, and whether it reported. Raises where a promise is broken."""
    with Journal.open(path) as journal:
        kept = journal.read_after(None).alerts
        assert journal.persistent, journal.trouble
        assert kept == original.alerts[: len(kept)], "what is kept is what was written"
        reported = journal.damage is not None
        if reported:
            # Row 1 is the boot, row n + 1 the alert n.
            assert journal.damage.row <= len(kept) + 2, "every row before the damage is kept"
            assert journal.aside is not None
            assert journal.aside.exists()
        else:
            assert kept == original.alerts, "nothing is lost in silence"
        journal.append([Record.alert(make_alert(1, epoch=journal.epoch))])
        assert len(journal.read_after(None).alerts) == len(kept) + 1, "the site goes on"
        assert not reported or journal.epoch.boot == 1, "with numbers that were never given out"
    return len(kept), reported
