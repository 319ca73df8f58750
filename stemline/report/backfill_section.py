"""The part of a run's page about the backfill it belongs to: how far that is, slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stemline.ledger import Backfill, Ledger, SliceProgress
from stemline.records import State
from stemline.report.components import panel, table
from stemline.report.markup import Html, element
from stemline.wording import counted

SHOWN_SLICES = 120


@dataclass(frozen=True, slots=True)
class BackfillDigest:
    """A backfill as the page of one of its runs shows it."""

    backfill: Backfill
    progress: Sequence[SliceProgress]
    charged: int
    """Credits of all its runs so far."""


def gather_backfill(ledger: Ledger, run_id: str) -> BackfillDigest | None:
    """Give the backfill that a run is part of, as far as it is now; None for a run of its own."""
    backfill = ledger.backfills.of_run(run_id)
    if backfill is None:
        return None
    progress = ledger.backfills.progress(backfill.name)
    return BackfillDigest(backfill, progress, ledger.backfills.spent(backfill.name)["charged"])


def slices(digest: BackfillDigest | None) -> Html:
    """Give each slice of the backfill with how much of it is published, and where its others stand."""
    if digest is None:
        return Html()
    rows = [
        [each.slice, f"{each.done:,} of {each.tracks:,}", _others(each)]
        for each in digest.progress[:SHOWN_SLICES]
    ]
    shown = table(("Slice", "Published", "The others"), rows, "slices")
    return panel(f"Backfill {digest.backfill.name}", element("p", *_sentences(digest), class_="note"), shown)


def _sentences(digest: BackfillDigest) -> Iterator[str]:
    backfill = digest.backfill
    done = sum(each.done for each in digest.progress)
    tracks = counted(sum(each.tracks for each in digest.progress))
    most = "" if backfill.ceiling is None else f" of at most {backfill.ceiling:,}"
    yield f"{done:,} of {tracks} published, {digest.charged:,} credits{most} charged in all its runs. "
    if len(digest.progress) > SHOWN_SLICES:
        yield f"The first {SHOWN_SLICES} of {len(digest.progress):,} slices; `stemline backfills --json` has all."


def _others(each: SliceProgress) -> str:
    others = [f"{count:,} {state}" for state, count in each.states.items() if state != State.PUBLISHED]
    return ", ".join(others)
