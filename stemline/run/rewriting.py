"""The parts of a dataset held for as long as they are rewritten: what was cut off before is finished first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stemline.dataset.stored_tracks import batch_of_part
from stemline.ledger import Ledger
from stemline.rewrite.rewrite import RewritePlan, Rewriter
from stemline.rewrite.snapshot import REWRITES_PREFIX, Snapshot
from stemline.run.lease import PATIENCE, holding_parts
from stemline.storage import Store


@contextmanager
def rewriting(
    ledger: Ledger, store: Store, dataset_id: str, patience: float = PATIENCE
) -> Iterator[Rewriter]:
    """Be the only one that rewrites parts of a dataset; raises LeaseHeld where another one does not let go."""

    def book(plan: RewritePlan, snapshot: Snapshot) -> None:
        merged: dict[str, set[str]] = {}
        for each in plan.replacements:
            old = {batch_of_part(key) for key in each.old}
            for batch_id in {batch_of_part(part.key) for part in each.new}:
                merged.setdefault(batch_id, set()).update(old - {batch_id})
        ledger.parts.merge({batch_id: old for batch_id, old in merged.items() if old})
        gone = [key for each in plan.replacements for key in each.old]
        ledger.parts.forget([*gone, *(part.key for part in snapshot.parts)])

    with holding_parts(ledger, dataset_id, patience) as require_hold:
        rewriter = Rewriter(store, ledger.parts.written, book, require_hold, ledger.clock)
        rewriter.recover()
        yield rewriter


def finish_rewrites(ledger: Ledger, store: Store, dataset_id: str) -> None:
    """Finish or undo what a rewrite left that was cut off; nothing where there is none."""
    if next(iter(store.list(REWRITES_PREFIX)), None) is not None:
        with rewriting(ledger, store, dataset_id):
            pass
