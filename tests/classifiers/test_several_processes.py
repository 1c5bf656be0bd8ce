"""Two processes that share every batch learn what one learns, and leave one run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from classifiers import checkpoint
from classifiers.config import to_dict
from classifiers.engine import fit
from classifiers.split import save_split

SHARED = """
import json, pathlib, sys
import torch
torch.set_num_threads(1)
from classifiers.config import NetworkConfig, TrainConfig, from_dict
from classifiers.data import open_data
from classifiers.engine import StopTraining, fit
root, out, network, train, split = sys.argv[1:6]
data = open_data(pathlib.Path(root), split=pathlib.Path(split))
def on_epoch(epoch, metrics):
    if epoch == 3:
        raise StopTraining
result = fit(from_dict(NetworkConfig, json.loads(network)), from_dict(TrainConfig, json.loads(train)), data,
             pathlib.Path(out), on_epoch)
assert (result.epochs, result.stopped) == (3, "callback"), result
"""


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_two_processes_learn_what_one_learns(small_data, tiny, tmp_path, root, port):
    network = tiny[0]
    train = replace(tiny[1], epochs=4, batch=8, augment=0.5, clip_norm=1.0, class_weights=True, keep="last", ema=0.5)
    alone = fit(network, replace(train, epochs=4), small_data, tmp_path / "alone")
    save_split(tmp_path / "split.json", small_data.split)
    command = [
        sys.executable, "-c", SHARED, str(small_data.root), str(tmp_path / "both"), json.dumps(to_dict(network)),
        json.dumps(to_dict(train)), str(tmp_path / "split.json"),
    ]  # fmt: skip
    # What torchrun sets for each process; its own launcher would only add seconds.
    base = {
        **os.environ, "PYTHONPATH": str(root), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1", "CLASSIFIERS_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    processes = [
        subprocess.Popen(command, env={**base, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    errors = [process.communicate(timeout=100)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    lines = [json.loads(line) for line in (tmp_path / "both" / "metrics.jsonl").read_text().splitlines()]
    for mine, shared in zip(alone.history, lines, strict=False):
        for key in ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy"):
            assert shared[key] == pytest.approx(mine[key], rel=1e-3), (key, mine, shared)
    assert len(lines) == 3
    assert checkpoint.load_run(tmp_path / "both").meta.epoch == 3
