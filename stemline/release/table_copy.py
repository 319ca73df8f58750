"""The tables copied into a release: each partition merged to one sorted part a table, in bounded memory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import part_writer
from stemline.dataset.renewal import damaged_part, renewed_tables
from stemline.errors import StorageError
from stemline.leakage.survey import ACTIVITY_COLUMNS, TRACK_COLUMNS, LeakageSurvey
from stemline.records import PartFile
from stemline.release.counts import ReleaseCounts
from stemline.release.record import ReleaseFile, release_key
from stemline.release.rights_filter import RightsFilter
from stemline.rewrite.merging import SortedMerge
from stemline.rewrite.snapshot import live_key
from stemline.storage import Store, file_sha256, scratch_folder

FETCHES_AT_ONCE = 16
LOOKED_AT_ONCE = 20_000


@dataclass
class TableCopy:
    """Copies parts of a dataset into a release; remembers what it read and wrote."""

    store: Store
    layout: DatasetLayout
    name: str
    on_step: Callable[[int, int], object] = lambda _done, _all: None
    """Called with how many partitions are copied and how many there are."""
    read: dict[str, PartFile] = field(default_factory=dict)
    """What was read, by where it lay, as it was then."""
    files: list[ReleaseFile] = field(default_factory=list)
    counts: ReleaseCounts = field(default_factory=ReleaseCounts)
    rights: RightsFilter | None = None
    """Takes out what may not be in the release; None: all may."""
    leakage: LeakageSurvey = field(default_factory=LeakageSurvey)
    """What of one split is in another."""

    def run(self, keys: Collection[str]) -> None:
        """Copy these parts.

        Raises FileNotFoundError for one that is gone, StorageError for one that cannot be read, UsageError where none
        of the tracks may be in the release.
        """
        partitions = _partitions(keys)
        for number, (table, folder) in enumerate(sorted(partitions, key=self._turn)):
            self.on_step(number, len(partitions))
            if self.rights is not None and table != "tracks":
                self.rights.require_some()
            self._copy(table, folder, partitions[table, folder])
        if self.rights is not None:
            self.rights.require_some()
            self._list_refused(self.rights)
        self.files.sort(key=lambda file: file.path)
        self.on_step(len(partitions), len(partitions))

    def _turn(self, place: tuple[str, str]) -> tuple[bool, bool]:
        """Give when a table is copied: tracks tell which stems may be there, and whether anything can leak."""
        table, _ = place
        return self.rights is not None and table != "tracks", table == "activity"

    def _list_refused(self, rights: RightsFilter) -> None:
        listed = rights.put_refused(self.store, self.name)
        if listed is not None:
            self.files.append(listed)

    def _copy(self, table: str, folder: str, keys: Sequence[str]) -> None:
        schema = self.layout.schema_of(table)
        with scratch_folder() as scratch:
            files = self._fetch(keys, scratch)
            current = (self._take(key, file, schema) for key, file in zip(keys, files, strict=True))
            kept = [left for file in current if (left := self._sifted(table, file)) is not None]
            for number, file in enumerate(SortedMerge(schema, kept, scratch).write(), 1):
                self._put(table, folder, number, file)

    def _sifted(self, table: str, file: Path) -> Path | None:
        return file if self.rights is None else self.rights.sift(table, file)

    def _fetch(self, keys: Sequence[str], scratch: Path) -> list[Path]:
        """Give the parts as files of our own: one that is replaced meanwhile stays as it was for us."""
        files = [scratch / f"{number}.parquet" for number in range(len(keys))]
        with ThreadPoolExecutor(FETCHES_AT_ONCE) as threads:
            list(threads.map(partial(_fetch_file, self.store), keys, files))
        return files

    def _take(self, key: str, file: Path, schema: pa.Schema) -> Path:
        """Remember what a part is; give it with the columns the dataset has now: itself where it has them."""
        try:
            with pq.ParquetFile(file) as part:
                found = PartFile(
                    live_key(key), file.stat().st_size, file_sha256(file), part.metadata.num_rows
                )
                self.read[key] = found
                return file if part.schema_arrow.equals(schema) else self._renewed(part, file, schema)
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged_part(self.store, key) from error
        except ValueError as error:
            raise StorageError(
                f"{self.store.url(key)} cannot get the columns the dataset has now: {error}.",
                fix="Put it back from a copy of the dataset.",
            ) from error

    def _renewed(self, part: pq.ParquetFile, file: Path, schema: pa.Schema) -> Path:
        renewed = file.with_suffix(".renewed.parquet")
        with part_writer(renewed, schema) as writer:
            for table in renewed_tables(part, schema, self.layout):
                writer.write_table(table)
        file.unlink()
        return renewed

    def _put(self, table: str, folder: str, number: int, file: Path) -> None:
        path = "/".join(step for step in (table, folder, f"part-{number:04}.parquet") if step)
        self.counts.add(table, file)
        self._look_for_leaks(table, file)
        self.store.put_file(release_key(self.name, path), file)
        rows = pq.read_metadata(file).num_rows
        self.files.append(ReleaseFile(path, file.stat().st_size, file_sha256(file), rows))

    def _look_for_leaks(self, table: str, file: Path) -> None:
        columns = {"tracks": TRACK_COLUMNS, "activity": ACTIVITY_COLUMNS}.get(table)
        if columns is None or (table == "activity" and not self.leakage.has_splits):
            return
        add = self.leakage.add_tracks if table == "tracks" else self.leakage.add_activity
        with pq.ParquetFile(file) as part:
            for rows in part.iter_batches(LOOKED_AT_ONCE, columns=list(columns)):
                add(rows)


def _partitions(keys: Collection[str]) -> Mapping[tuple[str, str], list[str]]:
    """Give the parts by table and partition folder, in order."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for key in sorted(keys, key=live_key):
        table, _, rest = live_key(key).partition("/")
        found[table, rest.rpartition("/")[0]].append(key)
    return found


def _fetch_file(store: Store, key: str, file: Path) -> None:
    here = store.local_path(key)
    if here is not None:
        try:
            os.link(here, file)
        except FileNotFoundError:
            raise
        except OSError:  # on another disk, or one without links
            pass
        else:
            return
    store.fetch_file(key, file)
