"""The place an export goes to: empty, or holding the same export, begun or finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from stemline.errors import UsageError
from stemline.export.target_files import WrittenShard
from stemline.storage import Store
from stemline.storage.store import TEMPORARY_PREFIX

RECORD_NAME = "export.json"
WORK_PREFIX = "_export"
MARKER_KEY = f"{WORK_PREFIX}/begun.json"
_SHARDS_PREFIX = f"{WORK_PREFIX}/shards"
_READS_AT_ONCE = 16


class ExportTarget:
    """Knows what is in a target, and says of it what was done."""

    def __init__(self, store: Store, digest: str) -> None:
        """Take the place, and the digest of what is to be in it."""
        self.store, self.digest = store, digest

    def claim(self) -> dict[str, Any] | None:
        """Begin or go on; give the record of the same export where it is finished.

        Raises UsageError where anything else is there.
        """
        finished = self._read(RECORD_NAME)
        if finished is not None:
            self._require_same(finished)
            self._clear()
            return finished
        marker = self._read(MARKER_KEY)
        if marker is None:
            if next(iter(self.store.list()), None) is not None:
                raise _taken(self.store, "is not empty")
            self.store.create(MARKER_KEY, _dump({"digest": self.digest}))
            marker = self._read(MARKER_KEY) or {}
        self._require_same(marker)
        return None

    def finished_shards(self) -> dict[str, WrittenShard]:
        """Give the shards that are whole, by name: with a record, and all of its files there and as long as it says.

        After a power cut a disk may have the record and not all of a file, which is then shorter.
        """
        keys = [key for key in self.store.list(_SHARDS_PREFIX) if key.endswith(".json")]
        with ThreadPoolExecutor(_READS_AT_ONCE) as threads:
            trees = list(threads.map(self._read, keys))
        sizes = dict(self.store.list_sizes()) if keys else {}
        found = {}
        for tree in trees:
            with suppress(KeyError, TypeError, AttributeError):
                shard = WrittenShard.from_tree(tree or {})
                if all(sizes.get(file.path) == file.size_bytes for file in shard.files):
                    found[shard.name] = shard
        return found

    def record_shard(self, shard: WrittenShard) -> None:
        """Write down that a shard is whole."""
        self.store.put_bytes(f"{_SHARDS_PREFIX}/{shard.name}.json", _dump(shard.as_tree()))

    def finish(self, record: dict[str, Any]) -> None:
        """Write down that all is there, then remove what only working needed."""
        self.store.put_bytes(RECORD_NAME, _dump(record, indent=1))
        self._clear()

    def _clear(self) -> None:
        self.store.delete_all(list(self.store.list(WORK_PREFIX)))
        self.store.prune(WORK_PREFIX)
        leftovers = self.store.local_path(TEMPORARY_PREFIX)
        if leftovers is not None:  # a killed writer's, which nobody names any more
            shutil.rmtree(leftovers.parent, ignore_errors=True)

    def _require_same(self, tree: dict[str, Any]) -> None:
        if tree.get("digest") != self.digest:
            raise _taken(self.store, "holds another export, or the same of other tracks or options")

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            tree = json.loads(self.store.read_bytes(key))
        except FileNotFoundError:
            return None
        except ValueError:
            tree = {}
        return tree if isinstance(tree, dict) else {}


def refuse_inside(target: Store, dataset: Store) -> None:
    """Raise UsageError for a target that lies in the dataset, or around it, links followed."""
    ours, theirs = (f"{_real_place(store).rstrip('/')}/" for store in (target, dataset))
    if ours.startswith(theirs) or theirs.startswith(ours):
        raise UsageError(
            f"{target.root_url} is within the dataset, or around it.", fix="Give --out another place."
        )


def _real_place(store: Store) -> str:
    record = store.local_path(RECORD_NAME)
    return store.root_url if record is None else str(record.parent.resolve())


def total_bytes(shards: Iterable[WrittenShard]) -> int:
    """Give the size of all files of shards."""
    return sum(file.size_bytes for shard in shards for file in shard.files)


def _taken(store: Store, what: str) -> UsageError:
    return UsageError(f"{store.root_url} {what}.", fix="Give --out an empty place.")


def _dump(tree: dict[str, Any], indent: int | None = None) -> bytes:
    return json.dumps(tree, indent=indent, sort_keys=False, ensure_ascii=False, default=str).encode() + b"\n"
