"""What crashes leave that no reader sees: staged and quarantined audio, forgetting and uploads that nobody ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from stemline.dataset.doubtful_audio import QUARANTINE_PREFIX
from stemline.dataset.paths import STAGED_PREFIX
from stemline.errors import StemlineError
from stemline.forgetting.objects import audio_of, quarantine_of, staged_of
from stemline.forgetting.order import ORDERS_PREFIX, read_orders
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


@dataclass(frozen=True, slots=True)
class ForgettingUnderWay:
    """What is being taken out of the dataset, or was cut off while it was."""

    track_ids: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    """Audio that goes with them."""
    leftovers: frozenset[Leftover] = frozenset()
    damages: tuple[ObjectDamage, ...] = ()


def find_forgetting(store: Store) -> ForgettingUnderWay:
    """Give what orders to forget that are not finished name."""
    keys = sorted(store.list(ORDERS_PREFIX))
    if not keys:
        return ForgettingUnderWay()
    leftovers = frozenset(Leftover(key, "forgetting") for key in keys)
    try:
        orders = list(read_orders(store))
    except StemlineError as error:
        damages = (ObjectDamage(ORDERS_PREFIX, DamageKind.ALTERED, error.message),)
        return ForgettingUnderWay(leftovers=leftovers, damages=damages)
    found = [look(store, order) for order in orders for look in (audio_of, staged_of, quarantine_of)]
    return ForgettingUnderWay(
        frozenset(track_id for order in orders for track_id in order.track_ids),
        frozenset(key for folders in found for objects in folders.values() for key in objects),
        leftovers,
    )
