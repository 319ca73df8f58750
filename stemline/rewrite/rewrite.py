"""One rewrite: new parts beside the old ones, whole and verified, then one snapshot, then the old ones go.

What a rewrite is to do stands in its plan, written once all its parts are staged. Until then it never happened, and
from then on it is carried out by whoever comes next: every step may be done again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.dataset.card import tell_change
from stemline.dataset.metadata import part_keys
from stemline.dataset.paths import TABLES
from stemline.dataset.renewal import damaged_part
from stemline.errors import StorageError
from stemline.records import PartFile
from stemline.rewrite.partfiles import fetched
from stemline.rewrite.snapshot import (
    REWRITES_PREFIX,
    Snapshot,
    live_among,
    live_key,
    parts_from_tree,
    parts_tree,
    read_snapshot,
    staged_key,
    unreadable,
    write_snapshot,
)
from stemline.storage import Store, file_sha256

PLAN_NAME = "plan.json"
PLAN_DEPTH = 3
CHANGES_KEY = f"{REWRITES_PREFIX}/changing.json"
"""Names the parts that are being replaced under their own names."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Parts that go and those that come for them, all of one partition."""

    old: tuple[str, ...]
    new: tuple[PartFile, ...]
    """Under the keys they will have; one may be that of an old part, which it then replaces in one step."""


