"""What the documents say is what the code does: every key, default, command and option, and none besides."""

from __future__ import annotations

import re

import click
import pytest
import typer
import yaml

from railwatch.cli.main import COMMANDS, build_app
from railwatch.config import site_keys
from railwatch.core.settings import DEFAULT_GROUPS

CODE = re.compile(r"`([^`]+)`")


@pytest.fixture(scope="module")
def table(root):
    """The rows of the table of keys: key -> (default, range)."""
    text = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    return {key.strip("`"): (default, allowed) for key, _, default, allowed, meaning in rows if meaning}


def required_keys(root):
    """Keys without a default, as the models say it."""
    from railwatch.config import site_json_schema

    schema = site_json_schema()
    holders = {"": schema, **{key: entry for key, entry in site_keys().items() if "properties" in entry}}
    lists = {
        "cameras[]": "CameraKeys",
        "zones[]": "ZoneKeys",
        "cameras[].people[]": "PersonKeys",
        "cameras[].ground.points[]": "GroundPointKeys",
        "train_sources[]": "TrainSourceKeys",
        "train_sources[].timetable.stops[]": "TimetableStopKeys",
        "schedules[]": "ScheduleKeys",
        "escalation.groups[]": "EscalationGroupKeys",
        "escalation.rules[]": "EscalationRuleKeys",
    }
    holders |= {key: schema["$defs"][name] for key, name in lists.items()}
    return {f"{holder}.{key}".lstrip(".") for holder, entry in holders.items() for key in entry.get("required", ())}


def test_every_key_is_documented_and_no_other(table):
    assert set(table) == set(site_keys())


def test_the_documented_defaults_are_those_of_the_code(root, table):
    assert {key for key, (default, _) in table.items() if default == "required"} == required_keys(root)
    for key, (default, _) in table.items():
        entry = site_keys()[key]
        if default == "none":
            assert entry["default"] is None, key
        elif CODE.fullmatch(default) and key != "alarm_groups":
            assert yaml.safe_load(default.strip("`")) == entry["default"], key


def test_the_documented_ranges_are_those_of_the_code(table):
    for key, (_, allowed) in table.items():
        entry = site_keys()[key]
        if "enum" in entry:
            assert CODE.findall(allowed) == entry["enum"], key
        for bound in ("maximum", "exclusiveMinimum"):
            if bound in entry and "`" not in allowed:
                assert re.search(rf"\b{entry[bound]:g}\b", allowed), (key, bound)


def test_the_example_names_every_key_with_its_default(root):
    text = (root / "examples" / "site.yaml").read_text(encoding="utf-8")
    for key, entry in site_keys().items():
        name = key.rpartition(".")[2]
        assert re.search(rf"^[\s#-]*{name}:", text, re.MULTILINE), key
        if entry.get("default") is not None and not isinstance(entry["default"], list | dict):
            assert yaml.safe_load(re.search(rf"^[\s#-]*{name}: (.*)$", text, re.MULTILINE)[1]) == entry["default"], key
    example = yaml.safe_load(text)
    assert {name: tuple(classes) for name, classes in example["groups"].items()} == dict(DEFAULT_GROUPS)


def sections(text):
    """The text under each heading ``## railwatch COMMAND``."""
    parts = re.split(r"^## railwatch (\S+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.fixture(scope="module")
def commands():
    group = typer.main.get_command(build_app())
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    return group.commands


def test_every_command_is_documented_and_no_other(root, commands):
    documented = sections((root / "docs" / "cli.md").read_text(encoding="utf-8"))
    assert list(documented) == list(COMMANDS) == list(commands)


def parameters(command):
    """Those of a command, or of all commands of a group."""
    return [param for part in getattr(command, "commands", {"": command}).values() for param in part.params]


def test_every_command_of_a_group_is_documented(root, commands):
    text = sections((root / "docs" / "cli.md").read_text(encoding="utf-8"))
    for name, group in commands.items():
        documented = re.findall(rf"^- `railwatch {name} (\S+?)[ `]", text[name], re.MULTILINE)
        assert documented == list(getattr(group, "commands", {})), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_and_no_other(root, commands, name):
    text = sections((root / "docs" / "cli.md").read_text(encoding="utf-8"))[name]
    documented = re.findall(r"^\| `(--[a-z0-9-]+)", text, re.MULTILINE)
    options = {opt for parameter in parameters(commands[name]) for opt in parameter.opts if opt.startswith("--")}
    assert sorted(documented) == sorted(options - {"--help"})
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) <= options | {"--help"}


def test_every_exit_code_is_documented(root):
    from railwatch.core import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    text = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert {str(cls.exit_code) for cls in classes} <= set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))


@pytest.mark.parametrize("page", ["docs/cli.md", "docs/configuration.md", "CONTRIBUTING.md"])
def test_links_lead_to_files(root, page):
    text = (root / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or ((root / page).parent / target).exists(), target
