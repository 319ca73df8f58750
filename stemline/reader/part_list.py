"""Which parts a reader sees: those that are live now, or those of a release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stemline.dataset.columns import columns_from_tree
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import read_layout
from stemline.dataset.paths import TABLES
from stemline.errors import UsageError
from stemline.release.record import RECORD_NAME, RELEASES_PREFIX, list_releases, release_key, require_release
from stemline.rewrite.snapshot import live_key, live_parts
from stemline.settings.default_ledger import local_folder
from stemline.storage import Store


@dataclass(frozen=True, slots=True)
class PartList:
    """The parts of each table, by their keys in the dataset."""

    parts: Mapping[str, tuple[str, ...]]
    layout: DatasetLayout | None
    """None: nobody wrote it down, and the parts tell their columns themselves."""


def read_part_list(store: Store, release: str | None) -> PartList:
    """Give the parts of a dataset as it is now, or of a release.

    Raises:
        UsageError: there is no dataset, or no such release; it names those there are.
        StorageError: the store cannot be asked, or what stemline wrote there was altered.
    """
    if release is not None:
        record = require_release(store, release)
        told = record.facts["layout"]
        layout = DatasetLayout(tuple(told["partition_by"]), columns_from_tree(told["columns"]), told["audio"])
        return PartList(
            {
                table: tuple(release_key(release, part.path) for part in record.parts_of(table))
                for table in TABLES
            },
            layout,
        )
    kept = read_layout(store)
    keys = live_parts(store)
    if kept is None and not keys:
        raise _no_dataset(store)
    if kept is None or "partition_by" not in kept.tree:
        return PartList(_by_table(keys), None)
    layout = DatasetLayout(tuple(kept.tree["partition_by"]), kept.carried, kept.tree.get("audio", "objects"))
    return PartList(_by_table(keys), layout)


def split_release(url: str, store: Store) -> tuple[str, str] | None:
    """Give the dataset's URL and the release's name where a URL is the folder of a release; else None."""
    folder = local_folder(url)
    whole = url.rstrip("/") if folder is None else str(Path(folder).expanduser().absolute())
    root, _, name = whole.rpartition("/")
    root, _, parent = root.rpartition("/")
    return (root, name) if parent == RELEASES_PREFIX and store.exists(RECORD_NAME) else None


def _by_table(keys: Iterable[str]) -> dict[str, tuple[str, ...]]:
    listed = list(keys)
    return {table: tuple(key for key in listed if live_key(key).startswith(f"{table}/")) for table in TABLES}


def _no_dataset(store: Store) -> UsageError:
    names = [each.name for each in list_releases(store)[0]]
    return UsageError(
        f"There is no dataset at {store.root_url}.",
        fix=f"It has the releases {', '.join(names)}: name one."
        if names
        else "Give the dataset.url of a configuration that has run.",
    )
