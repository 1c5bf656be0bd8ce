"""`railwatch explain`: a recording is decided once more, and what the decision knew is written down frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from railwatch.app.explain_doubts import Json
from railwatch.app.explain_frame import Moment, frame_document, objects_of, section_document, trains_of, zones_document
from railwatch.app.explain_time import Asked, is_named
from railwatch.app.record import RecordHeader, read_record
from railwatch.config import load_site, site_from_mapping
from railwatch.core.alerts import Alert, AlertKind
from railwatch.core.errors import ConfigError, RecordError
from railwatch.core.settings import SiteSettings
from railwatch.core.types import Observation
from railwatch.decision.incidents import cameras_of
from railwatch.decision.inputs import Stamped
from railwatch.decision.step import start, step

EXPLAIN_VERSION: Final = 1
MAX_MOMENTS: Final = 100_000
"""Most inputs that one explanation holds: ten minutes of 16 cameras."""

CANDIDATES: Final = 8
"""So many of those who raised nothing are told."""


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """What to explain: an incident by its name, or a time; `record` is a recording, or a folder of them.

    `around_s`: seconds before and after the time, or before an incident opened. `config` judges by another site file.
    """

    record: Path
    incident: str | None = None
    at: Asked | None = None
    around_s: float = 1.0
    config: Path | None = None


@dataclass(slots=True)
class Explanation:
    """What was found: the documents, in order, and the moments behind them for a picture."""

    header: Json
    section_id: str
    site: SiteSettings
    moments: list[Moment] = field(default_factory=list)
    frames: list[Json] = field(default_factory=list)
    nothing: list[Json] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def documents(self) -> Iterator[Json]:
        """The header, the frames, and for a time why nothing was raised."""
        yield self.header
        yield from self.frames
        yield from self.nothing
        if self.notes:
            yield {"notes": self.notes}


def explain(options: ExplainOptions) -> Explanation:
    """Explain an incident or a moment. Raises RecordError when the recording does not hold it, ConfigError."""
    if (options.incident is None) == (options.at is None):
        raise ConfigError("explain needs an incident or --at TIME, and not both")
    reasons = []
    for path in recordings(options.record):
        try:
            walk = _Walk(path, options)
            found = walk.incident() if options.incident is not None else walk.moment()
        except RecordError as error:
            reasons.append(str(error))
            continue
        return found
    raise RecordError(reasons[0] if len(reasons) == 1 else f"none of {len(reasons)} recordings fits: {reasons[0]}")


def recordings(path: Path) -> list[Path]:
    """The recordings that a path means: itself, or those of a folder, the newest first. Raises RecordError."""
    if not path.is_dir():
        return [path]
    found = [file for file in path.glob("*.jsonl") if _is_recording(file)]
    if not found:
        raise RecordError(f"the folder {path} must hold a recording (made with --record), but holds none")
    return sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)


def _is_recording(path: Path) -> bool:
    with path.open("rb") as file:
        return b'"record_version"' in file.read(64)


class _Walk:
    """One way through one recording, input by input."""

    def __init__(self, path: Path, options: ExplainOptions) -> None:
        self._path, self._options = path, options
        self._header, self._inputs = read_record(path)
        self._site = _site_of(self._header, options, path)
        header = self._header
        self._state = start(self._site, header.epoch, header.model_sha256, header.started_s, header.restored)
        self._notes: list[str] = []

    def incident(self) -> Explanation:
        """From a while before an incident opened until it closed, or to the end of the recording."""
        wanted = str(self._options.incident)
        before: deque[Moment] = deque()
        kept: list[Moment] = []
        known: dict[str, Alert] = {}
        told: list[Alert] = [item.last for item in self._header.restored if is_named(item.last.incident_id, wanted)]
        closed = False
        for moment in self._moments():
            known |= {alert.incident_id: alert for alert in moment.alerts}
            told += [alert for alert in moment.alerts if is_named(alert.incident_id, wanted)]
            if told:
                kept += [*(m for m in before if moment.t_s - m.t_s <= self._options.around_s + 1e-6), moment]
                before.clear()
                closed = told[-1].action.value == "CLOSED"
            else:
                before.append(moment)
                while moment.t_s - before[0].t_s > self._options.around_s:
                    before.popleft()
            if closed or len(kept) >= MAX_MOMENTS:
                break
        if not told:
            raise RecordError(_not_there(self._path, wanted, known.values()))
        if len(kept) >= MAX_MOMENTS:
            self._notes.append(f"cut off after {MAX_MOMENTS} inputs")
        elif not closed:
            self._notes.append("the recording ends before the incident closes")
        return self._explained(kept, told)

    def moment(self) -> Explanation:
        """What was there at a time, and why nothing was raised where nothing was."""
        asked, around_s = self._options.at, self._options.around_s
        before: deque[Moment] = deque()
        last: Moment | None = None
        after: list[Moment] = []
        seen: dict[str, Observation] = {}
        at_s: float | None = None
        for moment in self._moments():
            if at_s is None and asked is not None:
                at_s = asked.seconds(moment.stamped.received_at, moment.t_s)
            if at_s is not None and moment.t_s > at_s + around_s:
                break
            if at_s is not None and moment.t_s > at_s:
                after.append(moment)
                continue
            last = moment
            if isinstance(moment.stamped.input, Observation):
                seen[moment.stamped.input.camera_id] = moment.stamped.input
            before.append(moment)
            while moment.t_s - before[0].t_s > around_s and len(before) > 1:
                before.popleft()
        if last is None or at_s is None or (not after and last.t_s < at_s - max(around_s, 1.0)):
            end = "begins later" if last is None else f"ends at {last.t_s:.1f} s, {last.stamped.received_at}"
            raise RecordError(f"{self._path} must reach to the time asked for, {asked and asked.text}, but {end}")
        found = self._explained([m for m in before if m.t_s >= at_s - around_s] + after, [])
        found.nothing = [nothing_document(last, at_s, name, seen) for name in self._site.sections]
        return found

    def _moments(self) -> Iterator[Moment]:
        """Every input decided again. A last line that a hub is still writing, or a cut, ends it with a note."""
        count = 0
        while True:
            try:
                stamped: Stamped | None = next(self._inputs, None)
            except RecordError as error:
                if "cut off in the middle" not in str(error):
                    raise
                self._notes.append(str(error))
                return
            if stamped is None:
                return
            count += 1
            try:
                self._state, alerts = step(self._state, stamped)
            except ValueError as error:
                told = f"{self._path}, line {count + 1}: {error}; does the site file fit the recording?"
                raise RecordError(told) from error
            self._site = self._state.site
            yield Moment(stamped.received_s - self._header.started_s, stamped, self._state, alerts)

    def _explained(self, kept: list[Moment], told: list[Alert]) -> Explanation:
        sections = [told[-1].section_id] if told and told[-1].section_id else list(self._site.sections)
        header: Json = {
            "explain_version": EXPLAIN_VERSION,
            "recording": self._path.name,
            "site_id": self._site.site_id,
            "epoch": str(self._header.epoch),
            "config_rev": self._state.head.config_rev,
            "model_sha256": self._header.model_sha256,
            "incident": _incident(told) if told else None,
            "rules": _rules(self._site),
            "zones": zones_document(self._site, sections),
        }
        found = Explanation(header, sections[0], self._site, kept, notes=self._notes)
        found.frames = [
            frame_document(moment, name)
            for moment in kept
            for name in sections
            if len(sections) == 1 or _bears_on(moment, name)
        ]
        return found


def nothing_document(last: Moment, at_s: float, section_id: str, seen: dict[str, Observation]) -> Json:
    """Why nothing was raised in a section: what it was, and those whom its cameras showed, the nearest miss first."""
    state = last.state
    outlook = state.outlook()
    section = section_document(state, section_id, outlook)
    needed, rules = state.site.incidents.on_delay_hits, state.site.incidents
    candidates = []
    for name in cameras_of(state.site, section_id):
        if name not in seen:
            continue
        view = state.cameras[name].view(section_id)
        for item in objects_of(state, seen[name], section_id, outlook):
            doubts = list(item.get("doubts", ()))
            if item["in"] and section["incident_id"] is None:
                counted = max((sum(c in f.channels for f in view.window) for c in _channels(item)), default=0)
                doubts.append(
                    f"the on-delay is not met: seen in {counted} of the last {len(view.window)} frames, "
                    f"incidents.on_delay_hits asks for {needed} of {rules.on_delay_window}"
                )
            candidates.append({"camera_id": name, **item, "doubts": doubts})
    candidates.sort(key=lambda item: (len(item["doubts"]), -item["confidence"], item["camera_id"], item["track_id"]))
    return {
        "nothing_at_s": round(at_s, 3),
        "as_of": last.stamped.received_at,
        "section": section,
        "trains": trains_of(state.site, section_id, outlook),
        "candidates": candidates[:CANDIDATES],
        "left_out": max(0, len(candidates) - CANDIDATES),
    }


def _channels(item: Json) -> set[str]:
    return {f"group:{item['group']}"}


def _bears_on(moment: Moment, section_id: str) -> bool:
    """Whether an input is a frame of a section, or no frame at all: of many sections each frame is told once."""
    value = moment.stamped.input
    return not isinstance(value, Observation) or value.camera_id in cameras_of(moment.state.site, section_id)


def _site_of(header: RecordHeader, options: ExplainOptions, path: Path) -> SiteSettings:
    return site_from_mapping(header.site, path.parent) if options.config is None else load_site(options.config)


def _not_there(path: Path, wanted: str, known: Iterable[Alert]) -> str:
    names = [f"{alert.incident_id} ({alert.kind.value}, {alert.section_id or 'the system'})" for alert in known]
    held = f"holds {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else "holds no incident"
    return f"{path} must hold the incident {wanted!r}, but {held}"


def _incident(told: list[Alert]) -> Json:
    first, last = told[0], told[-1]
    return {
        "incident_id": first.incident_id,
        "kind": first.kind.value,
        "section_id": first.section_id,
        "camera_id": first.camera_id if first.kind is AlertKind.BLINDNESS else None,
        "opened_at": first.published_at,
        "closed_at": last.published_at if last.action.value == "CLOSED" else None,
        "worst": max(alert.severity for alert in told).value,
        "why": max(told, key=lambda alert: alert.severity).why,
    }


def _rules(site: SiteSettings) -> Json:
    rules = site.incidents
    return {
        "on_delay_hits": rules.on_delay_hits,
        "on_delay_window": rules.on_delay_window,
        "off_delay_s": rules.off_delay_s,
        "min_overlap": rules.min_overlap,
        "confirm_hits": site.tracker.confirm_hits,
        "high_confidence": site.tracker.high_confidence,
        "least_margin_s": site.risk.least_margin_s,
        "assumed_stay_s": site.risk.assumed_stay_s,
        "severity_without_trains": site.severity_without_trains.value,
        "alarm_groups": list(site.alarm_groups),
    }
