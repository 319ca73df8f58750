"""The parts of a dataset held for as long as they are rewritten: what was cut off before is finished first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stemline.clock import utc_now
from stemline.dataset.stored_tracks import batch_of_part
from stemline.errors import StemlineError
from stemline.ledger import LEASE_SECONDS, Ledger
from stemline.rewrite.rewrite import RewritePlan, Rewriter
from stemline.rewrite.rewrite_lock import RewriteLock
from stemline.rewrite.snapshot import REWRITES_PREFIX, Snapshot
from stemline.run.lease import PATIENCE, holder_name, holding_parts, is_dead, patiently
from stemline.storage import Store

RENEW_SECONDS = LEASE_SECONDS / 4


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

    with holding_parts(ledger, dataset_id, patience) as require_lease:
        lock = RewriteLock(store, holder_name(), ledger.clock, is_dead)
        patiently(lock.acquire, patience)

        def require_hold() -> None:
            require_lease()
            lock.require()

        try:
            with _kept_up(require_hold):
                rewriter = Rewriter(
                    store, ledger.parts.written, book, require_hold, ledger.clock, ledger.parts.forget
                )
                rewriter.recover()
                yield rewriter
        finally:
            lock.release()


@contextmanager
def keeping_rewrites_away(store: Store, patience: float = PATIENCE) -> Iterator[Callable[[], None]]:
    """Have nobody rewrite parts of a dataset while they are read, whatever ledger he has; give what proves it."""
    lock = RewriteLock(store, holder_name(), utc_now, is_dead)
    patiently(lock.acquire, patience)
    try:
        with _kept_up(lock.require):
            yield lock.require
    finally:
        lock.release()


@contextmanager
def _kept_up(require_hold: Callable[[], None]) -> Iterator[None]:
    """Renew the hold while the block runs: sorting a large partition takes longer than it lasts."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(RENEW_SECONDS):
            try:
                require_hold()
            except StemlineError:  # whoever replaces a part next is told
                return

    thread = threading.Thread(target=renew, name="rewrite lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def finish_rewrites(ledger: Ledger, store: Store, dataset_id: str) -> None:
    """Finish or undo what a rewrite left that was cut off; nothing where there is none."""
    if next(iter(store.list(REWRITES_PREFIX)), None) is not None:
        with rewriting(ledger, store, dataset_id):
            pass