@dataclass(frozen=True, slots=True)
class RewritePlan:
    """What one rewrite does."""

    rewrite_id: str
    cause: str
    replacements: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Rewriter:
    """Carries out rewrites of one dataset, one at a time."""

    store: Store
    known: Callable[[], Mapping[str, PartFile]]
    """What is known of parts that no snapshot lists yet, by their keys; the others are read."""
    book: Callable[[RewritePlan, Snapshot], None]
    """Notes what was replaced, once it is, and the snapshot that lists what is there now; it may be told so again."""
    require_hold: Callable[[], None]
    """Raises when another one is at the parts."""
    clock: Callable[[], datetime]
    forget: Callable[[Collection[str]], None] = lambda _: None
    """Drops what is known of parts that no snapshot lists: they are about to become others."""

    def stage(self, rewrite_id: str, key: str, path: Path) -> PartFile:
        """Put a finished Parquet file where it waits; raises StorageError when the store does not take it whole."""
        part = describe_file(self.store, key, path)
        waiting = staged_key(rewrite_id, key)
        self.require_hold()
        self.store.put_file(waiting, path)
        if self.store.size(waiting) != part.size_bytes:
            raise StorageError(f"{self.store.url(waiting)} is not as long as what was written.")
        return part

    def commit(self, plan: RewritePlan) -> None:
        """Do what a plan says, whose parts are all staged."""
        self.require_hold()
        self.store.put_bytes(staged_key(plan.rewrite_id, PLAN_NAME), _dump_plan(plan))
        self._carry_out(plan)

    def recover(self) -> int:
        """Finish rewrites that were cut off after all their parts were staged, undo the others; give how many."""
        waiting = sorted(self.store.list(REWRITES_PREFIX))
        plans = [key for key in waiting if key.endswith(f"/{PLAN_NAME}") and key.count("/") == PLAN_DEPTH]
        for key in plans:
            self._carry_out(_read_plan(self.store, key))
        if CHANGES_KEY in waiting:
            self._note_changes(json.loads(self.store.read_bytes(CHANGES_KEY)))
            tell_change(self.store)
        finished = tuple(key.removesuffix(PLAN_NAME) for key in plans)
        self.store.delete_all(key for key in waiting if not key.startswith(finished))
        self.store.prune(REWRITES_PREFIX)  # a partition's folder may be a name
        return len({key.split("/")[2] for key in waiting})

    @contextmanager
    def changing(self, keys: Collection[str] | None = None) -> Iterator[None]:
        """Replace parts under their own names, for the length of the block; None: it may be any of them.

        Each is replaced in one step, so whoever globs sees every row once at any instant; the snapshot tells of it
        when the block ends, or by the next `recover`.
        """
        self.forget(self.known().keys() if keys is None else keys)
        if read_snapshot(self.store) is None:
            yield
            tell_change(self.store)
            return
        changes = None if keys is None else sorted(keys)
        self.store.put_bytes(CHANGES_KEY, json.dumps(changes).encode())
        yield
        self._note_changes(changes)
        tell_change(self.store)
        self.store.delete(CHANGES_KEY)

    def _note_changes(self, keys: Collection[str] | None) -> None:
        """Have the snapshot tell of these parts as they are now."""
        snapshot = read_snapshot(self.store)
        if snapshot is None:
            return
        changed = {part.key for part in snapshot.parts} if keys is None else set(keys)
        parts = tuple(
            describe_part(self.store, part.key) if part.key in changed else part for part in snapshot.parts
        )
        if parts != snapshot.parts:
            self._write(snapshot, "change", parts, snapshot.replaced)

    def _carry_out(self, plan: RewritePlan) -> None:
        old = {key for each in plan.replacements for key in each.old}
        new = {part.key: part for each in plan.replacements for part in each.new}
        before = read_snapshot(self.store)
        gone = old | new.keys()
        kept = [part for part in self._parts(before, without=gone) if live_key(part.key) not in gone]
        staged = [
            PartFile(staged_key(plan.rewrite_id, part.key), part.size_bytes, part.sha256, part.rows)
            for part in new.values()
        ]
        self._write(before, plan.cause, [*kept, *staged], replaced=gone)
        for each in plan.replacements:
            self._replace(plan, each)
        after = self._write(read_snapshot(self.store), plan.cause, [*kept, *new.values()])
        self.book(plan, after)
        tell_change(self.store)
        self.store.delete(staged_key(plan.rewrite_id, PLAN_NAME))  # from here on nothing is left to be done
        self.store.delete_all(staged_key(plan.rewrite_id, key) for key in new)
        self.store.prune(f"{REWRITES_PREFIX}/{plan.rewrite_id}")

    def _replace(self, plan: RewritePlan, replacement: Replacement) -> None:
        """Put the new parts in place and take the old ones away: who globs sees both for this moment."""
        self.require_hold()
        for part in replacement.new:
            self.store.copy(staged_key(plan.rewrite_id, part.key), part.key)
        here = {part.key for part in replacement.new}
        self.store.delete_all(key for key in reversed(replacement.old) if key not in here)

    def _parts(self, snapshot: Snapshot | None, without: set[str]) -> Iterator[PartFile]:
        """Give all live parts but some, with what is known of them; what nobody knows is read."""
        described = {part.key: part for part in snapshot.parts} if snapshot else dict[str, PartFile]()
        listed = [key for table in TABLES for key in part_keys(self.store, table)]
        live = [key for key in live_among(snapshot, listed) if key not in without]
        known = self.known() if any(key not in described for key in live) else {}
        for key in live:
            found = described.get(key) or known.get(key)
            yield found if found is not None else describe_part(self.store, key)

    def _write(
        self,
        before: Snapshot | None,
        cause: str,
        parts: Sequence[PartFile],
        replaced: Iterable[str] = (),
    ) -> Snapshot:
        number = 1 if before is None else before.number + 1
        ordered = tuple(sorted(parts, key=lambda part: live_key(part.key)))
        snapshot = Snapshot(number, self.clock(), cause, ordered, frozenset(replaced))
        write_snapshot(self.store, snapshot)
        return snapshot


def describe_part(store: Store, key: str) -> PartFile:
    """Read a part and give what it is; raises StorageError for one that is damaged."""
    with fetched(store, [key]) as (path,):
        return describe_file(store, key, path)


def describe_file(store: Store, key: str, path: Path) -> PartFile:
    """Give what a part is by its copy on the local disk; raises StorageError for one that is damaged."""
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise damaged_part(store, key) from error
    return PartFile(key, path.stat().st_size, file_sha256(path), rows)


def _dump_plan(plan: RewritePlan) -> bytes:
    tree = {
        "rewrite": plan.rewrite_id,
        "cause": plan.cause,
        "replacements": [{"old": each.old, "new": parts_tree(each.new)} for each in plan.replacements],
    }
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _read_plan(store: Store, key: str) -> RewritePlan:
    try:
        tree = json.loads(store.read_bytes(key))
        replacements = [
            Replacement(tuple(each["old"]), parts_from_tree(each["new"])) for each in tree["replacements"]
        ]
        return RewritePlan(tree["rewrite"], tree["cause"], tuple(replacements))
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(store, key) from error
