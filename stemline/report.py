"""One self-contained HTML page about a run."""

from __future__ import annotations

from stemline.ledger import Ledger
from stemline.storage import Store


def write_report(ledger: Ledger, store: Store, run_id: str) -> str:
    """Write the page into the dataset and give its key."""
    raise NotImplementedError
