"""One look at a dataset: everything gathered once, in an order in which runs that publish meanwhile do no harm."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from stemline.dataset.identity import DATASET_KEY, list_record_keys
from stemline.dataset.metadata import LAYOUT_KEY
from stemline.dataset.paths import attempt_folder
from stemline.dataset.tombstone_files import list_tombstone_files
from stemline.errors import StemlineError
from stemline.integrity.comparison import FILES, FOLDERS, Comparison, compared
from stemline.integrity.finding import DamageKind, Leftover, ObjectDamage, RowDamage, RowFault
from stemline.integrity.known_parts import KnownParts, absent, find_parts
from stemline.integrity.leftover_search import (
    ForgettingUnderWay,
    find_forgetting,
    find_ownerless_quarantine,
    find_staged,
    find_uploads,
)
from stemline.integrity.part_reading import GatheredRows, PartReader
from stemline.integrity.release_check import ReleaseCheck
from stemline.integrity.row_file import RowFile
from stemline.ledger import Ledger
from stemline.ledger.holdings import HeldAttempt
from stemline.records import PartFile, State
from stemline.rewrite.snapshot import REWRITES_PREFIX
from stemline.splits.split_log import find_damage
from stemline.storage import Store

AUDIO_PREFIX = "audio"
_CANDIDATES = pa.schema([("path", pa.string()), ("folder", pa.string())])


@dataclass
class Look:
    """What one look has found."""

    comparison: Comparison
    damages: dict[ObjectDamage, ObjectDamage] = field(default_factory=dict)
    rows: set[RowDamage] = field(default_factory=set)
    leftovers: set[Leftover] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    parts: int = 0
    objects: int = 0
    releases: int = 0
    described: Mapping[str, PartFile] = field(default_factory=dict)


@contextmanager
def looked(store: Store, ledger: Ledger | None, folder: Path) -> Iterator[Look]:
    """Look at a dataset, with room to work in an empty folder; what was gathered can be asked inside the block."""
    gathering = _Gathering(store, ledger, folder)
    gathering.run()
    with compared(folder) as comparison:
        look = Look(
            comparison,
            parts=len(gathering.known.live),
            objects=gathering.objects,
            described=gathering.known.described,
        )
        _Judgement(gathering, look).run()
        yield look


class _Gathering:
    """What the ledger, the tables and the listing of the audio say, in this order.

    What the ledger calls published was in the tables before, and what the tables name was stored before.
    """

    def __init__(self, store: Store, ledger: Ledger | None, folder: Path) -> None:
        self.store, self.ledger, self.folder = store, ledger, folder
        self.known = KnownParts()
        self.damages: list[ObjectDamage] = []
        self.unread: set[str] = set()
        self.objects = 0

    def run(self) -> None:
        with ExitStack() as stack:
            files = {name: stack.enter_context(self._file(name)) for name in FILES}
            for page in self.ledger.holdings.published() if self.ledger else ():
                for each in page:
                    files["held"].add_row(each.track_id, each.provider, each.recipe)
            self.known = find_parts(self.store, self.ledger)
            reader = PartReader(self.store, self.known, GatheredRows(files["tracks"], files["stems"]))
            reader.run()
            self.damages = [*self.known.damages, *reader.damages]
            self.unread = reader.unread
            for key, size in self.store.list_sizes(AUDIO_PREFIX):
                files["listed"].add_row(key, size)
                self.objects += 1

    def _file(self, name: str) -> RowFile:
        return RowFile(self.folder / f"{name}.parquet", FILES[name])


class _Judgement:
    """What is wrong with what was gathered."""

    def __init__(self, gathering: _Gathering, look: Look) -> None:
        self._of = gathering
        self._store, self._ledger = gathering.store, gathering.ledger
        self._look = look
        self._forgetting: ForgettingUnderWay = find_forgetting(gathering.store)
        self._releases = ReleaseCheck(gathering.store, self._forgetting.track_ids)

    def run(self) -> None:
        look, store, releases = self._look, self._store, self._releases
        releases.run()
        found = [*self._of.damages, *_unreadable_metadata(store), *self._forgetting.damages]
        for each in look.comparison.damages():
            is_there = each.kind is not DamageKind.MISSING
            found.append(each if is_there else absent(store, each.path, each.sentence))
        found += self._extra()
        found += find_ownerless_quarantine(store, self._ledger)
        look.damages = {each: each for each in found if not self._is_leaving(each)}
        look.damages |= {each: each for each in releases.damages}
        look.rows = set(self._rows())
        look.releases = releases.count
        look.leftovers = {
            *find_uploads(store),
            *self._rewrites(),
            *releases.leftovers,
            *self._forgetting.leftovers,
        }

    def _is_leaving(self, damage: ObjectDamage) -> bool:
        """Tell whether an object that nobody has any more is about to be removed."""
        return damage.kind is DamageKind.EXTRA and damage.path in self._forgetting.objects

    def _rows(self) -> Iterator[RowDamage]:
        """Give what is wrong with rows, but for what a part that cannot be read has taken along."""
        blind = {RowFault.WITHOUT_TRACK: "tracks", RowFault.WITHOUT_STEMS: "stems"}
        found = [
            each for each in self._look.comparison.rows() if blind.get(each.fault) not in self._of.unread
        ]
        begun = self._begun() if any(each.fault is RowFault.WITHOUT_TRACK for each in found) else set()
        for each in found:
            is_begun = each.fault is RowFault.WITHOUT_TRACK and _key(each) in begun
            if not is_begun:
                yield each

    def _begun(self) -> set[tuple[str, str, str]]:
        """Give the tracks of batches that are being published, or were cut off: their stems are there first."""
        pages = self._ledger.holdings.owners() if self._ledger else ()
        return {_key(each) for page in pages for each in page if each.state != State.PUBLISHED}

    def _extra(self) -> Iterator[ObjectDamage]:
        """Give the objects that no row names, and nobody who may be about to."""
        named = {path: _folder(path) for path in self._look.comparison.unnamed()}
        named |= find_staged(self._store)
        for key in self._releases.audio() if named else ():
            named.pop(key, None)
        if not named:
            return
        who = f"Whether {len(named):,} objects that no row names are somebody's tells only"
        if self._ledger is None or self._of.known.has_other_ledgers:
            self._look.notes.append(f"{who} the ledger that has them.")
            return
        if self._releases.is_blind:
            self._look.notes.append(f"{who} the damaged part of a release.")
            return
        for path in self._without_owner(named):
            yield ObjectDamage(
                path, DamageKind.EXTRA, "No row of the stems table names it, and no attempt has it."
            )

    def _without_owner(self, named: dict[str, str]) -> list[str]:
        candidates, owners = self._of.folder / "candidates.parquet", self._of.folder / "owners.parquet"
        with RowFile(candidates, _CANDIDATES) as file:
            for path, folder in named.items():
                file.add_row(path, folder)
        with RowFile(owners, FOLDERS) as file:
            for page in self._ledger.holdings.owners() if self._ledger else ():
                for each in page:
                    key = (each.track_id, each.provider, each.recipe)
                    has_rows = each.state == State.PUBLISHED and "stems" not in self._of.unread
                    file.add_row(attempt_folder(each.attempt), has_rows, *key)
            for page in self._ledger.holdings.replaced() if self._ledger else ():
                for each in page:
                    key = (each.track_id, each.provider, each.recipe)
                    file.add_row(attempt_folder(each.attempt), False, *key)  # noqa: FBT003 - a cell
        return self._look.comparison.without_owner(candidates, owners)

    def _rewrites(self) -> Iterator[Leftover]:
        if self._of.known.is_rewritten:
            for name in sorted({key.split("/")[2] for key in self._store.list(REWRITES_PREFIX)}):
                yield Leftover(f"{REWRITES_PREFIX}/{name}", "rewrite")


def _key(row: RowDamage | HeldAttempt) -> tuple[str, str, str]:
    return row.track_id, row.provider, row.recipe


def _folder(path: str) -> str:
    return path.removeprefix(f"{AUDIO_PREFIX}/").rpartition("/")[0]


def _unreadable_metadata(store: Store) -> Iterator[ObjectDamage]:
    """Give what the dataset says of itself and is no JSON any more."""
    for key in (LAYOUT_KEY, DATASET_KEY, *list_record_keys(store), *list_tombstone_files(store)):
        try:
            json.loads(store.read_bytes(key))
        except FileNotFoundError:
            continue
        except (ValueError, StemlineError):
            yield ObjectDamage(key, DamageKind.ALTERED, "It is not what stemline wrote.")
    for key, is_gone in find_damage(store):
        kind = DamageKind.MISSING if is_gone else DamageKind.ALTERED
        yield ObjectDamage(key, kind, "It says who is in which split.")
