"""The worker's part of evidence: rings of packets, the last frames that were looked at, and a thread that cuts clips.

The thread that detects never waits for it: it hands over frames, asks how far a piece is, and fetches what is ready.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import cv2

from railwatch.core.clock import Clock
from railwatch.core.errors import ConfigError, RailwatchError, SourceError
from railwatch.core.evidence import EvidenceSettings, MaskedClips
from railwatch.core.privacy import private_areas
from railwatch.core.types import Frame, Observation, UInt8Array, Zone
from railwatch.evidence.clip import Clip, make_clip, make_masked_clip
from railwatch.evidence.overlay import draw_overlay
from railwatch.evidence.recording import PacketRing
from railwatch.perception.picture_file import encode_jpeg
from railwatch.seam.clips import CHUNK_BYTES, ClipFile, ClipOrder, ClipState, order_from_body, state_to_body

FRAME_BYTES: Final = 48 * 1024 * 1024
"""Most memory of the last frames of one camera."""

MOST_FRAMES: Final = 12
MOST_PIECES: Final = 8
"""Pieces that are being made or wait to be fetched; one more is refused."""

FORGET_S: Final = 180.0
"""A piece that nobody has fetched by then is forgotten."""

LATE_S: Final = 3.0
"""Packets of a clip's end are waited for so long beyond it."""

_NICE: Final = 10


@dataclass(slots=True, eq=False)
class _Camera:
    """What is kept of one camera."""

    ring: PacketRing = field(default_factory=PacketRing)
    frames: deque[tuple[Frame, Observation]] = field(default_factory=deque)
    zones: tuple[Zone, ...] = ()


