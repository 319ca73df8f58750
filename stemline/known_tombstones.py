"""What must not be taken again, known from ledger and dataset alike: either may be lost."""

from __future__ import annotations

from stemline.dataset.tombstone_files import exchange_tombstones, read_tombstones
from stemline.errors import UsageError
from stemline.ledger import Ledger
from stemline.storage import Store
from stemline.tombstone import Tombstone, TombstoneIndex


def look_at_tombstones(ledger: Ledger | None, store: Store) -> TombstoneIndex:
    """Give all tombstones, and write nothing; None is a ledger that is not there yet."""
    known = ledger.forgetting.tombstones() if ledger is not None else []
    unknown = read_tombstones(store, without={each.tombstone_id for each in known})
    return _index([*known, *unknown], len(known))


def take_over_tombstones(ledger: Ledger, store: Store) -> TombstoneIndex:
    """Give all tombstones, which both have from now on; by those that the dataset alone had the ledger forgets."""
    new = exchange_tombstones(store, ledger.forgetting.tombstones())
    for each in new:
        ledger.forgetting.keep(each)
    if new:
        _forget_by(ledger, TombstoneIndex(tuple(new)))
    known = ledger.forgetting.tombstones()
    return _index(known, len(known))


def forgotten_error(ledger: Ledger, store: Store, track_id: str) -> UsageError | None:
    """Give the error for a track that was forgotten; None for any other."""
    found = look_at_tombstones(ledger, store).find(track_id)
    if found is None:
        return None
    return UsageError(f"This track is not there: {found.sentence}", fix="Drop its row from the manifest.")


def _forget_by(ledger: Ledger, new: TombstoneIndex) -> None:
    """Have a ledger forget what another one was told to."""
    found: dict[str, tuple[Tombstone, list[str]]] = {}
    for track in ledger.forgetting.every_track():
        tombstone = new.find(track.track_id, track.columns)
        if tombstone is not None:
            found.setdefault(tombstone.tombstone_id, (tombstone, []))[1].append(track.track_id)
    for tombstone, track_ids in found.values():
        ledger.forgetting.forget(tombstone, track_ids)


def _index(tombstones: list[Tombstone], number: int) -> TombstoneIndex:
    return TombstoneIndex(tuple(tombstones), number)
