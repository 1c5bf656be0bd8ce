"""Training: it learns, resumes to the bit, stops when told, and never loses its last good checkpoint."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from classifiers import checkpoint, engine
from classifiers.config import ACTIVATIONS, OPTIMISERS, TrainConfig
from classifiers.engine import StopTraining, fit
from classifiers.errors import CheckpointError, ConfigError, OutputError, TrainingError
from classifiers.learning import rate_factor
from classifiers.step import Step

RICH = {
    "optimiser": "nadam", "warmup_epochs": 0.5, "augment": 0.5, "mixup": 0.2, "cutmix": 0.5, "label_smoothing": 0.1,
    "class_weights": True, "clip_norm": 1.0, "ema": 0.9, "patience": 50, "keep": "last",
}  # fmt: skip


def weights(folder):
    """The bytes of the kept weights."""
    meta = checkpoint.read_meta(folder)
    return (folder / meta.weights).read_bytes()


def test_it_learns_and_leaves_a_whole_run(small_data, tiny, tmp_path):
    network, train = tiny
    told = []
    result = fit(network, replace(train, epochs=20), small_data, tmp_path / "run", lambda *row: told.append(row))
    assert result.validation_accuracy >= 0.8
    assert [epoch for epoch, _ in told] == list(range(1, 21))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [dict(row) for row in result.history]
    run = checkpoint.load_run(tmp_path / "run")
    assert run.meta.split_hash == small_data.split_hash == run.split.hash
    assert run.meta.classes == small_data.classes
    assert run.meta.scores["validation_accuracy"] == result.validation_accuracy
    pixels = torch.from_numpy(np.array(small_data.validation.pixels)).permute(0, 3, 1, 2)
    right = run.network(pixels).argmax(1).numpy() == small_data.validation.labels
    assert right.mean() == pytest.approx(result.validation_accuracy)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(small_data, tiny, tmp_path):
    network, train = tiny
    network = replace(network, dropout=0.5)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fit(network, replace(train, epochs=1, augment=0.5, seed=seed), small_data, tmp_path / name)
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


def test_fit_leaves_the_random_state_of_its_caller(small_data, tiny, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    fit(*tiny, small_data, tmp_path / "run", lambda *_: (_ for _ in ()).throw(StopTraining))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("stop_after", [1, 3])
def test_resumed_equals_uninterrupted_with_everything_on(small_data, tiny, tmp_path, stop_after):
    network = replace(tiny[0], batch_norm="before", dropout=0.3)
    train = replace(tiny[1], epochs=4, **RICH)
    whole = fit(network, train, small_data, tmp_path / "whole")

    class PowerCutError(Exception):
        pass

    def cut(epoch, _metrics):
        if epoch == stop_after:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        fit(network, train, small_data, tmp_path / "cut", cut)
    resumed = fit(network, train, small_data, tmp_path / "cut", resume=True)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")
    for one, other in zip(whole.history, resumed.history, strict=True):
        assert {k: v for k, v in one.items() if k not in {"seconds", "pictures_per_s"}} == {
            k: v for k, v in other.items() if k not in {"seconds", "pictures_per_s"}
        }


KILLED = """
import sys, json, os, pathlib, torch
torch.set_num_threads(1)
from classifiers.config import NetworkConfig, TrainConfig, from_dict
from classifiers.data import open_data
from classifiers.engine import fit
root, out, network, train = sys.argv[1:5]
data = open_data(pathlib.Path(root), split=pathlib.Path(sys.argv[5]))
step = lambda epoch, done, steps: print(epoch, done, flush=True)
fit(from_dict(NetworkConfig, json.loads(network)), from_dict(TrainConfig, json.loads(train)), data, pathlib.Path(out),
    on_step=step, resume=True)
