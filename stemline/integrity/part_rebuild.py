"""Parts that are gone or damaged written again from what the ledger has of their rows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import read_layout
from stemline.dataset.parts import ROWS_PER_GROUP, DatasetBatch, part_key, part_writer, write_parts
from stemline.dataset.renewal import opened_part
from stemline.dataset.stored_tracks import batch_of_part
from stemline.dataset.table_row import PublishedRow, table_rows
from stemline.errors import StemlineError
from stemline.integrity.finding import RepairOutcome
from stemline.ledger import Ledger
from stemline.ledger.row_mapping import BatchRow
from stemline.manifest.manifest_file import find_source_root
from stemline.records import PartFile
from stemline.rewrite.merging import SortedMerge
from stemline.rewrite.snapshot import live_key, live_parts
from stemline.run.rewriting import rewriting
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings
from stemline.splits.split_book import SplitBook, read_split_book
from stemline.storage import Store, open_store, scratch_folder

_ID = ("track_id", "provider", "recipe")
FROM_COPY = "Put it back from a copy of the dataset."
WRITTEN = "Written again from what the ledger has of its rows."
_NUMBER = re.compile(r"[.](\d+)[.]parquet$")


@dataclass(frozen=True)
class PartRebuild:
    """Writes parts again."""

    settings: Settings
    store: Store
    ledger: Ledger
    dataset_id: str
    described: Mapping[str, PartFile] = field(default_factory=dict)
    """What the dataset's parts should be, as far as it is known."""

    def run(self, wanted: Sequence[tuple[str, PartFile | None]]) -> Iterator[RepairOutcome]:
        """Give what became of each part, by its key and what it should be as far as it is known."""
        kept = read_layout(self.store)
        if kept is None or kept.tree.get("audio") != "objects":
            for key, _ in wanted:
                sentence = f"The ledger has no audio to embed. {FROM_COPY}"
                yield RepairOutcome(key, is_mended=False, sentence=sentence)
            return
        root = find_source_root(source_of(self.settings, Selection()))
        layout = DatasetLayout(tuple(kept.tree["partition_by"]), kept.carried, "objects", root)
        with rewriting(self.ledger, self.store, self.dataset_id) as rewriter:
            for key, told in wanted:
                with scratch_folder() as folder:
                    try:
                        rebuilt = self._rebuild(key, told, layout, folder)
                    except (StemlineError, ValueError) as error:
                        rebuilt = str(error)
                    if isinstance(rebuilt, Path):
                        with rewriter.changing({key}):
                            self.store.put_file(key, rebuilt)
                    yield RepairOutcome(
                        key,
                        is_mended=isinstance(rebuilt, Path),
                        sentence=WRITTEN if isinstance(rebuilt, Path) else f"{rebuilt} {FROM_COPY}",
                    )

    def _rebuild(self, key: str, told: PartFile | None, layout: DatasetLayout, folder: Path) -> Path | str:
        """Give a part as a file, or why it cannot be had."""
        table, batch_id = key.partition("/")[0], batch_of_part(key)
        if table == "activity":
            return "The ledger does not keep what each second holds: with --decode it is measured again."
        schema, its, other = layout.schema_of(table), folder / "its", folder / "other"
        pieces = self._pieces(key, told)
        files = self._written(key, self.ledger.holdings.sources(batch_id), layout, its)
        rebuilt = files if isinstance(files, str) else _merged(files, key, pieces, schema)
        if isinstance(rebuilt, Path) or told is None:
            return rebuilt
        # Of a batch that lay in several partitions the ledger knows into which part the last of them was merged.
        files = self._written(key, self._merged_batches(key), layout, other, self._ids_beside(pieces))
        again = files if isinstance(files, str) else _merged(files, key, pieces, schema)
        return again if isinstance(again, Path) else rebuilt

    def _written(
        self,
        key: str,
        sources: Iterable[str],
        layout: DatasetLayout,
        folder: Path,
        without: Collection[tuple[str, str, str]] = (),
    ) -> list[Path] | str:
        """Give the rows of these batches that belong in the partition of a part as files, or why they cannot be had."""
        table, place = key.partition("/")[0], key.partition("/")[2].rpartition("/")[0]
        folder.mkdir()
        files = []
        for source in sources:
            opener = self.ledger.batches.run_of(source)
            rows = self._with_splits(map(_published, self.ledger.batches.rows(source)), opener, layout)
            here = [row for row in rows if layout.folder(table_rows(row, opener, layout).track) == place]
            here = [row for row in here if _id(row) not in without]
            if table == "stems" and any(not row.collected.stems for row in here):
                return "The ledger has forgotten what its stems were."
            if here:
                scratch = open_store(str(folder / source))
                write_parts(scratch, DatasetBatch(source, opener, here), layout)
                files.append(folder / source / part_key(table, place, source))
        return files

    def _with_splits(
        self, rows: Iterable[PublishedRow], opener: str, layout: DatasetLayout
    ) -> list[PublishedRow]:
        """Give rows with the splits that the dataset has decided, where it has decided any."""
        kept = list(rows)
        if self._splits is None:
            return kept
        found = self._splits.splits_of([table_rows(row, opener, layout).track for row in kept])
        return [replace(row, split=split) for row, split in zip(kept, found, strict=True)]

    @cached_property
    def _splits(self) -> SplitBook | None:
        return read_split_book(self.store)

    def _merged_batches(self, key: str) -> Iterator[str]:
        """Give the batches whose rows of this partition no part of their own name has any more."""
        table, place = key.partition("/")[0], key.partition("/")[2].rpartition("/")[0]
        live = {live_key(each) for each in live_parts(self.store)} | self.ledger.parts.written().keys()
        for batch_id in self.ledger.holdings.batches():
            if part_key(table, place, batch_id) not in live:
                yield batch_id

    def _pieces(self, key: str, told: PartFile | None) -> dict[str, int]:
        """Give how many rows each part has that holds some of what was too large for one; none where nobody knows."""
        if told is None:
            return {}
        every = [each for each in self.described.values() if _batch(each.key) == _batch(key)]
        return {key: told.rows} | {each.key: each.rows for each in every}

    def _ids_beside(self, pieces: Mapping[str, int]) -> set[tuple[str, str, str]]:
        """Give the rows that other parts of the same table and partition have; raises StorageError for damaged ones."""
        found: set[tuple[str, str, str]] = set()
        folder = next(iter(pieces)).rpartition("/")[0]
        for each in live_parts(self.store):
            if live_key(each).rpartition("/")[0] == folder and each not in pieces:
                with suppress(FileNotFoundError), opened_part(self.store, each) as part:
                    columns = part.read(list(_ID)).select(list(_ID)).to_pydict()
                    found |= set(zip(*columns.values(), strict=True))
        return found


