"""Snapshots: the exact list of the parts that a dataset consists of, whatever a rewrite is in the middle of.

One small object points to the newest. Parts that runs have added since are live too; those that a rewrite has
replaced are not, though a listing may still show them for a moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from stemline.dataset.metadata import part_keys
from stemline.dataset.paths import TABLES
from stemline.errors import StorageError
from stemline.records import PartFile
from stemline.storage import Store

SNAPSHOTS_PREFIX = "_stemline/snapshots"
POINTER_KEY = f"{SNAPSHOTS_PREFIX}/current.json"
REWRITES_PREFIX = "_stemline/rewrites"
KEPT_SNAPSHOTS = 3
"""How many are kept: whoever reads through one that is older looks up the newest."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a dataset consisted of at one moment."""

    number: int
    made_at: datetime
    cause: str
    """What it was made for, such as `compact`."""
    parts: tuple[PartFile, ...]
    replaced: frozenset[str] = frozenset()
    """Keys of parts that no longer count, though they may still be there."""


def read_snapshot(store: Store) -> Snapshot | None:
    """Give the newest snapshot; None for a dataset of which no part was ever replaced."""
    while True:
        pointer = _read(store, POINTER_KEY)
        if pointer is None:
            return None
        key = f"{SNAPSHOTS_PREFIX}/{pointer['snapshot']}"
        tree = _read(store, key)
        if tree is not None:
            return _snapshot(store, key, tree)
        if _read(store, POINTER_KEY) == pointer:
            raise unreadable(store, key)


def live_parts(store: Store) -> list[str]:
    """Give the keys of exactly those parts that hold the dataset's rows now, each row once."""
    while True:
        snapshot = read_snapshot(store)
        listed = [key for table in TABLES for key in part_keys(store, table)]
        # What a rewrite puts in place shows in a listing only after the pointer has moved.
        if _number(read_snapshot(store)) == _number(snapshot):
            return live_among(snapshot, listed)


def live_among(snapshot: Snapshot | None, listed: Iterable[str]) -> list[str]:
    """Give which parts are live of a listing made while a snapshot was the newest, with those it names itself."""
    if snapshot is None:
        return list(listed)
    named = [part.key for part in snapshot.parts]
    gone = snapshot.replaced | set(named) | {live_key(key) for key in named}
    return [*named, *(key for key in listed if key not in gone)]


def _number(snapshot: Snapshot | None) -> int:
    return 0 if snapshot is None else snapshot.number


def write_snapshot(store: Store, snapshot: Snapshot) -> None:
    """Write a snapshot, then point to it; forget those before the last few."""
    name = _name(snapshot.number)
    tree = {
        "number": snapshot.number,
        "made_at": snapshot.made_at.isoformat(),
        "cause": snapshot.cause,
        "files": [_file_tree(part) for part in snapshot.parts],
        "replaced": sorted(snapshot.replaced),
    }
    store.put_bytes(f"{SNAPSHOTS_PREFIX}/{name}", _dump(tree))
    store.put_bytes(POINTER_KEY, _dump({"number": snapshot.number, "snapshot": name}))
    old = _name(snapshot.number - KEPT_SNAPSHOTS)
    kept = sorted(store.list(SNAPSHOTS_PREFIX))
    store.delete_all(key for key in kept if key != POINTER_KEY and key.rpartition("/")[2] <= old)


def snapshot_key(number: int) -> str:
    """Give where a snapshot lies."""
    return f"{SNAPSHOTS_PREFIX}/{_name(number)}"


def staged_key(rewrite_id: str, key: str) -> str:
    """Give where a part waits until those that it replaces may go."""
    return f"{REWRITES_PREFIX}/{rewrite_id}/{key}"


def live_key(key: str) -> str:
    """Give where a part lies, or will once its rewrite is through."""
    return key.split("/", 3)[3] if key.startswith(f"{REWRITES_PREFIX}/") else key


def parts_from_tree(files: Iterable[Mapping[str, Any]]) -> tuple[PartFile, ...]:
    """Give parts as a snapshot or a plan writes them down."""
    return tuple(PartFile(each["path"], each["size_bytes"], each["sha256"], each["rows"]) for each in files)


def parts_tree(parts: Iterable[PartFile]) -> list[dict[str, Any]]:
    """Give parts as a snapshot or a plan writes them down."""
    return [_file_tree(part) for part in parts]


def _file_tree(part: PartFile) -> dict[str, Any]:
    facts = asdict(part)
    return {"path": facts.pop("key"), **facts}


def _snapshot(store: Store, key: str, tree: Mapping[str, Any]) -> Snapshot:
    try:
        return Snapshot(
            tree["number"],
            datetime.fromisoformat(tree["made_at"]),
            tree["cause"],
            parts_from_tree(tree["files"]),
            frozenset(tree["replaced"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(store, key) from error


def _name(number: int) -> str:
    return f"{number:08}.json"


def _read(store: Store, key: str) -> dict[str, Any] | None:
    try:
        tree = json.loads(store.read_bytes(key))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise unreadable(store, key) from error
    if not isinstance(tree, dict):
        raise unreadable(store, key)
    return tree


def _dump(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def unreadable(store: Store, key: str) -> StorageError:
    """Give the error for an object of ours that somebody has altered."""
    without = ""
    if key.startswith(f"{SNAPSHOTS_PREFIX}/"):
        folder = store.url(SNAPSHOTS_PREFIX)
        without = f"; without one remove {folder}, then the dataset is the parts that are there"
    return StorageError(
        f"{store.url(key)} cannot be read: it is not what stemline wrote.",
        fix=f"Put it back from a copy of the dataset{without}.",
    )
