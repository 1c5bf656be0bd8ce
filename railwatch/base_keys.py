"""What the models of the keys of site.yaml have in common."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

ID_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
SHA256_PATTERN: Final = r"^[0-9a-f]{64}$"
Id = Annotated[str, Field(pattern=ID_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=1000)]


class Keys(BaseModel):
    """A map of known keys: an unknown one is a fault, text is never taken for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
