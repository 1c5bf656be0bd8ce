"""A sweep's report: one HTML file with everything inside, that needs no network and no other file."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from classifiers import charts
from classifiers.analysis import MIN_TRIALS, Effect, Importance, Table, effects, importance, read_table
from classifiers.confirm import Confirmation, read_confirmation
from classifiers.errors import ConfigError
from classifiers.files import write_bytes
from classifiers.inference import Inference, inferences, percent, undecided, words
from classifiers.journal import Plan, trials_of
from classifiers.space import Choice


@dataclass(frozen=True, slots=True)
class Study:
    """Everything a report tells: the plan, the trials, and what was found in them."""

    plan: Plan
    table: Table
    effects: list[Effect]
    importance: Importance | None
    confirmed: Confirmation | None

    @property
    def pictures(self) -> int:
        """Number of validation pictures; 1 where the sweep does not say."""
        counts = self.plan.objective.get("pictures", [0, 1])
        return int(counts[1])

    @property
    def inferences(self) -> list[Inference]:
        """The sentences that the data bear."""
        return inferences(self.table, self.effects, self.importance, self.pictures, self.confirmed)

    def to_plain(self) -> dict[str, Any]:
        """The findings as plain JSON values."""
        found = self.inferences
        return {
            "trials": len(self.table.rows),
            "pruned": sum(row.pruned for row in self.table.rows),
            "failed": len(self.table.failed),
            "best": None if not self.table.rows else _best(self.table),
            "inferences": [{"sentence": i.sentence, "statistic": i.statistic, "figure": i.figure} for i in found],
            "undecided": undecided(self.table, self.effects),
        }


def _best(table: Table) -> dict[str, Any]:
    best = table.best
    return {"trial": best.number, "accuracy": best.value, "parameters": dict(best.parameters)}


def study(folder: Path) -> Study:
    """Read a sweep's folder and analyse it. Raises ConfigError if it holds no sweep, or no trial that gave a value."""
    plan, _ = trials_of(folder)
    table = read_table(folder)
    if not table.rows:
        reasons = f"; {table.failed[0]}" if table.failed else ""
        raise ConfigError(f"{folder} must hold at least one trial that gave a value, but holds none{reasons}")
    return Study(plan, table, effects(table), importance(table), read_confirmation(folder))


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure of the report: its name, title, caption and how it is made."""

    name: str
    title: str
    caption: str
    make: Callable[[], Figure]


def figures(found: Study) -> list[Plot]:
    """The figures that this study can fill, in the order of the report."""
    table, shares, confirmed = found.table, found.importance, found.confirmed
    listed: list[Plot] = []

    def add(name: str, title: str, make: Callable[[], Figure]) -> None:
        listed.append(Plot(name, title, CAPTIONS[name], make))

    if confirmed is not None:
        add("confirm", "The best against the untuned default", lambda: charts.confirmation(confirmed))
    add("time", "Accuracy against time", lambda: charts.over_time(table))
    add("parallel", "Parallel coordinates", lambda: charts.parallel(table))
    if found.effects:
        add("correlation", "Differences and correlation", lambda: charts.forest(found.effects))
    if shares is not None:
        add(
            "importance",
            f"Importance (out-of-bag R² = {shares.out_of_bag:.2f})",
            lambda: charts.importance_bars(shares),
        )
    add("slices", "Slices", lambda: charts.slices(table))
    add("cost", "Cost", lambda: charts.cost(table))
    add("curves", "Learning curves", lambda: charts.curves(table))
    return listed


CAPTIONS: Final = {
    "confirm": (
        "Trained anew from seeds that the sweep never used, on the same split, judged on the same validation pictures. "
        "Bars are means."
    ),
    "time": "Open circles were pruned; they count with their best until then.",
    "parallel": "A line is a trial. Bright lines that meet at a value speak for it.",
    "correlation": (
        "A row is a question. Orange rows are borne by the data after correction for all questions, grey ones are not."
    ),
    "importance": (
        "fANOVA by random forests, intervals by resampled trials. Where R² is not above zero the forest cannot predict "
        "trials it has not seen: read nothing into it."
    ),
    "slices": "Dots are trials (blue: drawn at random, orange: chosen by the sampler); bars: means of the random ones.",
    "cost": "Accuracy against the size of the network and the time it took.",
    "curves": "Validation accuracy, epoch by epoch.",
}


def write_report(folder: Path, out: Path | None = None) -> tuple[Path, Study]:
    """Write the report of a sweep's folder (default: report.html in it). Raises as `study` does, and OutputError."""
    found = study(folder)
    target = out if out is not None else folder / "report.html"
    write_bytes(target, page(found, folder.name).encode())
    return target, found


