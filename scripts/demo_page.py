"""The page that `make demo` writes: what was told, when, and how the picture looked then."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

import av
import cv2

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
figure { margin: 2rem 0; } img { width: 100%; border: 1px solid #ccc; } figcaption { margin-top: .5rem; }
.NOTICE { background: #e8c300; } .WARNING { background: #d9661f; color: #fff; }
.EMERGENCY { background: #c4161c; color: #fff; }
b { padding: .1rem .5rem; border-radius: .2rem; } small { color: #666; }
"""


def write(page: Path, video: Path, alerts: list[dict[str, Any]]) -> Path:
    """Write one self-contained page on `alerts` (lines of `watch --jsonl`) with pictures from the annotated `video`."""
    pictures = pictures_at(video, [alert["t_s"] for alert in alerts])
    figures = "".join(_figure(alert, picture) for alert, picture in zip(alerts, pictures, strict=True))
    page.write_text(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>railwatch demo</title><style>{STYLE}</style>"
        f"<h1>What railwatch told</h1><p>{len(alerts)} alerts, in the order in which they were sent. The bar in each "
        f"picture tells the state of the track; boxes and zones are drawn by <code>railwatch watch --save</code>."
        f"<p><a href='{html.escape(video.name)}'>The whole annotated video</a>{figures}</html>\n",
        encoding="utf-8",
    )
    return page


def pictures_at(video: Path, times_s: list[float]) -> list[bytes]:
    """The frame of `video` at each of the times (seconds, rising) as JPEG; the last frame for what lies beyond."""
    pictures: list[bytes] = []
    last = b""
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if len(pictures) == len(times_s):
                break
            done, data = cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"))
            last = data.tobytes() if done else last
            while (
                len(pictures) < len(times_s) and frame.time is not None and frame.time >= times_s[len(pictures)] - 1e-3
            ):
                pictures.append(last)
    return pictures + [last] * (len(times_s) - len(pictures))


def _figure(alert: dict[str, Any], picture: bytes) -> str:
    shown = base64.b64encode(picture).decode()
    found = ", ".join(f"{item['class_name']} {item['confidence']:.2f}" for item in alert["objects"]) or "nobody"
    return (
        f"<figure><img alt='' src='data:image/jpeg;base64,{shown}'><figcaption>{alert['t_s']:.1f} s "
        f"<b class={html.escape(alert['severity'])}>{html.escape(alert['severity'])}</b> "
        f"{html.escape(alert['action'])}: {html.escape(alert['why'])}<br><small>seen: {html.escape(found)}; "
        f"alert {html.escape(alert['alert_id'])}</small></figcaption></figure>"
    )
