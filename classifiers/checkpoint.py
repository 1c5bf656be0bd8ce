"""A run on the disk: weights with meta.json, the split, the metrics, and the state that training resumes from.

    RUN/meta.json                what the weights are: configuration, classes, split hash, commit, scores
    RUN/weights-<hash>.safetensors   the kept weights; meta.json names the file and its SHA-256
    RUN/state.pt                 weights, optimiser and history after the last whole epoch, read without running code
    RUN/split.json               which picture was on which side
    RUN/metrics.jsonl            a line an epoch

Each file is whole or not there. meta.json comes last and names its weights by content: a crash leaves the old pair.
"""

from __future__ import annotations

import functools
import hashlib
import json
import pickle
import platform
import subprocess
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from classifiers import backbones, files, tuning
from classifiers.backbones import Backbone
from classifiers.config import NetworkConfig, TrainConfig, from_dict, to_dict
from classifiers.counting import cost
from classifiers.errors import CheckpointError
from classifiers.network import Network, build
from classifiers.split import Split, load_split
from classifiers.tuning import BackboneConfig

FORMAT: Final = 1
Weights = Mapping[str, Tensor]
NetworkKind = NetworkConfig | BackboneConfig
"""A network from scratch, or one of timm with a new last layer."""


def plain(config: NetworkKind | TrainConfig) -> dict[str, Any]:
    """A configuration as plain JSON values."""
    return tuning.to_plain(config) if isinstance(config, BackboneConfig) else to_dict(config)


def made(config: NetworkKind) -> Network | Backbone:
    """The network of a configuration, with weights by chance."""
    return backbones.build(config) if isinstance(config, BackboneConfig) else build(config)


def _network(values: Mapping[str, Any]) -> NetworkKind:
    return BackboneConfig(**values) if "name" in values else from_dict(NetworkConfig, values)


@dataclass(frozen=True, slots=True)
class Meta:
    """What meta.json says.

    Attributes:
        network, train: the configurations.
        classes: names in the order of the outputs.
        split_hash: of the split the network was trained on.
        commit: of the code, "-dirty" where it was changed, or the version of the package.
        weights, weights_sha256: name and hash of the weights' file.
        epoch: the epoch whose weights they are, from 1; scores: its metrics.
        facts: what a fine-tuning says of itself: strategy, parameters that moved.
    """

    network: NetworkKind
    train: TrainConfig
    classes: tuple[str, ...]
    split_hash: str
    commit: str
    weights: str
    weights_sha256: str
    epoch: int
    scores: Mapping[str, float]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was read back: the network with its kept weights, in evaluation mode."""

    folder: Path
    network: Network | Backbone
    meta: Meta

    @property
    def split(self) -> Split:
        """The split of the run, checked against the hash in meta.json."""
        split = load_split(self.folder / "split.json")
        if split.hash != self.meta.split_hash:
            raise CheckpointError(f"{self.folder}/split.json must be the split the run was trained on, but is another")
        return split


def save_weights(
    folder: Path,
    weights: Weights,
    network: NetworkKind,
    train: TrainConfig,
    split: Split,
    scores: Mapping[str, float],
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights, then the meta.json that names them, then remove weights that no meta.json names."""
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in weights.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"weights-{sha256[:12]}.safetensors"
    files.write_bytes(folder / name, content)
    parameters, multiply_adds = cost(network)
    files.write_json(
        folder / "meta.json",
        {
            "format": FORMAT,
            "network": plain(network),
            "train": plain(train),
            "classes": list(split.classes),
            "split_hash": split.hash,
            "commit": commit(),
            "weights": name,
            "weights_sha256": sha256,
            "epoch": int(scores["epoch"]),
            "scores": dict(scores),
            "parameters": parameters,
            "multiply_adds": multiply_adds,
            "facts": dict(facts or {}),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    )
    for other in folder.glob("weights-*.safetensors"):
        if other.name != name:
            other.unlink(missing_ok=True)


def read_meta(folder: Path) -> Meta:
    """Read meta.json. Raises CheckpointError where there is none, or it is not what this version writes."""
    path = folder / "meta.json"
    if not path.is_file():
        raise CheckpointError(f"{folder} must be the folder of a run with meta.json, but has none: train first")
    value = files.read_json(path, CheckpointError)
    if value.get("format") != FORMAT:
        raise CheckpointError(f"{path} must have format {FORMAT}, but has {value.get('format')!r}")
    try:
        return Meta(
            network=_network(value["network"]),
            train=from_dict(TrainConfig, value["train"]),
            classes=tuple(value["classes"]),
            split_hash=value["split_hash"],
            commit=value["commit"],
            weights=value["weights"],
            weights_sha256=value["weights_sha256"],
            epoch=value["epoch"],
            scores=value["scores"],
            facts=value.get("facts", {}),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} must describe a run, but is damaged: {error!r}") from error


def load_run(folder: Path, device: torch.device | None = None) -> Run:
    """Read a run back. Raises CheckpointError where a file is missing, changed, or does not fit the configuration."""
    meta = read_meta(folder)
    if len(meta.classes) != meta.network.classes:
        raise CheckpointError(f"{folder} must name {meta.network.classes} classes, but names {len(meta.classes)}")
    network = made(meta.network)
    load_weights(network, read_weights(folder / Path(meta.weights).name, meta.weights_sha256))
    return Run(folder, network.to(device or torch.device("cpu")).eval(), meta)


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file whose hash must be the given one. No code of the file is run."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{path} must hold the weights of the run, but cannot be read: {error.strerror}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise CheckpointError(f"{path} must have the SHA-256 {sha256} that meta.json says, but has {found}")
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} must be a safetensors file, but is not: {error}") from error


def load_weights(network: nn.Module, weights: Weights) -> None:
    """Put weights into a network that must have exactly these tensors in these shapes. Raises CheckpointError.

    The configuration is what is built; weights of another architecture are refused, never adapted.
    """
    try:
        network.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise CheckpointError(f"weights must fit the configured network, but do not: {'; '.join(lines[:2])}") from error


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's weights and buffers on the host, contiguous."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in network.state_dict().items()}


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write the state that training resumes from."""
    files.write_with(folder / "state.pt", lambda file: torch.save(dict(state), file))


def load_state(folder: Path) -> dict[str, Any] | None:
    """The state of a run, or None where no epoch was finished. Only tensors and plain values are read."""
    path = folder / "state.pt"
    if not path.is_file():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that is refused in the next moment
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError) as error:
        raise CheckpointError(f"{path} must be the state of a training, but cannot be read: {error}") from error
    if state.get("format") != FORMAT:
        raise CheckpointError(f"{path} must have format {FORMAT}, but has {state.get('format')!r}")
    return state


def save_metrics(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write metrics.jsonl, a line an epoch."""
    files.write_bytes(folder / "metrics.jsonl", "".join(json.dumps(dict(row)) + "\n" for row in history).encode())


@functools.cache
def commit() -> str:
    """The commit of this code, with "-dirty" where files differ from it; outside a checkout the package's version."""
    here = Path(__file__).resolve().parent
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],  # noqa: S607 - git of the user
            cwd=here, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        return described.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    try:
        return f"railwatch {metadata.version('railwatch')}"
    except metadata.PackageNotFoundError:
        return "unknown"


def require_unused(folder: Path) -> None:
    """Refuse to train over another run."""
    for name in ("meta.json", "state.pt"):
        if (folder / name).exists():
            raise CheckpointError(f"{folder} must be a new folder, but holds a run: take --resume, or another --out")
