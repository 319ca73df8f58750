"""What a backfill is asked for: which rows, which of them, in what order."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from stemline.backfill.instant import SliceLength, read_bound
from stemline.errors import UsageError
from stemline.ledger import BackfillOrder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_CREDITS = 10**15
"""More than any catalogue costs, and a number that every ledger and every reader of JSON keeps."""
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class BackfillMode(StrEnum):
    """Which of the rows are taken."""

    MISSING = "missing"
    """Those not published, but for what failed for good: what a run would take."""
    FAILED = "failed"
    """Those that came to a bad end."""
    STALE = "stale"
    """Those published with another recipe or provider than now, or from another location."""
    ALL = "all"
    """All, and those published are paid for again."""


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """A backfill as it is asked for."""

    since: datetime | None = None
    until: datetime | None = None
    """Exclusive."""
    by: str = "released_on"
    """The column whose dates say which rows are meant, and which slice each is in."""
    where: str | None = None
    mode: BackfillMode = BackfillMode.MISSING
    order: BackfillOrder = BackfillOrder.NEWEST
    slice: SliceLength = SliceLength.MONTH

    def __post_init__(self) -> None:
        """Refuse bounds between which nothing lies."""
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise UsageError(
                f"--since {self.since:%Y-%m-%d} is not before --until {self.until:%Y-%m-%d}.",
                fix="--until is exclusive: the day after the last one that is wanted.",
            )

    @property
    def has_bounds(self) -> bool:
        """Whether a row needs a date to be meant."""
        return self.since is not None or self.until is not None

    def takes(self, instant: datetime | None) -> bool:
        """Tell whether a row of this instant lies within the bounds."""
        if instant is None:
            return not self.has_bounds
        return (self.since is None or instant >= self.since) and (self.until is None or instant < self.until)

    def as_tree(self) -> dict[str, Any]:
        """Give it as JSON takes it."""
        return {
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "by": self.by,
            "where": self.where,
            "mode": str(self.mode),
            "order": str(self.order),
            "slice": str(self.slice),
        }

    @classmethod
    def from_words(cls, words: Mapping[str, str | None]) -> Self:
        """Give the request of the options' words, None for the default; raises UsageError, naming the option."""
        given = {name: word for name, word in words.items() if word is not None}
        choices = {"mode": BackfillMode, "order": BackfillOrder, "slice": SliceLength}
        chosen = {
            name: _choice(kind, given.pop(name), f"--{name}")
            for name, kind in choices.items()
            if name in given
        }
        bounds = {name: read_bound(given.pop(name, None), f"--{name}") for name in ("since", "until")}
        return cls(**bounds, **chosen, **given)  # type: ignore[arg-type]

    def default_name(self, catalogue: str) -> str:
        """Give the name of one that is given none: the same request over a catalogue has the same name."""
        digest = hashlib.sha256(json.dumps(self.as_tree(), sort_keys=True).encode()).hexdigest()[:6]
        first = f"{self.since:%Y-%m-%d}" if self.since else "begin"
        last = f"{self.until:%Y-%m-%d}" if self.until else "end"
        plain = _NO_NAME.sub("-", catalogue)[:24].strip("-._") or "backfill"
        return f"{plain}.{first}.{last}.{digest}"


def require_word(word: str, option: str) -> str:
    """Give an option's word; raises UsageError for an empty one: a shell's variable that is not set gives that."""
    if not word.strip():
        raise UsageError(f"{option} is empty.", fix="Leave it away, or check what it was put together from.")
    return word


def check_ceiling(ceiling: int | None) -> int | None:
    """Give a ceiling in credits; raises UsageError for none that can be kept."""
    if ceiling is not None and not 1 <= ceiling <= MOST_CREDITS:
        raise UsageError(f"--credits {ceiling} is no ceiling.", fix=f"Give 1 to {MOST_CREDITS:,} credits.")
    return ceiling


def check_name(name: str) -> str:
    """Give a backfill's name; raises UsageError for one that is no plain word."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r} is no name for a backfill.",
            fix="Use letters, digits, '.', '_' and '-' (at most 64), starting with a letter or digit.",
        )
    return name


def _choice(kind: type[StrEnum], word: str, option: str) -> StrEnum:
    try:
        return kind(word)
    except ValueError as error:
        raise UsageError(f"{option} {word!r} is not known.", fix=f"Use one of: {', '.join(kind)}.") from error
