"""A sweep from the command line to its report: one file, nothing from outside, nothing that the data do not bear."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from classifiers import charts, report
from classifiers.analysis import Table
from classifiers.confirm import read_confirmation
from classifiers.desk import Desk
from classifiers.journal import Outcome, Plan, trials_of
from classifiers.space import REPORT_SPACE, Choice, Range, from_json
from classifiers.workers import run_here

SMALL = {"kernel": [3, 5], "filters": [2, 4], "blocks": [1, 2], "rate": {"low": 0.001, "high": 0.01, "log": True}}


def objective(parameters, seed, report_epoch):
    """Dropout costs; nothing else does anything. Every seventh trial fails."""
    if seed % 7 == 0:
        raise ValueError("<script>alert(1)</script>")
    value = 0.5 - 0.5 * parameters["dropout"] + seed % 1000 / 20000
    for epoch in (1, 2, 3):
        if report_epoch(epoch, value * epoch / 3) and epoch < 3:
            return Outcome("pruned", value, {"seconds": 1.0, "multiply_adds": 10 + seed % 5})
    return Outcome("complete", value, {"seconds": 2.0, "multiply_adds": 10 + seed % 5})


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep's folder with 30 trials, 24 of them at random."""
    folder = tmp_path_factory.mktemp("swept")
    plan = Plan(REPORT_SPACE, random_trials=24, epochs=3, warmup=1, objective={"pictures": [800, 200]})
    with Desk(folder, plan, 30) as desk:
        run_here(desk, objective)
    return folder


@pytest.fixture(scope="module")
def written(swept):
    """The report of that sweep."""
    return report.write_report(swept)


class Page(HTMLParser):
    """Tags that are open, addresses, and words of a page."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.ids = [], [], set()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href", "action", "data") if name in given]
        self.ids.add(given.get("id"))
        if tag not in {"meta", "img", "link", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_outside(written):
    text = written[0].read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} <= page.ids
    assert not re.search(r"\{\{\w+\}\}|@import|url\(|fetch\(|<link", text)
    for name in ("time", "parallel", "correlation", "importance", "slices", "cost", "curves"):
        assert name in page.ids


def test_what_a_trial_said_is_text_not_markup(written):
    text = written[0].read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_every_inference_carries_statistic_interval_and_figure(written):
    _, found = written
    drawn = {plot.name for plot in report.figures(found)}
    assert found.inferences
    for inference in found.inferences:
        assert re.search(r"\d", inference.statistic)
        assert "interval" in inference.statistic or " to " in inference.statistic
        assert inference.figure in drawn
    told = [i.sentence for i in found.inferences]
    assert "Dropout: 0 does better than 0.5." in told
    assert not any(name in sentence for sentence in told for name in ("Kernel", "Neurons", "Filters"))


def test_figures_are_the_same_for_the_same_data_and_settings_are_left_alone(written):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plot = next(p for p in report.figures(written[1]) if p.name == "time")
    assert charts.svg(plot.make) == charts.svg(plot.make)
    assert ET.fromstring(charts.svg(plot.make)).tag.endswith("svg")  # noqa: S314 - we wrote it
    assert dict(mpl.rcParams) == before


def test_ranges_and_single_values_are_drawn(written):
    _, found = written
    space = {"rate": Range(1e-4, 1e-1, log=True), "momentum": Range(0.0, 0.9), "kernel": Choice((3,))}
    from dataclasses import replace

    rows = tuple(
        replace(row, parameters={"rate": 10 ** -(1 + i % 3), "momentum": 0.1 * (i % 9), "kernel": 3})
        for i, row in enumerate(found.table.rows)
    )
    for make in (charts.parallel, charts.slices):
        assert charts.svg(lambda make=make: make(Table(space, rows))).startswith("<?xml")


def test_a_folder_without_a_sweep_and_a_sweep_without_a_value_are_one_line(said, tmp_path):
    code, _, err = said("report", tmp_path)
    assert (code, "has no journal" in err, err.count("\n")) == (2, True, 1)
    with Desk(tmp_path, Plan(REPORT_SPACE), 1) as desk:
        run_here(desk, lambda *_: Outcome("failed", None, {"error": "no picture"}))
    code, _, err = said("report", tmp_path)
    assert (code, "trial 0: no picture" in err) == (2, True)


def test_sweep_confirm_and_report_from_the_command_line(folders, said, tmp_path):
    space = tmp_path / "space.json"
    space.write_text(json.dumps(SMALL))
    sweep = ["sweep", folders, "--out", tmp_path / "s", "--space", space, "--epochs", "2", "--device", "cpu"]
    code, _, err = said(*sweep, "--trials", "2", "--random-trials", "2")
    assert code == 0, err
    code, _, err = said(*sweep, "--trials", "3", "--random-trials", "2", "--confirm", "2")
    assert code == 0, err
    assert "2 of 3 trials are done" in err
    plan, trials = trials_of(tmp_path / "s")
    assert plan.space == from_json(SMALL)
    assert [trial.number for trial in trials] == [0, 1, 2]
    best = max((t for t in trials if t.state.name == "COMPLETE"), key=lambda t: t.value)
    code, out, err = said("evaluate", tmp_path / "s" / "trials" / f"{best.number:04d}", folders, "--side", "validation",
                          "--json", "--no-figures")  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["accuracy"] == pytest.approx(best.value)
    assert len(read_confirmation(tmp_path / "s").best) == 2
    code, out, err = said("report", tmp_path / "s", "--json", "--figures", tmp_path / "figures")
    assert code == 0, err
    found = json.loads(out)
    assert found["trials"] == 3
    assert "takes at least 8 trials drawn at random" in found["undecided"]
    assert (tmp_path / "figures" / "confirm.svg").exists()
    assert not list((tmp_path / "s").glob("**/test_openings.jsonl"))


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--space", "none.json"], 2, "cannot be read"),
        (["--sampler", "guess"], 2, "tpe, random, grid"),
        (["--pruner", "axe"], 2, "median, hyperband, none"),
        (["--size", "16"], 2, "input_size must be at least"),
        (["--trials", "0"], 2, "greater than or equal to 1"),
        (["--confirm", "1", "--trials", "1"], 2, "at least 2 seeds"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_trained(folders, said, tmp_path, options, code, says):
    found, _, err = said("sweep", folders, "--out", tmp_path / "s", "--epochs", "1", *options)
    assert (found, says in err) == (code, True), err
    assert not (tmp_path / "s" / "trials").exists()