@dataclass(slots=True, eq=False)
class _Piece:
    order: ClipOrder
    camera: _Camera
    shown: tuple[Frame, Observation] | None
    begun_s: float
    pictured: bool = False
    done: bool = False
    files: dict[str, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Cutter:
    """Rings, frames and pieces of one worker; `close` ends its thread. Used from the worker's thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._settings = EvidenceSettings()
        self._cameras: dict[str, _Camera] = {}
        self._pieces: OrderedDict[str, _Piece] = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def ring(self, camera_id: str) -> PacketRing:
        """Where the packets of a camera go; made when it is asked for first."""
        return self._camera(camera_id).ring

    def arrange(self, settings: EvidenceSettings, zones: tuple[Zone, ...], camera_ids: set[str]) -> None:
        """Keep so much of these cameras from now on."""
        self._settings = settings
        for name in [name for name in self._cameras if name not in camera_ids]:
            self._cameras.pop(name).ring.limit(0.0, 0)
        for name in camera_ids:
            camera = self._camera(name)
            camera.ring.limit(settings.ring_s, settings.ring_mib * 1024 * 1024)
            camera.zones = tuple(zone for zone in zones if zone.camera_id == name)
            if not settings.record:
                camera.frames.clear()

    def looked(self, frame: Frame, seen: Observation) -> None:
        """A frame was looked at; the last ones are kept for the picture of the one that decides."""
        camera = self._cameras.get(frame.camera_id)
        if camera is None or not self._settings.record:
            return
        size = frame.picture.size
        camera.frames.append((frame, seen))
        most = max(2, min(MOST_FRAMES, FRAME_BYTES // (2 * size.width * size.height)))
        while len(camera.frames) > most:
            camera.frames.popleft()

    def obey(self, body: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Carry out a CUT_CLIP: the body of the answer, and a chunk of a file. Raises ConfigError, WireError."""
        match body.get("do"):
            case "begin":
                self._begin(order_from_body(body))
                return {}, b""
            case "ask":
                return state_to_body(self._state(str(body.get("evidence_id")))), b""
            case "fetch":
                return {}, self._chunk(str(body.get("evidence_id")), str(body.get("kind")), body.get("offset"))
            case "forget":
                with self._changed:
                    self._pieces.pop(str(body.get("evidence_id")), None)
                return {}, b""
        raise ConfigError(f"a CUT_CLIP must say begin, ask, fetch or forget, but says {str(body.get('do'))[:20]!r}")

    def close(self) -> None:
        """End the thread; one that hangs in a native call is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(1.0)

    def _camera(self, name: str) -> _Camera:
        return self._cameras.setdefault(name, _Camera())

    def _begin(self, order: ClipOrder) -> None:
        camera = self._cameras.get(order.camera_id)
        if camera is None or not self._settings.record:
            raise ConfigError(
                f"a clip needs a camera of this worker that is recorded, but is of {order.camera_id[:64]}"
            )
        shown = next((pair for pair in camera.frames if pair[0].index >= order.index), None)
        with self._changed:
            if order.evidence_id in self._pieces:
                return
            if len(self._pieces) >= MOST_PIECES:
                raise ConfigError(f"a worker makes at most {MOST_PIECES} pieces of evidence at once")
            self._pieces[order.evidence_id] = _Piece(order, camera, shown, self._clock())
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="cut-clips", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _state(self, name: str) -> ClipState:
        with self._changed:
            piece = self._piece(name)
            files = tuple(ClipFile(kind, len(content), about) for kind, (content, about) in piece.files.items())
            return ClipState(piece.done, files if piece.done else (), tuple(piece.notes) if piece.done else ())

    def _chunk(self, name: str, kind: str, offset: object) -> bytes:
        with self._changed:
            piece = self._piece(name)
            if kind not in piece.files or type(offset) is not int or offset < 0:
                raise ConfigError(f"a chunk must be of a file of the piece, but is of {kind[:20]!r} at {offset!r:.20}")
            return piece.files[kind][0][offset : offset + CHUNK_BYTES]

    def _piece(self, name: str) -> _Piece:
        if name not in self._pieces:
            raise ConfigError(f"evidence must be one that this worker makes, but is {name[:40]!r}")
        return self._pieces[name]

    def _run(self) -> None:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # of this thread alone: detection comes first
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            with self._changed:
                if self._closed:
                    return
                work = self._due()
                if work is None:
                    self._changed.wait(0.1 if self._pieces else None)
                    continue
            work()

    def _due(self) -> Callable[[], None] | None:
        """What is to be done now: pictures first, for their frame is held; then clips whose end has come."""
        now_s = self._clock()
        for name, piece in list(self._pieces.items()):
            if now_s - piece.begun_s > FORGET_S + piece.order.end_s - piece.order.begin_s:
                del self._pieces[name]
        for piece in self._pieces.values():
            if not piece.pictured:
                return partial(self._picture, piece)
        for piece in self._pieces.values():
            newest_s, end_s = piece.camera.ring.newest_s, piece.order.end_s
            come = now_s >= end_s and newest_s is not None and newest_s >= end_s
            if not piece.done and (come or now_s >= end_s + LATE_S):
                return partial(self._cut, piece)
        return None

    def _picture(self, piece: _Piece) -> None:
        shown, piece.shown = piece.shown, None
        if shown is None:
            piece.notes.append("no picture: the frame that decided is not held any more")
        else:
            with _noted(piece, "no picture"):
                self._draw(piece, *shown)
        piece.pictured = True

    def _draw(self, piece: _Piece, frame: Frame, seen: Observation) -> None:
        zones = piece.camera.zones
        about = {
            "index": frame.index,
            "t_s": frame.t_s,
            "captured_at": frame.captured_at,
            "masked": bool(private_areas(zones, frame.camera_id)),
        }
        if frame.index != piece.order.index:
            piece.notes.append(f"the pictures show frame {frame.index}, not {piece.order.index}")
        raw = encode_jpeg(frame.picture, 92, private_areas(zones, frame.camera_id))
        marked = _jpeg(draw_overlay(frame.picture.bgr(), seen, zones, {}, piece.order.message))
        piece.files |= {"raw": (raw, about), "marked": (marked, about)}

    def _cut(self, piece: _Piece) -> None:
        order = piece.order
        with _noted(piece, "no clip"):
            clip = self._clip(piece)
            about = {
                "codec": clip.codec,
                "begin_s": clip.begin_s,
                "seconds": clip.seconds,
                "packets": clip.packets,
                "damaged": clip.damaged,
                "encoded_again": clip.encoded_again,
                "asked_from_s": order.begin_s,
                "asked_to_s": order.end_s,
            }
            piece.files["clip"] = (clip.content, about)
            piece.notes += clip.notes
        piece.done = True

    def _clip(self, piece: _Piece) -> Clip:
        cut = piece.camera.ring.cut(piece.order.begin_s, piece.order.end_s)
        if cut is None:
            raise SourceError("the recording holds no packets of that time (a source without packets, or too large?)")
        private = private_areas(piece.camera.zones, piece.order.camera_id)
        if not private:
            return make_clip(cut)
        if self._settings.masked_clips is MaskedClips.NONE:
            raise SourceError("the camera has privacy masks, and evidence.masked_clips is none")
        return make_masked_clip(cut, private)


def _jpeg(bgr: UInt8Array) -> bytes:
    done, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise SourceError("the annotated picture cannot be written as JPEG")
    return encoded.tobytes()


@contextlib.contextmanager
def _noted(piece: _Piece, what: str) -> Iterator[None]:
    """What fails is a note of the piece: the other files of it are still evidence."""
    try:
        yield
    except RailwatchError as error:
        piece.notes.append(f"{what}: {' '.join(str(error).split())}")
    except Exception as error:  # noqa: BLE001 - no fault of a recording may end the worker
        piece.notes.append(f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
