"""Releases: never changed but for this; their parts lose the rows, and they say so themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stemline.errors import StorageError
from stemline.forgetting.order import ForgetOrder
from stemline.forgetting.parts import count_rows, write_without_tracks
from stemline.forgetting.place import Finding
from stemline.forgetting.tables import prune_folders
from stemline.release.counts import ReleaseCounts
from stemline.release.record import RELEASES_PREFIX, Release, ReleaseFile, read_release, release_folder
from stemline.release.revision import RevisedParts, revise_release
from stemline.rewrite.partfiles import fetched
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
                with scratch_folder() as scratch:
                    _ReleaseChange(self.store, name, order, scratch).apply(holding)

    def _holding(self, keys: Sequence[str], order: ForgetOrder) -> list[tuple[str, int]]:
        return list(count_rows(self.store, keys, order.track_ids))

    def _parts(self) -> Mapping[str, list[str]]:
        """Give the parts of each release, whether or not it was finished."""
        found: dict[str, list[str]] = {}
        for key in sorted(self.store.list(RELEASES_PREFIX)):
            if key.endswith(".parquet") and key.count("/") >= _LEAST_STEPS:
                found.setdefault(key.split("/")[1], []).append(key)
        return found


@dataclass
class _ReleaseChange:
    """One release that loses rows: what it says of itself changes first, so that a crash is finished the same way."""

    store: Store
    name: str
    order: ForgetOrder
    scratch: Path
    before: ReleaseCounts = field(default_factory=ReleaseCounts)
    after: ReleaseCounts = field(default_factory=ReleaseCounts)

    def apply(self, holding: Mapping[str, int]) -> None:
        """Write the parts anew that hold rows, by their keys and how many."""
        paths = {key: self.scratch / f"{number}.parquet" for number, key in enumerate(holding)}
        files = {self._path(key): self._write(key, path) for key, path in paths.items()}
        rows: Counter[str] = Counter()
        for key, count in holding.items():
            rows[self._table(key)] += count
        release = self._release()
        if release is not None:
            parts = RevisedParts(files, rows, self.before, self.after)
            revise_release(self.store, release, parts, self.order.tombstone)
        for key, path in paths.items():
            if files[self._path(key)] is None:
                self.store.delete(key)
            else:
                self.store.put_file(key, path)
        prune_folders(self.store, holding)

    def _release(self) -> Release | None:
        """Give the release; None where it was not finished, or somebody has altered what it says of itself."""
        try:
            return read_release(self.store, self.name)
        except StorageError:
            return None

    def _write(self, key: str, path: Path) -> ReleaseFile | None:
        left = write_without_tracks(self.store, key, self.order.track_ids, path)
        with fetched(self.store, [key]) as (old,):
            self.before.add(self._table(key), old)
        if not left:
            return None
        self.after.add(self._table(key), path)
        part = describe_file(self.store, key, path)
        return ReleaseFile(self._path(key), part.size_bytes, part.sha256, part.rows)

    def _path(self, key: str) -> str:
        return key.removeprefix(f"{release_folder(self.name)}/")

    def _table(self, key: str) -> str:
        return self._path(key).partition("/")[0]
