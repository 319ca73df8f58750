"""What a run is refused for before it spends: one place, which `run`, `plan` and `doctor` all ask.

`run` writes a probe into the dataset besides, and holds the key; `plan` looks alone. What lasts a moment, such as
another run that holds the key, is no reason to refuse a plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from stemline.collector.runners.opening import check_runner, opening_runner
from stemline.dataset.columns import join_columns
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import check_layout, kept_columns, recorded_columns
from stemline.errors import StemlineError
from stemline.ledger import Ledger
from stemline.manifest import ManifestSource
from stemline.manifest.listing import DATASET_FOLDER, dataset_refused
from stemline.manifest.loading import parse_manifest
from stemline.manifest.manifest_file import ManifestFile, find_source_root
from stemline.manifest.scan import read_columns
from stemline.ownership import check_dataset
from stemline.plan.ledger_view import open_ledger_view
from stemline.plan.survey import check_recipe
from stemline.run.access import check_access, read_key_ids
from stemline.run.lease import is_held
from stemline.run.metrics import METRICS_KEY
from stemline.run.selection import Selection, source_of, target_of
from stemline.run.splitting import keep_splits
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.storage import Store, open_store

if TYPE_CHECKING:
    from stemline.plan.preview import Preview


def check_configuration(settings: Settings) -> ProviderFacts:
    """Give the provider's facts; refuse what no manifest and no dataset could make work.

    Raises UsageError and ConfigError: for a runner that is not installed, a recipe the provider does not make, a key
    or a webhook secret that is missing, a local service that would not start.
    """
    facts = load_facts(settings.provider.kind)
    check_runner(settings.execution.runner)
    check_recipe(settings.recipe.as_recipe(), facts)
    check_access(settings)
    return facts


@contextmanager
def opening_manifest(
    settings: Settings, selection: Selection, store: Store
) -> Iterator[tuple[ManifestSource, DatasetLayout]]:
    """Give the manifest, parsed once, and the dataset's layout with its columns joined; nothing is written.

    Raises ManifestError for one that cannot be read and for a value that the type of the dataset's column cannot hold,
    ConfigError for what nothing can be partitioned by.
    """
    source, dataset = source_of(settings, selection), settings.dataset
    gives_splits = dataset.splits is not None
    recorded = None if selection.reads_manifest else recorded_columns(store)
    if recorded is not None:
        root = find_source_root(source)
        yield source, DatasetLayout(dataset.partition_by, recorded, dataset.audio, root, gives_splits)
        return
    kept = kept_columns(store)
    parsed = parse_manifest(source)
    try:
        _require_music_apart(parsed.file, store)
        source = replace(source, carried=kept, parsed=parsed)
        given = read_columns(source, with_tags=True)
        carried = given if kept is None else join_columns(kept, given)
        root = find_source_root(source)
        yield source, DatasetLayout(dataset.partition_by, carried, dataset.audio, root, gives_splits)
    finally:
        parsed.close()


def _require_music_apart(manifest: ManifestFile, store: Store) -> None:
    """Refuse a catalogue that lists what its own dataset will hold; later, the listing itself sees that."""
    listing = manifest.listing
    if listing is None:
        return
    music = str(listing.file_system.unstrip_protocol(listing.root)).rstrip("/") + "/"
    own = store.url("").rstrip("/")
    if listing.is_local:
        music, own = os.path.realpath(listing.root) + "/", os.path.realpath(own.removeprefix("file://"))
    if music == f"{own}/" or music.startswith((f"{own}/audio/", f"{own}/{DATASET_FOLDER}/")):
        raise dataset_refused(music.rstrip("/"))


def check_dataset_layout(settings: Settings, store: Store, layout: DatasetLayout) -> None:
    """Raise ConfigError where the dataset was begun with another layout, or is split by something else."""
    check_layout(store, layout)
    splits = keep_splits(store, settings.dataset.splits, layout, "")
    if splits is not None:
        splits.check()


def check_addresses(settings: Settings, ledger: Ledger | None) -> None:
    """Raise ConfigError for an address of ours that cannot be listened on.

    While a run of the same key is under way they are that run's.
    """
    metrics, webhooks = settings.telemetry.metrics, settings.webhooks
    if metrics is None and webhooks is None:
        return
    key_ids = read_key_ids(settings, load_facts(settings.provider.kind))
    if ledger is not None and any(is_held(ledger, key_id) for key_id in key_ids):
        return
    from stemline.webhooks.server import LISTEN_KEY, require_free_address  # noqa: PLC0415 - few listen at all

    if metrics is not None:
        require_free_address(metrics, METRICS_KEY)
    if webhooks is not None:
        from stemline.webhooks.listener import is_received_already  # noqa: PLC0415 - brings httpx

        if ledger is None or not is_received_already(settings, ledger):
            require_free_address(webhooks.listen, LISTEN_KEY)


@contextmanager
def looking_as_a_run(settings: Settings, selection: Selection) -> Iterator[ManifestSource]:
    """Give the manifest, parsed, after every check that needs no provider and no cluster; nothing is written.

    Whether a bucket that can be read can be written, only a write would tell: `doctor` and `run` try that.
    """
    check_configuration(settings)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_reachable()
    with opening_manifest(settings, selection, store) as (source, layout):
        check_dataset_layout(settings, store, layout)
        with open_ledger_view(settings) as view:
            check_dataset(view.ledger, store, settings)
            check_addresses(settings, view.ledger)
        yield source


def ask_who_is_needed(settings: Settings, plan: Preview) -> None:
    """Ask the provider, and the cluster that collects, as a run does before it sends anything; the plan notes it.

    A local service that a run starts itself, and workers of this machine, are not started for a question.
    """
    try:
        check_cluster(settings)
    except StemlineError as error:
        plan.refusal = error
        return
    from stemline.run.provider_contact import contact_provider  # noqa: PLC0415 - brings httpx

    contact = contact_provider(settings, load_facts(settings.provider.kind))
    plan.refusal = contact.refusal
    plan.notices += contact.warnings
    if len(contact.answers) == 1:  # two keys may be of one account
        plan.balance = contact.answers[0].credits


def check_cluster(settings: Settings) -> None:
    """Raise ClusterAway where the workers that a configuration names by address do not answer, or are others."""
    execution = settings.execution
    if execution.address is not None:
        with opening_runner(execution.runner, execution.address, target_of(settings)):
            pass
