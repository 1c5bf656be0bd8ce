"""Export of a run to one ONNX file: made, held against the run it came from, and written only if it answers alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from classifiers import checkpoint, graph, quantise
from classifiers.backbones import Backbone
from classifiers.data import Data, Pictures
from classifiers.errors import ConfigError, ExportError
from classifiers.files import write_bytes
from classifiers.network import DEVIATION, MEAN
from classifiers.runtime import FORMAT, session, to_metadata
from classifiers.stats import Floats

PRECISIONS: Final = ("fp32", "fp16", "int8")
BATCHES: Final = (1, 2, 7)
LOGITS_WITHIN: Final = 1e-4
SAME_ANSWERS: Final = 0.995
POINTS_LOST: Final = 0.01
"""The gates: fp32 by the largest difference of logits as a share of the largest logit; fp16 by the share of pictures
with the same answer; int8 by the accuracy lost on the validation side."""

_COMPARED: Final = 1000
_BATCH: Final = 32
Ask = Callable[[NDArray[np.uint8]], Floats]


@dataclass(frozen=True, slots=True)
class Parity:
    """How a file compares with its run.

    Attributes:
        logits: largest difference at batches of 1, 2 and 7, as a share of the largest logit.
        same: share of pictures with the same answer; pictures: how many were compared.
        accuracy, run_accuracy: of file and run on the validation side, 0 to 1.
    """

    logits: float
    same: float
    pictures: int
    accuracy: float
    run_accuracy: float


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made: the file, its precision and bytes, how it compares, and layers of an int8 file in float."""

    path: Path
    precision: str
    bytes: int
    parity: Parity
    temperature: float
    abstain_below: float
    left_float: tuple[str, ...] = ()


