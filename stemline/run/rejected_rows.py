"""The manifest rows that a run could not use: the first of them by name, and where all are listed."""

from __future__ import annotations

from itertools import islice
from typing import Any

from stemline.ledger import Ledger
from stemline.manifest.source_root import SourceRoot
from stemline.records import Reject
from stemline.wording import rejected_row_line

FIRST_ROWS = 5


def rejected_rows_tree(ledger: Ledger, run_id: str, root: SourceRoot, rejects_url: str) -> dict[str, Any]:
    """Give `rejects` for a run's summary and its status; nothing where no row was rejected.

    `rejects_url` is where the list is once the manifest has been read; locations are called from `root`.
    """
    rows = islice(ledger.queries.rejected_rows(run_id), FIRST_ROWS)
    first = [rejected_row_tree(reject, root) for reject in rows]
    return {"rejects": {"first": first, "list": rejects_url}} if first else {}


def rejected_row_tree(reject: Reject, root: SourceRoot) -> dict[str, Any]:
    """Give one row as JSON takes it; locations are called from `root`."""
    return {
        "row": reject.row,
        "track_id": reject.track_id,
        "code": str(reject.code),
        "sentence": root.shorten(reject.reason),
    }


def rejected_rows_lines(rejects: dict[str, Any] | None, count: int) -> list[str]:
    """Say which of `count` rows were rejected first, a line each; where all are listed stands behind them."""
    if not rejects:
        return []
    lines = [rejected_row_line(each["row"], each["code"], each["sentence"]) for each in rejects["first"]]
    more = count - len(lines)
    if more > 0:
        lines.append(f"… and {more:,} more")
    return lines
