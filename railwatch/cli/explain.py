"""`railwatch explain`: why an incident was raised, or why nothing was."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from railwatch.core.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from railwatch.app.explain import Explanation


def explain(
    incident: Annotated[
        str | None, typer.Argument(help="Name of an incident, or its end: i12.", metavar="INCIDENT")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Seconds from the start of the recording, or UTC: 08:11:40.", metavar="TIME")
    ] = None,
    record: Annotated[
        Path,
        typer.Option(
            help="Recording made with --record, a folder of them, or what --json printed once.", metavar="PATH"
        ),
    ] = Path(),
    state: Annotated[
        Path | None,
        typer.Option(help="State folder of a hub, running or not: what its journal tells.", metavar="FOLDER"),
    ] = None,
    around: Annotated[
        float, typer.Option(help="Seconds told before and after TIME, or before the incident.", min=0.0, max=600.0)
    ] = 1.0,
    video: Annotated[str | None, typer.Option(help="The recorded clip: its frame is drawn and looked at anew.")] = None,
    camera: Annotated[str | None, typer.Option(help="Draw this camera.", show_default="who saw the worst")] = None,
    model: Annotated[
        str | None, typer.Option(help="Detector of the recording, for --video.", show_default="the shipped one")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Judge by this site file instead of the recorded one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw the frame, the ground from above and the course here (PNG).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document a frame.")] = False,
) -> None:
    """Tell the whole reasoning, frame by frame: of an incident, or of a time and why nothing was raised then."""
    from railwatch.app.explain_text import is_saved, read_saved

    if state is not None:
        if record != Path() or any((video, camera, model, config, out)):
            raise ConfigError("--state tells what a journal holds: it takes INCIDENT or --at, --around and --json only")
        _tell_kept(state, incident, at, around, as_json=as_json)
        return
    if is_saved(record):
        if any((incident, at, video, camera, model, config, out)):
            raise ConfigError(f"{record} is an explanation already: it is printed whole, and takes no other option")
        _print(read_saved(record), as_json=as_json)
        return
    _explain_recording(incident, at, record, around, video, camera, model, config, out, as_json=as_json)


def _tell_kept(state: Path, incident: str | None, at: str | None, around: float, *, as_json: bool) -> None:
    from railwatch.app.explain_kept import kept_at, kept_of_incident, lines_of_kept
    from railwatch.app.explain_time import parse_time

    if (incident is None) == (at is None):
        raise ConfigError("explain needs an incident or --at TIME, and not both")
    found = kept_of_incident(state, incident) if incident is not None else kept_at(state, parse_time(at or ""), around)
    if as_json:
        _print(found, as_json=True)
    else:
        sys.stdout.writelines(f"{line}\n" for line in lines_of_kept(found))


def _explain_recording(
    incident: str | None,
    at: str | None,
    record: Path,
    around: float,
    video: str | None,
    camera: str | None,
    model: str | None,
    config: Path | None,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    from railwatch.app.explain import ExplainOptions, explain
    from railwatch.app.explain_time import parse_time

    asked = None if at is None else parse_time(at)
    found = explain(ExplainOptions(record, incident, asked, around, config))
    if video is not None or out is not None:
        _look(found, video, camera, model, out)
    _print(found.documents(), as_json=as_json)


def _look(found: Explanation, video: str | None, camera: str | None, model: str | None, out: Path | None) -> None:
    """What needs the picture: the boxes that became no track, and the sheet."""
    from railwatch.app.explain_picture import boxes_below, frame_of, shown_frame, write_picture

    shown, seen = shown_frame(found, camera)
    frame = None if video is None else frame_of(video, seen)
    if frame is not None and found.nothing:
        boxes = boxes_below(found, seen, frame, model)
        for document in found.nothing:
            if document["section"]["section_id"] == shown["section"]["section_id"]:
                document["boxes"] = boxes
    if out is not None:
        write_picture(found, shown, frame, out)
        sys.stderr.write(f"{out}\n")


def _print(documents: Iterable[dict[str, Any]], *, as_json: bool) -> None:
    from railwatch.app.explain_text import lines_of

    if as_json:
        for document in documents:
            sys.stdout.write(json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n")
        return
    try:
        for line in lines_of(documents):
            sys.stdout.write(f"{line}\n")
    except (KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"an explanation must have all that it is told by, but lacks {error}") from None
