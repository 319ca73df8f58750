"""What is odd in a manifest, with the first examples: strange values, columns by another name, rows that repeat.

Nothing of it keeps a row from being taken: a person is told before anything is spent.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stemline.manifest import LocationKind, location_kind
from stemline.manifest.mapping_words import columns_flags, columns_line
from stemline.records import Misstatement, Track

EXAMPLES = 3
MOST_FILES = 100_000
"""Of more files than this the first are held against each other."""
MOST_COMPARED = 2_000
"""So many files of one size as another's are looked into at most."""
SAMPLE_BYTES = 16_384
_SHOWN_VALUE = 40
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_DAY_NUMBER = re.compile(r"[2-6][0-9]{4}([.]0)?")
_SLASHED = re.compile(r"[0-9]{1,2}[/-][0-9]{1,2}[/-][0-9]{4}")
_WANTED = {
    "released_on": "dates written as 2006-12-31",
    "isrc": "ISRCs (two letters, three letters or digits, seven digits)",
    "duration_seconds": "their files' lengths",
}


class Example(NamedTuple):
    """A row, and what stands there."""

    row: int
    value: str


class Repetition(NamedTuple):
    """Rows that have one thing in common."""

    what: str
    rows: tuple[int, ...]


def read_isrc(value: object) -> str | None:
    """Give an ISRC (ISO 3901): two letters, three characters, seven digits; hyphens and spaces do not matter."""
    text = "" if value is None else str(value).strip().replace("-", "").replace(" ", "").upper()
    return text if _ISRC.fullmatch(text) else None


@dataclass
class RepeatedIsrcs:
    """Finds rows with one ISRC; sixteen bytes a row, as there may be a million."""

    _codes: array[int] = field(default_factory=lambda: array("q"))
    _rows: array[int] = field(default_factory=lambda: array("q"))

    def add(self, row: int, isrc: str) -> None:
        """Take in a row's ISRC, as `read_isrc` gives it."""
        self._codes.append(int(isrc, 36))  # twelve letters and digits are less than 63 bits
        self._rows.append(row)

    def find(self) -> list[Repetition]:
        """Give the repetitions, by their first rows."""
        codes = np.array(self._codes, np.int64)
        different, counts = np.unique(codes, return_counts=True)
        rows: defaultdict[int, list[int]] = defaultdict(list)
        for place in np.flatnonzero(np.isin(codes, different[counts > 1])):
            rows[self._codes[place]].append(self._rows[place])
        found = [
            Repetition(np.base_repr(code, 36).zfill(12), tuple(sorted(some))) for code, some in rows.items()
        ]
        return sorted(found, key=lambda each: each.rows)


