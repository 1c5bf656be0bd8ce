"""Whether the classifier of a site can be trusted: opened and tried before anything is armed."""

from __future__ import annotations

from pathlib import Path

from railwatch.core.errors import RailwatchError
from railwatch.core.second_look import SecondLookSettings
from railwatch.core.settings import SiteFault
from railwatch.perception.second_look import open_classifier


def second_look_faults(settings: SecondLookSettings | None) -> list[SiteFault]:
    """Every reason for which it must not be armed, each with the key at fault; none where there is no second look."""
    if settings is None:
        return []
    try:
        facts = open_classifier(Path(settings.file), settings.provider, settings.sha256).facts
    except RailwatchError as error:
        return [SiteFault(("second_look", "file"), " ".join(str(error).split()))]
    faults = [
        SiteFault(
            ("second_look", "herd_taxa"),
            f"herd_taxa must name classes of the file, but {taxon!r} is not among {_some(facts.classes)}",
        )
        for taxon in settings.herd_taxa
        if taxon not in facts.classes
    ]
    if settings.least_confidence is None and facts.abstain_below >= 1.0:
        text = (
            "least_confidence must be given, for the file says that it can be trusted at no confidence: on the "
            "validation side of its training too few answers were right"
        )
        faults.append(SiteFault(("second_look",), text))
    return faults


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
