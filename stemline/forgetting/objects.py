"""Audio of the tracks: under its own names, staged to be embedded, and in quarantine; of every attempt there was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from stemline.dataset.doubtful_audio import QUARANTINE_PREFIX, REASON
from stemline.dataset.paths import STAGED_PREFIX, name_digest, path_safe
from stemline.forgetting.order import ForgetOrder
from stemline.forgetting.place import Finding
from stemline.storage import Store

LISTINGS_AT_ONCE = 16
MOST_LISTINGS = 1_000
"""Of more tracks everything is listed once, which takes a request for every thousand objects."""
AUDIO_PREFIX = "audio"
_OWN_STEPS = 3
"""A track's own folder is so many steps below the root, and more where the prefix has more."""

Objects = dict[str, dict[str, int]]
"""Sizes of objects by their keys, by the folder they are removed with."""


@dataclass(frozen=True, slots=True)
class ObjectsPlace:
    """Objects that lie in a folder of their track's or attempt's own."""

    store: Store
    name: str
    look: Callable[[Store, ForgetOrder], Objects]

    def find(self, order: ForgetOrder) -> Finding:
        """Count them."""
        sizes = [size for objects in self.look(self.store, order).values() for size in objects.values()]
        return Finding(len(sizes), bytes=sum(sizes))

    def empty(self, order: ForgetOrder) -> None:
        """Remove them, and the folders that bear the track's name."""
        found = self.look(self.store, order)
        self.store.delete_all(key for objects in found.values() for key in objects)
        for folder in found.keys() | self._own_folders(order):
            self.store.prune(folder)

    def _own_folders(self, order: ForgetOrder) -> set[str]:
        """Give the folders that may be left of what a crash cut off."""
        return {f"{prefix}/{_folder(each)}" for prefix in _PREFIXES for each in order.track_ids}


_PREFIXES = (AUDIO_PREFIX, STAGED_PREFIX)


def audio_of(store: Store, order: ForgetOrder) -> Objects:
    """Give the stored stems of every attempt at the tracks, whatever its recipe and provider."""
    return _below(store, AUDIO_PREFIX, order)


def staged_of(store: Store, order: ForgetOrder) -> Objects:
    """Give the stems that wait to be embedded."""
    return _below(store, STAGED_PREFIX, order)


def quarantine_of(store: Store, order: ForgetOrder) -> Objects:
    """Give what is in quarantine of attempts at the tracks: those the ledger knows, and those a reason names."""
    named = {path_safe(token) for token in order.tokens}
    found: Objects = {}
    for key, size in store.list_sizes(QUARANTINE_PREFIX):
        found.setdefault(key.rpartition("/")[0], {})[key] = size
    return {
        folder: objects
        for folder, objects in found.items()
        if folder.rpartition("/")[2] in named or _is_about(store, folder, objects, order)
    }


def _is_about(store: Store, folder: str, objects: dict[str, int], order: ForgetOrder) -> bool:
    if f"{folder}/{REASON}" not in objects:
        return False
    try:
        tree = json.loads(store.read_bytes(f"{folder}/{REASON}"))
    except (FileNotFoundError, ValueError):
        return False
    return tree.get("track_id") in order.track_ids


def _below(store: Store, prefix: str, order: ForgetOrder) -> Objects:
    folders = {f"{prefix}/{_folder(each)}" for each in order.track_ids}
    if len(folders) > MOST_LISTINGS:
        return _among(store.list_sizes(prefix), folders, prefix.count("/") + _OWN_STEPS)
    with ThreadPoolExecutor(LISTINGS_AT_ONCE) as threads:
        listed = threads.map(lambda folder: (folder, dict(store.list_sizes(folder))), sorted(folders))
        return {folder: objects for folder, objects in listed if objects}


def _among(listed: Iterator[tuple[str, int]], folders: set[str], steps: int) -> Objects:
    found: Objects = {}
    for key, size in listed:
        folder = "/".join(key.split("/", steps)[:steps])
        if folder in folders:
            found.setdefault(folder, {})[key] = size
    return found


def _folder(track_id: str) -> str:
    return f"{name_digest(track_id)[:2]}/{path_safe(track_id)}"