@dataclass
class AlikeAudio:
    """Finds rows with one source, and files of this machine that look alike: of one size, and alike where looked at."""

    _rows: defaultdict[int, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Row and location, by the size of the file; by a digest below zero of a location elsewhere."""
    _number: int = 0
    _found: list[Repetition] | None = None

    def add(self, track: Track) -> None:
        """Take in a row."""
        self._number += 1
        if self._number > MOST_FILES:
            return
        is_file = location_kind(track.location) is LocationKind.FILE
        key = track.size_bytes if is_file and track.size_bytes is not None else -1 - abs(hash(track.location))
        self._rows[key].append((track.position, track.location))
        self._found = None

    def find(self) -> list[Repetition]:
        """Give the repetitions, by their first rows; a few thousand bytes of each file of a size are read, once."""
        if self._found is None:
            self._found = sorted(self._groups(), key=lambda each: each.rows)
        return self._found

    def _groups(self) -> Iterator[Repetition]:
        left = MOST_COMPARED
        for key, some in self._rows.items():
            if len(some) < 2:
                continue
            compared = some[:left] if key >= 0 else some
            left -= len(compared) if key >= 0 else 0
            alike: defaultdict[bytes | str, list[tuple[int, str]]] = defaultdict(list)
            for row, location in compared:
                alike[_sample(location, key) if key >= 0 else location].append((row, location))
            for each in alike.values():
                if len(each) > 1:
                    yield Repetition(_name(each), tuple(sorted(row for row, _ in each)))


@dataclass
class ManifestOddities:
    """What is odd in the rows that were read so far."""

    values: defaultdict[str, list[Example]] = field(default_factory=lambda: defaultdict(list))
    """The first values that are not what their column is for, by column."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our names of columns that the manifest does not have, and its columns that look like them."""
    mapped: Mapping[str, str] = field(default_factory=dict)
    """What `catalogue.columns` says already."""
    isrcs: RepeatedIsrcs = field(default_factory=RepeatedIsrcs)
    audio: AlikeAudio = field(default_factory=AlikeAudio)

    def note(self, column: str, track: Track) -> None:
        """Take note of a value that is not what its column is for."""
        if len(self.values[column]) < EXAMPLES:
            self.values[column].append(Example(track.position, str(track.columns.get(column))[:_SHOWN_VALUE]))

    def note_length(self, found: Misstatement) -> None:
        """Take note of a length that is not its file's."""
        if len(self.values["duration_seconds"]) < EXAMPLES:
            self.values["duration_seconds"].append(Example(found.row, found.sentence))

    def add(self, tracks: Sequence[Track]) -> None:
        """Look whether rows repeat others."""
        for track in tracks:
            if (isrc := read_isrc(track.columns.get("isrc"))) is not None:
                self.isrcs.add(track.position, isrc)
            self.audio.add(track)

    def sentences(self) -> Iterator[str]:
        """Say what a person should look at."""
        for name, examples in self.values.items():
            shown = ", ".join(f'row {row}: "{value}"' for row, value in examples)
            yield f"The column {name} has values that are not {_WANTED[name]}: {shown}{_day_hint(name, examples)}"
        if self.columns:
            pairs = ", ".join(f'"{theirs}" like {ours}' for ours, theirs in self.columns.items())
            yield (
                f"Some columns look like ones that stemline knows by another name: {pairs}. To have them taken as "
                f"these, add {columns_flags(self.columns)}; or have this line, and no other `columns`, in the section "
                f"catalogue of the configuration: {columns_line({**self.mapped, **self.columns})}"
            )
        for name, found in (("the same ISRC", self.isrcs.find()), ("the same audio", self.audio.find())):
            if found:
                shown = "; ".join(f"rows {_rows(each.rows)} ({each.what})" for each in found[:EXAMPLES])
                more = f"; and {len(found) - EXAMPLES:,} more" if len(found) > EXAMPLES else ""
                yield f"Several rows seem to have {name}, and each of them will be paid for: {shown}{more}"

    def as_tree(self) -> dict[str, Any]:
        """Give it for `--json`."""
        return {
            "values": {name: [each._asdict() for each in examples] for name, examples in self.values.items()},
            "columns": dict(self.columns),
            "same_isrc": _tree(self.isrcs.find()),
            "alike_audio": _tree(self.audio.find()),
        }


def _day_hint(name: str, examples: Sequence[Example]) -> str:
    """Say of days that are none here why they are not."""
    if name != "released_on":
        return ""
    if any(_DAY_NUMBER.fullmatch(value) for _, value in examples):
        return "; a number such as 44563 is a spreadsheet's day: format its column as a date before you export it"
    if any(_SLASHED.fullmatch(value) for _, value in examples):
        return "; whether the day or the month stands first, the column does not show"
    return ""


def _sample(location: str, size_bytes: int) -> bytes | str:
    """Give a digest of a file's beginning, middle and end; its location where it cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with Path(location).open("rb", buffering=0) as file:
            for start in (0, size_bytes // 2, max(0, size_bytes - SAMPLE_BYTES)):
                file.seek(start)
                digest.update(file.read(SAMPLE_BYTES))
    except (OSError, ValueError):
        return location
    return digest.digest()


def _name(rows: Sequence[tuple[int, str]]) -> str:
    names = list(dict.fromkeys(location.rsplit("/", 1)[-1] for _, location in rows))
    return ", ".join(name[:_SHOWN_VALUE] for name in names[:EXAMPLES])


def _rows(rows: Sequence[int]) -> str:
    shown = ", ".join(f"{row:,}" for row in rows[: 2 * EXAMPLES])
    return f"{shown}, …" if len(rows) > 2 * EXAMPLES else shown


def _tree(found: Sequence[Repetition]) -> dict[str, Any]:
    return {
        "groups": len(found),
        "rows": sum(len(each.rows) for each in found),
        "examples": [{"what": each.what, "rows": list(each.rows[:100])} for each in found[:EXAMPLES]],
    }
