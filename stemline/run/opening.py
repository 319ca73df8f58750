"""A run opened: everything checked before anything is spent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from stemline.dataset.columns import join_columns
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout, kept_columns
from stemline.dataset.renewal import renew_parts
from stemline.errors import ConfigError, StemlineError
from stemline.ledger import open_ledger
from stemline.manifest.scan import read_columns
from stemline.ownership import claim_dataset
from stemline.plan.survey import check_recipe
from stemline.run.access import fingerprint, read_api_keys
from stemline.run.lease import holding_key
from stemline.run.observer import present_observer
from stemline.run.run import Run
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings, load_facts
from stemline.storage import Store, open_store


@contextmanager
def open_run(settings: Settings, selection: Selection | None = None) -> Iterator[Run]:
    """Open everything a run needs and check it before anything is spent: recipe, manifest, dataset, key, lease.

    Raises ConfigError, ManifestError, StorageError, LedgerOutdated, DatasetReplaced or LeaseHeld, each naming what is
    wrong and the fix.
    """
    selection = selection or Selection()
    if settings.execution.runner != "threads":
        raise ConfigError(
            f"execution.runner {settings.execution.runner!r} is not available yet.", fix="Use threads."
        )
    facts = load_facts(settings.provider.kind)
    check_recipe(settings.recipe.as_recipe(), facts)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    layout = _plan_layout(settings, selection, store)
    store.check_writable()
    layout = claim_layout(store, layout)
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings.ledger_url))
        claim = claim_dataset(ledger, store, settings)
        key_ids = [fingerprint(key) for key in read_api_keys(settings, facts)]
        renew_parts(store, layout)
        fences = {key_id: stack.enter_context(holding_key(ledger, key_id)) for key_id in key_ids}
        run_id = ledger.runs.start(
            settings.name,
            settings.provider.kind,
            settings.recipe.as_recipe(),
            _digest(settings),
            key_ids[0],
        )
        run = Run(settings, selection, facts, ledger, store, layout, run_id, fences, claim)
        observer = present_observer()
        if observer is not None:
            observer.opened(run)
            stack.callback(observer.closed, run)
        try:
            yield run
        except StemlineError as error:
            run.abort(error)
            raise


def _plan_layout(settings: Settings, selection: Selection, store: Store) -> DatasetLayout:
    """Give the dataset's layout with the manifest's columns joined to it; nothing is written yet.

    Raises ManifestError for a value that the type the dataset keeps its column in cannot hold.
    """
    kept = kept_columns(store)
    if kept is not None and selection.redrive is not None:
        return DatasetLayout(settings.dataset.partition_by, kept, settings.dataset.audio)
    given = read_columns(replace(source_of(settings, selection), carried=kept))
    carried = given if kept is None else join_columns(kept, given)
    return DatasetLayout(settings.dataset.partition_by, carried, settings.dataset.audio)


def _digest(settings: Settings) -> str:
    return hashlib.sha256(
        settings.model_dump_json(exclude={"provider": {"api_key", "several_keys"}}).encode()
    ).hexdigest()[:16]
