"""A dataset's small parts merged: by hand, or for what is finished when a run ends."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import require_layout
from stemline.dataset.renewal import renew_parts
from stemline.errors import StemlineError
from stemline.ledger import Ledger
from stemline.manifest.manifest_file import find_source_root
from stemline.manifest.source_root import SourceRoot
from stemline.ownership import claim_dataset
from stemline.rewrite.compaction import Compaction, CompactionCounts, list_partitions
from stemline.rewrite.snapshot import live_parts
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.forgotten import remember_forgotten
from stemline.run.lease import PATIENCE
from stemline.run.rewriting import rewriting
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings
from stemline.storage import Store, open_store

Progress = Callable[[CompactionCounts], object]


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """What a compaction came to, and where."""

    counts: CompactionCounts
    right: int
    """Partitions that were as they should be."""
    left: int
    """Parts that were left alone: the ledger does not know that their batch is published."""
    dataset: str

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        return {**asdict(self.counts), "right": self.right, "left": self.left, "dataset": self.dataset}


def compact_dataset(settings: Settings, on_progress: Progress = lambda _: None) -> CompactionReport:
    """Merge the parts of every partition that has more than its size asks for.

    Raises LeaseHeld while another run rewrites parts, StorageError for a part that cannot be read.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_writable()
    with open_existing_ledger(settings) as ledger:
        claim = claim_dataset(ledger, store, settings)
        remember_forgotten(ledger, store, claim.known.dataset_id, lambda: _root_of(settings))
        return compact_parts(ledger, store, claim.known.dataset_id, on_progress=on_progress)


def compact_parts(  # noqa: PLR0913 - what is compacted, and how
    ledger: Ledger,
    store: Store,
    dataset_id: str,
    *,
    is_finished_only: bool = False,
    patience: float = PATIENCE,
    on_progress: Progress = lambda _: None,
) -> CompactionReport:
    """Do as `compact_dataset` with what is open already; `is_finished_only` leaves what runs still add to."""
    with rewriting(ledger, store, dataset_id, patience) as rewriter:
        kept = require_layout(store)
        if kept is None:
            return CompactionReport(CompactionCounts(), 0, 0, store.url())
        layout = DatasetLayout(tuple(kept.tree["partition_by"]), kept.carried, kept.tree["audio"])
        if kept.is_behind:
            with rewriter.changing():
                renew_parts(store, layout, rewriter.require_hold)
        partitions, left = list_partitions(store, live_parts(store), ledger.parts.published)
        today = ledger.clock().date()
        wanted = [each for each in partitions if not is_finished_only or each.is_finished(today)]
        counts = Compaction(rewriter, layout, on_progress).run(wanted)
        return CompactionReport(counts, len(wanted) - counts.partitions, left, store.url())


def _root_of(settings: Settings) -> SourceRoot:
    return find_source_root(source_of(settings, Selection()))


def compact_finished(ledger: Ledger, store: Store, dataset_id: str) -> dict[str, Any] | None:
    """Merge the small parts of finished partitions, and give what that came to; None where there was nothing to merge.

    What fails, or is held by another run, is left to the next one.
    """
    with suppress(StemlineError):
        report = compact_parts(ledger, store, dataset_id, is_finished_only=True, patience=0)
        return report.as_tree() if report.counts.partitions else None
    return None
