"""The thread that writes evidence: the decision and the alerts never wait for a disk, nor for a long manifest."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from railwatch import __version__
from railwatch.app.explain_frame import Moment, frame_document
from railwatch.core.alerts import Alert
from railwatch.core.errors import EvidenceError
from railwatch.core.evidence import EvidenceSettings
from railwatch.evidence.links import Link
from railwatch.evidence.store import EvidenceFile, EvidenceStore, Limits
from railwatch.messaging.wire import encode_alert

FAULT: Final = "evidence"
DAMAGE: Final = "evidence-damage"
FOLDER_NAME: Final = "evidence"
WAITING: Final = 8
"""Pieces that may wait for the disk; one more is lost, and told."""

MOST_FRAMES: Final = 1000
"""Most frames that a manifest tells of; of more, the ones around the alert."""

TIDY_S: Final = 60.0
_END_WITHIN_S: Final = 10.0

Trouble = Callable[[str, str | None], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """All that belongs to one piece of evidence. `cameras` say what became of each camera's part, in plain values."""

    alert: Alert
    moments: tuple[Moment, ...]
    files: tuple[EvidenceFile, ...]
    cameras: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = field(default=())


class EvidenceWriter:
    """Writes what it is given, in order, into `folder`; made when the first piece comes or settings ask for it.

    `on_trouble` and `on_kept(alert, link)` are called on its thread and must only pass on.
    """

    def __init__(self, folder: Path, on_trouble: Trouble, on_kept: Callable[[Alert, Link], None]) -> None:
        self._folder, self._on_trouble, self._on_kept = folder, on_trouble, on_kept
        self._limits: Limits | None = None
        self._waiting: queue.Queue[Piece | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._store: EvidenceStore | None = None
        self._troubled = False

    def arrange(self, settings: EvidenceSettings) -> None:
        """Keep evidence by these limits from now on."""
        self._limits = limits_of(settings)
        if settings.record and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="write-evidence", daemon=True)
            self._thread.start()

    def write(self, piece: Piece) -> None:
        """Keep a piece; never waits. One that finds too many before it is lost, and told."""
        try:
            self._waiting.put_nowait(piece)
        except queue.Full:
            self._fail(f"the disk has not taken {WAITING} pieces of evidence: {piece.alert.evidence} is lost")

    def close(self) -> None:
        """Write what waits, for so long as it takes and at most 10 s."""
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._waiting.put(None, timeout=_END_WITHIN_S)
            self._thread.join(_END_WITHIN_S)

    def _run(self) -> None:
        self._attempt(self._tidy)
        while True:
            try:
                piece = self._waiting.get(timeout=TIDY_S)
            except queue.Empty:
                self._attempt(self._tidy)
                continue
            if piece is None:
                break
            self._attempt(partial(self._keep, piece))
        if self._store is not None:
            self._store.close()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except EvidenceError as error:
            self._fail(str(error))
        except Exception as error:  # noqa: BLE001 - whatever fails here is told, and the alarms go on
            self._fail(f"evidence cannot be kept: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        else:
            if self._troubled:
                self._troubled = False
                self._on_trouble(FAULT, None)

    def _fail(self, reason: str) -> None:
        self._troubled = True
        self._on_trouble(FAULT, reason)

    def _opened(self) -> EvidenceStore:
        limits = self._limits
        if limits is None:
            raise EvidenceError("evidence must have limits before any is kept")
        if self._store is None:
            self._store = EvidenceStore(self._folder, limits)
            if self._store.fault is not None:
                self._on_trouble(DAMAGE, f"the chain in {self._folder} is damaged: {self._store.fault}")
        self._store.limits = limits
        return self._store

    def _tidy(self) -> None:
        self._opened().make_room(0)

    def _keep(self, piece: Piece) -> None:
        link = self._opened().keep(piece.alert.evidence or "", piece.files, manifest_about(piece))
        self._on_kept(piece.alert, link)


def manifest_about(piece: Piece) -> dict[str, Any]:
    """What a manifest tells beside names and hashes: who decided what, by which configuration, model and program."""
    alert, moments, notes = piece.alert, piece.moments, list(piece.notes)
    if len(moments) > MOST_FRAMES:
        at = next((number for number, moment in enumerate(moments) if moment.alerts), len(moments))
        first = max(0, min(at - MOST_FRAMES // 2, len(moments) - MOST_FRAMES))
        notes.append(f"{len(moments)} frames were decided; {MOST_FRAMES} around the alert are told")
        moments = moments[first : first + MOST_FRAMES]
    frames = []
    for moment in moments:
        frames.append(frame_document(moment, alert.section_id))
        time.sleep(0.0005)  # lets the deciding thread have the interpreter
    return {
        "site_id": alert.site_id,
        "config_rev": alert.config_rev,
        "model_sha256": alert.model_sha256,
        "software": f"railwatch {__version__}",
        "incident_id": alert.incident_id,
        "section_id": alert.section_id,
        "alert": json.loads(encode_alert(alert)),
        "cameras": [dict(camera) for camera in piece.cameras],
        "notes": notes,
        "frames": frames,
    }


def limits_of(settings: EvidenceSettings) -> Limits:
    """The limits of a site in bytes and seconds."""
    gib = 1024**3
    return Limits(settings.keep_days * 86400.0, int(settings.max_gib * gib), int(settings.min_free_gib * gib))
