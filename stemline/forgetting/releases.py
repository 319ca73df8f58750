"""Releases: never changed but for this; their parts lose the rows, and they say so themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stemline.forgetting.order import ForgetOrder
from stemline.forgetting.parts import count_rows, write_without
from stemline.forgetting.place import Finding
from stemline.forgetting.release_papers import RELEASES_PREFIX, ChangedRelease
from stemline.forgetting.tables import prune_folders
from stemline.records import PartFile
from stemline.rewrite.rewrite import describe_file
from stemline.storage import Store, scratch_folder

_LEAST_STEPS = 3


@dataclass(frozen=True, slots=True)
class ReleasesPlace:
    """All releases of a dataset."""

    store: Store
    name: str = "releases"

    def find(self, order: ForgetOrder) -> Finding:
        """Count parts and rows; name the releases."""
        found = {name: self._holding(keys, order) for name, keys in self._parts().items()}
        parts = [part for parts in found.values() for part in parts]
        names = tuple(name for name, parts in found.items() if parts)
        return Finding(len(parts), sum(rows for _, rows in parts), names=names)

    def empty(self, order: ForgetOrder) -> None:
        """Take the rows out of every release."""
        for name, keys in self._parts().items():
            holding = dict(self._holding(keys, order))
            if holding:
                _ReleaseChange(self.store, f"{RELEASES_PREFIX}/{name}", order).apply(holding)

    def _holding(self, keys: Sequence[str], order: ForgetOrder) -> list[tuple[str, int]]:
        return list(count_rows(self.store, keys, order.track_ids))

    def _parts(self) -> Mapping[str, list[str]]:
        """Give the parts of each release, whether or not it was finished."""
        found: dict[str, list[str]] = {}
        for key in sorted(self.store.list(RELEASES_PREFIX)):
            if key.endswith(".parquet") and key.count("/") >= _LEAST_STEPS:
                found.setdefault(key.split("/")[1], []).append(key)
        return found


@dataclass(frozen=True, slots=True)
class _ReleaseChange:
    """One release that loses rows: what it says of itself changes first, so that a crash is finished the same way."""

    store: Store
    folder: str
    order: ForgetOrder

    def apply(self, holding: Mapping[str, int]) -> None:
        with scratch_folder() as scratch:
            parts = dict(self._write(holding, scratch))
            changed = {key.removeprefix(f"{self.folder}/"): part for key, (part, _) in parts.items()}
            rows: Counter[str] = Counter()
            for key, count in holding.items():
                rows[key.split("/")[2]] += count
            ChangedRelease(self.store, self.folder, self.order.tombstone, changed, rows).write()
            for key, (part, path) in parts.items():
                if part is None:
                    self.store.delete(key)
                else:
                    self.store.put_file(key, path)
        prune_folders(self.store, holding)

    def _write(
        self, holding: Mapping[str, int], scratch: Path
    ) -> Iterator[tuple[str, tuple[PartFile | None, Path]]]:
        for number, key in enumerate(holding):
            path = scratch / f"{number}.parquet"
            left = write_without(self.store, key, self.order.track_ids, path)
            yield key, (describe_file(self.store, key, path) if left else None, path)
