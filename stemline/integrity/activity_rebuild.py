"""What each second of stems holds measured in the stored objects: for tracks of before there was such a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.activity_table import activity_tables
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import read_layout
from stemline.dataset.parts import put_part
from stemline.dataset.renewal import opened_part
from stemline.dataset.stored_tracks import batch_of_part
from stemline.errors import StemlineError
from stemline.integrity.finding import RepairOutcome
from stemline.integrity.known_parts import find_parts
from stemline.ledger import Ledger
from stemline.records import LINKED
from stemline.run.rewriting import rewriting
from stemline.storage import Store, scratch_folder
from stemline.verify import decode_stem

STEMS_AT_ONCE = 8
_ROWS_AT_ONCE = 1_000
MEASURED = "Measured in the stored audio."


@dataclass(frozen=True, slots=True)
class ActivityRebuild:
    """Writes the parts of the activity table that lack rows of the stems table."""

    store: Store
    ledger: Ledger
    dataset_id: str
    strange: Collection[str] = ()
    """Parts that nobody knows: their rows are there twice, and are not measured as well."""

    def run(self) -> Iterator[RepairOutcome]:
        """Give what became of each part that had fewer rows than there are stems."""
        kept = read_layout(self.store)
        if kept is None or kept.tree.get("audio") != "objects":
            return
        layout = DatasetLayout(tuple(kept.tree["partition_by"]), kept.carried, "objects")
        with rewriting(self.ledger, self.store, self.dataset_id) as rewriter:
            for stems in sorted(find_parts(self.store, self.ledger).live):
                if (
                    not stems.startswith("stems/")
                    or stems in self.strange
                    or not stems.endswith(f"part-{batch_of_part(stems)}.parquet")
                ):
                    continue  # of what is too large for one part, the parts of two tables are cut elsewhere
                key = f"activity/{stems.partition('/')[2]}"
                try:
                    if self._lacks_rows(stems, key):
                        with rewriter.changing({key}), opened_part(self.store, stems) as part:
                            put_part(self.store, key, layout.activity, self._tables(part, layout.activity))
                        yield RepairOutcome(key, is_mended=True, sentence=MEASURED)
                except (StemlineError, FileNotFoundError, ValueError) as error:
                    yield RepairOutcome(key, is_mended=False, sentence=str(error))

    def _lacks_rows(self, stems: str, key: str) -> bool:
        with opened_part(self.store, stems) as part:
            told = part.read(["verification"]).column(0).to_pylist()
        try:
            with opened_part(self.store, key) as part:
                have = part.metadata.num_rows
        except (StemlineError, FileNotFoundError):
            have = 0
        return bool(have < sum(not _is_linked(each) for each in told))

    def _tables(self, part: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.Table]:
        with ThreadPoolExecutor(STEMS_AT_ONCE) as threads:
            for batch in part.iter_batches(_ROWS_AT_ONCE):
                rows = [row for row in batch.to_pylist() if not _is_linked(row["verification"])]
                found = list(threads.map(self._measure, [row["path"] for row in rows]))
                yield from activity_tables(_measured(rows, found), schema)

    def _measure(self, path: str) -> bytes | None:
        """Give what each second of an object holds; None for one that is not there or does not decode."""
        try:
            with scratch_folder() as folder:
                file = self.store.local_path(path)
                if file is None:
                    file = folder / Path(path).name
                    self.store.fetch_file(path, file)
                return decode_stem(file, may_skip=True).activity.pack()
        except (StemlineError, OSError):
            return None


def _measured(rows: Sequence[dict[str, Any]], found: Sequence[bytes | None]) -> list[dict[str, Any]]:
    return [
        {**row, "activity": packed} for row, packed in zip(rows, found, strict=True) if packed is not None
    ]


def _is_linked(verification: str) -> bool:
    return LINKED in verification.split(",")
