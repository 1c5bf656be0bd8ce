"""Scenarios and the severity that each must have, over time. docs/risk-scenarios.md is written from this table.

A span (from, to, severity) must hold at every input between both times; between spans the severity may change:
on-delay, off-delay, motion that has to be seen. None: no incident.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from railwatch.core.alerts import AlertKind, CameraState, Severity
from railwatch.core.risk_settings import TrainSourceSettings
from railwatch.core.settings import SiteSettings
from railwatch.core.types import TrainReport
from railwatch.decision.inputs import Tick
from tests.scenario import Hub
from tests.world import Maker, look, person, place, report, straight, train

N, W, E = Severity.NOTICE, Severity.WARNING, Severity.EMERGENCY
Span = tuple[float, float, Severity | None]
Says = Callable[[float, int], Sequence[TrainReport]]
"""What sources say at a full second, with the number of their report."""

FEED = TrainSourceSettings("feed", ("t1", "t2"), authoritative=True, max_age_s=5.0)
SECOND = TrainSourceSettings("second", ("t1",), authoritative=True, max_age_s=5.0)
ASKED = place(train_sources=(FEED,))
UNASKED = place()


@dataclass(frozen=True)
class Scenario:
    """`blind` tells from when to when a camera is BLIND; `states` are spans of the section's state."""

    name: str
    who: tuple[Maker, ...]
    spans: tuple[Span, ...]
    site: SiteSettings = ASKED
    says: Says = lambda _t, _n: ()
    seconds: float = 14.0
    blind: dict[str, tuple[float, float]] = field(default_factory=dict)
    sees: dict[str, tuple[Maker, ...]] = field(default_factory=dict)


def none_on(*tracks: str) -> Callable[[float, int], list[TrainReport]]:
    """No train comes on these tracks, and the source vouches for it."""
    return lambda _t, n: [report(None, n, name) for name in tracks]


def arrives(at_s: float, track: str = "t1", **change) -> Says:
    """A train on one track at a time, none on the other."""

    def says(t_s: float, n: int) -> list[TrainReport]:
        eta_s = max(0.0, at_s - t_s) if t_s <= at_s + 1 else None
        other = "t2" if track == "t1" else "t1"
        return [report(eta_s, n, track, **(change if eta_s is not None else {})), report(None, n, other)]

    return says


def until(t_s: float, says: Says) -> Says:
    """The same, and silence from a time on."""
    return lambda t, n: says(t, n) if t <= t_s else ()


ACROSS = straight((0.0, -6.0, 20.0), (9.0, 6.6, 20.0), (11.0, 9.4, 20.0))
"""1.4 m/s: in the approach from 1.1 s, on t1 from 2.9 to 5.7 s, on t2 from 6.1 to 8.2 s, past the edge at 8.8 s."""
ONTO = straight((0.0, -6.0, 20.0), (4.3, 0.0, 20.0))
STANDS = straight((0.0, 0.0, 20.0))
COWS = tuple(
    person(straight((0.0, -4.0 - n, 22.0 + n), (20.0, 14.0 - n, 22.0 + n)), n + 1, name="cow") for n in range(4)
)


def falls(t_s: float) -> tuple[float, float] | None:
    """Walks onto the track, lies from 4.3 s, and is not seen any more from 5 s."""
    return ONTO(t_s) if t_s < 5.0 else None


def coming(t_s: float) -> float:
    """A train in the picture that comes at 15 m/s and stands at 40 m."""
    return max(40.0, 190.0 - 15.0 * t_s)


def passing(t_s: float) -> float | None:
    """A train that passes: in the picture until 4 s."""
    return 80.0 - 17.0 * t_s if t_s < 4.0 else None


def windows(t_s: float) -> tuple[float, float] | None:
    """Somebody at a window of the passing train, a metre behind its front and higher than the track."""
    y = passing(t_s)
    return None if y is None else (0.3, y + 6.0)


