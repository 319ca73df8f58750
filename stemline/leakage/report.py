"""What a look at a dataset's splits has found, for machines and for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = {
    "artists": "artists",
    "isrcs": "ISRCs",
    "sources": "source files",
    "near_equal": "near-equal tracks",
}
"""What may be in two splits, and what it is called."""
Example = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SplitPair:
    """Two splits, and how much of one is in the other."""

    splits: tuple[str, str]
    counts: Mapping[str, int]
    """By what of KINDS; of `near_equal` the tracks of the smaller split."""
    examples: Mapping[str, tuple[Example, ...]] = field(default_factory=dict)
    """The first few of each, as the tables name them."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is in both."""
        return not any(self.counts.values())


@dataclass(frozen=True, slots=True)
class LeakageReport:
    """How clean the splits of some tracks are."""

    splits: Mapping[str, int]
    """How many tracks each has."""
    in_none: int = 0
    untold: tuple[Example, ...] = ()
    """The first of the tracks in no split, each with the reason."""
    pairs: tuple[SplitPair, ...] = ()
    loudness: Mapping[str, int] = field(default_factory=dict)
    """How many tracks were `compared` by their loudness, and how many were `too_short` or `too_even` for it."""

    @property
    def is_clean(self) -> bool:
        """Whether no split has anything of another."""
        return all(pair.is_clean for pair in self.pairs)

    def counts(self) -> dict[str, Any]:
        """Give the figures, without a name of anybody."""
        pairs = [{"splits": list(pair.splits), **pair.counts} for pair in self.pairs]
        head = {"is_clean": self.is_clean, "splits": dict(self.splits), "in_no_split": self.in_none}
        return {**head, "pairs": pairs, "loudness": dict(self.loudness)}

    def as_tree(self) -> dict[str, Any]:
        """Give all of it, examples included, as JSON takes it."""
        examples = [
            {
                "splits": list(pair.splits),
                **{kind: list(map(dict, some)) for kind, some in pair.examples.items()},
            }
            for pair in self.pairs
            if any(pair.examples.values())
        ]
        return {**self.counts(), "examples": examples, "tracks_in_no_split": list(map(dict, self.untold))}

    def lines(self) -> Iterator[str]:
        """Give it as lines of Markdown, without a name of anybody."""
        yield from leakage_lines(self.counts())


def without_names(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Give what `LeakageReport.as_tree` gave without what names anybody."""
    return {**tree, "examples": [], "tracks_in_no_split": []}


def leakage_lines(counts: Mapping[str, Any]) -> Iterator[str]:
    """Give what `LeakageReport.counts` gave as lines of Markdown."""
    if not counts["splits"]:
        yield "No track is in a split."
        return
    shown = ", ".join(f"{name}: {number:,}" for name, number in counts["splits"].items())
    yield f"Tracks by split: {shown}; in none: {counts['in_no_split']:,}."
    if counts["pairs"]:
        yield ""
        yield f"| in both | {' | '.join(KINDS.values())} |"
        yield f"|---|{'---:|' * len(KINDS)}"
        for pair in counts["pairs"]:
            cells = " | ".join(f"{pair[kind]:,}" for kind in KINDS)
            yield f"| {' and '.join(f'`{name}`' for name in pair['splits'])} | {cells} |"
    compared = counts["loudness"].get("compared", 0)
    if compared:
        yield ""
        yield (
            f"Near-equal tracks are as long and as loud, second by second: {compared:,} could be compared. A copy that "
            "is cut or sped up is not found so."
        )
