"""`railwatch models verify`: is a model the file it should be, does it run, and does all that is said of it agree?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from railwatch.core.errors import ModelError
from railwatch.core.model_names import packaged_models
from railwatch.core.provider import Provider
from railwatch.core.types import Affine, Region, Sample
from railwatch.perception.detector import OnnxDetector
from railwatch.perception.manifest import known_entry
from railwatch.perception.manifest_entry import ManifestEntry
from railwatch.perception.model import ModelDescription, describe_model, read_model
from railwatch.perception.model_facts import ModelFacts, facts_from_metadata
from railwatch.perception.session import open_session

_PICTURES = 3
"""Seeded pictures of noise that a model is shown: their boxes mean nothing, but they must be finite and repeat."""


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """A model that passed: its description and entry, and what `verified` in a sentence."""

    description: ModelDescription
    entry: ManifestEntry | None
    verified: str


def check_model(file: Path, provider: Provider = Provider.CPU) -> CheckedModel:
    """Check the SHA-256 and size, that description, metadata and graph agree, and run it on pictures of noise.

    Raises ModelError with the first reason that it must not be used, ProviderError when `provider` is not there.
    """
    description = describe_model(file)
    entry = known_entry(file, description.sha256)
    size = file.stat().st_size
    if entry is not None and size != entry.bytes:
        raise ModelError(f"the model {file} must have {entry.bytes} bytes as its description says, but has {size}")
    _check_card(file, entry)
    agreed = _check_metadata(description, entry)
    detector = OnnxDetector(description, confidence=0.0, provider=provider)
    _check_runs(detector)
    by = f"as {entry.name} of the manifest" if entry else "by its own metadata"
    said = f"described {by}{agreed}; runs on {provider.value}, its output is finite and repeats"
    return CheckedModel(description, entry, said)


def _check_card(file: Path, entry: ManifestEntry | None) -> None:
    """A described model has a card, beside its description or in the folder that came with railwatch."""
    if entry is not None and not any((folder / entry.card).is_file() for folder in (file.parent, packaged_models())):
        raise ModelError(f"the model {file} must have its card, {entry.card}, but has none: pull or export it again")


def _check_metadata(description: ModelDescription, entry: ManifestEntry | None) -> str:
    """What the file says of itself must not contradict the manifest; says whether it was compared."""
    if entry is None:
        return ""
    session = open_session(read_model(description.file), Provider.CPU, threads=1, optimise=False)
    metadata = session.get_modelmeta().custom_metadata_map
    try:
        own = facts_from_metadata(metadata, entry.name, entry.facts.size)
    except ModelError as error:
        if "the model is not described" in str(error):
            return ", no metadata of its own"
        raise ModelError(f"the model {description.file} must describe itself soundly, but {error}") from None
    differing = _differences(own, entry.facts)
    if differing:
        raise ModelError(
            f"the metadata of {description.file} must agree with the manifest, but {', '.join(differing)} "
            f"{'differs' if len(differing) == 1 else 'differ'}"
        )
    return ", with which its metadata agrees"


def _differences(own: ModelFacts, manifest: ModelFacts) -> list[str]:
    keys = ("head", "size", "channels", "pixel_max", "letterbox", "pad_value", "nms_iou", "class_names")
    return [key for key in keys if getattr(own, key) != getattr(manifest, key)]


def _check_runs(detector: OnnxDetector) -> None:
    form = detector.form
    chance = np.random.default_rng(4)
    for _ in range(_PICTURES):
        picture = chance.integers(0, 256, (form.size.height, form.size.width, 3), np.uint8)
        sample = Sample(picture, form, Affine(1.0, 1.0, 0.0, 0.0), Region(0, 0, *form.size))
        first, second = (detector.detect([sample])[0] for _ in range(2))
        same = np.array_equal(first.xyxy, second.xyxy) and np.array_equal(first.confidence, second.confidence)
        if not same:
            raise ModelError(f"the model {detector.description.file} must give the same twice, but does not")