def export(folder: Path, data: Data, out: Path, precision: str = "fp32", *, trust: float = 0.9) -> Exported:
    """Export the run in `folder` to the file `out`; `data` is what it was trained on, opened at its size.

    int8 is calibrated on training pictures. Probabilities are softmax(logits / temperature), the temperature fitted on
    the validation side (Guo et al. 2017); `abstain_below` is the lowest confidence from which on at least the share
    `trust` of the validation answers are right.

    Raises ConfigError (precision, another split), ExportError where the file does not answer as the run does: then
    nothing is written.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"--precision must be one of {', '.join(PRECISIONS)}, but {precision!r} is given")
    run = checkpoint.load_run(folder)
    if data.split_hash != run.meta.split_hash:
        raise ConfigError(
            f"data must be those of the run, split {run.meta.split_hash[:12]}, not {data.split_hash[:12]}"
        )
    asked = asking(run.network)
    judged = _answers(asked, data.validation)
    temperature = fitted_temperature(judged, data.validation.labels)
    threshold = abstention(softmax(judged / temperature), data.validation.labels, trust)
    inner = graph.core(run.network, data.size, half=precision == "fp16")
    left_float: tuple[str, ...] = ()
    if precision == "int8":
        small = quantised(inner, data, judged)
        inner, left_float = small.model, small.left_float
    # The core may have turned the network to half precision: it is read anew to be compared with.
    asked = asking(checkpoint.load_run(folder).network)
    model = graph.whole(inner, data.size, len(data.classes), temperature)
    parity = compare(asked, model.SerializeToString(), data)
    _gate(parity, precision)
    values = _facts(run, data, precision, parity, temperature, threshold, trust) | {"left_float": list(left_float)}
    graph.describe(model, to_metadata(values))
    content = model.SerializeToString()
    write_bytes(out, content)
    return Exported(out, precision, len(content), parity, temperature, threshold, left_float)


def _facts(
    run: checkpoint.Run, data: Data, precision: str, parity: Parity, temperature: float, threshold: float, trust: float
) -> dict[str, Any]:  # fmt: skip
    config = run.meta.network
    timm = isinstance(run.network, Backbone)
    mean, deviation = (config.mean, config.deviation) if timm else ((MEAN,) * 3, (DEVIATION,) * 3)  # type: ignore[union-attr]
    return {
        "format": FORMAT,
        "classes": list(run.meta.classes),
        "precision": precision,
        "preprocessing": {
            "input": "uint8 NHWC RGB", "crop": "middle square", "size": data.size, "resize": "bicubic, antialiased",
            "mean": list(mean), "deviation": list(deviation), "inside": True,
        },
        "network": checkpoint.plain(config),
        "split_hash": run.meta.split_hash,
        "weights_sha256": run.meta.weights_sha256,
        "commit": run.meta.commit,
        "scores": dict(run.meta.scores),
        "parity": asdict(parity),
        "temperature": temperature,
        "abstain_below": threshold,
        "trust": trust,
        "licence": getattr(config, "licence", "") or "not stated: that of the training pictures and weights applies",
    }  # fmt: skip


def asking(network: torch.nn.Module) -> Ask:
    """The logits of a network as torch computes them, for uint8 [N, S, S, 3]."""
    network.eval()

    def ask(pictures: NDArray[np.uint8]) -> Floats:
        with torch.inference_mode():
            shown = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2)
            logits: Floats = network(shown.float() / 255).double().numpy()
            return logits

    return ask


def _answers(ask: Ask, pictures: Pictures, most: int | None = None) -> Floats:
    count = len(pictures) if most is None else min(most, len(pictures))
    return np.concatenate(
        [ask(pictures.pixels[start : min(start + _BATCH, count)]) for start in range(0, count, _BATCH)]
    )


def compare(ask: Ask, content: bytes, data: Data) -> Parity:
    """Hold a file against the network: at batches of 1, 2 and 7, and on up to 1,000 pictures, validation first."""
    ready = session(content, threads=torch.get_num_threads())

    def answer(pictures: NDArray[np.uint8]) -> Floats:
        logits: Floats = ready.run(["logits"], {"image": np.ascontiguousarray(pictures)})[0].astype(np.float64)
        return logits

    worst, largest = 0.0, 0.0
    for batch in BATCHES:
        shown = data.validation.pixels[:batch]
        mine = ask(shown)
        worst, largest = max(worst, float(np.abs(answer(shown) - mine).max())), max(largest, float(np.abs(mine).max()))
    theirs, mine = _answers(answer, data.validation), _answers(ask, data.validation)
    labels = data.validation.labels
    accuracies = [float((logits.argmax(1) == labels).mean()) for logits in (theirs, mine)]
    rest = max(0, _COMPARED - len(labels))
    if rest:
        theirs = np.concatenate((theirs, _answers(answer, data.train, rest)))
        mine = np.concatenate((mine, _answers(ask, data.train, rest)))
    same = float((theirs.argmax(1) == mine.argmax(1)).mean())
    return Parity(worst / max(largest, 1e-12), same, len(mine), *accuracies)


def _gate(parity: Parity, precision: str) -> None:
    if precision == "fp32" and parity.logits > LOGITS_WITHIN:
        raise ExportError(
            f"logits of fp32 must be within {LOGITS_WITHIN:g} of the largest, but differ by {parity.logits:.2g}: "
            f"nothing is written"
        )
    if precision == "fp16" and parity.same < SAME_ANSWERS:
        raise ExportError(
            f"fp16 must answer {SAME_ANSWERS:.1%} of the pictures alike, but does {parity.same:.2%} of "
            f"{parity.pictures}: nothing is written"
        )
    lost = parity.run_accuracy - parity.accuracy
    if precision == "int8" and lost > POINTS_LOST + 1e-9:
        raise ExportError(
            f"int8 must lose at most {100 * POINTS_LOST:g} point of accuracy, but loses {100 * lost:.1f}: nothing is "
            f"written; take fp16 or fp32"
        )


def quantised(model: onnx.ModelProto, data: Data, judged: Floats) -> quantise.Candidate:
    """The network in int8 with the fewest layers in float that passes the gate; the best one where none does.

    `judged` are the run's logits of the validation side. Ranges, weights and the order in which layers are given up
    come from training pictures; how many are given up, from the validation side.
    """
    labels = data.validation.labels
    wanted = float((judged.argmax(1) == labels).mean())
    best, least = None, np.inf
    for candidate in quantise.candidates(model, data.train):
        ready = quantise.ready_on_cpu(candidate.model)
        shown = (data.validation.pixels[i : i + _BATCH] for i in range(0, len(labels), _BATCH))
        pixels = ({"pixels": part.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)} for part in shown)
        logits = np.concatenate([ready.run(None, part)[0] for part in pixels])
        lost = wanted - float((logits.argmax(1) == labels).mean())
        if lost < least:
            best, least = candidate, lost
        if lost <= POINTS_LOST + 1e-9:
            break
    assert best is not None  # noqa: S101 - there is always a first candidate
    return best


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits [N, classes]."""
    raised = np.exp(logits - logits.max(1, keepdims=True))
    shares: Floats = raised / raised.sum(1, keepdims=True)
    return shares


def fitted_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature, 0.05 to 20, with the least cross entropy (Guo et al. 2017).

    >>> fitted_temperature(np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1])) > 10
    True
    """
    tried = np.geomspace(0.05, 20, 200)
    rows = np.arange(len(labels))
    losses = [-np.log(np.clip(softmax(logits / t)[rows, labels], 1e-12, None)).mean() for t in tried]
    return float(tried[int(np.argmin(losses))])


def abstention(prob: Floats, labels: NDArray[np.int64], trust: float) -> float:
    """The lowest confidence from which on at least the share `trust` of answers are right; 1 where none is.

    >>> prob = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    >>> abstention(prob, np.array([0, 0, 1]), 0.9)
    0.8
    """
    confidence, right = prob.max(1), prob.argmax(1) == labels
    order = np.argsort(-confidence, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= trust)
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0
