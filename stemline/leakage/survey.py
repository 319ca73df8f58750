"""Tables looked at for what of one split is in another, in bounded memory: batch by batch, then all at once.

Of each row its names are kept as they are, and eight bytes for every artist, its ISRC and its source once all are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stemline.leakage.loudness_print import LoudnessPrints
from stemline.leakage.report import KINDS, Example, LeakageReport, SplitPair
from stemline.splits.artist_names import names_of
from stemline.splits.atoms import name_digest, text_digest, well_formed_isrc

MOST_SPLITS = 30
"""So many are told apart, the largest ones; a column may hold anything."""
TOLD = 20
"""Of so many that leak an example is given."""
MOST_ROWS = 1_000
"""An artist's name is looked for in so many of his rows."""
TOLD_IN_NONE = 10_000
TIES = "Its artists or its ISRC are in {}."
UNDECIDED = "No split was decided for it."
TRACK_COLUMNS = ("track_id", "split", "artist", "title", "isrc", "source_sha256")
ACTIVITY_COLUMNS = ("track_id", "provider", "recipe", "stem", "rms_dbfs")
_SHORT_DIGEST = 16
"""So many digits of a SHA-256 are compared."""
_MAY_HAVE_GUESTS = r"(?i)feat|ft\b|with\b"
Digests: TypeAlias = NDArray[np.uint64]
Numbers: TypeAlias = NDArray[np.int64]


@dataclass
class _Ties:
    """What rows have of one kind: digests, and the row that has each."""

    digests: list[Digests] = field(default_factory=list)
    rows: list[Numbers] = field(default_factory=list)

    def add(self, pairs: Iterable[tuple[int, int]], first: int) -> None:
        found = list(pairs)
        self.digests.append(np.array([digest for _, digest in found], np.uint64))
        self.rows.append(np.array([row for row, _ in found], np.int64) + first)

    def joined(self) -> tuple[Digests, Numbers]:
        return np.concatenate([np.empty(0, np.uint64), *self.digests]), np.concatenate(
            [np.empty(0, np.int64), *self.rows]
        )


