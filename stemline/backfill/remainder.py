"""What a frozen backfill has left to do, and what of the catalogue is otherwise now: shown, and not taken in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stemline.backfill.choice import PAYING_AGAIN, choosing
from stemline.backfill.chosen_rows import SliceTotal
from stemline.backfill.forecast import BackfillForecast, forecast_backfill
from stemline.backfill.freezing import changed_since
from stemline.backfill.request import BackfillMode, BackfillRequest
from stemline.errors import ManifestError
from stemline.ledger import Backfill, FrozenRow, Ledger, SliceProgress
from stemline.plan.delivery import SourceDelivery
from stemline.plan.ledger_view import LedgerView
from stemline.plan.row_digest import compare_rows
from stemline.plan.workload import PendingTrack, WorkQueue
from stemline.records import IN_HAND
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.storage import open_store
from stemline.wording import counted

ROWS = 10_000
NAMED = 3


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a backfill."""

    backfill: Backfill
    progress: list[SliceProgress]
    forecast: BackfillForecast
    to_pay: WorkQueue
    """What is left to pay, in the order in which it is sent."""
    changes: list[str]
    """What is otherwise now than when it was frozen, as sentences."""

    @property
    def is_nothing(self) -> bool:
        """Whether every track is published as asked for."""
        return all(each.done == each.tracks for each in self.progress)


def read_remainder(settings: Settings, ledger: Ledger, backfill: Backfill) -> Remainder:
    """Give what is left; the manifest is not read. Raises UsageError where it is for another provider or recipe."""
    facts = load_facts(settings.provider.kind)
    changes = list(changed_since(backfill, settings, facts))
    slices, cost = Counter[str](), Counter[str]()
    to_pay, delivery = WorkQueue(), SourceDelivery(settings)
    for row in _left(ledger, backfill):
        slices[row.slice] += 1
        cost[row.slice] += row.credits
        if row.credits:
            is_upload = delivery.is_upload(row.track.location)
            to_pay.add(0, PendingTrack(row.track.duration_seconds, is_upload))
    totals = [SliceTotal(name, count, cost[name]) for name, count in slices.items()]
    forecast = forecast_backfill(settings, facts, ledger, backfill, totals, to_pay=to_pay.in_order())
    return Remainder(backfill, ledger.backfills.progress(backfill.name), forecast, to_pay, changes)


def _left(ledger: Ledger, backfill: Backfill) -> Iterator[FrozenRow]:
    """Give the rows that are not published as asked for; those that are paid by now cost nothing more."""
    after = -1
    key = (backfill.provider, backfill.recipe)
    while rows := ledger.backfills.to_do(backfill.name, after, ROWS):
        after = rows[-1][0]
        states = ledger.tracks.states(*key, [row.track.track_id for _, row in rows])
        for _, row in rows:
            is_paid = states.get(row.track.track_id) in IN_HAND
            yield replace(row, credits=0) if is_paid else row


def manifest_changes(
    settings: Settings, facts: ProviderFacts, view: LedgerView, backfill: Backfill
) -> Iterator[str]:
    """Give how the catalogue differs from what a backfill froze, as sentences; the manifest is read for it.

    One that cannot be read by now is a difference as well: nothing of it is needed any more.
    """
    try:
        yield from _compare_rows(settings, facts, view, backfill)
    except ManifestError as error:
        yield f"The catalogue cannot be compared with what was frozen: {error.message}"


def _compare_rows(
    settings: Settings, facts: ProviderFacts, view: LedgerView, backfill: Backfill
) -> Iterator[str]:
    asked = BackfillRequest.from_words(backfill.request)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    frozen = dict(_digests(view, backfill))
    whole, is_again = replace(asked, mode=BackfillMode.ALL), asked.mode in PAYING_AGAIN
    with choosing(settings, whole, facts, view, store, pays_again=is_again) as choice:
        now = {row.track.track_id: row.row_digest for row in choice.rows.rows()}
    told = {
        "gone": "no longer in the manifest, or outside the bounds by now: made as frozen",
        "changed": "with another location or length by now: made as frozen",
        "new": "within the bounds and not among what was frozen: another backfill or run takes them",
    }
    for how, names in compare_rows(frozen, now).items():
        if names:
            some = f"{', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}"
            yield f"{counted(len(names))} {told[how]} ({some})."


def _digests(view: LedgerView, backfill: Backfill) -> Iterator[tuple[str, str]]:
    for rows in view.ledger.backfills.pages(backfill.name) if view.ledger is not None else ():
        yield from ((row.track.track_id, row.row_digest) for row in rows)
