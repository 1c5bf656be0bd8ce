"""`railwatch evidence`: look into what was kept of incidents; nothing is written, and a hub may be using it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(help="The folder of evidence, state/evidence beside the site file.")]
FOLDER = Path("state/evidence")

evidence = typer.Typer(help="List, read and check what was kept of incidents.", no_args_is_help=True)


@evidence.command("list")
def list_(
    folder: Folder = FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each piece.")] = False,
) -> None:
    """List what is there, the oldest first: name, time, what happened, size."""
    import json

    from railwatch.core.errors import EvidenceError
    from railwatch.evidence.verify import manifest_of, open_chain

    for link in open_chain(folder).standing().values():
        try:
            alert = manifest_of(folder, link.evidence_id)["alert"]
            what = {key: alert[key] for key in ("incident_id", "section_id", "severity", "action", "why")}
        except (EvidenceError, KeyError, TypeError, ValueError) as error:
            what = {"why": f"cannot be read: {error}"}
        row = {"evidence": link.evidence_id, "kept_at": link.at, "bytes": link.size, **what}
        if as_json:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            words = [str(what.get(key, "-")) for key in ("severity", "action", "section_id", "why")]
            sys.stdout.write(f"{link.evidence_id}  {link.at}  {link.size / 1e6:8.1f} MB  {'  '.join(words)}\n")


@evidence.command()
def show(
    evidence_id: Annotated[str, typer.Argument(help="Its name, as `list` and the alert give it.")],
    folder: Folder = FOLDER,
) -> None:
    """Print the manifest of one piece as JSON: the alert, the files, and every frame with what was decided."""
    import json

    from railwatch.evidence.verify import manifest_of

    document = manifest_of(folder, evidence_id)
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


@evidence.command()
def verify(
    folder: Folder = FOLDER,
    journal: Annotated[
        Path | None, typer.Option(help="Journal of alerts that remembers what was kept; journal.db beside the folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Check every byte; exit code 10 when something is changed, missing or put in."""
    import json
    from dataclasses import asdict

    from railwatch.app.evidence_witness import witnessed
    from railwatch.core.errors import EvidenceError
    from railwatch.evidence.verify import verify as look

    beside = folder.absolute().parent / "journal.db"
    memory = journal or (beside if beside.is_file() else None)
    found = look(folder, witnessed(memory) if memory else ())
    if as_json:
        sys.stdout.write(json.dumps({**asdict(found), "journal": str(memory) if memory else None}) + "\n")
    else:
        kept = len(found.kept)
        sys.stdout.write(
            f"{kept} pieces are there, {found.removed} were let go; line {found.last}, hash {found.hash}\n"
        )
        if memory is None:
            sys.stdout.write("no journal was asked: a lost end of the chain would not show\n")
        for line in (*found.notes, *found.faults):
            sys.stdout.write(f"{line}\n")
    if found.faults:
        count = len(found.faults)
        raise EvidenceError(f"evidence must be as it was kept, but in {folder} {count} {_things(count)} not")
    if not as_json:
        sys.stdout.write("everything is as it was kept\n")


def _things(count: int) -> str:
    return "thing is" if count == 1 else "things are"