def write_figures(found: Study, folder: Path) -> list[Path]:
    """Write every figure as SVG into a folder."""
    written = []
    for plot in figures(found):
        path = folder / f"{plot.name}.svg"
        write_bytes(path, charts.svg(plot.make).encode())
        written.append(path)
    return written


def page(found: Study, name: str) -> str:
    """The report as HTML."""
    template = resources.files("classifiers").joinpath("report.html").read_text(encoding="utf-8")
    drawn = figures(found)
    blocks = {
        "title": html.escape(f"Sweep {name}"),
        "cards": _cards(found),
        "inferences": _inferences(found),
        "figures": "\n".join(_figure(plot) for plot in drawn),
        "trials": _trials(found.table),
        "method": _method(found),
        "plan": html.escape(json.dumps(found.plan.to_json(), indent=1)),
    }
    for key, block in blocks.items():
        template = template.replace(f"{{{{{key}}}}}", block)
    return template


def _figure(plot: Plot) -> str:
    data = base64.b64encode(charts.svg(plot.make).encode()).decode()
    return (
        f'<figure id="{plot.name}"><h3>{html.escape(plot.title)}</h3>'
        f'<img alt="{html.escape(plot.title)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{html.escape(plot.caption)}</figcaption></figure>"
    )


def _cards(found: Study) -> str:
    table = found.table
    pruned = sum(row.pruned for row in table.rows)
    seconds = sum(row.seconds for row in table.rows)
    cards = [
        (percent(table.best.value), f"best validation accuracy (trial {table.best.number})"),
        (str(len(table.rows)), f"trials, {pruned} pruned, {len(table.failed)} failed, {table.unfinished} not done"),
        (f"{len(table.random.rows)}", "of them drawn at random: these bear the inferences"),
        (f"{seconds / 60:.0f} min", "of training, all trials together"),
    ]
    return "".join(f"<div><b>{html.escape(big)}</b><span>{html.escape(small)}</span></div>" for big, small in cards)


def _inferences(found: Study) -> str:
    items = "".join(
        f"<li><p>{html.escape(i.sentence)}</p>"
        f'<p class="statistic">{html.escape(i.statistic)} · <a href="#{i.figure}">figure</a></p></li>'
        for i in found.inferences
    )
    left = undecided(found.table, found.effects)
    return f"<ol>{items}</ol>" + (f'<p class="open">{html.escape(left)}</p>' if left else "")


def _trials(table: Table) -> str:
    head = "".join(f"<th>{html.escape(words(name))}</th>" for name in table.space)
    rows = sorted(table.rows, key=lambda row: (row.pruned, -row.value))
    body = "".join(_trial(row.parameters, table, row) for row in rows)
    failed = "".join(f"<li>{html.escape(reason)}</li>" for reason in table.failed)
    tail = f"<h3>Failed</h3><ul>{failed}</ul>" if failed else ""
    return (
        '<div class="wide"><table><thead><tr><th>trial</th><th>accuracy</th><th>epochs</th><th>seconds</th>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>{tail}"
    )


def _trial(parameters: Mapping[str, Any], table: Table, row: Any) -> str:  # noqa: ANN401
    cells = "".join(f"<td>{html.escape(charts.label(parameters[name]))}</td>" for name in table.space)
    kind = ' class="pruned"' if row.pruned else ""
    epochs = row.curve[-1][0] if row.curve else ""
    return (
        f"<tr{kind}><td>{row.number}</td><td><b>{percent(row.value)}</b></td><td>{epochs}</td>"
        f"<td>{row.seconds:.0f}</td>{cells}</tr>"
    )


def _method(found: Study) -> str:
    asked = len(found.effects)
    sizes = ", ".join(
        f"{words(n)} {{{', '.join(charts.label(v) for v in p.values)}}}" if isinstance(p, Choice) else
        f"{words(n)} {p.low:g} to {p.high:g}" for n, p in found.plan.space.items()
    )  # fmt: skip
    plan = found.plan
    chosen = (
        f"Sampler {plan.sampler}, the first {plan.random_trials} trials at random; pruner {plan.pruner}; at most "
        f"{plan.epochs} epochs; seed {plan.seed}."
    )
    asked_words = f"{asked} questions were asked; below {MIN_TRIALS} random trials none is."
    parts = [f"Space: {sizes}.", chosen, asked_words]
    return "".join(f"<p>{html.escape(part)}</p>" for part in parts)
