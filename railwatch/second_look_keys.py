"""The keys of site.yaml on the second look at animals, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from railwatch.base_keys import SHA256_PATTERN, Keys, Text
from railwatch.core.provider import Provider
from railwatch.core.second_look import MAX_TAXON_LENGTH, SecondLookSettings

_SECOND_LOOK: Final = SecondLookSettings("classifier.onnx")

Taxon = Annotated[str, Field(min_length=1, max_length=MAX_TAXON_LENGTH)]


class SecondLookKeys(Keys):
    """A classifier that looks at animals again."""

    file: Annotated[
        Text, Field(description="Its ONNX file, as `classifiers export` writes it; starts at the site file's folder.")
    ]
    sha256: Annotated[str | None, Field(pattern=SHA256_PATTERN, description="SHA-256 that the file must have.")] = None
    least_confidence: Annotated[
        float | None,
        Field(ge=0.0, le=1.0, description="It abstains below this confidence; without it, below what its file says."),
    ] = None
    herd_taxa: Annotated[
        list[Taxon],
        Field(
            min_length=1,
            max_length=1000,
            default_factory=lambda: list(_SECOND_LOOK.herd_taxa),
            description="Classes of the file that raise a severity.",
        ),
    ]
    every_s: Annotated[
        float, Field(gt=0.0, le=3600.0, description="The same animal is looked at so often at most, seconds.")
    ] = _SECOND_LOOK.every_s
    provider: Annotated[
        Provider, Field(strict=False, description="Execution provider of ONNX Runtime that must run it.")
    ] = _SECOND_LOOK.provider


def second_look_of(keys: SecondLookKeys, folder: Path) -> SecondLookSettings:
    """The settings that the keys describe; a relative path starts at `folder`."""
    plain = {**dict(keys), "file": str(folder / keys.file), "herd_taxa": tuple(keys.herd_taxa)}
    return SecondLookSettings(**plain)
