"""Groups of tracks put into splits: a pure function of what is tied to what and of what was decided before.

A track is a row of atoms: digests of its artists and its ISRC. Atoms of one row belong in one split, and an atom that
has one keeps it for ever. What ties two splits together is left in none, and ties nothing any more.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

NO_SPLIT = -1
"""What an atom has that is in none yet, and a row that is in none."""
SMALLEST_CATALOGUE = 100
"""Of fewer tracks than this any artist is a large share."""
Atoms: TypeAlias = NDArray[np.uint64]
Codes: TypeAlias = NDArray[np.int16]
"""Numbers of splits."""


@dataclass(frozen=True, slots=True)
class SplitShares:
    """The splits with the share of the groups that each is to get, and what draws them."""

    names: tuple[str, ...]
    shares: tuple[float, ...]
    seed: int = 0

    def draw(self, atom: int) -> int:
        """Give the number of the split that a group gets whose smallest atom this is."""
        digest = hashlib.sha256(f"{self.seed}:{atom}".encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64 * sum(self.shares)
        for number, share in enumerate(self.shares):
            place -= share
            if place < 0:
                return number
        return self.largest

    @property
    def largest(self) -> int:
        """The number of the split with the largest share, the first of several."""
        return self.shares.index(max(self.shares))


@dataclass
class TiedTracks:
    """Tracks as rows of atoms, gathered in a few bytes each."""

    atoms: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    given: dict[int, str] = field(default_factory=dict)
    """The splits that the manifest gives, by row."""
    surveyed: int = 0
    """How many tracks the catalogue has, with those that are no rows here because they stand as they stood."""

    def add(self, atoms: Iterable[int], given: str | None = None) -> None:
        """Add a track."""
        if given is not None:
            self.given[len(self.ends)] = given
        self.atoms.extend(atoms)
        self.ends.append(len(self.atoms))

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self.ends)


def assign(
    tracks: TiedTracks, codes_of: Callable[[Atoms], Codes], shares: SplitShares, names: Sequence[str]
) -> dict[int, str]:
    """Give the splits of the atoms that are in none yet.

    `codes_of` gives the numbers in `names` of the splits that atoms are in. An atom gets the split that the manifest
    gives most of its tracks; else that of what it is tied to; else the group is drawn by its smallest atom.
    """
    if not len(tracks):
        return {}
    return _Assignment(tracks, codes_of, shares, names).run()


class _Assignment:
    """One call of `assign`; `codes` has the split of every atom, by its place in `unique`."""

    def __init__(
        self,
        tracks: TiedTracks,
        codes_of: Callable[[Atoms], Codes],
        shares: SplitShares,
        names: Sequence[str],
    ) -> None:
        others = sorted({*names, *tracks.given.values()} - {*shares.names})
        self.names = (*shares.names, *others)
        self.shares, self.surveyed = shares, max(tracks.surveyed, len(tracks))
        numbers = {name: number for number, name in enumerate(self.names)}
        self.given = {row: numbers[name] for row, name in tracks.given.items()}
        flat = np.frombuffer(tracks.atoms, np.uint64) if tracks.atoms else np.empty(0, np.uint64)
        self.unique, self.atom = np.unique(flat, return_inverse=True)
        ends = np.frombuffer(tracks.ends, np.uint64).astype(np.int64)
        self.row = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        known = codes_of(self.unique)
        self.codes = np.full(len(self.unique), NO_SPLIT, np.int16)
        for number, name in enumerate(names):
            self.codes[known == number] = numbers[name]
        self.was_free = self.codes == NO_SPLIT

    def run(self) -> dict[int, str]:
        self._give()
        is_given = np.zeros(int(self.row.max(initial=-1)) + 1, bool)
        is_given[list(self.given)] = True
        kept = ~is_given[self.row]
        self.atom, self.row = self.atom[kept], self.row[kept]
        while self._settle():
            pass
        new = np.flatnonzero(self.was_free & (self.codes != NO_SPLIT))
        return {
            atom: self.names[code]
            for atom, code in zip(self.unique[new].tolist(), self.codes[new].tolist(), strict=True)
        }

    def _give(self) -> None:
        """Have atoms without a split get what the manifest says of most of their tracks; of equals the first."""
        if not self.given:
            return
        votes: defaultdict[int, Counter[int]] = defaultdict(Counter)
        is_voter = np.isin(self.row, np.fromiter(self.given, np.int64)) & self.was_free[self.atom]
        for atom, row in zip(self.atom[is_voter].tolist(), self.row[is_voter].tolist(), strict=True):
            votes[atom][self.given[row]] += 1
        for atom, counter in votes.items():
            self.codes[atom] = _most(counter)

    def _settle(self) -> bool:
        """Give splits to what can have one by now; tell whether there may be more."""
        label = self._row_labels()
        is_open = (self.codes[self.atom] == NO_SPLIT) & (label[self.row] >= NO_SPLIT)
        atoms, rows = self.atom[is_open], self.row[is_open]
        if not len(atoms):
            return False
        group = _groups(atoms, rows)
        lowest = np.full(int(group.max()) + 1, np.iinfo(np.int16).max, np.int16)
        highest = np.full(len(lowest), NO_SPLIT, np.int16)
        labels = label[rows]
        has_label = labels != NO_SPLIT
        np.minimum.at(lowest, group[has_label], labels[has_label])
        np.maximum.at(highest, group[has_label], labels[has_label])
        is_torn = highest > lowest
        code = self._drawn(highest, group, atoms, rows)
        is_settled = ~is_torn[group]
        self.codes[atoms[is_settled]] = code[group[is_settled]]
        self._spread(atoms[~is_settled], labels[~is_settled])
        return bool(is_torn.any())

    def _row_labels(self) -> Codes:
        """Give the split of each row by those of its atoms: NO_SPLIT where it has none, less where it has several."""
        codes = self.codes[self.atom]
        count = int(self.row.max(initial=-1)) + 1
        lowest, highest = np.full(count, np.iinfo(np.int16).max, np.int16), np.full(count, NO_SPLIT, np.int16)
        has_code = codes != NO_SPLIT
        np.minimum.at(lowest, self.row[has_code], codes[has_code])
        np.maximum.at(highest, self.row[has_code], codes[has_code])
        return np.where(highest > lowest, np.int16(NO_SPLIT - 1), highest)

    def _drawn(
        self, code: Codes, group: NDArray[np.int64], atoms: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Codes:
        """Give the splits of groups, drawn where all is new; one too large for what it drew goes to the largest."""
        fresh = np.flatnonzero(code == NO_SPLIT).tolist()
        if not fresh:
            return code
        code, smallest = code.copy(), np.full(len(code), len(self.unique), np.int64)
        np.minimum.at(smallest, group, atoms)
        sizes = np.bincount(np.unique(np.stack([group, rows]), axis=1)[0], minlength=len(code))
        most = self.surveyed if self.surveyed >= SMALLEST_CATALOGUE else math.inf
        for number in fresh:
            drawn = self.shares.draw(int(self.unique[smallest[number]]))
            is_too_large = sizes[number] > self.shares.shares[drawn] * most
            code[number] = self.shares.largest if is_too_large else drawn
        return code

    def _spread(self, atoms: NDArray[np.int64], labels: Codes) -> None:
        """Give atoms of groups that are tied to several splits the one they are tied to themselves, if they are.

        All of one round at once, so that it does not matter in which order the rows are; most rows decide.
        """
        votes: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for atom, label in zip(atoms.tolist(), labels.tolist(), strict=True):
            if label != NO_SPLIT:
                votes[atom][label] += 1
        for atom, counter in votes.items():
            self.codes[atom] = _most(counter)


def _groups(atoms: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the number of the group that each pair of an atom and a row is in: those connected by either are in one."""
    from scipy.sparse import coo_array  # noqa: PLC0415 - most nights bring nothing that is new
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    (_, atom), (_, row) = np.unique(atoms, return_inverse=True), np.unique(rows, return_inverse=True)
    first = int(atom.max()) + 1
    size = first + int(row.max()) + 1
    graph = coo_array((np.ones(len(atom), np.int8), (atom, row + first)), shape=(size, size))
    labels = connected_components(graph, directed=False)[1][atom]
    return np.unique(labels, return_inverse=True)[1]


def _most(votes: Mapping[int, int]) -> int:
    """Give what has the most votes; of equals the first."""
    return min(votes, key=lambda code: (-votes[code], code))


def split_of(codes: Collection[int]) -> int:
    """Give the split of a track by those of its atoms: none where they are in several, or none has one."""
    found = {code for code in codes if code != NO_SPLIT}
    return found.pop() if len(found) == 1 else NO_SPLIT
