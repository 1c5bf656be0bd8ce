"""`railwatch journal`: look into a journal of alerts; nothing is written, and a hub may be using it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="The journal, journal.db in the site's folder of data.")]

journal = typer.Typer(help="Check and read the journal of alerts.", no_args_is_help=True)


@journal.command()
def verify(
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check every row, its hash and every page; exit code 8 at the first that is not as it was written."""
    from railwatch.messaging.reading import verify as look

    found = look(file)
    if as_json:
        import json
        from dataclasses import asdict

        sys.stdout.write(json.dumps(asdict(found)) + "\n")
    else:
        sys.stdout.write(f"rows {found.first} to {found.last} are as they were written; hash {found.hash}\n")
        if not found.vouched:
            sys.stdout.write("there is no note beside the file (-head): a lost end would not show\n")
        if found.damage is not None:
            sys.stdout.write(f"row {found.damage.row} is damaged: {found.damage.reason}\n")
    if found.damage is not None:
        raise typer.Exit(8)


@journal.command()
def show(
    file: File,
    after: Annotated[int, typer.Option(min=0, help="Begin behind this row.")] = 0,
) -> None:
    """Print every row as a JSON line, up to the first that is damaged."""
    import json
    import os

    from railwatch.messaging.reading import rows

    try:
        for row in rows(file):
            if row.row > after:
                body = None if row.body is None else json.loads(row.body)
                known = {"row": row.row, "kind": row.kind, "epoch": row.epoch, "at": row.at, "hash": row.hash.hex()}
                line = json.dumps({**known, "body": body}, ensure_ascii=False, separators=(",", ":"))
                sys.stdout.buffer.write(line.encode() + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone (`| head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