class LeakageSurvey:
    """Takes in rows of the tracks and the activity table, and gives the report."""

    def __init__(self) -> None:
        """Begin with none."""
        self._rows: list[pa.Table] = []
        self._prints = LoudnessPrints()

    def add_tracks(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Take in rows of the tracks table, with TRACK_COLUMNS at least."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        texts = pa.schema([(name, pa.string()) for name in TRACK_COLUMNS])
        table = table.select(TRACK_COLUMNS).cast(texts)
        short = pc.utf8_slice_codeunits(table.column("source_sha256"), 0, _SHORT_DIGEST)
        self._rows.append(table.set_column(len(TRACK_COLUMNS) - 1, "source_sha256", short))

    def add_activity(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Take in rows of the activity table, those of a track one behind the other, with ACTIVITY_COLUMNS at least."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        self._prints.add(table)

    @property
    def has_splits(self) -> bool:
        """Whether the rows so far are in several splits: else nothing can leak."""
        found = {
            value for rows in self._rows for value in pc.unique(rows.column("split")).to_pylist() if value
        }
        return len(found) > 1

    def report(self) -> LeakageReport:
        """Give what was found; call it once, when all rows are in."""
        self._prints.finish()
        ties = {"artists": _Ties(), "isrcs": _Ties(), "sources": _Ties()}
        first = 0
        for table in self._rows if self.has_splits else ():
            ties["artists"].add(_artists(table), first)
            ties["isrcs"].add(_digested(table, "isrc", _isrc_digest), first)
            ties["sources"].add(_digested(table, "source_sha256", text_digest), first)
            first += table.num_rows
        empty = pa.schema([(name, pa.string()) for name in TRACK_COLUMNS]).empty_table()
        whole = pa.concat_tables([empty, *self._rows])
        return _Findings(whole, {kind: each.joined() for kind, each in ties.items()}, self._prints).run()


def leakage_report(
    tracks: Iterable[pa.Table | pa.RecordBatch], activity: Iterable[pa.Table | pa.RecordBatch] = ()
) -> LeakageReport:
    """Give how clean the splits of these rows are; of rows of `activity` those of a track stand together."""
    survey = LeakageSurvey()
    for rows in tracks:
        survey.add_tracks(rows)
    for rows in activity:
        survey.add_activity(rows)
    return survey.report()


class _Findings:
    """What all rows together come to."""

    def __init__(
        self, rows: pa.Table, ties: Mapping[str, tuple[Digests, Numbers]], prints: LoudnessPrints
    ) -> None:
        self.rows, self.ties, self.prints = rows, ties, prints
        given = pc.if_else(
            pc.equal(pc.utf8_trim_whitespace(rows.column("split")), ""), None, rows.column("split")
        )
        counts = Counter({each["values"]: each["counts"] for each in pc.value_counts(given).to_pylist()})
        counts.pop(None, None)
        self.counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_SPLITS])
        self.names = [*self.counts]
        found = (
            pc.index_in(given, pa.array(self.names, pa.string()))
            if self.names
            else pa.nulls(len(rows), pa.int32())
        )
        self.codes = np.asarray(pc.fill_null(found, -1)).astype(np.int16)
        self.is_in_none = np.asarray(pc.is_null(given))

    def run(self) -> LeakageReport:
        pairs = [tuple(sorted(pair)) for pair in combinations(range(len(self.names)), 2)]
        counts: dict[tuple[int, ...], dict[str, int]] = {pair: dict.fromkeys(KINDS, 0) for pair in pairs}
        examples: dict[tuple[int, ...], dict[str, tuple[Example, ...]]] = {pair: {} for pair in pairs}
        for kind, (digests, rows) in self.ties.items():
            for pair, shared in self._shared(digests, rows, pairs):
                counts[pair][kind] = len(shared)
                examples[pair][kind] = tuple(
                    self._example(kind, digest, pair) for digest in shared[:TOLD].tolist()
                )
        for pair in pairs:
            near = list(self._near_equal(pair))
            counts[pair]["near_equal"] = len(near)
            examples[pair]["near_equal"] = tuple(near[:TOLD])
        return LeakageReport(
            self.counts,
            int(self.is_in_none.sum()),
            tuple(self._untold()),
            tuple(
                SplitPair((self.names[pair[0]], self.names[pair[1]]), counts[pair], examples[pair])
                for pair in pairs
            ),
            {
                "compared": len(self.prints),
                "too_short": self.prints.too_short,
                "too_even": self.prints.too_even,
            },
        )

    def _shared(
        self, digests: Digests, rows: Numbers, pairs: Iterable[tuple[int, ...]]
    ) -> Iterator[tuple[tuple[int, ...], Digests]]:
        """Give for each pair of splits what is in both."""
        unique, place = np.unique(digests, return_inverse=True)
        is_in = np.zeros((len(unique), max(1, len(self.names))), bool)
        codes = self.codes[rows]
        is_in[place[codes >= 0], codes[codes >= 0]] = True
        for pair in pairs:
            yield pair, unique[is_in[:, pair[0]] & is_in[:, pair[1]]]

    def _example(self, kind: str, digest: int, pair: tuple[int, ...]) -> Example:
        """Give what leaks as the tables call it, and a track of each split that has it."""
        digests, rows = self.ties[kind]
        having = rows[digests == digest]
        ones = [int(having[self.codes[having] == code][0]) for code in pair]
        tracks = {self.names[code]: self._cell(row, "track_id") for code, row in zip(pair, ones, strict=True)}
        if kind == "artists":
            cells = {self._cell(row, "artist") for row in having[:MOST_ROWS].tolist()}
            named = [cell for cell in cells if digest in map(name_digest, names_of(cell))]
            return {"artist": min(named, key=lambda cell: (len(cell), cell), default="")} | tracks
        return ({"isrc": self._cell(ones[0], "isrc")} if kind == "isrcs" else {}) | tracks

    def _near_equal(self, pair: tuple[int, ...]) -> Iterator[Example]:
        """Give the tracks of the smaller split that sound as good as one of the larger."""
        large, small = pair  # the splits are in the order of their sizes
        for near in self.prints.near_equal(self._printed[small], self._printed[large]):
            ids = self.prints.track_ids
            yield {
                self.names[large]: ids[near.other],
                self.names[small]: ids[near.one],
                "difference": f"{near.difference:.3f}",
            }

    @property
    def _printed(self) -> dict[int, Numbers]:
        """The numbers of the loudness prints of each split's tracks."""
        if not hasattr(self, "_by_split"):
            place = pc.index_in(
                pa.array(self.prints.track_ids, pa.string()), self.rows.column("track_id").combine_chunks()
            )
            rows = np.asarray(pc.fill_null(place, -1)).astype(np.int64)
            codes = (
                np.where(rows >= 0, self.codes[np.maximum(rows, 0)], np.int16(-1))
                if len(self.codes)
                else rows
            )
            self._by_split = {code: np.flatnonzero(codes == code) for code in range(len(self.names))}
        return self._by_split

    def _untold(self) -> Iterator[Example]:
        """Give the tracks that are in no split, with the reason."""
        wanted = np.flatnonzero(self.is_in_none)[:TOLD_IN_NONE]
        if not len(wanted) or not self.names:
            return
        splits: dict[int, set[int]] = {row: set() for row in wanted.tolist()}
        for kind in ("artists", "isrcs"):
            digests, rows = self.ties[kind]
            is_wanted = np.isin(rows, wanted)
            asked = digests[is_wanted]
            known = np.isin(digests, asked) & (self.codes[rows] >= 0)
            of_digest: dict[int, set[int]] = {}
            for digest, code in zip(digests[known].tolist(), self.codes[rows[known]].tolist(), strict=True):
                of_digest.setdefault(digest, set()).add(code)
            for digest, row in zip(asked.tolist(), rows[is_wanted].tolist(), strict=True):
                splits[row] |= of_digest.get(digest, set())
        for row, codes in splits.items():
            names = " and ".join(self.names[code] for code in sorted(codes))
            reason = TIES.format(names) if len(codes) > 1 else UNDECIDED
            yield {"track_id": self._cell(row, "track_id"), "reason": reason}

    def _cell(self, row: int, column: str) -> str:
        return str(self.rows.column(column)[row].as_py() or "")


def _artists(table: pa.Table) -> Iterator[tuple[int, int]]:
    """Give the artists of rows as pairs of row and digest; a name is taken apart once, however many rows have it."""
    names = table.column("artist").combine_chunks().dictionary_encode()
    known = [[name_digest(each) for each in names_of(name)] for name in names.dictionary.to_pylist()]
    for row, place in enumerate(names.indices.to_pylist()):
        if place is not None:
            yield from ((row, digest) for digest in known[place])
    titles = table.column("title").combine_chunks()
    guests = pc.indices_nonzero(pc.fill_null(pc.match_substring_regex(titles, _MAY_HAVE_GUESTS), False))  # noqa: FBT003
    for row in guests.to_pylist():
        yield from ((row, name_digest(each)) for each in names_of(None, titles[row].as_py()))


def _digested(table: pa.Table, column: str, digest: Callable[[str], int]) -> Iterator[tuple[int, int]]:
    for row, value in enumerate(table.column(column).to_pylist()):
        if value and (found := digest(value)):
            yield row, found


def _isrc_digest(value: str) -> int:
    isrc = well_formed_isrc(value)
    return text_digest(f"isrc:{isrc}") if isrc else 0
