"""`railwatch replay`: recorded inputs to alerts, without a camera or a detector."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from railwatch.core.alerts import Alert


def replay(
    inputs: Annotated[Path, typer.Argument(help="A recording made by `railwatch watch --record`.")],
    config: Annotated[
        Path | None,
        typer.Option(help="Judge the recording by this site file.", show_default="the one in the recording"),
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write the alerts here, as `watch --jsonl` does.", show_default="stdout")
    ] = None,
) -> None:
    """Decide recorded inputs again and print the alerts, a JSON line each.

    With the same configuration they are the same as the first time, byte for byte. With another one they show what
    it would have told.
    """
    from railwatch.app.lines import LineFile
    from railwatch.app.replay import replay_file
    from railwatch.app.watch_output import alert_line

    with LineFile(jsonl) if jsonl else nullcontext(sys.stdout) as out:

        def write(alert: Alert, t_s: float) -> None:
            out.write(alert_line(alert, t_s))

        state, count = replay_file(inputs, config, write)
    sys.stderr.write(f"{count} inputs, {state.seq} alerts\n")
