"""`railwatch watch`: the whole way from a recording to alerts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from railwatch.core.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

    from railwatch.app.watch_output import Progress, WatchReport


def watch(
    source: Annotated[str, typer.Argument(help="Video file, folder of pictures, number of a USB camera, or stream.")],
    model: Annotated[
        str | None, typer.Option(help="Name or ONNX file of the detector.", show_default="the shipped one")
    ] = None,
    provider: Annotated[Provider | None, typer.Option(help="What must run the model.", show_default="cpu")] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(
            help='KIND:x,y x,y x,y ... in fractions of the frame, e.g. "track:0,0.5 1,0.5 1,1 0,1". Repeatable. '
            "KIND is track, approach, platform_edge or ignore.",
            show_default="the whole frame is one track zone",
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Take zones and rules from this site file.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="Which camera of the site file SOURCE stands for, if it has several.")
    ] = None,
    bind: Annotated[str | None, typer.Option(help="Where alerts go out.", show_default="tcp://127.0.0.1:5556")] = None,
    wait_subscribers: Annotated[
        int, typer.Option(help="Begin only when so many subscribers are there.", min=0, max=1000)
    ] = 0,
    jsonl: Annotated[Path | None, typer.Option(help="Write every alert here, a JSON line each, with t_s.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write every input of the decision here, for replay.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the annotated video here (MP4).")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="Go at the speed of the clip.")] = False,
    credentials: Annotated[
        str | None, typer.Option(help="Where USER:PASSWORD of a stream is kept: env:NAME or file:PATH.")
    ] = None,
) -> None:
    """Watch a recording or a camera: detect, track, judge, and send alerts.

    Every frame of a recording is looked at. The same clip with the same configuration gives the same alerts.
    """
    from rich.console import Console

    from railwatch.app.watch import Watch
    from railwatch.app.watch_site import WatchOptions

    options = WatchOptions(
        source,
        model,
        tuple(zone or ()),
        config,
        camera,
        bind,
        wait_subscribers,
        jsonl,
        record,
        save,
        realtime,
        provider,
        credentials,
    )
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Watch(options, lambda text: console.print(text, markup=False)) as run:
        if wait_subscribers:
            console.print(f"waiting for {wait_subscribers} subscribers")
        run.wait()
        try:
            _run_with_progress(run.run, console)
        finally:
            _print_summary(run.report, Console(highlight=False))
    if run.report.interrupted:
        sys.exit(130)


def _run_with_progress(run: Callable[[Callable[[Progress], None]], None], console: Console) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("watching", total=None)

        def show(progress: Progress) -> None:
            states = " ".join(f"{name} {state.value}" for name, state in progress.sections.items())
            bar.update(task, completed=progress.frames, total=progress.of_frames, description=states)

        run(show)


def _print_summary(report: WatchReport, console: Console) -> None:
    console.print(_incident_table(report))
    rate = report.frames / report.work_s if report.work_s > 0.0 else 0.0
    states = "; ".join(
        f"{name} {' > '.join(state.value for state in seen[:8])}{' > ...' if len(seen) > 8 else ''}"
        for name, seen in report.states_seen.items()
    )
    console.print(
        f"{report.frames} frames, {report.source_s:.1f} s of video in {report.work_s:.1f} s ({rate:.1f} fps), "
        f"{len(report.incidents())} incidents, {len(report.alerts)} alerts"
    )
    console.print(f"sections: {states or 'nothing observed'}")


def _incident_table(report: WatchReport) -> Table:
    from rich.table import Table

    table = Table("incident", "severity", "opened at", "closed at", "time to alert", "what")
    for number, told in enumerate(report.incidents(), start=1):
        opened_s, first = told[0]
        closed = next((f"{t_s:.1f} s" for t_s, alert in told if alert.action.value == "CLOSED"), "open")
        table.add_row(
            str(number),
            max(alert.severity for _, alert in told).value,
            f"{opened_s:.1f} s",
            closed,
            f"{report.seconds_to_alert.get(first.incident_id, 0.0):.2f} s",
            first.why,
        )
    return table