SCENARIOS = (
    Scenario("nobody is there, a train comes", (), ((0.0, 14.0, None),), says=arrives(12.0)),
    Scenario(
        "a person crosses, no train comes",
        (person(ACROSS),),
        ((0.0, 1.0, None), (1.7, 2.6, N), (3.6, 8.2, W), (11.8, 14.0, None)),
        says=none_on("t1", "t2"),
    ),
    Scenario(
        "a person crosses in time",
        (person(ACROSS),),
        ((0.0, 1.0, None), (1.7, 2.6, N), (3.6, 8.2, W), (11.8, 14.0, None)),
        says=arrives(60.0),
    ),
    Scenario("a person crosses too late", (person(ACROSS),), ((1.7, 2.6, N), (3.3, 7.0, E)), says=arrives(11.0)),
    Scenario(
        "a person walks onto the track and stops",
        (person(ONTO),),
        ((1.7, 2.6, N), (3.6, 4.2, W), (6.4, 14.0, E)),
        says=arrives(60.0),
    ),
    Scenario(
        "a person falls, is not seen any more, and a train is told later",
        (person(falls, lies_from_s=4.3),),
        ((3.6, 8.9, W), (9.1, 14.0, E)),
        says=lambda t, n: arrives(60.0)(t, n) if t >= 9.0 else none_on("t1", "t2")(t, n),
    ),
    Scenario(
        "a person falls before a train",
        (person(falls, lies_from_s=4.3),),
        ((3.6, 4.2, W), (4.5, 14.0, E)),
        says=arrives(60.0),
    ),
    Scenario(
        "a person walks along the track",
        (person(straight((0.0, 0.5, 45.0), (20.0, 0.5, 19.0))),),
        ((0.5, 14.0, E),),
        says=arrives(120.0),
    ),
    Scenario(
        "a child runs across in time",
        (person(straight((0.0, -6.0, 18.0), (5.0, 6.6, 18.0), (7.0, 12.0, 18.0)), tall_m=1.1),),
        ((2.1, 4.4, W), (8.0, 12.0, None)),
        says=arrives(45.0),
    ),
    Scenario(
        "a child runs onto the track, turns and plays there",
        (
            person(
                straight(
                    (0.0, -6.0, 18.0),
                    (2.5, 0.0, 18.0),
                    (3.5, -1.5, 18.0),
                    (4.5, 0.5, 18.0),
                    (5.5, -1.0, 18.0),
                    (6.5, 1.0, 18.0),
                    (20.0, 1.0, 18.0),
                ),
                tall_m=1.1,
            ),
        ),
        ((4.6, 14.0, E),),
        says=arrives(45.0),
    ),
    Scenario("a herd crosses", COWS, ((6.0, 9.8, E), (12.3, 14.0, W)), says=arrives(150.0)),
    Scenario("one cow crosses in time", COWS[:1], ((4.0, 9.0, W),), says=arrives(150.0)),
    Scenario(
        "two trains on two tracks: who stands on t1 has time, then goes to t2",
        (person(straight((0.0, 0.0, 20.0), (6.0, 0.0, 20.0), (9.0, 4.0, 20.0))),),
        ((0.5, 9.0, W), (11.5, 16.0, E)),
        says=lambda t, n: [report(250.0 - t, n, "t1"), report(40.0 - t, n, "t2")],
        seconds=16.0,
    ),
    Scenario(
        "two trains on one track, from both sides: the sooner counts",
        (person(STANDS),),
        ((0.5, 14.0, E),),
        says=lambda t, n: [report(300.0 - t, n), report(30.0 - t, n, direction="down"), report(None, n, "t2")],
    ),
    Scenario(
        "a train has passed, a person crosses behind it, and a second train comes on the other track",
        (person(straight((0.0, -7.0, 20.0), (5.0, -4.0, 20.0), (12.0, 4.4, 20.0), (20.0, 4.4, 20.0))), train(passing)),
        ((6.8, 9.4, W), (10.8, 14.0, E)),
        says=lambda t, n: [
            report(max(0.0, 5.0 - t) if t < 5 else None, n),
            report(24.0 - t if t > 4 else None, n, "t2"),
        ],
    ),
    Scenario(
        "passengers of a passing train raise nothing; who stands there when it is gone does at once",
        (train(passing), person(windows, 2), person(lambda t: (0.0, 25.0) if t >= 4.0 else None, 3)),
        ((0.0, 3.9, None), (4.3, 14.0, W)),
        site=UNASKED,
    ),
    Scenario(
        "a parked train stands in the picture, a person on the track",
        (train(lambda _: 45.0), person(STANDS)),
        ((0.3, 14.0, W),),
        site=UNASKED,
    ),
    Scenario(
        "the camera sees a train come on the track of who stands there",
        (train(coming), person(STANDS)),
        ((1.0, 9.0, E),),
        site=UNASKED,
    ),
    Scenario(
        "the camera sees a train come on the far track",
        (train(lambda t: max(40.0, 88.0 - 5.0 * t), "t2"), person(STANDS)),
        ((0.3, 14.0, W),),
        site=UNASKED,
    ),
    Scenario(
        "the camera sees a train come from so far that its track cannot be told",
        (train(coming, "t2"), person(STANDS)),
        ((1.0, 6.5, E), (9.5, 14.0, W)),
        site=UNASKED,
    ),
    Scenario(
        "people at the platform's edge while a train comes",
        (person(straight((0.0, 5.9, 25.0))), person(straight((0.0, 6.0, 30.0)), 2)),
        ((0.3, 14.0, N),),
        says=arrives(10.0, "t2"),
    ),
    Scenario(
        "a person steps from the platform into the gap before the train",
        (person(straight((0.0, 5.9, 25.0), (4.0, 5.9, 25.0), (5.0, 4.6, 25.0))),),
        ((0.3, 3.9, N), (5.0, 14.0, E)),
        says=arrives(40.0, "t2"),
    ),
    Scenario(
        "a train draws in over who stands on the track: he is no passenger",
        (train(lambda t: max(15.0, 75.0 - 15.0 * t), "t1"), person(straight((0.0, 0.0, 24.0)))),
        ((1.0, 5.5, E), (8.5, 14.0, W)),
        site=UNASKED,
    ),
    Scenario("no source of trains is configured", (person(STANDS),), ((0.3, 14.0, W),), site=UNASKED),
    Scenario(
        "none is configured, and the site says EMERGENCY", (person(STANDS),), ((0.3, 14.0, E),), site=place(without=E)
    ),
    Scenario(
        "none is configured, and the site says NOTICE", (person(STANDS),), ((0.3, 14.0, N),), site=place(without=N)
    ),
    Scenario("a feed is configured and never speaks", (person(STANDS),), ((0.3, 14.0, E),)),
    Scenario(
        "a feed falls silent", (person(STANDS),), ((0.5, 8.9, W), (9.3, 14.0, E)), says=until(4.0, none_on("t1", "t2"))
    ),
    Scenario(
        "a feed knows of no train but does not vouch for it",
        (person(STANDS),),
        ((0.5, 14.0, E),),
        site=place(without=E, train_sources=(FEED,)),
        says=lambda _t, n: [report(None, n, name, authoritative=False) for name in ("t1", "t2")],
    ),
    Scenario(
        "a feed contradicts itself",
        (person(ACROSS),),
        ((3.3, 8.2, E),),
        says=lambda t, n: (
            [report(60.0 - t, n, distance_m=100.0, speed_mps=30.0), report(None, n, "t2")]
            if t < 6
            else [report(60.0, n), report(60.0, n, "t2", distance_m=100.0, speed_mps=30.0)]
        ),
    ),
    Scenario(
        "two feeds contradict each other",
        (person(ACROSS),),
        ((3.3, 5.6, E),),
        site=place(train_sources=(FEED, SECOND)),
        says=lambda t, n: [*none_on("t1", "t2")(t, n), report(100.0 - t, n, source="second")],
    ),
    Scenario(
        "a feed lies: it vouches for no train while the camera sees one come",
        (train(coming), person(STANDS)),
        ((1.0, 9.0, E),),
        says=none_on("t1", "t2"),
    ),
    Scenario(
        "two cameras, one blind: nobody is let go while a part is unseen",
        (),
        ((0.0, 1.0, None), (3.6, 11.9, W), (14.5, 16.0, None)),
        site=place(("east", "west")),
        blind={"west": (2.0, 12.0)},
        seconds=16.0,
        sees={"east": (person(ACROSS),)},
    ),
    Scenario(
        "two cameras, one blind, and a train comes: who was seen stays in danger",
        (),
        ((3.4, 5.9, W), (6.3, 9.9, E)),
        site=place(("east", "west"), train_sources=(FEED,)),
        blind={"west": (2.0, 12.0)},
        seconds=14.0,
        sees={"east": (person(lambda t: (0.0, 20.0) if t >= 3.0 else None),)},
        says=lambda t, n: arrives(60.0)(t, n) if t >= 6.0 else none_on("t1", "t2")(t, n),
    ),
)


