"""The keys of site.yaml that say who is told, in which order, and what must come back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from railwatch.base_keys import Id, Keys
from railwatch.core.alerts import AckLevel, Severity


class EscalationGroupKeys(Keys):
    """People who are told together."""

    group_id: Annotated[Id, Field(description="Name of the group; alerts say to which groups they went.")]
    keys: Annotated[
        list[Id],
        Field(
            max_length=100,
            default_factory=list,
            description="Names of the keys whose acknowledgements come from this group; without any, everybody's do.",
        ),
    ]
    required: Annotated[bool, Field(description="Whether it is an alarm when nobody of the group is connected.")] = True


class EscalationRuleKeys(Keys):
    """What must come back for incidents of one severity and above."""

    severity: Annotated[Severity, Field(strict=False, description="The severity from which on the rule counts.")]
    level: Annotated[AckLevel, Field(strict=False, description="How far the incident must come.")]
    within_s: Annotated[
        float, Field(gt=0.0, le=3600.0, description="Seconds after which it goes to the next group otherwise.")
    ]


class EscalationKeys(Keys):
    """Who is told, in which order, and what must come back."""

    groups: Annotated[
        list[EscalationGroupKeys],
        Field(
            max_length=16, default_factory=list, description="Groups of people, in the order in which they are told."
        ),
    ]
    rules: Annotated[
        list[EscalationRuleKeys],
        Field(max_length=3, default_factory=list, description="What must come back, for each severity."),
    ]
