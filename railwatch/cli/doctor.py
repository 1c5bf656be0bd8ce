"""`railwatch doctor`: is this machine fit to watch, and if not, what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from railwatch.app.checkup import Finding


def doctor(
    config: Annotated[Path | None, typer.Option(help="A site file: its model and cameras are tried.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Examine Python, libraries, providers, codecs, clocks, disk and, with --config, the model and cameras of a site.

    Every line says ok, fault or not needed, and what to do. Ends with exit code 6 when the machine cannot watch.
    """
    from rich.console import Console

    from railwatch.app.checkup import checkup, fault_count, findings_json
    from railwatch.core.errors import InstallError

    console = Console(highlight=False, soft_wrap=True)
    findings = []
    for finding in checkup(config):
        findings.append(finding)
        if not as_json:
            _show(console, finding)
    if as_json:
        sys.stdout.write(findings_json(findings) + "\n")
    faults = fault_count(findings)
    if faults:
        count = "1 fault" if faults == 1 else f"{faults} faults"
        raise InstallError(f"this machine must be without faults to watch, but has {count}, listed above")
    if not as_json:
        console.print("This machine is fit to watch.")


def _show(console: Console, finding: Finding) -> None:
    from rich.text import Text

    from railwatch.app.checkup import State

    style = {State.OK: "green", State.FAULT: "bold red", State.NOT_NEEDED: "dim"}[finding.state]
    line = Text.assemble((f"{finding.state.value:<11}", style), f"{finding.name:<18}", finding.text)
    if finding.remedy:
        line.append(f"\n{'':29}-> {finding.remedy}", "bold" if finding.state is State.FAULT else "dim")
    console.print(line)
