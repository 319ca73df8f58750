"""Parts that are gone or damaged written again from what the ledger has of their rows."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import read_layout
from stemline.dataset.parts import DatasetBatch, part_key, write_parts
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
from stemline.storage import Store, open_store, scratch_folder

_ID = ("track_id", "provider", "recipe")
FROM_COPY = "Put it back from a copy of the dataset."
WRITTEN = "Written again from what the ledger has of its rows."


@dataclass(frozen=True, slots=True)
class PartRebuild:
    """Writes parts again."""

    settings: Settings
    store: Store
    ledger: Ledger
    dataset_id: str

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
        files = self._written(key, self.ledger.holdings.sources(batch_id), layout, its)
        rebuilt = files if isinstance(files, str) else _merged(files, told, schema, its)
        if isinstance(rebuilt, Path) or told is None:
            return rebuilt
        # Of a batch that lay in several partitions the ledger knows into which part the last of them was merged.
        files = self._written(key, self._merged_batches(key), layout, other, self._ids_beside(key))
        again = files if isinstance(files, str) else _merged(files, told, schema, other)
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
            rows = [_published(each) for each in self.ledger.batches.rows(source)]
            opener = self.ledger.batches.run_of(source)
            here = [row for row in rows if layout.folder(table_rows(row, opener, layout).track) == place]
            here = [row for row in here if _id(row) not in without]
            if table == "stems" and any(not row.collected.stems for row in here):
                return "The ledger has forgotten what its stems were."
            if here:
                scratch = open_store(str(folder / source))
                write_parts(scratch, DatasetBatch(source, opener, here), layout)
                files.append(folder / source / part_key(table, place, source))
        return files

    def _merged_batches(self, key: str) -> Iterator[str]:
        """Give the batches whose rows of this partition no part of their own name has any more."""
        table, place = key.partition("/")[0], key.partition("/")[2].rpartition("/")[0]
        live = {live_key(each) for each in live_parts(self.store)} | self.ledger.parts.written().keys()
        for batch_id in self.ledger.holdings.batches():
            if part_key(table, place, batch_id) not in live:
                yield batch_id

    def _ids_beside(self, key: str) -> set[tuple[str, str, str]]:
        """Give the rows that other parts of the same table and partition have; raises StorageError for damaged ones."""
        found: set[tuple[str, str, str]] = set()
        for each in live_parts(self.store):
            if live_key(each).rpartition("/")[0] == key.rpartition("/")[0] and each != key:
                with suppress(FileNotFoundError), opened_part(self.store, each) as part:
                    columns = part.read(list(_ID)).select(list(_ID)).to_pydict()
                    found |= set(zip(*columns.values(), strict=True))
        return found


def _merged(files: Sequence[Path], told: PartFile | None, schema: pa.Schema, folder: Path) -> Path | str:
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    if not files or (told is not None and rows != told.rows):
        had = f", not its {told.rows:,}" if told is not None else ""
        return f"The ledger tells of {rows:,} of its rows{had}."
    if len(files) == 1:
        return files[0]
    room = folder / "room"
    room.mkdir()
    whole = folder / "whole.parquet"
    for count, path in enumerate(SortedMerge(schema, files, room).write()):
        if count:
            return "It was too large for one part."
        shutil.copyfile(path, whole)  # what is merged is removed when the next part is asked for
    return whole


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
