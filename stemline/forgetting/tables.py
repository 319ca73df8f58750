"""The live tables: parts that hold rows of the tracks are replaced by parts without, all of them by one plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stemline.dataset.paths import TABLES
from stemline.forgetting.order import ForgetOrder
from stemline.forgetting.parts import count_rows, write_without_tracks
from stemline.forgetting.place import Finding
from stemline.rewrite.rewrite import Replacement, RewritePlan, Rewriter
from stemline.rewrite.snapshot import POINTER_KEY, SNAPSHOTS_PREFIX, live_parts, read_snapshot, snapshot_key
from stemline.storage import Store, scratch_folder


@dataclass(frozen=True, slots=True)
class TablesPlace:
    """The tables that readers see."""

    store: Store
    rewriter: Rewriter | None = None
    """None: for a look alone."""
    name: str = "tables"

    def find(self, order: ForgetOrder) -> Finding:
        """Count parts and rows."""
        found = self._holding(order)
        return Finding(len(found), sum(found.values()), names=tuple(found))

    def empty(self, order: ForgetOrder) -> None:
        """Replace the parts that hold any; tracks before stems, so that no reader finds a track without its stems."""
        keys = list(self._holding(order))
        if not keys or self.rewriter is None:
            return
        rewrite_id = f"forget-{order.tombstone.tombstone_id}"
        replacements = tuple(self._replacement(self.rewriter, rewrite_id, key, order) for key in keys)
        self.rewriter.commit(RewritePlan(rewrite_id, "forget", replacements))
        prune_folders(self.store, keys)

    def _holding(self, order: ForgetOrder) -> dict[str, int]:
        keys = live_parts(self.store)
        places = {table: number for number, table in enumerate(reversed(TABLES))}
        ordered = sorted(keys, key=lambda key: (places.get(key.partition("/")[0], 0), key))
        return dict(count_rows(self.store, ordered, order.track_ids))

    def _replacement(self, rewriter: Rewriter, rewrite_id: str, key: str, order: ForgetOrder) -> Replacement:
        with scratch_folder() as folder:
            path = folder / "part.parquet"
            left = write_without_tracks(self.store, key, order.track_ids, path)
            return Replacement((key,), (rewriter.stage(rewrite_id, key, path),) if left else ())


@dataclass(frozen=True, slots=True)
class SnapshotsPlace:
    """Older snapshots: the parts that they name are gone, and a partition's folder may be a name."""

    store: Store
    name: str = "older snapshots"

    def find(self, order: ForgetOrder) -> Finding:
        """Count those before the newest."""
        del order
        return Finding(len(self._older()))

    def empty(self, order: ForgetOrder) -> None:
        """Remove them: whoever reads through one looks up the newest."""
        del order
        self.store.delete_all(self._older())

    def _older(self) -> list[str]:
        newest = read_snapshot(self.store)
        kept = {POINTER_KEY} if newest is None else {POINTER_KEY, snapshot_key(newest.number)}
        return [key for key in self.store.list(SNAPSHOTS_PREFIX) if key not in kept]


def prune_folders(store: Store, keys: Iterable[str]) -> None:
    """Remove the folders of partitions in which nothing is left: they may be named after an artist."""
    for folder in sorted({key.rpartition("/")[0] for key in keys}, key=len, reverse=True):
        while folder.count("/"):
            store.prune(folder)
            folder = folder.rpartition("/")[0]  # noqa: PLW2901 - one step up
