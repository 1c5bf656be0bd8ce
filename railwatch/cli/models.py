"""`railwatch models`: which detectors are here, whether they are sound, and how others come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from railwatch.core.errors import ConfigError, ModelError, RailwatchError
from railwatch.core.model_names import model_path, user_models
from railwatch.core.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from railwatch.app.model_store import ModelRow
    from railwatch.core.types import Size
    from railwatch.perception.inspection import Inspection

models = typer.Typer(help="List, check, fetch, export and describe detectors.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@models.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the models that came with railwatch, that are in the user's folder, and that can be pulled."""
    from rich.console import Console
    from rich.table import Table

    from railwatch.app.model_store import list_models

    rows = list_models()
    if as_json:
        sys.stdout.write(json.dumps([_document(row) for row in rows], allow_nan=False) + "\n")
        return
    table = Table("name", "state", "licence", "input", "accuracy", "ms", "MB")
    for row in rows:
        table.add_row(row.name, row.state.value, *_cells(row))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    for row in rows:
        if row.fault:
            console.print(f"{row.name}: {row.fault}", markup=False)
    console.print(f"yours: {user_models()}; YOLOs of Ultralytics: railwatch models export yolo26n", markup=False)


@models.command()
def verify(
    model: Annotated[
        str | None, typer.Argument(help="Name or file; without it every model that is here.", metavar="[NAME|FILE]")
    ] = None,
    *,
    provider: Annotated[Provider, typer.Option(help="What must run it.")] = Provider.CPU,
    as_json: AsJson = False,
) -> None:
    """Check SHA-256, size, description, metadata and card, and run each model on pictures of noise.

    Ends with exit code 4 when one of them must not be used.
    """
    from railwatch.app.model_check import check_model
    from railwatch.app.model_store import list_models

    paths = [model_path(model)] if model else [row.path for row in list_models() if row.path is not None]
    found = []
    for path in paths:
        try:
            checked = check_model(path, provider)
            found.append({"file": str(path), "sha256": checked.description.sha256, "ok": True, "why": checked.verified})
        except RailwatchError as error:
            found.append({"file": str(path), "ok": False, "why": " ".join(str(error).split())})
        if not as_json:
            sys.stdout.write(f"{'ok   ' if found[-1]['ok'] else 'FAULT'} {path}: {found[-1]['why']}\n")
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    faults = sum(not row["ok"] for row in found)
    if faults:
        raise ModelError(f"every model must be sound, but {faults} of {len(found)} must not be used, as listed above")


@models.command()
def pull(name: Annotated[str, typer.Argument(help="A model that `railwatch models list` says can be pulled.")]) -> None:
    """Fetch a model over https into the user's folder; an interrupted one goes on from where it stopped.

    It is placed only when its size and SHA-256 are those of the manifest and it runs.
    """
    from railwatch.app.model_store import pull_model

    with _progress() as (_, told):
        row = pull_model(name, told)
    sys.stdout.write(f"{row.path}\n")
    sys.stderr.write(f"use it with --model {row.name}\n")


@models.command()
def export(
    name: Annotated[
        str, typer.Argument(help="A detector of Ultralytics, such as yolo26n; or, with --weights, a name.")
    ],
    *,
    size: Annotated[str, typer.Option(help="Input picture: 640, or WIDTHxHEIGHT such as 640x384.")] = "640",
    weights: Annotated[Path | None, typer.Option(help="Take these weights (.pt) instead of the official ones.")] = None,
    sha256: Annotated[str | None, typer.Option(help="SHA-256 that the weights must have.")] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="The network without weights, as NAME-untrained: to measure speed.")
    ] = False,
    python: Annotated[
        Path | None,
        typer.Option(help="Interpreter that has ultralytics.", show_default="this one, or the export's own"),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model of that name.")] = False,
) -> None:
    """Export a YOLO of Ultralytics to ONNX into the user's folder.

    ultralytics runs as a program of its own, without auto-install and analytics. The export is compared with its
    source, PyTorch, before it is placed. Only the weights are fetched, over https.
    """
    from railwatch.app.export import ExportOptions, export_model
    from railwatch.app.model_store import AGPL

    if weights is not None and untrained:
        raise ConfigError("--weights and --untrained exclude each other, but both are given")
    sys.stderr.write(f"{AGPL}.\n")
    options = ExportOptions(name, _size(size), weights, untrained, sha256, python, replace)
    with _progress() as (step, told):
        done = export_model(options, step, told)
    sys.stdout.write(f"{done.path}\n")
    sys.stderr.write(f"compared {done.proof}\nsha256 {done.entry.sha256}\nuse it with --model {done.entry.name}\n")


