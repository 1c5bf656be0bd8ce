"""The commands as a user calls them: what they print, what they refuse, and that the test side stays sealed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import typer

from classifiers import checkpoint
from classifiers.cli.main import COMMANDS, build_app
from classifiers.config import PRESETS, read_config
from tests.classifiers.conftest import SMALL


def test_train_then_evaluate_keeps_the_contract_on_a_root(rooted, said, tmp_path):
    code, out, err = said("train", rooted, "--out", tmp_path / "run", *SMALL, "--json")
    assert code == 0, err
    trained = json.loads(out)
    assert {"parameters", "multiply_adds", "accuracy"} <= trained.keys()
    code, out, err = said("evaluate", tmp_path / "run", rooted, "--json", "--device", "cpu")
    assert code == 0, err
    found = json.loads(out)
    assert found["pictures"] == 15
    assert 0 <= found["accuracy"] <= 1
    assert found["parameters"] == trained["parameters"]
    assert found["multiply_adds"] == trained["multiply_adds"]
    assert found["opened"] == 1
    assert (tmp_path / "run" / "predictions-test.png").stat().st_size > 1000
    assert (tmp_path / "run" / "filters.png").stat().st_size > 1000


def test_train_then_evaluate_keeps_the_contract_on_class_folders(folders, said, tmp_path):
    assert said("train", folders, "--out", tmp_path / "run", *SMALL)[0] == 0
    code, out, _ = said("evaluate", tmp_path / "run", folders, "--json", "--no-figures")
    assert code == 0
    assert json.loads(out)["pictures"] == 9
    code, out, _ = said("evaluate", tmp_path / "run", folders, "--no-figures")
    assert "for the 2th time: choose nothing by it" in out
    code, out, _ = said("evaluate", tmp_path / "run", folders, "--side", "validation", "--json", "--no-figures")
    meta = checkpoint.read_meta(tmp_path / "run")
    assert json.loads(out)["accuracy"] == pytest.approx(meta.scores["validation_accuracy"])
    assert json.loads(out)["opened"] == 0


def test_the_input_size_follows_the_data_unless_given(folders, said, tmp_path):
    small = [*SMALL, "--epochs", "1"]
    assert said("train", folders, "--out", tmp_path / "a", *small)[0] == 0
    assert said("train", folders, "--out", tmp_path / "b", *small, "--size", "20")[0] == 0
    (tmp_path / "c.yaml").write_text("network: {input_size: 24}\n")
    assert said("train", folders, "--out", tmp_path / "c", *small, "--config", tmp_path / "c.yaml")[0] == 0
    sizes = [checkpoint.read_meta(tmp_path / name).network.input_size for name in "abc"]
    assert sizes == [16, 20, 24]


def test_options_go_over_the_file_and_the_file_over_the_preset(tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({"preset": "report-best", "train": {"epochs": 7, "rate": 0.5}}))
    network, train = read_config(tmp_path / "c.json")
    assert network == PRESETS["report-best"][0]
    assert (train.epochs, train.rate, train.augment) == (7, 0.5, PRESETS["report-best"][1].augment)
    from classifiers.cli.options import configured

    assert configured(tmp_path / "c.json", None, {}, {"epochs": 2, "rate": None})[1].epochs == 2


def test_a_run_is_resumed_with_its_own_split_and_configuration(folders, said, tmp_path):
    assert said("train", folders, "--out", tmp_path / "run", *SMALL, "--seed", "5", "--size", "20")[0] == 0
    before = checkpoint.read_meta(tmp_path / "run")
    code, _, err = said("train", folders, "--out", tmp_path / "run", "--resume", "--no-tensorboard", "--json")
    assert code == 0, err
    assert checkpoint.read_meta(tmp_path / "run") == before
    code, _, err = said("train", folders, "--out", tmp_path / "run", "--resume", "--filters", "9", "--no-tensorboard")
    assert (code, "network.filters was 4 and is 9" in err) == (4, True)


def test_data_check_and_split_say_what_they_found(folders, rooted, said, tmp_path):
    code, out, _ = said("data", "check", folders, "--json")
    report = json.loads(out)
    assert (code, report["pictures"], report["input_size"], report["bad"]) == (0, 60, 16, [])
    code, out, _ = said("data", "split", rooted, "--out", tmp_path / "s.json", "--json")
    assert (code, json.loads(out)["sealed"]) == (0, "val")
    code, out, _ = said("data", "split", folders, "--out", tmp_path / "t.json", "--test", "0.3")
    assert code == 0
    assert "test 18" in out
    assert said("train", folders, "--out", tmp_path / "run", "--split", tmp_path / "t.json", *SMALL)[0] == 0
    assert len(checkpoint.load_run(tmp_path / "run").split.on("test")) == 18


def test_find_rate_suggests_a_rate_and_trains_nothing(folders, said, tmp_path):
    code, out, _ = said("train", folders, "--out", tmp_path / "run", *SMALL, "--find-rate", "--json")
    found = json.loads(out)
    assert code == 0
    assert 1e-5 < found["suggestion"] < 1
    assert not (tmp_path / "run").exists()


def test_metrics_go_to_tensorboard_too_and_are_taken_back_where_epochs_are_trained_again(folders, said, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    arguments = [a for a in SMALL if a != "--no-tensorboard"]
    assert said("train", folders, "--out", tmp_path / "run", *arguments)[0] == 0
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("accuracy/validation")] == [1, 2]


def test_bench_measures_every_way(said):
    code, out, _ = said(
        "bench", "--size", "32", "--filters", "2", "--batch", "8", "--pictures", "64", "--rounds", "1", "--steps", "1",
        "--device", "cpu", "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert set(found["rows"]) == {
        "synthetic", "synthetic + augmentation", "device-resident", "device-resident + augmentation", "host-cache",
        "jpeg-loader",
    }  # fmt: skip
    assert all(row["pictures_per_s"] > 0 for row in found["rows"].values())


SEALED = """
import os, sys
opened = set()
sys.addaudithook(lambda event, args: event in {"open", "os.listdir", "os.scandir"} and opened.add(str(args[0])))
sys.argv = ["classifiers", *sys.argv[1:]]
import torch
torch.set_num_threads(1)
from classifiers.cli.main import main
main.__globals__["sys"].exit = lambda code=0: None
try:
    main()
