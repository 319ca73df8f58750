"""What was forgotten, remembered by whoever opens a dataset."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from stemline.errors import StemlineError
from stemline.forgetting.order import ORDERS_PREFIX
from stemline.known_tombstones import take_over_tombstones
from stemline.ledger import Ledger
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.storage import Store


def remember_forgotten(
    ledger: Ledger, store: Store, dataset_id: str, root: Callable[[], SourceRoot] = lambda: NOWHERE
) -> None:
    """Have the ledger know every tombstone, and finish what forgetting was cut off; what fails is left to the next.

    `root` gives what sources are called from in reports.
    """
    take_over_tombstones(ledger, store)
    if next(iter(store.list(ORDERS_PREFIX)), None) is None:
        return
    from stemline.run.forgetting import ForgetCommand  # noqa: PLC0415 - not for nothing to finish

    with suppress(StemlineError):
        ForgetCommand(store, ledger, dataset_id, root()).finish(patience=0)
