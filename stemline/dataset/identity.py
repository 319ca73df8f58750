"""Who a dataset is, and which ledgers have published in it: small objects under `_stemline/`.

A ledger's record is written before the parts of a batch. So a ledger that does not know the last batch a record names
does not know all that was paid for.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from stemline.errors import ConfigError
from stemline.storage import Store

DATASET_KEY = "_stemline/dataset.json"
LEDGERS_PREFIX = "_stemline/ledgers"


@dataclass(frozen=True, slots=True)
class PublishedMark:
    """How far a ledger has come with one provider and recipe."""

    tracks: int
    last_batch: str | None


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What a dataset keeps of a ledger that publishes in it."""

    ledger_id: str
    name: str
    """Of the configuration that ran last with it."""
    published: Mapping[str, PublishedMark] = field(default_factory=dict)
    """By provider and recipe, as `local/four-best-flac`."""

    def mark(self, provider: str, recipe: str) -> PublishedMark | None:
        """Give how far it has come with a provider and recipe; None where it has not begun."""
        return self.published.get(published_key(provider, recipe))


def published_key(provider: str, recipe: str) -> str:
    """Give the name under which a record keeps a provider and recipe."""
    return f"{provider}/{recipe}"


def read_dataset_id(store: Store) -> str | None:
    """Give the dataset's id; None where none was given yet. It goes with the folder wherever that is moved."""
    tree = _read(store, DATASET_KEY)
    return None if tree is None else str(tree["dataset_id"])


def make_dataset_id(store: Store) -> str:
    """Give the dataset an id, unless another process just has."""
    known = read_dataset_id(store)
    if known is None:
        _write(store, DATASET_KEY, {"dataset_id": secrets.token_hex(8)})
        known = read_dataset_id(store)
    if known is None:
        raise _not_ours(store, DATASET_KEY)
    return known


def list_record_keys(store: Store) -> list[str]:
    """Give where the records of ledgers lie; what else a person's computer has put beside them is none of them."""
    return sorted(key for key in store.list(LEDGERS_PREFIX) if key.endswith(".json"))


def read_ledger_records(store: Store, ledger_id: str | None = None) -> list[LedgerRecord]:
    """Give the records of all ledgers that publish in the dataset, or of one."""
    records = []
    keys = list_record_keys(store) if ledger_id is None else [_record_key(ledger_id)]
    for key in keys:
        tree = _read(store, key)
        if tree is not None:
            records.append(_record(store, key, tree))
    return records


def write_ledger_record(store: Store, record: LedgerRecord) -> None:
    """Write a ledger's record over its last one."""
    _write(store, _record_key(record.ledger_id), asdict(record))


def _record_key(ledger_id: str) -> str:
    return f"{LEDGERS_PREFIX}/{ledger_id}.json"


def _record(store: Store, key: str, tree: Mapping[str, Any]) -> LedgerRecord:
    try:
        published = {
            name: PublishedMark(int(mark["tracks"]), mark["last_batch"])
            for name, mark in tree["published"].items()
        }
        return LedgerRecord(str(tree["ledger_id"]), str(tree["name"]), published)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_ours(store, key) from error


def _read(store: Store, key: str) -> dict[str, Any] | None:
    try:
        tree = json.loads(store.read_bytes(key))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _not_ours(store, key) from error
    if not isinstance(tree, dict) or not {"dataset_id", "ledger_id"} & tree.keys():
        raise _not_ours(store, key)
    return tree


def _write(store: Store, key: str, tree: Mapping[str, Any]) -> None:
    store.put_bytes(key, json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n")


def _not_ours(store: Store, key: str) -> ConfigError:
    return ConfigError(
        f"{store.url(key)} cannot be read: it is not what stemline wrote.",
        fix="Put it back from a copy, or remove it and run `stemline adopt`.",
    )
