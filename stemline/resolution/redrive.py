"""What a redrive would be about: tracks that came to a bad end, by the codes they ended with."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from stemline.errors import UsageError
from stemline.ledger import RedriveGroup
from stemline.records import Code
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.selection import Selection
from stemline.settings import Settings, load_facts, outputs_kept_since


@dataclass(frozen=True, slots=True)
class RedrivePreview:
    """What a redrive would retry, and what it would leave."""

    free: tuple[RedriveGroup, ...]
    """What is paid and collected again for nothing: the provider still has it."""

    chosen: tuple[RedriveGroup, ...]
    left: tuple[RedriveGroup, ...]
    """What was or may have been paid for, and whose code is not named."""
    longest_seconds: float
    """What a track of unknown length costs at most."""

    @property
    def tracks(self) -> int:
        """How many tracks would be retried."""
        return sum(group.tracks for group in (*self.free, *self.chosen))

    @property
    def credits(self) -> int:
        """What they would cost at most."""
        return sum(map(self._credits, self.chosen))

    @property
    def credits_again(self) -> int:
        """What of that was, or may have been, paid for before."""
        return sum(self._credits(group) for group in self.chosen if group.is_paid_again)

    def _credits(self, group: RedriveGroup) -> int:
        return group.credits + group.unmeasured * math.ceil(self.longest_seconds)


def read_codes(texts: Sequence[str]) -> tuple[Code, ...]:
    """Give the codes that these words name; raises UsageError naming the nearest known one."""
    return tuple(dict.fromkeys(map(_read_code, texts)))


def preview_redrive(settings: Settings, selection: Selection) -> RedrivePreview:
    """Give what a redrive would be about; reads the ledger alone. Raises UsageError when nothing has run yet."""
    kind, recipe, codes = settings.provider.kind, settings.recipe.as_recipe(), selection.redrive or None
    facts, limit = load_facts(kind), selection.limit
    with open_existing_ledger(settings) as ledger:
        since = outputs_kept_since(facts, ledger.clock())
        free = ledger.redrive_queue.collectable(kind, recipe, since, codes, limit=limit)
        left_over = None if limit is None else limit - sum(group.tracks for group in free)
        chosen = ledger.redrive_queue.redrivable(kind, recipe, codes, limit=left_over, kept_since=since)
        every = ledger.redrive_queue.redrivable(kind, recipe, list(Code), kept_since=since)
    named = codes or ()
    left = tuple(group for group in every if group.is_paid_again and group.code not in named)
    return RedrivePreview(tuple(free), tuple(chosen), left, facts.max_duration_seconds)


def _read_code(text: str) -> Code:
    word = text.strip().lower().replace("-", "_")
    known = [code.value for code in Code if code is not Code.OK]
    if word not in known:
        nearest = difflib.get_close_matches(word, known, 1, 0.0)[0]
        raise UsageError(f"There is no code {text!r}, the nearest known one is {nearest!r}.")
    return Code(word)
