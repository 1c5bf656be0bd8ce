"""`railwatch keys`: who is let in. No secret is ever printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from railwatch.messaging.roles import Role

if TYPE_CHECKING:
    from railwatch.messaging.keys import KeyEntry

Folder = Annotated[Path, typer.Option(help="The site's folder of keys, messaging.keys of its site file.")]


keys = typer.Typer(help="Make, list and revoke the keys of people and programs.", no_args_is_help=True)


@keys.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose key; given once, and written beside what is done with it.")],
    role: Annotated[Role, typer.Option(help="What it may do besides reading.")],
    folder: Folder = Path("keys"),
    out: Annotated[
        Path | None, typer.Option(help="Where its file goes.", show_default="FOLDER/clients/NAME.key")
    ] = None,
) -> None:
    """Make the key of a new name. The file it writes is what its owner needs to connect: hand it over safely."""
    from railwatch.messaging.keys import KeyStore

    path = KeyStore(folder).new(name, role, out)
    sys.stdout.write(f"{name} ({role}): hand {path} over, keep it at mode 600 there, and delete it here\n")


@keys.command("list")
def list_(
    folder: Folder = Path("keys"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List everybody who was ever let in."""
    from railwatch.messaging.keys import KeyStore

    entries = KeyStore(folder).entries()
    if as_json:
        import json
        from dataclasses import asdict

        sys.stdout.write(json.dumps([asdict(entry) for entry in entries]) + "\n")
        return
    _print_table(entries)


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Whose key.")],
    folder: Folder = Path("keys"),
) -> None:
    """Let a name in no more. A site that runs ends its connections within a second."""
    from railwatch.messaging.keys import KeyStore

    KeyStore(folder).revoke(name)
    sys.stdout.write(f"{name} is let in no more\n")


def _print_table(entries: tuple[KeyEntry, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "role", "public key", "made", "revoked")
    for entry in entries:
        made, revoked = entry.created_at, entry.revoked_at or ""
        table.add_row(entry.name, entry.role.value, f"{entry.public[:8]}...", made, revoked)
    Console(highlight=False, markup=False).print(table)
