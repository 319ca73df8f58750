"""The splits of one dataset as a run uses them: asked for a row's, told of rows whose groups are in none yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from stemline.errors import ConfigError, StorageError
from stemline.settings.split_settings import NONE, SplitSettings
from stemline.splits.assignment import NO_SPLIT, SplitShares, TiedTracks, assign, split_of
from stemline.splits.atoms import given_split, track_atoms
from stemline.splits.split_log import DecidedSplits, NewEntry, append_entry, read_splits
from stemline.storage import Store

TRIES = 100
"""How often others may be faster before something must be wrong."""
TOLD_TRACKS = 1_000
"""So many tracks in no split are named in a run's summary."""


@dataclass
class SplitBook:
    """Reads and writes what a dataset has decided; what was read is kept, and read on where that is not enough."""

    store: Store
    by: str
    shares: SplitShares
    run_id: str = ""
    decided: DecidedSplits = field(default_factory=DecidedSplits)
    written: Counter[str] = field(default_factory=Counter)
    """How many rows were written with each split."""
    torn: list[str] = field(default_factory=list)
    """The ids of the first tracks that were written with none."""
    drawn_before: str = ""
    """The shares and the seed by which the last groups were drawn before this run, where they were others."""

    def decide(self, tracks: TiedTracks) -> int:
        """Put every atom of these tracks that can be into a split, for ever; give how many were in none.

        Raises StorageError where the log cannot be read or written, ConfigError where the dataset is split by
        something else.
        """
        for _ in range(TRIES):
            self.read()
            found = assign(tracks, self.decided.codes_of, self.shares, self.decided.names)
            if not found:
                return 0
            atoms: defaultdict[str, list[int]] = defaultdict(list)
            for atom, name in found.items():
                atoms[name].append(atom)
            entry = NewEntry(self.by, atoms, self._drawn_by, self.run_id)
            after = append_entry(self.store, self.decided, entry)
            if after is not None:
                self.decided = after
                return len(found)
        raise StorageError(f"Others decide the splits of {self.store.url()} all the time.", fix="Run again.")

    def read(self) -> None:
        """Read what was decided since."""
        is_first = not self.decided.number
        self.decided = read_splits(self.store, self.decided)
        if is_first and self.decided.number and self.decided.drawn_by != self._drawn_by:
            self.drawn_before = self.decided.drawn_by
        if self.decided.number and self.decided.by != self.by:
            raise ConfigError(
                f"The dataset at {self.store.url()} is split by {self.decided.by!r}, not by {self.by!r}, and splits "
                "never move.",
                fix=f"Write `by: {self.decided.by}` under dataset.splits, or write to another dataset.url.",
            )

    def decide_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """Give the splits of rows of the tracks table (the manifest's own where it gives one), deciding what is not."""
        tied, given = TiedTracks(), [given_split(row) for row in rows]
        atoms = [track_atoms(row, self.by) for row in rows]
        if not self.decided.number:
            self.read()
        if self._has_new(atoms):
            for some, one in zip(atoms, given, strict=True):
                tied.add(some, one)
            self.decide(tied)
        return [one or found for one, found in zip(given, self._splits(atoms), strict=True)]

    def splits_of(self, rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """Give the splits of rows as `decide_rows` does, deciding nothing."""
        found = self._splits([track_atoms(row, self.by) for row in rows])
        return [given_split(row) or one for row, one in zip(rows, found, strict=True)]

    def _has_new(self, atoms: Iterable[Iterable[int]]) -> bool:
        every = np.array([one for some in atoms for one in some], np.uint64)
        return bool((self.decided.codes_of(every) == NO_SPLIT).any())

    def _splits(self, atoms: Sequence[Sequence[int]]) -> list[str | None]:
        every = np.array([one for some in atoms for one in some], np.uint64)
        codes, at, names = self.decided.codes_of(every).tolist(), 0, self.decided.names
        found: list[str | None] = []
        for some in atoms:
            code = split_of(codes[at : at + len(some)])
            found.append(None if code == NO_SPLIT else names[code])
            at += len(some)
        return found

    @property
    def _drawn_by(self) -> str:
        shares = zip(self.shares.names, self.shares.shares, strict=True)
        return ", ".join([*(f"{name}: {share:g}" for name, share in shares), f"seed: {self.shares.seed}"])

    def note(self, splits: Mapping[str, str | None]) -> None:
        """Count rows that were written, by the ids of their tracks."""
        self.written.update(split or NONE for split in splits.values())
        torn = (track_id for track_id, split in splits.items() if split is None)
        self.torn += islice(torn, TOLD_TRACKS - len(self.torn))

    @property
    def notice(self) -> str:
        """What a person should know of: that changed shares do not move anybody."""
        if not self.drawn_before:
            return ""
        return (
            f"dataset.splits draws new groups by {self._drawn_by}; those drawn before, by {self.drawn_before}, stay "
            "where they are."
        )

    def as_tree(self) -> dict[str, Any]:
        """Give what was written, as a run's summary has it."""
        counts = {name: self.written[name] for name in (*self.shares.names, NONE)}
        tree: dict[str, Any] = {"splits": counts | dict(self.written)}
        tree |= {"in_no_split": self.torn} if self.torn else {}
        return tree | ({"splits_notice": self.notice} if self.notice else {})


def open_split_book(store: Store, settings: SplitSettings | None, run_id: str = "") -> SplitBook | None:
    """Give the splits of a dataset as it is configured; None: nobody is put into any."""
    if settings is None:
        return None
    shares = SplitShares(tuple(settings.shares), tuple(settings.shares.values()), settings.seed)
    return SplitBook(store, settings.by, shares, run_id)


def read_split_book(store: Store) -> SplitBook | None:
    """Give the splits as the dataset itself has them, to be asked alone; None where it has none."""
    decided = read_splits(store)
    return SplitBook(store, decided.by, SplitShares((), ()), decided=decided) if decided.number else None
