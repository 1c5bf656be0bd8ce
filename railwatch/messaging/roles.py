"""What the owner of a key may do. Standard library only, so that the command line can name the roles at once."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What the owner of a key may do; reading alerts and states is allowed to all."""

    SUBSCRIBER = "subscriber"
    OPERATOR = "operator"
    FEED = "feed"
    PERCEPTION = "perception"
