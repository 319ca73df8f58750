"""A run opened: everything checked before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stemline.dataset.card import write_dataset_card
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.dataset.renewal import is_behind, renew_parts
from stemline.errors import StemlineError
from stemline.ledger import Ledger, open_ledger
from stemline.ownership import DatasetClaim, claim_dataset
from stemline.run.access import read_key_ids
from stemline.run.forgotten import remember_forgotten
from stemline.run.lease import holding_key
from stemline.run.metrics import exporting_metrics
from stemline.run.observer import present_observer
from stemline.run.preflight import check_configuration, check_dataset_layout, opening_manifest
from stemline.run.rewriting import finish_rewrites, rewriting
from stemline.run.run import Run
from stemline.run.selection import Selection
from stemline.run.splitting import keep_splits
from stemline.settings import Settings
from stemline.storage import Store, open_store
from stemline.telemetry.collector_export import flush_traces, traced
from stemline.telemetry.request_durations import RequestDurations


@contextmanager
def open_run(settings: Settings, selection: Selection | None = None) -> Iterator[Run]:
    """Open everything a run needs and check it before anything is spent: recipe, manifest, dataset, key, lease.

    Raises ConfigError, ManifestError, StorageError, LedgerOutdated, DatasetReplaced or LeaseHeld, each naming what is
    wrong and the fix.
    """
    selection = selection or Selection()
    facts = check_configuration(settings)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_reachable()
    with ExitStack() as stack:
        source, layout = stack.enter_context(opening_manifest(settings, selection, store))
        store.check_writable()
        check_dataset_layout(settings, store, layout)
        ledger = stack.enter_context(open_ledger(settings.ledger_url))
        claim = claim_dataset(ledger, store, settings)
        key_ids = read_key_ids(settings, facts)
        layout = join_layout(ledger, store, layout, claim)
        requests = RequestDurations()
        stack.enter_context(exporting_metrics(ledger, settings, requests))
        stack.callback(flush_traces)  # once the keys are free: a collector may let itself be waited for
        gives_way = selection.backfill is not None
        fences = {
            key_id: stack.enter_context(holding_key(ledger, key_id, gives_way=gives_way))
            for key_id in key_ids
        }
        run_id = ledger.runs.start(
            settings.name,
            settings.provider.kind,
            settings.recipe.as_recipe(),
            settings.digest(),
            key_ids[0],
            backfill=selection.backfill,
        )
        span = stack.enter_context(traced("stemline.run", _span_attributes(settings, run_id)))
        run = Run(settings, selection, facts, ledger, store, layout, run_id, fences, claim, source)
        run.requests, run.span = requests, span
        run.splits = keep_splits(store, settings.dataset.splits, layout, run_id)
        observer = present_observer()
        if observer is not None:
            observer.opened(run)
            stack.callback(observer.closed, run)
        try:
            yield run
        except StemlineError as error:
            run.abort(error)
            raise


def _span_attributes(settings: Settings, run_id: str) -> dict[str, str | int]:
    return {
        "stemline.catalogue": settings.name,
        "stemline.provider": settings.provider.kind,
        "stemline.recipe": settings.recipe.as_recipe().name,
        "stemline.run.id": run_id,
    }


def join_layout(ledger: Ledger, store: Store, layout: DatasetLayout, claim: DatasetClaim) -> DatasetLayout:
    """Join the manifest's columns to the dataset's, and bring older parts to them before anything is spent."""
    with (
        ledger.database.write()
    ):  # runs of one ledger that begin at the same instant join theirs one after the other
        joined = claim_layout(store, layout)
    write_dataset_card(store)
    finish_rewrites(ledger, store, claim.known.dataset_id)
    remember_forgotten(ledger, store, claim.known.dataset_id, lambda: layout.source_root)
    if is_behind(store, joined):
        with rewriting(ledger, store, claim.known.dataset_id) as rewriter, rewriter.changing():
            renew_parts(store, joined, rewriter.require_hold)
    return joined
