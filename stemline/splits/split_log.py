"""What was decided, as the dataset keeps it: an append-only log of small objects, and checkpoints to read it fast.

Entry `n + 1` is written only where there is none yet, by whoever has read all up to `n`: of two at once one goes first,
and the other reads again. Atoms stand there as digests keyed with the dataset's own salt, eight bytes each, sorted.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from stemline.errors import StorageError
from stemline.splits.assignment import NO_SPLIT, Atoms, Codes
from stemline.storage import Store

SPLITS_PREFIX = "_stemline/splits"
ENTRIES_PER_CHECKPOINT = 16
KEPT_CHECKPOINTS = 2
"""Older ones are removed: each has all that was decided up to it, and the entries are there."""
SALT_BYTES = 16
_ENTRY = re.compile(rf"{SPLITS_PREFIX}/(?P<checkpoint>checkpoint-)?(?P<number>[0-9]{{8}})[.]json")


@dataclass(frozen=True)
class DecidedSplits:
    """All that was decided up to one entry of the log."""

    number: int = 0
    """Of the last entry; 0: nothing was decided yet."""
    by: str = ""
    """What the dataset is split by."""
    salt: str = ""
    drawn_by: str = ""
    """The shares and the seed by which the last groups were drawn, in words."""
    names: tuple[str, ...] = ()
    keyed: Atoms = field(default_factory=lambda: np.empty(0, np.uint64))
    """The keyed digests of all atoms, sorted."""
    codes: Codes = field(default_factory=lambda: np.empty(0, np.int16))
    """The splits they are in, as numbers in `names`."""

    def codes_of(self, atoms: Atoms) -> Codes:
        """Give the numbers of the splits that atoms are in, NO_SPLIT for those in none."""
        if not len(self.keyed) or not len(atoms):
            return np.full(len(atoms), NO_SPLIT, np.int16)
        asked = keyed_atoms(self.salt, atoms)
        place = np.minimum(np.searchsorted(self.keyed, asked), len(self.keyed) - 1)
        return np.where(self.keyed[place] == asked, self.codes[place], np.int16(NO_SPLIT))

    def with_new(self, number: int, atoms: Mapping[str, Atoms]) -> DecidedSplits:
        """Give this with another entry's keyed atoms, by split; what is decided already stays as it is."""
        names = (*self.names, *(name for name in sorted(atoms) if name not in self.names))
        codes = [np.full(len(some), names.index(name), np.int16) for name, some in atoms.items()]
        every = np.concatenate([self.keyed, *atoms.values()])
        keyed, first = np.unique(every, return_index=True)
        return replace(
            self, number=number, names=names, keyed=keyed, codes=np.concatenate([self.codes, *codes])[first]
        )

    def as_tree(self) -> dict[str, Any]:
        """Give it as a checkpoint has it."""
        atoms = {name: self.keyed[self.codes == number] for number, name in enumerate(self.names)}
        head = {"number": self.number, "by": self.by, "salt": self.salt, "drawn_by": self.drawn_by}
        return {**head, "atoms": _packed(atoms)}


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What is decided at once, to be written down."""

    by: str
    atoms: Mapping[str, Sequence[int]]
    """By split."""
    drawn_by: str = ""
    run_id: str = ""


def keyed_atoms(salt: str, atoms: Atoms) -> Atoms:
    """Give the digests under which the log knows atoms."""
    key = bytes.fromhex(salt)
    found = b"".join(hmac.digest(key, atom.to_bytes(8), "sha256")[:8] for atom in atoms.tolist())
    return np.frombuffer(found, ">u8").astype(np.uint64)


def read_splits(store: Store, known: DecidedSplits | None = None) -> DecidedSplits:
    """Give all that was decided by now; of what follows on `known` only that is read.

    Raises StorageError for an entry that is gone or cannot be read.
    """
    found = [match for key in store.list(SPLITS_PREFIX) if (match := _ENTRY.fullmatch(key))]
    entries = {int(each["number"]) for each in found if not each["checkpoint"]}
    checkpoints = {int(each["number"]) for each in found if each["checkpoint"]}
    decided, last = known or DecidedSplits(), max(entries | checkpoints, default=0)
    newest = max((number for number in checkpoints if number > decided.number), default=0)
    if newest and store.exists(checkpoint_key(newest)):  # a later one may have come for it since
        decided = _from_tree(store, checkpoint_key(newest))
    for number in range(decided.number + 1, last + 1):
        decided = _joined(store, decided, number)
    return decided


def append_entry(store: Store, decided: DecidedSplits, entry: NewEntry) -> DecidedSplits | None:
    """Write down which atoms are in which split from now on, behind `decided`; None where somebody was faster."""
    salt = decided.salt or secrets.token_hex(SALT_BYTES)
    keyed = {
        name: np.sort(keyed_atoms(salt, np.array(some, np.uint64)))
        for name, some in sorted(entry.atoms.items())
    }
    number = decided.number + 1
    head = {
        "number": number,
        "by": entry.by,
        "salt": salt,
        "drawn_by": entry.drawn_by,
        "run_id": entry.run_id,
    }
    tree = {**head, "atoms": _packed(keyed)}
    if not store.create(entry_key(number), _dump(tree)):
        return None
    joined = replace(decided, by=entry.by, salt=salt, drawn_by=entry.drawn_by)
    after = joined.with_new(number, keyed)
    if number % ENTRIES_PER_CHECKPOINT == 0:
        store.put_bytes(checkpoint_key(number), _dump(after.as_tree()))
        if number > KEPT_CHECKPOINTS * ENTRIES_PER_CHECKPOINT:
            store.delete(checkpoint_key(number - KEPT_CHECKPOINTS * ENTRIES_PER_CHECKPOINT))
    return after


def find_damage(store: Store) -> Iterator[tuple[str, bool]]:
    """Give what of the log cannot be read, and whether it is gone altogether."""
    there = {key for key in store.list(SPLITS_PREFIX) if _ENTRY.fullmatch(key)}
    last = max((int(match["number"]) for key in there if (match := _ENTRY.fullmatch(key))), default=0)
    for key in sorted({entry_key(number) for number in range(1, last + 1)} | there):
        try:
            _from_tree(store, key)
        except StorageError:
            yield key, key not in there


def entry_key(number: int) -> str:
    """Give where an entry lies."""
    return f"{SPLITS_PREFIX}/{number:08}.json"


def checkpoint_key(number: int) -> str:
    """Give where it stands what was decided up to an entry."""
    return f"{SPLITS_PREFIX}/checkpoint-{number:08}.json"


def _joined(store: Store, before: DecidedSplits, number: int) -> DecidedSplits:
    found = _from_tree(store, entry_key(number))
    if before.number and (found.salt, found.by) != (before.salt, before.by):
        raise _unreadable(store, entry_key(number))
    atoms = {name: found.keyed[found.codes == code] for code, name in enumerate(found.names)}
    joined = replace(before, by=found.by, salt=found.salt, drawn_by=found.drawn_by)
    return joined.with_new(number, atoms)


def _from_tree(store: Store, key: str) -> DecidedSplits:
    try:
        tree = json.loads(store.read_bytes(key))
        bytes.fromhex(tree["salt"])
        atoms = {name: np.frombuffer(base64.b64decode(text), "<u8") for name, text in tree["atoms"].items()}
        found = DecidedSplits(by=str(tree["by"]), salt=tree["salt"], drawn_by=str(tree["drawn_by"]))
        return found.with_new(int(tree["number"]), atoms)
    except (FileNotFoundError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(store, key) from error


def _packed(atoms: Mapping[str, Atoms]) -> dict[str, str]:
    return {name: base64.b64encode(some.astype("<u8").tobytes()).decode() for name, some in atoms.items()}


def _dump(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode() + b"\n"


def _unreadable(store: Store, key: str) -> StorageError:
    return StorageError(
        f"{store.url(key)} cannot be read, or is not what stemline wrote: it says who is in which split.",
        fix="Put it back from a copy of the dataset. Where there is none, remove the whole folder: then what the "
        "tables say counts as decided.",
    )
