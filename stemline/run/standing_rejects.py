"""Rows that stay rejected from run to run: since when all that a run could not use have been so."""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice

from stemline.ledger import Ledger
from stemline.records import Reject

EARLIER_RUNS = 5
"""So many are looked back at: a run of some rows alone may lie between two of the whole catalogue."""
MOST_COMPARED = 100_000
"""Of more rows than this nothing is said."""


def rejected_since(ledger: Ledger, run_id: str) -> str | None:
    """Give the instant (ISO 8601) since which every row that a run rejected has been rejected for the same reason.

    None where one of them is new, was changed, or nothing is known of earlier runs.
    """
    mine = _rows(ledger, run_id)
    if not mine:
        return None
    for earlier in ledger.runs.before(run_id, EARLIER_RUNS):
        if mine <= _rows(ledger, earlier):
            run = ledger.runs.get(earlier)
            told = (run.totals.get("rejects") or {}).get("since")
            return told if isinstance(told, str) else run.started_at.isoformat(timespec="seconds")
    return None


def _rows(ledger: Ledger, run_id: str) -> frozenset[bytes]:
    """Give what a run's rejected rows are known by; none where they are too many to hold against others."""
    rows = {_key(each) for each in islice(ledger.queries.rejected_rows(run_id), MOST_COMPARED + 1)}
    return frozenset(rows) if len(rows) <= MOST_COMPARED else frozenset()


def _key(reject: Reject) -> bytes:
    """Give a digest of a rejected row; its number is no part of it, as rows before it come and go."""
    # A row that was never read as one has nothing but its number.
    place = reject.row if reject.track_id is None and reject.location is None else ""
    told = "\0".join(map(str, (reject.track_id, reject.location, reject.code, reject.reason, place)))
    return blake2b(told.encode(errors="surrogatepass"), digest_size=16).digest()
