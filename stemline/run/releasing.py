"""A release made: the parts listed once, copied, described, and declared finished by its last file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from stemline import __version__
from stemline.dataset.columns import columns_tree
from stemline.dataset.identity import make_dataset_id
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import KeptLayout, read_layout, require_layout
from stemline.dataset.table_schemas import SCHEMA_VERSION
from stemline.errors import StorageError, UsageError
from stemline.release.card import release_card
from stemline.release.croissant import croissant_file
from stemline.release.moment import read_moment
from stemline.release.record import (
    CARD_NAME,
    CROISSANT_NAME,
    DATASET_ROOT,
    LEAKAGE_NAME,
    MAKING_NAME,
    RECORD_NAME,
    Release,
    ReleaseFile,
    check_name,
    read_release,
    release_folder,
    release_key,
    write_release,
)
from stemline.release.rights_filter import RightsFilter
from stemline.release.table_copy import TableCopy
from stemline.rewrite.snapshot import REWRITES_PREFIX, live_parts, parts_tree, read_snapshot
from stemline.rights import EVERY_TRACK, RightsGate
from stemline.run.rewriting import keeping_rewrites_away
from stemline.settings import Settings
from stemline.storage import Store, open_store, scratch_folder

TRIES = 5
"""How often a copy is begun anew because parts were replaced meanwhile."""
Progress = Callable[[int, int], object]


def release_dataset(
    settings: Settings,
    name: str,
    on_progress: Progress = lambda _done, _all: None,
    gate: RightsGate = EVERY_TRACK,
) -> Release:
    """Make a release of what is published now; what a crash left of one is done again.

    Runs may go on publishing: it holds what was there at one moment, and no part is replaced meanwhile. Only tracks
    that pass the gate are in it; the others are listed.

    Raises UsageError for a name that is taken or unusable, and where nothing is published or passes; StorageError for
    a part that cannot be read; LeaseHeld while another command replaces parts.
    """
    check_name(name)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_writable()
    _refuse_finished(store, name)
    if not read_moment(store).keys:
        raise _nothing_published(store)
    dataset_id = make_dataset_id(store)
    with keeping_rewrites_away(store) as require_hold:

        def on_step(done: int, total: int) -> None:
            require_hold()
            on_progress(done, total)

        making = _ReleaseCreation(store, dataset_id, name, settings, on_step, gate)
        for _ in range(TRIES):
            release = making.attempt()
            if release is not None:
                return release
    _refuse_gone(store)
    raise StorageError(
        f"The parts of {store.url()} are replaced faster than they can be copied.",
        fix="Make the release when no other run works on the dataset.",
    )


@dataclass(frozen=True, slots=True)
class _ReleaseCreation:
    """One release under way."""

    store: Store
    dataset_id: str
    name: str
    settings: Settings
    on_step: Progress
    gate: RightsGate = EVERY_TRACK

    def attempt(self) -> Release | None:
        """Make the release; None where parts were replaced meanwhile."""
        self._clear()
        kept, snapshot, moment = (
            require_layout(self.store),
            read_snapshot(self.store),
            read_moment(self.store),
        )
        if kept is None or not moment.keys:
            raise _nothing_published(self.store)
        layout = DatasetLayout(tuple(kept.tree["partition_by"]), kept.carried, kept.tree["audio"])
        with scratch_folder() as scratch:
            rights = None if self.gate.is_open else RightsFilter(self.gate, scratch)
            copy = TableCopy(self.store, layout, self.name, self.on_step, rights=rights)
            try:
                copy.run(moment.keys)
            except FileNotFoundError:
                return None
        if not self._is_as_read(copy, kept):
            return None
        facts = self._facts(
            copy, kept, {"number": snapshot.number if snapshot else None, "left_out": moment.left_out}
        )
        report = copy.leakage.report()
        facts["leakage"] = report.counts()
        release = Release(self.name, datetime.now(UTC), tuple(copy.files), facts)
        leaks = json.dumps(report.as_tree(), indent=1, ensure_ascii=False).encode() + b"\n"
        return self._finish(release, layout, self._put(LEAKAGE_NAME, leaks))

    def _clear(self) -> None:
        """Remove what was left of a release that was not finished."""
        self.store.delete_all(list(self.store.list(release_folder(self.name))))

    def _is_as_read(self, copy: TableCopy, kept: KeptLayout) -> bool:
        """Tell whether what was read is still all there, and as long: then it was there at one moment."""
        now = read_layout(self.store)
        if now is None or columns_tree(now.carried) != columns_tree(kept.carried):
            return False
        live = set(live_parts(self.store))
        sizes = {key: size for place in _places(copy.read) for key, size in self.store.list_sizes(place)}
        return all(key in live and sizes.get(key) == part.size_bytes for key, part in copy.read.items())

    def _finish(self, release: Release, layout: DatasetLayout, leakage: ReleaseFile) -> Release:
        self._put(MAKING_NAME, b"")
        card = self._put(CARD_NAME, release_card(release, layout, self.settings.name))
        croissant = self._put(CROISSANT_NAME, croissant_file(release, layout, self.settings.name))
        finished = replace(release, files=(card, croissant, leakage, *release.files))
        self._require_whole(finished)
        self.on_step(1, 1)
        if not write_release(self.store, finished):
            raise _taken(self.store, self.name)
        self.store.delete(release_key(self.name, MAKING_NAME))
        return finished

    def _put(self, path: str, data: bytes) -> ReleaseFile:
        self.store.put_bytes(release_key(self.name, path), data)
        return ReleaseFile(path, len(data), hashlib.sha256(data).hexdigest())

    def _require_whole(self, release: Release) -> None:
        """Raise StorageError where the folder holds anything but what was written."""
        folder = release_folder(self.name)
        found = {key.removeprefix(f"{folder}/"): size for key, size in self.store.list_sizes(folder)}
        found.pop(MAKING_NAME, None)
        if found != {file.path: file.size_bytes for file in release.files}:
            raise StorageError(
                f"{self.store.url(folder)} does not hold what was written there.",
                fix="Another command may be making the same release: let one of them end.",
            )

    def _facts(self, copy: TableCopy, kept: KeptLayout, snapshot: dict[str, Any]) -> dict[str, Any]:
        names = ("pyarrow", "duckdb")
        recipe = self.settings.recipe.as_recipe().name
        return {
            "dataset_id": self.dataset_id,
            "dataset_root": DATASET_ROOT,
            "counts": copy.counts.as_tree(),
            **({} if copy.rights is None else {"rights": copy.rights.as_tree()}),
            "layout": {
                "partition_by": kept.tree["partition_by"],
                "audio": kept.tree["audio"],
                "columns": columns_tree(kept.carried),
            },
            "config": {
                "name": self.settings.name,
                "digest": self.settings.digest(),
                "provider": self.settings.provider.kind,
                "recipe": recipe,
            },
            "versions": {
                "stemline": __version__,
                "schema": SCHEMA_VERSION,
                **{name: version(name) for name in names},
            },
            "snapshot": {**snapshot, "parts": parts_tree(copy.read.values())},
        }


def _places(keys: Iterable[str]) -> set[str]:
    """Give the folders in which these parts are listed."""
    return {
        REWRITES_PREFIX if key.startswith(f"{REWRITES_PREFIX}/") else key.partition("/")[0] for key in keys
    }


def _refuse_finished(store: Store, name: str) -> None:
    if read_release(store, name) is not None:
        raise _taken(store, name)


def _taken(store: Store, name: str) -> UsageError:
    return UsageError(
        f"{store.url(release_key(name, RECORD_NAME))} is there already, and a release never changes.",
        fix="Give the new one another name.",
    )


def _refuse_gone(store: Store) -> None:
    """Raise StorageError for a part that the snapshot lists and that is not there."""
    for key in live_parts(store):
        if not store.exists(key):
            raise StorageError(
                f"{store.url(key)} is gone, so its rows are in no table.",
                fix="`stemline verify --repair` writes it again where the ledger has its rows; "
                "else put it back from a copy of the dataset.",
            )


def _nothing_published(store: Store) -> UsageError:
    return UsageError(f"Nothing is published in {store.url()} yet.", fix="Run `stemline run` first.")
