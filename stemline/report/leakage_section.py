"""How clean the splits are, as markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stemline.leakage.report import KINDS
from stemline.report.components import panel, table
from stemline.report.markup import Html, clipped, element, joined
from stemline.wording import counted

SHOWN_PAIRS, SHOWN_EXAMPLES = 12, 6
SHOWN_IN_NONE = 10
_ONE = {"artists": "artist", "isrcs": "ISRC", "sources": "source file", "near_equal": "near-equal track"}


def leakage(tree: Mapping[str, Any]) -> Html:
    """Give what `LeakageReport.as_tree` gave; nothing where no track is in a split, which is told elsewhere."""
    if not tree["splits"]:
        return Html()
    parts = [_verdict(tree), _pairs(tree["pairs"]), _examples(tree), _note(tree), _in_none(tree)]
    return panel("Is anything of one split in another?", *parts)


def _verdict(tree: Mapping[str, Any]) -> Html:
    if len(tree["splits"]) == 1:
        return element("p", f"There is one split: {clipped(next(iter(tree['splits'])), 60)}.")
    found = {kind: sum(pair[kind] for pair in tree["pairs"]) for kind in KINDS}
    leaking = ", ".join(counted(count, _ONE[kind]) for kind, count in found.items() if count)
    if not leaking:
        kinds = "No artist, ISRC or source file is in two splits, and no track sounds like one of another."
        return element("p", element("strong", "No split leaks."), f" {kinds}", class_="verdict tone-good")
    return element(
        "p",
        element("strong", "The splits leak."),
        f" Of one and of another: {leaking}.",
        class_="verdict tone-bad",
    )


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Html:
    if not pairs:
        return Html()
    rows = [
        [
            " and ".join(clipped(name, 40) for name in pair["splits"]),
            *(element("strong", f"{pair[kind]:,}", class_="leaks") if pair[kind] else "0" for kind in KINDS),
        ]
        for pair in sorted(pairs, key=lambda pair: -sum(pair[kind] for kind in KINDS))[:SHOWN_PAIRS]
    ]
    listed = table(("In both", *map(_capital, KINDS.values())), rows, "pairs")
    more = len(pairs) - len(rows)
    rest = f"{more:,} more pairs of splits are not shown, with no more in both than these."
    return joined(listed, element("p", rest, class_="note") if more else Html())


def _examples(tree: Mapping[str, Any]) -> Html:
    rows = [row for pair in tree["examples"] for row in _example_rows(pair)]
    if not rows:
        return Html()
    shown = table(("What", "Name", "Tracks"), rows[:SHOWN_EXAMPLES], "leaks-shown")
    return joined(element("h3", "For example"), shown)


def _example_rows(pair: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for kind in KINDS:
        for example in pair.get(kind, ()):
            name = example.get("artist") or example.get("isrc") or ""
            tracks = (
                element("span", element("small", clipped(split, 40)), clipped(example.get(split, ""), 80))
                for split in pair["splits"]
            )
            yield _capital(_ONE[kind]), element("strong", clipped(name, 80)), joined(*tracks)


def _note(tree: Mapping[str, Any]) -> Html:
    compared = tree["loudness"].get("compared", 0)
    if not compared:
        return Html()
    return element(
        "p",
        f"Near-equal are tracks that are as long and as loud, second by second: {counted(compared)} could be "
        "compared. A copy that is cut or sped up is not found so.",
        class_="note",
    )


def _in_none(tree: Mapping[str, Any]) -> Html:
    count, listed = tree["in_no_split"], tree["tracks_in_no_split"]
    if not count:
        return element("p", "Every track is in a split.", class_="note")
    rows = [
        [element("strong", clipped(each["track_id"], 80)), clipped(each["reason"], 200)]
        for each in listed[:SHOWN_IN_NONE]
    ]
    title = f"{counted(count)} in no split"
    if not rows:
        return element("h3", title)
    shown = table(("Track", "Why"), rows, "in-none")
    scrolled = element("div", shown, class_="scroll", tabindex="0", role="region", aria_label=title)
    more = count - len(rows)
    rest = element("p", f"{more:,} more are not shown.", class_="note") if more else Html()
    return joined(element("h3", title), scrolled, rest)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
