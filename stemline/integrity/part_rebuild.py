"""Parts that are gone or damaged written again from what the ledger has of their rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import read_layout
from stemline.dataset.parts import DatasetBatch, part_key, write_parts
from stemline.dataset.stored_tracks import batch_of_part
from stemline.dataset.table_row import PublishedRow, table_rows
from stemline.errors import StemlineError
from stemline.integrity.finding import RepairOutcome
from stemline.ledger import Ledger
from stemline.ledger.row_mapping import BatchRow
from stemline.manifest.manifest_file import find_source_root
from stemline.records import PartFile
from stemline.rewrite.merging import SortedMerge
from stemline.run.rewriting import rewriting
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings
from stemline.storage import Store, open_store, scratch_folder

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
        place = key.partition("/")[2].rpartition("/")[0]
        files = []
        for source in self.ledger.holdings.sources(batch_id):
            rows = [_published(each) for each in self.ledger.batches.rows(source)]
            opener = self.ledger.batches.run_of(source)
            here = [row for row in rows if layout.folder(table_rows(row, opener, layout).track) == place]
            if table == "stems" and any(not row.collected.stems for row in here):
                return "The ledger has forgotten what its stems were."
            if here:
                scratch = open_store(str(folder / source))
                write_parts(scratch, DatasetBatch(source, opener, here), layout)
                files.append(folder / source / part_key(table, place, source))
        return _merged(files, told, layout.schema_of(table), folder)


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


def _published(row: BatchRow) -> PublishedRow:
    return PublishedRow(
        row.attempt,
        row.job,
        row.collected,
        source_sha256=row.source_sha256,
        credits_charged=row.credits_charged,
    )