def _merged(files: Sequence[Path], key: str, pieces: Mapping[str, int], schema: pa.Schema) -> Path | str:
    """Give one of the parts that all these rows make, or why it cannot be had."""
    rows, told = sum(pq.read_metadata(file).num_rows for file in files), sum(pieces.values())
    if not files or (pieces and rows != told):
        had = f", not its {told:,}" if pieces else ""
        return f"The ledger tells of {rows:,} of its rows{had}."
    if len(files) == 1 and len(pieces) <= 1:
        return files[0]
    folder = files[0].parent / "room"
    folder.mkdir()
    before = sum(count for each, count in pieces.items() if _number(each) < _number(key))
    wanted = range(before, before + pieces.get(key, rows))
    return _cut(SortedMerge(schema, files, folder), wanted, folder.parent / "whole.parquet")


def _cut(merge: SortedMerge, wanted: range, whole: Path) -> Path:
    """Write the wanted ones of all sorted rows; a file that is there already where it has just these."""
    at = 0
    with part_writer(whole, merge.schema) as writer:
        for path in merge.write():
            with pq.ParquetFile(path) as part:
                if range(at, at + part.metadata.num_rows) == wanted:
                    break
                for batch in part.iter_batches(ROWS_PER_GROUP):
                    start = min(max(0, wanted.start - at), batch.num_rows)
                    rows = batch.slice(start, max(0, wanted.stop - at - start))
                    at += batch.num_rows
                    if rows.num_rows:
                        writer.write_table(pa.Table.from_batches([rows]))
        else:
            return whole
    shutil.copyfile(path, whole)  # what is merged is removed when the next part is asked for
    return whole


def _batch(key: str) -> tuple[str, str]:
    """Give what parts have in common that hold what was too large for one."""
    return key.rpartition("/")[0], batch_of_part(key)


def _number(key: str) -> int:
    """Give which of them a part is."""
    found = _NUMBER.search(key)
    return int(found[1]) if found else 1


def _id(row: PublishedRow) -> tuple[str, str, str]:
    attempt = row.attempt
    return attempt.track.track_id, attempt.provider, attempt.recipe.name


def _published(row: BatchRow) -> PublishedRow:
    return PublishedRow(
        row.attempt,
        row.job,
        row.collected,
        source_sha256=row.source_sha256,
        credits_charged=row.credits_charged,
    )
