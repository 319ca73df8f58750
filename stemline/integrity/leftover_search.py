"""What crashes leave that no reader sees: staged and quarantined audio, rewrites, uploads that nobody ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from stemline.dataset.doubtful_audio import QUARANTINE_PREFIX
from stemline.dataset.paths import STAGED_PREFIX
from stemline.errors import StemlineError
from stemline.integrity.finding import DamageKind, Leftover, ObjectDamage
from stemline.ledger import Ledger
from stemline.records import State
from stemline.storage import Store

_DELIVERED = frozenset({State.PUBLISHED})


def find_ownerless_quarantine(store: Store, ledger: Ledger | None) -> Iterator[ObjectDamage]:
    """Give what is in quarantine of attempts that the ledger does not know, or that are delivered."""
    if ledger is None:
        return
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for key in store.list(QUARANTINE_PREFIX):
        keys[key.split("/")[2]].append(key)
    states = ledger.holdings.states(keys)
    for token in sorted(keys):
        state = states.get(token)
        if state is not None and state not in _DELIVERED:
            continue
        sentence = (
            f"It is in quarantine for the attempt {token}, which the ledger does not know."
            if state is None
            else f"It is in quarantine for the attempt {token}, which is {state}."
        )
        for key in sorted(keys[token]):
            yield ObjectDamage(key, DamageKind.EXTRA, sentence)


def find_staged(store: Store) -> dict[str, str]:
    """Give what waits to be embedded, with the folder of the attempt it is of."""
    return {
        key: key.removeprefix(f"{STAGED_PREFIX}/").rpartition("/")[0] for key in store.list(STAGED_PREFIX)
    }


def find_uploads(store: Store) -> list[Leftover]:
    """Give the uploads that were begun and not ended; none where the store has no such thing, or does not tell."""
    with suppress(StemlineError):
        return [
            Leftover(upload.key, "upload", upload.begun_at, upload.upload_id)
            for upload in store.open_uploads()
        ]
    return []
