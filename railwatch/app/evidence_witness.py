"""What a journal of alerts remembers of evidence: with it, also a lost end of the chain shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from railwatch.core.errors import EvidenceError
from railwatch.evidence.verify import Witnessed
from railwatch.messaging.chain import Kind
from railwatch.messaging.reading import rows


def witnessed(journal: Path) -> Iterator[Witnessed]:
    """Every piece that the journal says was kept. Raises JournalError, EvidenceError for rows that cannot be read."""
    for row in rows(journal):
        if row.kind != Kind.EVIDENCE.value or row.body is None:
            continue
        try:
            body = json.loads(row.body)
            yield Witnessed(str(body["evidence"]), str(body["manifest"]), int(body["number"]), str(body["hash"]))
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError(f"row {row.row} of {journal} must tell of evidence, but: {error}") from error
