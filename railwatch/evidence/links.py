"""The chain of evidence: a line for everything that was kept or let go, each sealed with the hash of the one before.

A line is JSON in one exact form, so that no byte of it can change unnoticed. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from railwatch.core.errors import EvidenceError

CHAIN_NAME: Final = "chain.jsonl"
MAX_LINE: Final = 2000
MAX_CHAIN_BYTES: Final = 256 * 1024 * 1024
NAME_PATTERN: Final = re.compile(r"[0-9a-f]{32}")
"""What the name of a piece of evidence looks like; nothing else ever becomes part of a path."""

BEGUN, KEPT, REMOVED = "begun", "kept", "removed"
_KEYS: Final = ("n", "kind", "at", "id", "manifest", "bytes", "why", "previous")


@dataclass(frozen=True, slots=True)
class Link:
    """One line. `evidence_id` and `manifest` (SHA-256 of the manifest) are "" where it is about no piece.

    The first line of a chain is `begun`. Where lines before it were let go, its `number` and `manifest` are the number
    and the hash of the last of them, so that what follows still follows from it.
    """

    number: int
    kind: str
    at: str
    evidence_id: str
    manifest: str
    size: int
    why: str
    previous: str

    def line(self) -> bytes:
        """The line as it stands in the file, with its hash."""
        return _text({**self._plain(), "hash": self.digest}) + b"\n"

    @property
    def digest(self) -> str:
        """The hash that seals it: SHA-256 over its other values, `previous` among them."""
        return _sha256(_text(self._plain()))

    @property
    def seal(self) -> str:
        """What the next line must name as `previous`: its hash, or the one that it stands for."""
        return self.manifest if self.kind == BEGUN and self.manifest else self.digest

    def _plain(self) -> dict[str, Any]:
        values = (self.number, self.kind, self.at, self.evidence_id, self.manifest, self.size, self.why, self.previous)
        return dict(zip(_KEYS, values, strict=True))


@dataclass(frozen=True, slots=True)
class Chain:
    """The lines that hold, and what is wrong behind them (None: nothing). `good_bytes`: up to where they reach."""

    links: tuple[Link, ...]
    fault: str | None
    good_bytes: int
    torn: bool = False

    @property
    def head(self) -> str:
        """Hash of the last line that holds."""
        return self.links[-1].seal if self.links else genesis()

    def standing(self) -> dict[str, Link]:
        """What was kept and not let go, the oldest first."""
        found: dict[str, Link] = {}
        for link in self.links:
            if link.kind == KEPT:
                found[link.evidence_id] = link
            elif link.kind == REMOVED:
                found.pop(link.evidence_id, None)
        return found


def genesis() -> str:
    """The hash before the first line of a new chain."""
    return _sha256(b"railwatch evidence")


def read_chain(content: bytes) -> Chain:
    """The lines of a chain up to the first that does not hold.

    >>> read_chain(Link(0, "begun", "", "", "", 0, "", genesis()).line()).fault
    >>> read_chain(b"{}").fault
    'its last line is cut off'
    """
    links: list[Link] = []
    at, previous = 0, None
    for number, raw in enumerate(content.splitlines(keepends=True), start=1):
        if not raw.endswith(b"\n"):
            return Chain(tuple(links), "its last line is cut off", at, torn=True)
        link = _parsed(raw)
        if link is None:
            return Chain(tuple(links), f"line {number} is not as it was written", at)
        if fault := _misplaced(link, previous):
            return Chain(tuple(links), f"line {number} {fault}", at)
        links.append(link)
        at, previous = at + len(raw), link
    return Chain(tuple(links), None, at)


def next_link(chain: Sequence[Link], kind: str, at: str, **values: Any) -> Link:  # noqa: ANN401 - those of a Link
    """The link that follows."""
    last = chain[-1] if chain else None
    number = last.number + 1 if last else 0
    plain: dict[str, Any] = {"evidence_id": "", "manifest": "", "size": 0, "why": ""} | values
    return Link(number, kind, at, previous=last.seal if last else genesis(), **plain)


def folded(chain: Chain, at: str) -> tuple[Link, ...]:
    """The chain without the lines before the oldest piece that is still there; the last line always stays."""
    standing = chain.standing().values()
    oldest = min((link.number for link in standing), default=chain.links[-1].number)
    rest = tuple(link for link in chain.links if link.number >= oldest and link.kind != BEGUN)
    if not rest:
        return chain.links
    first = Link(rest[0].number - 1, BEGUN, at, "", rest[0].previous, 0, "folded", genesis())
    return (first, *rest)


def checked_name(text: str) -> str:
    """The name of a piece of evidence; raises EvidenceError for anything else, so that no path ever comes of it."""
    if not NAME_PATTERN.fullmatch(text):
        raise EvidenceError(
            "evidence must be named by 32 hexadecimal digits, as `railwatch evidence list` shows them, but is "
            f"{text[:64]!r}"
        )
    return text


def _misplaced(link: Link, before: Link | None) -> str | None:
    if before is None:
        return None if link.kind == BEGUN else "is the first, but does not begin a chain"
    if link.number != before.number + 1:
        return f"has the number {link.number} behind {before.number}"
    if link.previous != before.seal:
        return "does not follow from the line before"
    return None


def _parsed(raw: bytes) -> Link | None:
    """The link of a line that has exactly the form and the hash of one."""
    if len(raw) > MAX_LINE:
        return None
    try:
        data = json.loads(raw)
        number, kind, at, name, manifest, size, why, previous = (data[key] for key in _KEYS)
        made = Link(number, kind, at, name, manifest, size, why, previous)
        right = made.line() == raw and type(number) is int and type(size) is int
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    named = kind == BEGUN or (kind in (KEPT, REMOVED) and bool(NAME_PATTERN.fullmatch(name)))
    return made if right and named else None


def _text(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