except SystemExit:
    pass
sys.stdout.write("\\n".join(sorted(opened)))
"""


def test_no_command_but_evaluate_opens_anything_of_the_sealed_folder(rooted, root, tmp_path):
    command = [sys.executable, "-c", SEALED, "train", str(rooted), "--out", str(tmp_path / "run"), *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(root), "CLASSIFIERS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True)
    opened = done.stdout.splitlines()
    assert any(path.startswith(str(rooted / "train")) for path in opened)
    assert not [path for path in opened if path.startswith(str(rooted / "val"))]


INTERRUPTED = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from classifiers import engine
from classifiers.step import Step
real = Step._one
def interrupted(self, batch, whole, count=[0]):
    count[0] += 1
    if count[0] == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return real(self, batch, whole)
Step._one = interrupted
from classifiers.cli.main import main
main()
"""


def test_ctrl_c_keeps_the_last_whole_epoch_and_says_how_to_go_on(folders, root, tmp_path):
    command = [sys.executable, "-c", INTERRUPTED, "train", str(folders), "--out", str(tmp_path / "run"), *SMALL]
    environment = {**os.environ, "PYTHONPATH": str(root), "CLASSIFIERS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=100, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert "the last whole epoch is kept; go on with --resume" in done.stderr
    assert checkpoint.load_run(tmp_path / "run").meta.epoch == 1


@pytest.fixture(scope="module")
def commands():
    group = typer.main.get_command(build_app())
    flat = {}
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        flat |= {f"{name} {sub}": found for sub, found in inner.items()} if inner else {name: command}
    return flat


def sections(root):
    text = (root / "docs" / "classifiers.md").read_text(encoding="utf-8")
    parts = re.split(r"^## classifiers (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_and_option_is_documented_and_no_other(root, commands):
    documented = sections(root)
    assert sorted(documented) == sorted(commands)
    assert {name.partition(" ")[0] for name in commands} == set(COMMANDS)
    for name, command in commands.items():
        rows = re.findall(r"^\| `(--[a-z0-9-]+)", documented[name], re.MULTILINE)
        options = {opt for p in command.params for opt in p.opts if opt.startswith("--")} - {"--help"}
        assert sorted(rows) == sorted(options), name


def test_every_exit_code_is_documented(root):
    from classifiers import errors

    codes = {str(cls.exit_code) for cls in vars(errors).values() if isinstance(cls, type)}
    text = (root / "docs" / "classifiers.md").read_text(encoding="utf-8")
    assert codes <= set(re.findall(r"^\| (\d+) \|", text, re.MULTILINE))


def test_help_loads_nothing_heavy(root):
    code = (
        "import sys\nfrom classifiers.cli.main import build_app\nbuild_app()\n"
        "sys.stdout.write(' '.join({n.split('.')[0] for n in sys.modules}))"
    )
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "PIL", "matplotlib", "optuna", "railwatch"} & set(done.stdout.split())
