"""The data set of the course over the network: resumed, checked, unpacked as a whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import http.client
import ipaddress
import shutil
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from classifiers.errors import ConfigError, DataError
from classifiers.files import write_bytes, writing
from classifiers.survey import Progress

URL: Final = "https://storage.googleapis.com/wandb_datasets/nature_12K.zip"
"""inaturalist_12K of the course: about 3.6 GB, folders train/ and val/ of ten classes."""

MAX_UNPACKED: Final = 64 * 1024**3
_CHUNK = 1 << 20
_TIMEOUT_S = 30.0
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Fetched:
    """The folder that was unpacked, and the SHA-256 of the archive, to be given as --sha256 the next time."""

    folder: Path
    sha256: str


def fetch(url: str, out: Path, sha256: str | None = None, progress: Progress | None = None) -> Fetched:
    """Download a zip archive and unpack it into the new folder `out`.

    What an interrupted download left beside `out` is gone on with. The archive must have the SHA-256 given, and the MD5
    that the server states, where either is known. Raises ConfigError for a URL that is not https, DataError where the
    network or the archive fails, OutputError where the disk does.
    """
    _check_url(url)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} must be a new or empty folder, but is not: fetch elsewhere, or remove it")
    archive = out.with_name(f"{out.name}.zip.part")
    with writing(archive):
        archive.parent.mkdir(parents=True, exist_ok=True)
    md5 = _download(url, archive, progress)
    found = _check_sums(archive, sha256, md5)
    _unpack(archive, out)
    for leftover in (archive, _tag_file(archive)):
        leftover.unlink(missing_ok=True)
    return Fetched(out, found)


def _check_url(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    try:
        loopback = parts.scheme == "http" and ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(f"--url must begin with https:// (http:// only to a loopback address), but {url!r} is given")


def _download(url: str, archive: Path, progress: Progress | None) -> str | None:
    """Download, with a new try from where it broke off. Returns the MD5 that the server states, as base64."""
    reason: object = None
    for _ in range(_TRIES):
        before = _length(archive)
        try:
            return _go_on(url, archive, progress)
        except urllib.error.HTTPError as error:
            raise DataError(f"{url} must be there, but the server answers {error.code} {error.reason}") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = getattr(error, "reason", error)
            if _length(archive) == before:
                break  # nothing came: another try at once would not help
    raise DataError(
        f"{url} must be reachable, but is not ({reason}): are you online? `classifiers data fetch` goes on from the "
        f"{_length(archive)} bytes that are there; any folder of class folders works as well"
    )


def _go_on(url: str, archive: Path, progress: Progress | None) -> str | None:
    done, tag_file = _length(archive), _tag_file(archive)
    request = urllib.request.Request(url, headers={"User-Agent": "classifiers"})  # noqa: S310 - checked to be https
    if done and tag_file.is_file():
        request.add_header("Range", f"bytes={done}-")
        request.add_header("If-Range", tag_file.read_text(encoding="utf-8"))
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310 - checked to be https
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and done:
            return None  # all of it was there already
        raise
    with answer:
        if answer.status != http.client.PARTIAL_CONTENT:
            done = 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        if tag := answer.headers.get("ETag") or answer.headers.get("Last-Modified"):
            write_bytes(tag_file, tag.encode())
        with writing(archive), archive.open("ab" if done else "wb") as file:
            _copy(answer, file, done, total, progress)
        if total > _length(archive):
            raise ConnectionError(f"it broke off at {_length(archive)} of {total} bytes")
        return _stated_md5(answer.headers.get_all("x-goog-hash") or [])


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, done: int, total: int, progress: Progress | None) -> None:
    while True:
        try:
            chunk = answer.read(_CHUNK)
        except http.client.IncompleteRead as error:
            file.write(error.partial)
            return
        except (OSError, http.client.HTTPException):
            return  # what came is kept; the caller sees that it is not all
        if not chunk:
            return
        file.write(chunk)
        done += len(chunk)
        if progress is not None:
            progress(done, total)


def _stated_md5(headers: list[str]) -> str | None:
    for header in headers:
        for part in header.split(","):
            name, _, value = part.strip().partition("=")
            if name == "md5":
                return value
    return None


def _check_sums(archive: Path, sha256: str | None, md5: str | None) -> str:
    ours, theirs = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with archive.open("rb") as file:
        while chunk := file.read(_CHUNK):
            ours.update(chunk)
            theirs.update(chunk)
    found = ours.hexdigest()
    wrong = ""
    if sha256 is not None and found != sha256.lower():
        wrong = f"the SHA-256 {sha256}, but has {found}"
    elif md5 is not None and base64.b64encode(theirs.digest()).decode() != md5:
        wrong = f"the MD5 {md5} that the server states, but has {base64.b64encode(theirs.digest()).decode()}"
    if wrong:
        archive.unlink()
        raise DataError(f"the archive must have {wrong}: it was removed, fetch again")
    return found


def _unpack(archive: Path, out: Path) -> None:
    """Unpack beside `out`, then move: `out` is whole or not there. A single folder around everything is taken off."""
    beside = out.with_name(f".{out.name}.unpacking")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as zipped:
            _check_names(zipped.infolist())
            with writing(beside):
                zipped.extractall(beside)
        with writing(out):
            if out.is_dir():
                out.rmdir()
            items = [item for item in beside.iterdir() if item.name != "__MACOSX"]
            top = items[0] if len(items) == 1 and items[0].is_dir() else beside
            top.rename(out)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise DataError(f"the archive must be a sound zip file, but is not ({error}): it was removed") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_names(infos: list[zipfile.ZipInfo]) -> None:
    total = sum(info.file_size for info in infos)
    if total > MAX_UNPACKED:
        raise DataError(f"the archive must unpack to at most {MAX_UNPACKED} bytes, but claims {total}")
    for info in infos:
        path = PurePosixPath(info.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"the archive must unpack into one folder, but names {info.filename!r}")


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _tag_file(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.tag")
