"""How a change of an incident becomes a numbered alert."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from railwatch.core.alerts import Action, Alert, AlertKind, AlertObject, Epoch
from railwatch.core.evidence import evidence_id_of
from railwatch.decision.incidents import Incident, IncidentKey, SectionSight
from railwatch.decision.looking import lift_in, words_of
from railwatch.decision.presence import CameraMemory
from railwatch.decision.probing import Probing
from railwatch.decision.wording import sentence

WITH_EVIDENCE: Final = frozenset({Action.OPENED, Action.ESCALATED, Action.CLOSED})
"""What happens to an intrusion of which evidence is kept."""


@dataclass(frozen=True, slots=True)
class Account:
    """What an alert tells beside the incident itself. `captured_at` None: no frame was taken yet."""

    why: str
    camera_id: str | None
    zone_id: str | None
    objects: tuple[AlertObject, ...]
    captured_at: str | None
    margin_s: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of an incident: the action, the incident as it is now (or was, when it closed), the account."""

    action: Action
    incident: Incident
    account: Account


@dataclass(frozen=True, slots=True)
class Transition:
    """An incident before and after an input (None: not open), what happened to it (None: nothing), how it is told.

    `own`: it would have happened without the second look as well.
    """

    key: IncidentKey
    before: Incident | None
    after: Incident | None
    action: Action | None
    account: Callable[[Action], Account]
    own: bool = True


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all alerts of one hub share. `evidence`: whether some is kept of intrusions."""

    site_id: str
    epoch: Epoch
    config_rev: str
    model_sha256: str
    evidence: bool = False


def account_of_sight(sight: SectionSight, action: Action, captured_at: str | None) -> Account:
    """The account of an intrusion: the most dangerous place, all objects with the surest first, one sentence."""
    worst, said = sight.worst or (None, None)
    if action is Action.CLOSED:
        why = "nobody was seen for the whole off-delay by cameras that see"
    elif captured_at is None:
        why = "no camera has been observed since the start"
    else:
        why = "; ".join(filter(None, (sentence(sight.hits, sight.longest_dwell_s, said), _looked_at(sight))))
    return Account(
        why=why,
        camera_id=worst.zone.camera_id if worst else None,
        zone_id=worst.zone.zone_id if worst else None,
        objects=_objects(sight),
        captured_at=captured_at,
        margin_s=None if said is None or said.margin_s is None else round(said.margin_s, 3),
    )


def account_of_camera(camera_id: str, memory: CameraMemory, action: Action) -> Account:
    """The account of a blind or degraded camera."""
    why = f"camera {camera_id} sees again" if action is Action.CLOSED else f"camera {camera_id}: {memory.reason}"
    return Account(why, camera_id, None, (), memory.captured_at)


def account_of_probe(camera_id: str, probing: Probing, action: Action) -> Account:
    """The account of a self-test: nobody is there, and the words say so."""
    running = probing.running
    if action is Action.CLOSED or running is None:
        return Account(f"self-test of camera {camera_id}: {probing.words}", camera_id, None, (), None)
    hits = [hit for name in running.sections for hit in running.memory.view(name).hits]
    return Account(
        f"self-test of camera {camera_id}: a person was put into a copy of its pictures and is seen",
        camera_id,
        hits[0].zone.zone_id if hits else None,
        tuple(AlertObject(h.track.track_id, h.track.class_name, h.track.group, h.track.confidence) for h in hits[:1]),
        running.memory.captured_at,
    )


def account_of_fault(fault: str, words: str, action: Action) -> Account:
    """The account of something wrong with the system itself."""
    return Account(f"{fault}: over" if action is Action.CLOSED else f"{fault}: {words}", None, None, (), None)


def account_of_the_unwatched(_: Action) -> Account:
    """The account of an incident that nothing can be observed of any more."""
    return Account("closed because the site does not watch it any more", None, None, (), None)


def alert_of(head: Letterhead, seq: int, told: Told, now_at: str) -> Alert:
    """The alert numbered `seq`; `now_at` is the hub's UTC time of the decision."""
    subject, account = told.incident, told.account
    alert_id = f"{head.epoch}-a{seq}"
    kept = head.evidence and subject.kind is AlertKind.INTRUSION and told.action in WITH_EVIDENCE
    return Alert(
        site_id=head.site_id,
        epoch=head.epoch,
        seq=seq,
        alert_id=alert_id,
        kind=subject.kind,
        action=told.action,
        severity=subject.severity,
        incident_id=subject.incident_id,
        section_id=subject.section_id,
        camera_id=account.camera_id,
        zone_id=account.zone_id,
        objects=account.objects,
        why=account.why,
        margin_s=account.margin_s,
        captured_at=account.captured_at or now_at,
        published_at=now_at,
        config_rev=head.config_rev,
        model_sha256=head.model_sha256,
        camera_ids=tuple(sorted(subject.cameras)),
        addressed_to=subject.addressed_to,
        level=subject.level,
        by=subject.by,
        key_name=subject.key_name,
        fault=subject.fault,
        evidence=evidence_id_of(alert_id) if kept else None,
    )


def _looked_at(sight: SectionSight) -> str:
    """What the second look adds to the sentence: the animal that it raised highest, "" where it raised none."""
    if lift_in(sight.raised) is None:
        return ""
    outlook = sight.outlook
    raised = [
        (level, look.confidence, look)
        for standing in sight.standings
        if (level := outlook.lifted(standing)) is not None and (look := outlook.look(standing.hit)) is not None
    ]
    return words_of(max(raised)[2]) if raised else ""


def _objects(sight: SectionSight) -> tuple[AlertObject, ...]:
    seen = {(hit.zone.camera_id, hit.track.track_id): hit for hit in sight.hits}
    surest = sorted(seen.items(), key=lambda item: (-item[1].track.confidence, item[0]))
    looks = {key: sight.outlook.look(hit) for key, hit in surest}
    return tuple(
        AlertObject(
            hit.track.track_id, hit.track.class_name, hit.track.group, hit.track.confidence,
            None if (look := looks[key]) is None else look.taxon,
        )
        for key, hit in surest
    )  # fmt: skip
