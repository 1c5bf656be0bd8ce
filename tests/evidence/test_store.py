"""Evidence on the disk: no byte changes unnoticed, nothing is missing unnoticed, and it never fills the disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from railwatch.core.errors import EvidenceError
from railwatch.evidence import store as store_module
from railwatch.evidence.links import CHAIN_NAME, genesis, read_chain
from railwatch.evidence.store import EvidenceFile, EvidenceStore, Limits
from railwatch.evidence.verify import Witnessed, manifest_of, open_chain, piece_faults, verify

ROOMY = Limits(86400.0, 1 << 30, 0)
MIB = 1 << 20


def name_of(number):
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def keep(store, number, size=3000):
    content = np.random.default_rng(number).bytes(size)
    files = [EvidenceFile("clip-1.mp4", content, {"codec": "h264"}), EvidenceFile("raw-1.jpg", content[:500])]
    return store.keep(name_of(number), files, {"alert": {"incident_id": f"i{number}"}})


@pytest.fixture
def folder(tmp_path):
    """Three pieces, the first of them let go."""
    folder = tmp_path / "evidence"
    store = EvidenceStore(folder, ROOMY)
    for number in range(3):
        keep(store, number)
    store.limits = Limits(86400.0, store.size - 1, 0)
    store.make_room(0)
    store.close()
    return folder


def changed(path, at, mask=1):
    content = bytearray(path.read_bytes())
    content[at] ^= mask
    path.write_bytes(content)


def test_what_was_kept_is_there_and_what_was_let_go_is_told(folder):
    found = verify(folder)
    assert (found.kept, found.removed, found.faults, found.notes) == ((name_of(1), name_of(2)), 1, (), ())
    manifest = manifest_of(folder, name_of(2))
    assert manifest["alert"] == {"incident_id": "i2"}
    assert manifest["previous"] == open_chain(folder).links[2].digest
    assert manifest["files"][0] | {"sha256": ""} == {
        "name": "clip-1.mp4", "bytes": 3000, "sha256": "", "codec": "h264",
    }  # fmt: skip
    with pytest.raises(EvidenceError, match="is not there"):
        manifest_of(folder, name_of(0))
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.glob(f"{name_of(1)}/*"))


def test_no_byte_of_a_manifest_or_a_line_changes_unnoticed(folder):
    link = open_chain(folder).standing()[name_of(1)]
    manifest, chain = folder / name_of(1) / "manifest.json", folder / CHAIN_NAME
    for at in range(manifest.stat().st_size):
        changed(manifest, at)
        assert piece_faults(folder / name_of(1), link), at
        changed(manifest, at)
    assert verify(folder).faults == ()
    whole = chain.read_bytes()
    for at in range(len(whole)):
        other = bytearray(whole)
        other[at] ^= 1 << at % 8
        assert read_chain(bytes(other)).fault, at
    assert read_chain(whole).fault is None


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_of_a_clip_changes_unnoticed(folder, seed):
    clip = folder / name_of(2) / "clip-1.mp4"
    size = clip.stat().st_size
    for at in {0, size - 1, *map(int, np.random.default_rng(seed).integers(0, size, 60))}:
        changed(clip, at, 1 << at % 8)
        assert verify(folder).faults == (f"{name_of(2)}: clip-1.mp4 is not as it was kept",)
        changed(clip, at, 1 << at % 8)
    with clip.open("ab") as file:
        file.write(b"\0")
    assert verify(folder).faults


def test_what_is_missing_or_put_in_is_noticed(folder):
    (folder / name_of(1) / "raw-1.jpg").rename(folder / name_of(1) / "raw-2.jpg")
    found = verify(folder).faults
    assert [line.partition(": ")[2] for line in found] == [
        "raw-1.jpg cannot be read: No such file or directory",
        "raw-2.jpg was put in",
    ]
    shutil.rmtree(folder / name_of(1))
    assert verify(folder).faults == (f"{name_of(1)}: it is not there: No such file or directory",)
    (folder / name_of(1)).mkdir()
    (folder / name_of(7)).mkdir()
    assert len(verify(folder).faults) == 2
    with pytest.raises(EvidenceError, match="must be a folder of evidence"):
        verify(folder / "absent")


def test_a_lost_end_shows_by_what_the_journal_remembers(folder):
    links = [link for link in open_chain(folder).links if link.kind == "kept"]
    memory = [Witnessed(link.evidence_id, link.manifest, link.number, link.digest) for link in links]
    assert verify(folder, memory).faults == ()
    chain = folder / CHAIN_NAME
    shutil.rmtree(folder / name_of(2))
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(b"".join(lines[:3]))  # the last piece and the line of what was let go are taken away
    assert verify(folder).faults == (f"{name_of(0)}: it is not there: No such file or directory",)
    assert f"{name_of(2)}: the journal says that it was kept, but the chain does not" in verify(folder, memory).faults


def test_another_manifest_in_its_place_is_noticed(folder):
    for file in ("manifest.json", "clip-1.mp4", "raw-1.jpg"):
        shutil.copy(folder / name_of(1) / file, folder / name_of(2) / file)
    assert verify(folder).faults == (f"{name_of(2)}: its manifest is not as it was kept",)


@pytest.mark.parametrize("name", ["", "..", "a" * 31, "../" + "a" * 29, "A" * 32, "/" + "0" * 31, "0" * 32 + "\n"])
def test_no_path_comes_of_a_name(folder, name):
    store = EvidenceStore(folder, ROOMY)
    with pytest.raises(EvidenceError, match="32 hexadecimal digits"):
        store.keep(name, [], {})
    with pytest.raises(EvidenceError, match="32 hexadecimal digits"):
        manifest_of(folder, name)
    for file in ("../x.mp4", "x.sh", ".mp4", "a/b.mp4", "manifest.json"):
        with pytest.raises(ValueError, match="plain name"):
            EvidenceFile(file, b"")
    store.close()


def test_the_oldest_goes_when_there_is_too_much_and_the_limit_holds(tmp_path):
    folder, limits = tmp_path / "e", Limits(86400.0, 3 * MIB, 0)
    store = EvidenceStore(folder, limits)
    for number in range(60):
        keep(store, number, size=200_000)
        used = sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
        assert used <= limits.max_bytes
        assert store.size <= limits.max_bytes
    store.close()
    found = verify(folder)
    assert (found.faults, len(found.kept) + found.removed) == ((), 60)
    assert found.kept == tuple(name_of(number) for number in range(60 - len(found.kept), 60))
    again = EvidenceStore(folder, limits)
    assert again.size <= limits.max_bytes
    again.close()


def test_it_goes_for_its_age_and_for_the_disk(tmp_path):
    free, now = [10 * MIB], [time.time()]
    store = EvidenceStore(
        tmp_path / "e", Limits(3600.0, 1 << 30, 4 * MIB), free_bytes=lambda: free[0], wall_s=lambda: now[0]
    )
    keep(store, 1)
    keep(store, 2)
    free[0] = 4 * MIB - 1
    store.make_room(0)
    assert [link.why for link in open_chain(store.folder).links if link.kind == "removed"] == ["disk", "disk"]
    with pytest.raises(EvidenceError, match="must find room"):
        keep(store, 3)
    free[0] = 10 * MIB
    keep(store, 4)
    now[0] += 3601.0
    store.make_room(0)
    assert open_chain(store.folder).links[-1].why == "age"
    store.limits = Limits(3600.0, MIB, 0)
    with pytest.raises(EvidenceError, match="all of it may take"):
        store.keep(name_of(5), [EvidenceFile("clip-1.mp4", bytes(2 * MIB))], {})
    store.close()
    assert verify(store.folder).faults == ()


def test_a_full_disk_leaves_nothing_half_and_room_for_what_is_let_go(tmp_path, monkeypatch):
    store = EvidenceStore(tmp_path / "e", ROOMY)
    keep(store, 1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "fsync", full)
        with pytest.raises(EvidenceError, match="No space left on device"):
            keep(store, 2)
    assert not list(store.folder.glob("making-*"))
    real, calls = os.write, []

    def once(handle, content):
        calls.append(content)
        return full() if len(calls) == 1 else real(handle, content)

    with monkeypatch.context() as patch:
        patch.setattr(store_module.os, "write", once)
        store.limits = Limits(0.0, 1 << 30, 0)
        store.make_room(0)
    assert not (store.folder / "spare").exists()
    store.close()
    found = verify(store.folder)
    assert (found.kept, found.removed, found.faults) == ((), 1, ())


def test_a_name_is_kept_once(folder):
    store = EvidenceStore(folder, ROOMY)
    with pytest.raises(EvidenceError, match="must be new"):
        keep(store, 2)
    store.close()


def test_a_torn_line_is_mended_and_a_changed_one_is_told(folder):
    chain = folder / CHAIN_NAME
    whole = chain.read_bytes()
    chain.write_bytes(whole[:-20])
    assert verify(folder).faults[0] == "the chain is damaged: its last line is cut off"
    store = EvidenceStore(folder, ROOMY)
    assert store.fault is None
    store.close()
    chain.write_bytes(whole[:100] + b"X" + whole[101:])
    store = EvidenceStore(folder, ROOMY)
    assert "line 1 is not as it was written" in store.fault
    keep(store, 9)  # the evidence goes on, in a new chain
    found = verify(folder)
    assert found.kept == (name_of(9),)
    assert {line.partition(":")[0] for line in found.faults} >= {name_of(1), name_of(2)}
    assert any(line.startswith("chain-damaged-") for line in found.faults)
    store.limits = Limits(86400.0, store.size - 1, 0)
    store.make_room(0)  # what is in no chain any more goes first
    assert not (folder / name_of(1)).exists()
    assert verify(folder).kept == (name_of(9),)
    store.limits = Limits(86400.0, 1, 0)
    store.make_room(0)
    store.close()
    assert sorted(path.name for path in folder.iterdir()) == [CHAIN_NAME, "spare"]
    assert verify(folder).faults == ()


def test_the_chain_does_not_grow_for_ever(tmp_path):
    store = EvidenceStore(tmp_path / "e", Limits(86400.0, 150_000, 0))
    store.fold_bytes = 6000
    witnesses = []
    for number in range(60):
        link = keep(store, number)
        witnesses.append(Witnessed(link.evidence_id, link.manifest, link.number, link.digest))
        assert (store.folder / CHAIN_NAME).stat().st_size <= 2 * 6000
    store.close()
    chain = open_chain(store.folder)
    assert chain.links[0].why == "folded"
    assert chain.links[0].number > 50
    found = verify(store.folder, witnesses)
    assert (found.faults, found.kept[-1]) == ((), name_of(59))
    EvidenceStore(tmp_path / "e", ROOMY).close()
    assert verify(store.folder, witnesses).faults == ()
    path = store.folder / CHAIN_NAME
    for at in range(path.read_bytes().index(b"\n") + 1):
        changed(path, at)
        assert verify(store.folder).faults, at
        changed(path, at)


def test_a_piece_without_its_line_is_taken_in(tmp_path):
    """Killed between the move into place and the line of the chain."""
    store = EvidenceStore(tmp_path / "e", ROOMY)
    keep(store, 1)
    keep(store, 2)
    store.close()
    chain = tmp_path / "e" / CHAIN_NAME
    lines = chain.read_bytes().splitlines(keepends=True)
    chain.write_bytes(b"".join(lines[:-1]))
    assert verify(tmp_path / "e").faults == (f"{name_of(2)}: it is there, but the chain does not name it",)
    EvidenceStore(tmp_path / "e", ROOMY).close()
    found = verify(tmp_path / "e")
    assert (found.kept, found.faults) == ((name_of(1), name_of(2)), ())


KILLED = """
import hashlib, sys
from pathlib import Path
from railwatch.evidence.store import EvidenceFile, EvidenceStore, Limits
store = EvidenceStore(Path(sys.argv[1]), Limits(86400.0, 2_000_000, 0))
for number in range(int(sys.argv[2]), 1_000_000):
    name = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    store.keep(name, [EvidenceFile("clip-1.mp4", bytes(50_000))], {})
    print(number, flush=True)
"""


def test_killed_while_it_writes_it_leaves_nothing_that_only_looks_good(root, tmp_path):
    folder, chance, told = tmp_path / "e", np.random.default_rng(6), []
    for _ in range(5):
        command = [sys.executable, "-c", KILLED, str(folder), str((told[-1] + 2) if told else 0)]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        first = process.stdout.readline()
        time.sleep(float(chance.uniform(0.0, 0.15)))
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in (first, *process.communicate()[0].splitlines()) if line.strip()]
        found = verify(folder)
        # At most the last line, or the last piece, was not come to; nothing else is wrong.
        assert len(found.faults) <= 1, found.faults
        assert all("cut off" in line or "does not name" in line for line in found.faults)
        store = EvidenceStore(folder, Limits(86400.0, 2_000_000, 0))
        assert store.fault is None
        store.close()
        found = verify(folder)
        assert (found.faults, found.notes) == ((), ())
    names = {link.evidence_id for link in open_chain(folder).links}
    assert {name_of(number) for number in told} <= names
    assert json.loads((folder / found.kept[-1] / "manifest.json").read_bytes())["evidence_id"] == found.kept[-1]
    assert open_chain(folder).links[0].previous == genesis()
