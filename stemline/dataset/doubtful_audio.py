"""Where a dataset keeps stems of tracks that do not verify, or not yet, and who has them."""

from __future__ import annotations

from stemline.dataset.paths import path_safe
from stemline.records import Attempt
from stemline.storage import Store

QUARANTINE_PREFIX = "_stemline/quarantine"
REASON = "reason.json"


def quarantine_folder(attempt: Attempt) -> str:
    """Give where in the dataset the stems of an attempt are kept that does not verify."""
    return f"{QUARANTINE_PREFIX}/{path_safe(attempt.token)}"


def quarantined_stems(store: Store, attempt: Attempt) -> dict[str, str]:
    """Give the keys of all that is kept of an attempt, by stem.

    Raises:
        StorageError: the store does not tell.
    """
    keys = [key for key in store.list(quarantine_folder(attempt)) if not key.endswith(f"/{REASON}")]
    return {key.rpartition("/")[2].partition(".")[0]: key for key in sorted(keys)}


def clear_quarantine(store: Store, attempt: Attempt) -> None:
    """Remove what is kept of an attempt whose stems have their names in the dataset now.

    Raises:
        StorageError: the store does not let go.
    """
    for key in list(store.list(quarantine_folder(attempt))):
        store.delete(key)
