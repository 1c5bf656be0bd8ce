"""The picture of an explanation, and what the detector saw in that frame: what of `explain` needs OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2

from railwatch.app.explain import Explanation
from railwatch.app.explain_doubts import box_doubts
from railwatch.app.sources import open_source
from railwatch.core.alerts import Severity
from railwatch.core.errors import ConfigError, RecordError, SourceError
from railwatch.core.model_names import model_path
from railwatch.core.privacy import blurred, private_areas
from railwatch.core.types import Frame, Observation, Track, TrackState
from railwatch.evidence.explained import draw_explanation
from railwatch.perception.detector import open_detector
from railwatch.perception.manifest import default_model

Json = dict[str, Any]

FAINTEST: Final = 0.02
"""Boxes of a lower score are noise."""

MOST_BOXES: Final = 5
SAME_IOU: Final = 0.5


def shown_frame(found: Explanation, camera_id: str | None) -> tuple[Json, Observation]:
    """The frame that a picture shows: the worst one, or for a time the last one up to it.

    `camera_id` None: whichever camera saw the worst. Raises RecordError when there is no frame, ConfigError for a
    camera that is none.
    """
    names = [camera.camera_id for camera in found.site.cameras]
    if camera_id is not None and camera_id not in names:
        raise ConfigError(f"--camera must name one of the cameras {', '.join(names)}, but is {camera_id}")
    by_time = {(round(m.t_s, 3), m.stamped.input.camera_id): m.stamped.input for m in found.moments
               if isinstance(m.stamped.input, Observation)}  # fmt: skip
    frames = [f for f in found.frames if camera_id is None or f.get("camera_id") == camera_id]
    frames = [f for f in frames if (f["t_s"], f.get("camera_id")) in by_time]
    if not frames:
        raise RecordError("a picture needs a frame of a camera of the section, but the recording has none there")
    if found.nothing:
        at_s = found.nothing[0]["nothing_at_s"]
        chosen = max((f for f in frames if f["t_s"] <= at_s), key=lambda f: f["t_s"], default=frames[0])
    else:
        chosen = max(frames, key=_danger)
    return chosen, by_time[chosen["t_s"], chosen["camera_id"]]


def _danger(frame: Json) -> tuple[int, bool, float, float]:
    """By the severity there, then the margin; of equals the earliest frame."""
    worst = frame["section"]["worst_now"]
    margin = frame["section"]["margin_s"]
    own = any(item["in"] for item in frame["objects"])
    return (Severity(worst).rank if worst else -1, own, -margin if margin is not None else -1e9, -frame["t_s"])


def frame_of(video: str, seen: Observation) -> Frame:
    """The frame of a video that an Observation is of, by its number. Raises SourceError when it has none."""
    with open_source(video, seen.camera_id) as source:
        for frame in source.frames():
            if frame.index == seen.index:
                return frame
    raise SourceError(f"{video} must have the frame {seen.index} of camera {seen.camera_id}, but ends before it")


def write_picture(found: Explanation, shown: Json, frame: Frame | None, out: Path) -> None:
    """Draw the explanation as PNG; raises RecordError when it cannot be written."""
    incident = found.header["incident"]
    title = (
        f"{incident['incident_id']}: {incident['why']}"
        if incident
        else f"{found.header['site_id']} at {shown['t_s']:.2f} s"
    )
    section = shown["section"]["section_id"]
    zones = [zone for zone in found.header["zones"] if zone["section_id"] == section]
    history = [f for f in found.frames if f["section"]["section_id"] == section]
    bgr = None
    if frame is not None:
        bgr = blurred(frame.picture.bgr(), private_areas(found.site.zones, frame.camera_id))
    picture = draw_explanation(bgr, shown, zones, history, title, found.site.risk.least_margin_s)
    save_png(out, picture)


def save_png(out: Path, picture: Any) -> None:  # noqa: ANN401 - (H, W, 3) uint8
    """Write a picture as PNG; raises RecordError."""
    data = cv2.imencode(".png", picture)[1].tobytes()
    try:
        out.write_bytes(data)
    except OSError as error:
        raise RecordError(f"{out} cannot be written: {error.strerror}") from error


def boxes_below(found: Explanation, seen: Observation, frame: Frame, model: str | None) -> list[Json]:
    """The best boxes of alarm groups in a frame that no track took, with what each lacks.

    The detector must be the recorded one: the shipped one, or `model`. Raises ModelError when its hash differs.
    """
    detector = open_detector(
        model_path(model) if model else default_model(), confidence=FAINTEST, sha256=found.header["model_sha256"]
    )
    boxes = detector.detect([frame.picture.sample(None, detector.form)])[0]
    group_of = {name: group for group, names in found.site.groups.items() for name in names}
    missed = []
    for xyxy, confidence, class_id in zip(boxes.xyxy, boxes.confidence, boxes.class_id, strict=True):
        name = detector.class_names[int(class_id)]
        if group_of.get(name) not in found.site.alarm_groups:
            continue
        left, top, right, bottom = (float(value) for value in xyxy)
        score = min(1.0, float(confidence))
        box = Track(
            1, name, group_of[name], (left, top, right, bottom), score, TrackState.TENTATIVE, seen.t_s, seen.t_s, 1
        )
        if all(_iou(box, track) < SAME_IOU for track in seen.tracks):
            doubts = box_doubts(found.site, seen, box)
            missed.append(
                {"class_name": name, "confidence": round(score, 3), "box_norm": _norm(box, seen), "doubts": doubts}
            )
    return sorted(missed, key=lambda item: -float(str(item["confidence"])))[:MOST_BOXES]


def _norm(box: Track, seen: Observation) -> list[float]:
    left, top, right, bottom = box.xyxy
    width, height = seen.frame_size
    return [round(left / width, 5), round(top / height, 5), round(right / width, 5), round(bottom / height, 5)]


def _iou(one: Track, other: Track) -> float:
    wide = min(one.xyxy[2], other.xyxy[2]) - max(one.xyxy[0], other.xyxy[0])
    high = min(one.xyxy[3], other.xyxy[3]) - max(one.xyxy[1], other.xyxy[1])
    both = max(0.0, wide) * max(0.0, high)
    sizes = [(t.xyxy[2] - t.xyxy[0]) * (t.xyxy[3] - t.xyxy[1]) for t in (one, other)]
    return both / (sum(sizes) - both) if both > 0 else 0.0