def severities(scenario: Scenario) -> Iterator[tuple[float, Severity | None]]:
    """The severity of the incident after every input, at ten frames a second."""
    hub = Hub(scenario.site)
    names = [camera.camera_id for camera in scenario.site.cameras]
    for index in range(round(scenario.seconds * 10) + 1):
        t_s = index / 10
        if index % 10 == 0:
            hub.feed(Tick(t_s), t_s)
            for said in scenario.says(t_s, index // 10 + 1):
                hub.feed(said, t_s)
        for name in names:
            begin, end = scenario.blind.get(name, (1e9, 1e9))
            state = CameraState.BLIND if begin <= t_s < end else CameraState.NOMINAL
            makers = scenario.sees.get(name, ()) if scenario.sees else scenario.who
            hub.feed(look(t_s, () if state is CameraState.BLIND else makers, name, state), t_s)
        incident = hub.state.incidents.get((AlertKind.INTRUSION, "main", ""))
        yield t_s, incident.severity if incident else None


def page() -> str:
    """docs/risk-scenarios.md."""
    lines = [
        "# Scenarios and their severity",
        "",
        "What is decided of people, animals and trains that move by themselves over a ground in metres, ten frames a",
        "second; `tests/integration/test_risk_scenarios.py` holds every span at every frame. Between spans it may",
        "change: the on-delay of 3 frames, the off-delay of 2 s, the time in which a motion shows. This page is",
        "written from the table there (`python -m tests.integration.risk_scenarios`), and a test compares both.",
        "",
        "| scenario | severity over time |",
        "|---|---|",
    ]
    for scenario in SCENARIOS:
        spans = (f"{begin:g} to {end:g} s {said.value if said else 'none'}" for begin, end, said in scenario.spans)
        told = ", ".join(spans)
        lines.append(f"| {scenario.name} | {told} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
