"""What runs have written about tracks: the rows that they could not use, their summaries and reports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stemline.dataset.metadata import write_rejects
from stemline.errors import LedgerConflict
from stemline.forgetting.order import ForgetOrder
from stemline.forgetting.place import Finding
from stemline.ledger import Ledger
from stemline.ledger.forgetting import REWORDED
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.records import Code, Reject
from stemline.report import track_file_key, write_report
from stemline.report.page_file import REPORTS_PREFIX
from stemline.rewrite.part_rows import opened
from stemline.storage import Store

REJECTS_PREFIX = "_stemline/rejects"
RUNS_PREFIX = "_stemline/runs"
_PAGE_PREFIXES = (RUNS_PREFIX, REPORTS_PREFIX)
_INSIDE = re.compile(r"data:[a-z]+/[a-z]+;base64,[^\"]*")
"""Sound and pictures inside a page: megabytes that name nobody, in which a short name may stand by chance."""


@dataclass(frozen=True, slots=True)
class RejectsPlace:
    """Rows of manifests that a run could not use."""

    store: Store
    name: str = "rejected rows"

    def find(self, order: ForgetOrder) -> Finding:
        """Count files and rows."""
        found = [(key, rows) for key in self._files() if (rows := self._count(key, order))]
        return Finding(len(found), sum(rows for _, rows in found), names=tuple(key for key, _ in found))

    def empty(self, order: ForgetOrder) -> None:
        """Write the files anew: of these rows the number stays, and why."""
        for run_id in sorted({_run_of(key) for key in self.find(order).names}):
            try:
                rows = self._rows(f"{REJECTS_PREFIX}/{run_id}.parquet")
            except FileNotFoundError:  # somebody has removed one of the two
                self.store.delete(f"{REJECTS_PREFIX}/{run_id}.csv")
                continue
            write_rejects(self.store, run_id, [_emptied(row, order) for row in rows])

    def _files(self) -> list[str]:
        return sorted(self.store.list(REJECTS_PREFIX))

    def _count(self, key: str, order: ForgetOrder) -> int:
        if key.endswith(".parquet"):
            return sum(_is_about(row, order) for row in self._rows(key))
        text = self.store.read_bytes(key).decode("utf-8", "replace")
        return sum(map(order.is_named_in, text.splitlines()))

    def _rows(self, key: str) -> list[dict[str, Any]]:
        with opened(self.store, key) as file:
            rows: list[dict[str, Any]] = file.read().to_pylist()
        return rows


@dataclass(frozen=True, slots=True)
class ReportsPlace:
    """Reports with their players, of runs and of the dataset, and summaries."""

    store: Store
    ledger: Ledger
    root: SourceRoot = NOWHERE
    """What sources are called from in them."""
    name: str = "run reports"

    def find(self, order: ForgetOrder) -> Finding:
        """Count those that name a track for certain."""
        names = [key for key, text in self._texts() if order.is_named_in(text)]
        return Finding(len(names), names=tuple(names))

    def empty(self, order: ForgetOrder) -> None:
        """Write anew what may name one, from a ledger that knows it no more; what no ledger knows is removed.

        Pages about the dataset are removed as well: `stemline report` writes them from the tables.
        """
        for key, text in self._texts():
            if order.may_be_shown_in(text):
                self._renew(key, text, order)

    def _renew(self, key: str, text: str, order: ForgetOrder) -> None:
        if key.endswith(".json"):
            self.store.put_bytes(key, _reworded(text, order))
            return
        if key.startswith(f"{REPORTS_PREFIX}/"):
            self.store.delete(key)
            return
        run_id = _run_of(key)
        if key == track_file_key(run_id):
            self.store.delete(key)  # a page that has room for all is written without it
        try:
            write_report(self.ledger, self.store, run_id, self.root, preview_seconds=0.0)
        except LedgerConflict:
            self.store.delete(key)

    def _texts(self) -> Iterator[tuple[str, str]]:
        for key in sorted(key for prefix in _PAGE_PREFIXES for key in self.store.list(prefix)):
            try:
                text = self.store.read_bytes(key).decode("utf-8", "replace")
                yield key, _INSIDE.sub("", text)
            except FileNotFoundError:
                continue


def _run_of(key: str) -> str:
    return key.rpartition("/")[2].rpartition(".")[0].removesuffix(".tracks")


def _is_about(row: dict[str, Any], order: ForgetOrder) -> bool:
    return (
        row["track_id"] in order.track_ids
        or row["location"] in order.locations
        or order.is_named_in(row["sentence"])
    )


def _emptied(row: dict[str, Any], order: ForgetOrder) -> Reject:
    if _is_about(row, order):
        return Reject(row["row"], None, None, Code.FORGOTTEN, order.tombstone.sentence)
    return Reject(row["row"], row["track_id"], row["location"], Code(row["code"]), row["sentence"])


def _reworded(text: str, order: ForgetOrder) -> bytes:
    """Give a summary without the sentences that name one of the tracks."""

    def cleaned(value: Any) -> Any:  # noqa: ANN401 - a JSON tree
        if isinstance(value, dict):
            return {name: cleaned(each) for name, each in value.items()}
        if isinstance(value, list):
            return [cleaned(each) for each in value]
        is_named = isinstance(value, str) and order.is_named_in(value)
        return REWORDED if is_named else value

    try:
        tree = json.loads(text)
    except ValueError:
        return b"{}\n"
    return json.dumps(cleaned(tree), indent=2, sort_keys=True).encode() + b"\n"
