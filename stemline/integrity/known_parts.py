"""Which parts a dataset should consist of, by its snapshot and by the ledger, and which are there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stemline.dataset.identity import read_ledger_records
from stemline.dataset.paths import TABLES
from stemline.dataset.stored_tracks import batch_of_part
from stemline.errors import StemlineError
from stemline.integrity.finding import DamageKind, ObjectDamage
from stemline.ledger import Ledger
from stemline.records import PartFile
from stemline.rewrite.rewrite import CHANGES_KEY, PLAN_NAME
from stemline.rewrite.snapshot import (
    POINTER_KEY,
    REWRITES_PREFIX,
    Snapshot,
    live_among,
    live_key,
    read_snapshot,
)
from stemline.storage import Store

_PART = re.compile(r"/part-[^/]*[.]parquet$")


@dataclass
class KnownParts:
    """The parts of a dataset: those that are there, and what they should be."""

    live: dict[str, int] = field(default_factory=dict)
    """The sizes of those that hold the dataset's rows now."""
    described: dict[str, PartFile] = field(default_factory=dict)
    """What a part should be, of those of which it is known."""
    damages: list[ObjectDamage] = field(default_factory=list)
    has_other_ledgers: bool = False
    is_rewritten: bool = False
    """Whether a rewrite is under way, or was cut off."""


def find_parts(store: Store, ledger: Ledger | None) -> KnownParts:
    """Give which parts there are and what is known of them, with what is wrong at first sight."""
    return _PartSearch(store, ledger).run()


class _PartSearch:
    """One look at the listings, the snapshot and the ledger."""

    def __init__(self, store: Store, ledger: Ledger | None) -> None:
        self._store = store
        self._ledger = ledger
        self._known = KnownParts()

    def run(self) -> KnownParts:
        known = self._known
        known.has_other_ledgers = self._has_other_ledgers()
        listed = dict(entry for table in TABLES for entry in self._store.list_sizes(table))
        waiting = dict(self._store.list_sizes(REWRITES_PREFIX))
        known.is_rewritten = bool(waiting)
        snapshot = self._snapshot()
        described = {part.key: part for part in snapshot.parts} if snapshot else dict[str, PartFile]()
        written = {} if self._ledger is None else self._ledger.parts.written()
        known.described = {**written, **described}
        self._forget_changing(waiting, snapshot)
        sizes = {**listed, **waiting}
        live = live_among(snapshot, [key for key in listed if _PART.search(key)])
        known.live = {key: sizes[key] for key in live if key in sizes}
        gone = set(live) - sizes.keys() | (known.described.keys() - sizes.keys() - self._replaced(snapshot))
        known.damages += [self._absent(key) for key in sorted(gone) if self._is_missed(key, described)]
        known.damages += self._foreign(listed)
        known.damages += self._unknown(
            described.keys() | {live_key(key) for key in described} | written.keys()
        )
        return known

    def _has_other_ledgers(self) -> bool:
        """Tell whether other ledgers publish here whose parts this one does not know."""
        if self._ledger is None:
            return True
        try:
            records = read_ledger_records(self._store)
        except StemlineError:
            return True
        if not records:
            return False
        own, adopted = self._ledger.datasets.ledger_id(), set[str]()
        destination = self._ledger.database.destination
        if destination is not None:
            for each in self._ledger.datasets.of_dataset(destination.dataset_id):
                adopted |= set(each.adopted)
        return any(each.ledger_id not in adopted | {own} and each.published for each in records)

    def _snapshot(self) -> Snapshot | None:
        try:
            return read_snapshot(self._store)
        except (StemlineError, KeyError, TypeError) as error:
            sentence = (
                error.message if isinstance(error, StemlineError) else "It is no pointer to a snapshot."
            )
            self._known.damages.append(ObjectDamage(POINTER_KEY, DamageKind.ALTERED, sentence))
            return None

    def _forget_changing(self, waiting: Mapping[str, int], snapshot: Snapshot | None) -> None:
        """Believe nothing of parts that are being replaced under their own names."""
        if CHANGES_KEY not in waiting or snapshot is None:
            return
        keys = _read_json(self._store, CHANGES_KEY)
        for key in list(self._known.described) if keys is None else keys:
            self._known.described.pop(key, None)

    def _replaced(self, snapshot: Snapshot | None) -> set[str]:
        """Give the parts that a rewrite has replaced, of which the ledger may not know yet."""
        gone = set(snapshot.replaced) if snapshot else set[str]()
        if self._known.is_rewritten:
            for key in self._store.list(REWRITES_PREFIX):
                if key.endswith(f"/{PLAN_NAME}"):
                    plan = _read_json(self._store, key) or {}
                    gone |= {old for each in plan.get("replacements", ()) for old in each.get("old", ())}
        return gone

    def _is_missed(self, key: str, in_snapshot: Mapping[str, PartFile]) -> bool:
        """Tell whether a part should be there: what only this ledger tells of, another one may have merged since."""
        return key in in_snapshot or not self._known.has_other_ledgers

    def _absent(self, key: str) -> ObjectDamage:
        return absent(self._store, key, "The tables' snapshot or the ledger has it, and it is not there.")

    def _foreign(self, listed: Mapping[str, int]) -> Iterator[ObjectDamage]:
        """Give what lies among the parts and is none."""
        for key in sorted(listed):
            if not _PART.search(key) and not key.rpartition("/")[2].startswith("."):
                yield ObjectDamage(key, DamageKind.EXTRA, "It is no part of the tables.")

    def _unknown(self, expected: set[str]) -> Iterator[ObjectDamage]:
        """Give the parts that nobody knows; the batch of one is in the ledger before it is written."""
        strange = sorted(key for key in self._known.live if key not in expected)
        if self._ledger is None or not strange:
            return
        batches = {batch_of_part(key) for key in strange}
        unknown = set() if self._known.has_other_ledgers else self._ledger.datasets.unknown_batches(batches)
        merged = self._ledger.holdings.merged(batches)
        for key in strange:
            batch_id = batch_of_part(key)
            if batch_id in unknown:
                yield ObjectDamage(key, DamageKind.EXTRA, "No batch of the ledger has this part.")
            elif batch_id in merged:
                sentence = "Its rows were merged into another part, and are there twice."
                yield ObjectDamage(key, DamageKind.EXTRA, sentence)


def absent(store: Store, key: str, sentence: str) -> ObjectDamage:
    """Give the damage of an object that no listing shows."""
    path = store.local_path(key)
    if path is not None and path.is_dir():
        return ObjectDamage(key, DamageKind.ALTERED, "It is a folder.")
    return ObjectDamage(key, DamageKind.MISSING, sentence)


def _read_json(store: Store, key: str) -> Any:  # noqa: ANN401 - JSON
    """Give what a small object of a rewrite says; an empty dict for one that is gone or says nothing."""
    try:
        return json.loads(store.read_bytes(key))
    except (FileNotFoundError, ValueError):
        return {}
