"""What lies around the journal's table: where it may lie, who may open it, and how far it was when last written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from railwatch.core.errors import JournalError

SIDE_FILES: Final = ("-wal", "-shm", "-head")
"""Files beside the journal that belong to it."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_NETWORK: Final = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs", "gfs2", "glusterfs", "lustre", "ncpfs"}
    | {"nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)
_LOCAL_FUSE: Final = frozenset({"fuse.ntfs", "fuse.ntfs-3g", "fuse.exfat", "fuse.ext2", "fuseblk"})
_HEAD_BYTES: Final = 512
_HEAD: Final = re.compile(rb"railwatch-journal (\d{1,18}) ([0-9a-f]{64}) ([0-9a-f]{64}|-) ([0-9a-f]{64})\n *")


def refuse_network_file_system(path: Path) -> None:
    """Raise JournalError if `path` lies on another computer: locks and syncing cannot be relied on there.

    Where the system has no list of mounts (macOS, Windows) nothing is refused.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError):
        kind = file_system_of(path.resolve(), _MOUNTS.read_text(encoding="utf-8", errors="replace"))
        if kind in _NETWORK or (kind.startswith("fuse") and kind not in _LOCAL_FUSE):
            raise JournalError(
                f"journal {path} must lie on a disk of this computer, but is on a network file system ({kind}): "
                "name a file on a local disk"
            )


def file_system_of(path: Path, mounts: str) -> str:
    """The kind of file system that holds `path`, by the text of /proc/self/mountinfo; "" if it does not say.

    >>> file_system_of(Path("/mnt/a/b"), "37 36 0:2 / /mnt/a rw shared:1 - nfs4 server:/ rw")
    'nfs4'
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        head, dash, tail = line.partition(" - ")
        fields = head.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4]))
        # Later lines hide earlier ones of the same place.
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), tail.split(" ")[0]
    return kind


class Lock:
    """Keeps a second process from opening the same journal; let go when this one ends, however it ends.

    It is a file of its own: closing any handle of a SQLite file would drop SQLite's own locks on it.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(self._handle)
        except OSError:
            os.close(self._handle)
            raise JournalError(
                f"journal {path} must have one writer, but another process holds it (another `railwatch run`?): "
                "end that one, or name another file"
            ) from None

    def close(self) -> None:
        """Let go; idempotent. The file stays: removing it would let two lock two files of one name."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - exists on Windows only

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - exists on Unix only

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@dataclass(frozen=True, slots=True)
class Head:
    """The last row that was committed, and its hash; `seal` is the hash of the whole file once it was closed."""

    row: int
    hash: bytes
    seal: bytes | None = None


class HeadFile:
    """Notes after every commit how far the journal is, so that a lost end shows.

    It is written in place after the commit and never before, so it is behind at worst; it is not synced, because after
    a power failure a note that is behind does no harm.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(f"{path}-head", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)

    @classmethod
    def read(cls, path: Path) -> Head | None:
        """The last note about the journal at `path`; None when there is none that can be read."""
        try:
            text = Path(f"{path}-head").read_bytes()[:_HEAD_BYTES]
        except OSError:
            return None
        found = _HEAD.fullmatch(text)
        if found is None or found[4].decode() != _sum(found[1], found[2], found[3]):
            return None
        seal = None if found[3] == b"-" else bytes.fromhex(found[3].decode())
        return Head(int(found[1]), bytes.fromhex(found[2].decode()), seal)

    def write(self, head: Head) -> None:
        """Note `head`. Raises OSError."""
        row, text = str(head.row).encode(), head.hash.hex().encode()
        seal = b"-" if head.seal is None else head.seal.hex().encode()
        line = b"railwatch-journal %s %s %s %s\n" % (row, text, seal, _sum(row, text, seal).encode())
        if hasattr(os, "pwrite"):
            os.pwrite(self._handle, line.ljust(_HEAD_BYTES), 0)
        else:
            os.lseek(self._handle, 0, os.SEEK_SET)
            os.write(self._handle, line.ljust(_HEAD_BYTES))

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sum(*words: bytes) -> str:
    return hashlib.sha256(b" ".join(words)).hexdigest()


def seal_of(path: Path) -> bytes | None:
    """The hash of the whole file, free places included; None while a write-ahead log belongs to it."""
    with contextlib.suppress(FileNotFoundError):
        if Path(f"{path}-wal").stat().st_size > 0:
            return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def set_aside(path: Path, stamp: str) -> Path:
    """Rename a damaged journal and the files beside it to ``NAME.damaged-STAMP``; the new name. Raises OSError."""
    number, aside = 1, path.with_name(f"{path.name}.damaged-{stamp}")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in SIDE_FILES:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    path.rename(aside)
    return aside
