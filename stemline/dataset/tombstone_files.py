"""The tombstones that a dataset keeps itself: they say what is not to be taken again, also when its ledger is lost."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection

from stemline.errors import StorageError
from stemline.storage import Store
from stemline.tombstone import Tombstone, tombstone_from_tree

TOMBSTONES_PREFIX = "_stemline/tombstones"
SALT_KEY = f"{TOMBSTONES_PREFIX}/salt.json"
CERTIFICATE_END = "-certificate.json"
SALT_BYTES = 16


def dataset_salt(store: Store) -> str:
    """Give what keys the digests of a dataset, made the first time: one for all, so that a row is digested once."""
    fresh = secrets.token_hex(SALT_BYTES)
    if not store.exists(SALT_KEY) and store.create(SALT_KEY, json.dumps({"salt": fresh}).encode() + b"\n"):
        return fresh
    try:
        return str(json.loads(store.read_bytes(SALT_KEY))["salt"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(store, SALT_KEY) from error


def read_tombstones(store: Store, without: Collection[str] = ()) -> list[Tombstone]:
    """Give the tombstones of a dataset, without those of some ids.

    Raises StorageError for one that cannot be read: what it stands for must not be taken.
    """
    keys = sorted(key for key in store.list(TOMBSTONES_PREFIX) if _is_tombstone(key))
    return [_read(store, key) for key in keys if _id_of(key) not in without]


def exchange_tombstones(store: Store, known: Collection[Tombstone]) -> list[Tombstone]:
    """Give the tombstones that a ledger does not know, and write down those it knows that the dataset has lost.

    Raises StorageError as `read_tombstones` does, and then nothing was written.
    """
    there = {_id_of(key): key for key in sorted(store.list(TOMBSTONES_PREFIX)) if _is_tombstone(key)}
    ids = {each.tombstone_id for each in known}
    new = [_read(store, key) for tombstone_id, key in there.items() if tombstone_id not in ids]
    for each in known:
        if each.tombstone_id not in there:
            write_tombstone(store, each)
    return new


def list_tombstone_files(store: Store) -> list[str]:
    """Give where tombstones lie, their certificates, and what keys their digests."""
    return sorted(key for key in store.list(TOMBSTONES_PREFIX) if key.endswith(".json"))


def write_tombstone(store: Store, tombstone: Tombstone) -> None:
    """Write a tombstone down."""
    store.put_bytes(_key(tombstone.tombstone_id), json.dumps(tombstone.as_tree(), indent=1).encode() + b"\n")


def certificate_key(tombstone_id: str) -> str:
    """Give where it stands what was emptied."""
    return f"{TOMBSTONES_PREFIX}/{tombstone_id}{CERTIFICATE_END}"


def _key(tombstone_id: str) -> str:
    return f"{TOMBSTONES_PREFIX}/{tombstone_id}.json"


def _id_of(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".json")


def _is_tombstone(key: str) -> bool:
    return key.endswith(".json") and not key.endswith(CERTIFICATE_END) and key != SALT_KEY


def _read(store: Store, key: str) -> Tombstone:
    try:
        return tombstone_from_tree(json.loads(store.read_bytes(key)))
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(store, key) from error


def _unreadable(store: Store, key: str) -> StorageError:
    return StorageError(
        f"{store.url(key)} cannot be read: it is not what stemline wrote.",
        fix="Put it back from a copy of the dataset: it says what must not be taken again.",
    )
