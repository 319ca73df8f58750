"""What a ledger in a file takes, for the benchmarks that tell of it."""

from __future__ import annotations

from stemline.ledger import Ledger


def sqlite_bytes(ledger: Ledger) -> int:
    """Give the size of a ledger in a file."""
    with ledger.database.read() as connection:
        pages = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size")
        ]
    return int(pages[0] * pages[1])
