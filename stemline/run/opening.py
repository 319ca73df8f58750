"""A run opened: everything checked before anything is spent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.errors import ConfigError, StemlineError
from stemline.ledger import open_ledger
from stemline.manifest.scan import read_columns
from stemline.plan.survey import check_recipe
from stemline.run.access import fingerprint, read_api_keys
from stemline.run.lease import holding_key
from stemline.run.observer import present_observer
from stemline.run.run import Run
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings, load_facts
from stemline.storage import open_store


@contextmanager
def open_run(settings: Settings, selection: Selection | None = None) -> Iterator[Run]:
    """Open everything a run needs and check it before anything is spent: recipe, manifest, dataset, key, lease.

    Raises ConfigError, ManifestError, StorageError or LeaseHeld, each naming what is wrong and the fix.
    """
    selection = selection or Selection()
    if settings.execution.runner != "threads":
        raise ConfigError(
            f"execution.runner {settings.execution.runner!r} is not available yet.", fix="Use threads."
        )
    facts = load_facts(settings.provider.kind)
    check_recipe(settings.recipe.as_recipe(), facts)
    carried = read_columns(source_of(settings, selection))
    layout = DatasetLayout(settings.dataset.partition_by, carried, settings.dataset.audio)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_writable()
    claim_layout(store, layout)
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(settings.ledger_url))
        key_ids = [fingerprint(key) for key in read_api_keys(settings, facts)]
        fences = {key_id: stack.enter_context(holding_key(ledger, key_id)) for key_id in key_ids}
        run_id = ledger.runs.start(
            settings.name,
            settings.provider.kind,
            settings.recipe.as_recipe(),
            _digest(settings),
            key_ids[0],
        )
        run = Run(settings, selection, facts, ledger, store, layout, run_id, fences)
        observer = present_observer()
        if observer is not None:
            observer.opened(run)
            stack.callback(observer.closed, run)
        try:
            yield run
        except StemlineError as error:
            run.abort(error)
            raise


def _digest(settings: Settings) -> str:
    return hashlib.sha256(
        settings.model_dump_json(exclude={"provider": {"api_key", "several_keys"}}).encode()
    ).hexdigest()[:16]