"""


def test_killed_at_a_random_step_the_final_weights_are_those_of_the_whole_run(small_data, tiny, tmp_path, root):
    from classifiers.config import to_dict
    from classifiers.split import save_split

    network = replace(tiny[0], dropout=0.3, batch_norm="after")
    train = replace(tiny[1], epochs=6, batch=4, **RICH)
    save_split(tmp_path / "split.json", small_data.split)
    fit(network, train, small_data, tmp_path / "whole")
    command = [
        sys.executable, "-c", KILLED, str(small_data.root), str(tmp_path / "killed"),
        json.dumps(to_dict(network)), json.dumps(to_dict(train)), str(tmp_path / "split.json"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    rng = np.random.default_rng()
    after = int(rng.integers(12, 60))  # of 66 steps
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for number, _ in enumerate(process.stdout, start=1):
        if number == after:
            process.send_signal(signal.SIGKILL)
            break
    process.wait(timeout=60)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL, f"killed after step {after}"
    fit(network, train, small_data, tmp_path / "killed", resume=True)
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole"), f"killed after step {after}"


def test_a_callback_ends_training_early_and_an_error_in_it_goes_through(small_data, tiny, tmp_path):
    def stop(_epoch, _metrics):
        raise StopTraining

    result = fit(*tiny, small_data, tmp_path / "stopped", stop)
    assert (result.epochs, result.stopped) == (1, "callback")
    with pytest.raises(ZeroDivisionError):
        fit(*tiny, small_data, tmp_path / "raised", lambda *_: 1 / 0)
    assert checkpoint.load_run(tmp_path / "raised").meta.epoch == 1


def test_patience_ends_training_and_stays_ended_when_resumed(small_data, tiny, tmp_path):
    train = replace(tiny[1], epochs=50, rate=1e-12, patience=2)
    result = fit(tiny[0], train, small_data, tmp_path / "run")
    assert result.stopped == "patience"
    assert result.epochs < 50
    again = fit(tiny[0], train, small_data, tmp_path / "run", resume=True)
    assert (again.epochs, again.stopped) == (result.epochs, "patience")


def test_a_run_is_not_trained_over(small_data, tiny, tmp_path):
    network, train = tiny
    fit(network, replace(train, epochs=1), small_data, tmp_path / "run")
    with pytest.raises(CheckpointError, match="new folder"):
        fit(network, replace(train, epochs=1), small_data, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"train.rate was 0.01 and is 0.1"):
        fit(network, replace(train, epochs=1, rate=0.1), small_data, tmp_path / "run", resume=True)


def test_a_loss_that_is_no_number_ends_with_the_last_good_checkpoint(small_data, tiny, tmp_path, monkeypatch):
    real = Step._input

    def spoiled(self, pictures, labels, epoch, number, whole):
        batch = real(self, pictures, labels, epoch, number, whole)
        return replace(batch, pictures=batch.pictures.float() * float("nan")) if (epoch, number) == (2, 1) else batch

    monkeypatch.setattr(Step, "_input", spoiled)
    with pytest.raises(TrainingError, match=r"epoch 2, step 2.*--rate.*epoch 1, is in"):
        fit(*tiny, small_data, tmp_path / "run")
    run = checkpoint.load_run(tmp_path / "run")
    assert all(torch.isfinite(tensor).all() for tensor in run.network.state_dict().values())


def test_a_full_disk_keeps_the_last_good_checkpoint(small_data, tiny, tmp_path, monkeypatch):
    fit(*tiny, small_data, tmp_path / "run", lambda *_: (_ for _ in ()).throw(StopTraining))
    before = weights(tmp_path / "run")

    def full(_state, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        fit(*tiny, small_data, tmp_path / "run", resume=True)
    monkeypatch.undo()
    assert weights(tmp_path / "run") == before
    assert not list((tmp_path / "run").glob("*.part"))
    assert len(checkpoint.load_state(tmp_path / "run")["history"]) == 1


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_every_optimiser_moves_every_weight(small_data, tiny, tmp_path, optimiser):
    from classifiers.chance import seed_of
    from classifiers.network import build

    network, train = tiny
    fit(network, replace(train, epochs=1, optimiser=optimiser, keep="last"), small_data, tmp_path / "run")
    fresh = build(network, seed_of(train.seed, "weights")).state_dict()
    trained = checkpoint.load_run(tmp_path / "run").network.state_dict()
    assert all(not torch.equal(fresh[name], trained[name]) for name in fresh)


@pytest.mark.parametrize("precision", ["bfloat16"])
def test_reduced_precision_trains_and_keeps_float32_weights(small_data, tiny, tmp_path, precision):
    result = fit(tiny[0], replace(tiny[1], precision=precision), small_data, tmp_path / "run")
    assert np.isfinite(result.validation_loss)
    run = checkpoint.load_run(tmp_path / "run")
    assert {tensor.dtype for tensor in run.network.parameters()} == {torch.float32}


def test_residence_and_memory_format_do_not_change_what_is_learnt(small_data, tiny, tmp_path):
    losses = []
    for name, changes in (
        ("device", {"residence": "device"}),
        ("host", {"residence": "host"}),
        ("nchw", {"channels_last": False}),
    ):
        result = fit(tiny[0], replace(tiny[1], augment=0.3, **changes), small_data, tmp_path / name)
        losses.append([row["train_loss"] for row in result.history])
    assert losses[0] == losses[1]
    assert losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_network_and_data_must_fit(small_data, tiny, tmp_path):
    with pytest.raises(ConfigError, match="classes must be 3"):
        fit(replace(tiny[0], classes=4), tiny[1], small_data, tmp_path / "run")
    with pytest.raises(ConfigError, match="input_size must be 16"):
        fit(replace(tiny[0], input_size=32), tiny[1], small_data, tmp_path / "run")


def test_the_schedule_rises_and_falls():
    for schedule, end in (("constant", 1.0), ("cosine", 0.0), ("linear", 0.0), ("step", 0.01)):
        config = TrainConfig(epochs=10, schedule=schedule, warmup_epochs=1)
        factors = [rate_factor(config, step, 100) for step in range(1000)]
        assert factors[:100] == [(step + 1) / 100 for step in range(100)]
        assert factors[100] == 1.0
        assert factors[-1] == pytest.approx(end, abs=0.01)
        assert all(later <= earlier for earlier, later in itertools.pairwise(factors[100:]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_that_of_every_hidden_layer(activation, tiny):
    from torch import nn

    from classifiers.network import ACTIVATION_MODULES, build

    network = build(replace(tiny[0], activation=activation, dense=(8, 4)))
    found = [m for m in network.modules() if type(m).__module__ == "torch.nn.modules.activation"]
    assert len(found) == 4
    assert {type(module) for module in found} == {ACTIVATION_MODULES[activation]}
    assert isinstance(list(network.classifier)[-1], nn.Linear)


def test_times_are_not_asserted_but_progress_is_told(small_data, tiny, tmp_path):
    steps = []
    begun = time.monotonic()
    result = fit(*tiny, small_data, tmp_path / "run", on_step=lambda *row: steps.append(row))
    assert steps == [(epoch, step, 3) for epoch in (1, 2, 3) for step in (1, 2, 3)]
    assert 0 < result.seconds <= time.monotonic() - begun
    assert engine.fit is fit