@models.command()
def describe(
    model: Annotated[str, typer.Argument(help="Name or ONNX file.", metavar="NAME|FILE")], *, as_json: AsJson = False
) -> None:
    """Say what any ONNX file is: inputs, outputs, metadata, and whether it can be run, or all that keeps it from it.

    Ends with exit code 4 for a file that cannot be run.
    """
    from railwatch.perception.inspection import inspect_model

    seen = inspect_model(model_path(model))
    sys.stdout.write(json.dumps(_inspection(seen), allow_nan=False) + "\n" if as_json else "".join(_lines(seen)))
    if seen.description is None:
        count = "1 fault" if len(seen.faults) == 1 else f"{len(seen.faults)} faults"
        raise ModelError(f"{seen.file} must be a described detector to be run, but has {count}, listed above")


def _document(row: ModelRow) -> dict[str, Any]:
    from dataclasses import asdict

    entry = None if row.entry is None else asdict(row.entry)
    path = None if row.path is None else str(row.path)
    return {"name": row.name, "state": row.state.value, "path": path, "fault": row.fault or None, "entry": entry}


def _cells(row: ModelRow) -> tuple[str, ...]:
    if row.entry is None:
        return ("describes itself" if not row.fault else "-", *("-" for _ in range(4)))
    entry = row.entry
    accuracy = f"{entry.accuracy[0].metric} {entry.accuracy[0].value:.3f}" if entry.accuracy else "not measured"
    speed = f"{entry.speed[0].ms:.1f}" if entry.speed else "-"
    size = entry.facts.size
    licence = entry.facts.licence.partition(" ")[0]
    return (licence, f"{size.width}x{size.height}", accuracy, speed, f"{entry.bytes / 1e6:.1f}")


def _inspection(seen: Inspection) -> dict[str, Any]:
    return {
        "file": str(seen.file),
        "bytes": seen.bytes,
        "sha256": seen.sha256,
        "inputs": seen.inputs,
        "outputs": seen.outputs,
        "metadata": dict(seen.metadata),
        "described_by": seen.described_by,
        "facts": None if seen.description is None else _facts(seen),
        "faults": seen.faults,
        "fits": seen.fits,
        "missing": seen.missing,
    }


def _facts(seen: Inspection) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(seen.description.facts) if seen.description else {}


def _lines(seen: Inspection) -> Iterator[str]:
    yield f"file       {seen.file}\nsize       {seen.bytes} bytes\nsha256     {seen.sha256}\n"
    yield from (f"input      {port}\n" for port in seen.inputs)
    yield from (f"output     {port}\n" for port in seen.outputs)
    yield from (f"metadata   {key}: {' '.join(text.split())}\n" for key, text in seen.metadata.items())
    yield f"described  by {seen.described_by}\n"
    if seen.description is not None:
        facts = seen.description.facts
        yield f"name       {facts.name}\nlicence    {facts.licence}\nhead       {facts.head}\n"
        yield f"input      {facts.size.width} x {facts.size.height}, {facts.channels}, white is {facts.pixel_max}, "
        yield f"letterbox {facts.letterbox} padded with {facts.pad_value}\n"
        yield f"classes    {len(facts.class_names)}: {', '.join(facts.class_names)}\n"
        return
    yield from (f"fault      {fault}\n" for fault in seen.faults)
    yield from (f"shape fits head {fit}\n" for fit in seen.fits)
    if seen.missing:
        yield f"missing    {', '.join(seen.missing)} (docs/models.md tells how to write them)\n"


def _size(text: str) -> Size:
    from railwatch.core.types import Size

    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and len(part) < 6 for part in parts):
        raise ConfigError(f"--size must be a number or WIDTHxHEIGHT, but is {text!r}")
    return Size(int(parts[0]), int(parts[-1]))


@contextmanager
def _progress() -> Iterator[tuple[Callable[[str], None], Callable[[int, int | None], None]]]:
    """A bar on stderr; gives who is told of steps, and who of bytes."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TransferSpeedColumn

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("working", total=None)

        def step(text: str) -> None:
            console.print(text, markup=False)
            bar.reset(task, total=None, description="working")

        def told(have: int, total: int | None) -> None:
            bar.update(task, completed=have, total=total, description="fetching")

        yield step, told
