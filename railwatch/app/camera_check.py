"""Trying the cameras of a site once: what each gives, or why it gives nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from railwatch.app.sources import open_live_source
from railwatch.core.clock import Clock, elapsed_s
from railwatch.core.settings import CameraSettings
from railwatch.perception.source import Source

OpenOnce = Callable[[CameraSettings, threading.Event], Source]
"""Opens a camera; the event ends its frames."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one stream of a camera: `text` is what it gives, or why it gives nothing."""

    camera_id: str
    good: bool
    text: str


def open_once(camera: CameraSettings, stop: threading.Event) -> Source:
    """Open a camera as a worker does."""
    return open_live_source(camera, loop=False, stop=stop)


def try_cameras(
    cameras: tuple[CameraSettings, ...], within_s: float, open_camera: OpenOnce = open_once, clock: Clock = elapsed_s
) -> Iterator[Tried]:
    """Try every camera, and its evidence stream if it has one, one after the other, each at most `within_s` long."""
    for camera in cameras:
        yield _try(camera, within_s, open_camera, clock)
        if camera.evidence_source is not None:
            evidence = replace(camera, source=camera.evidence_source)
            tried = _try(evidence, within_s, open_camera, clock)
            yield replace(tried, text=f"evidence: {tried.text}")


def _try(camera: CameraSettings, within_s: float, open_camera: OpenOnce, clock: Clock) -> Tried:
    """In a thread of its own: a native call may hang."""
    stop, told, begun_s = threading.Event(), list[Tried](), clock()

    def read() -> None:
        try:
            with open_camera(camera, stop) as source:
                next(iter(source.frames()))
                said = f"{source.info.description}, first picture after {clock() - begun_s:.1f} s"
            told.append(Tried(camera.camera_id, good=True, text=said))
        except StopIteration:
            told.append(Tried(camera.camera_id, good=False, text="it gives no picture"))
        except Exception as error:  # noqa: BLE001 - whatever ends the attempt is what is told
            reason = " ".join(str(error).split())[:500] or type(error).__name__
            told.append(Tried(camera.camera_id, good=False, text=reason))

    thread = threading.Thread(target=read, name=f"try-{camera.camera_id}", daemon=True)
    thread.start()
    thread.join(within_s)
    stop.set()
    if told:
        return told[0]
    return Tried(camera.camera_id, good=False, text=f"NO_ANSWER: it gave no picture within {within_s:g} s")
