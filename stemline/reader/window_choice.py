"""Which windows an epoch has: of each track that is asked for, the seconds at which one may begin."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stemline.errors import UsageError
from stemline.reader.array_file import ArrayFile
from stemline.reader.loud_starts import Starts, bits_of, find_starts
from stemline.reader.permutation import mixed
from stemline.reader.window_index import NONE, WindowIndex
from stemline.reader.window_request import WindowRequest

RECORD_NAME = "choice.json"
FORMAT = 1
_ROWS_AT_ONCE = 1024

CHOSEN = np.dtype([("row", "<u4"), ("loud", "<u4"), ("bits_at", "<i8"), ("bits", "<u4")])
"""A track: its row in the index, at how many seconds a window may begin, and where its bits are, as many as bytes."""


class WindowPlace(NamedTuple):
    """A window: a row of the index, and the second at which it begins."""

    row: int
    start: int


class WindowChoice:
    """The windows of an epoch, by number. Shared by threads and processes as the index is."""

    def __init__(self, folder: Path) -> None:
        """Open what `write_choice` has written; raises OSError, or ValueError for what is of another version."""
        self._folder = folder
        told = json.loads((folder / RECORD_NAME).read_bytes())
        if told["format"] != FORMAT:
            raise ValueError(folder)
        self.digest: str = told["digest"]
        """Of everything that decides which windows there are."""
        self.left_out: Counter[str] = Counter(told["left_out"])
        """Tracks of which no window is taken, by reason."""
        self.unmeasured: int = told["unmeasured"]
        """Tracks whose loudness is not known."""
        self._chosen = ArrayFile(folder / "chosen", CHOSEN)
        self._bits = ArrayFile(folder / "bits", "u1")
        self._ends = np.fromfile(folder / "ends", "<i8")

    def __reduce__(self) -> tuple[type[WindowChoice], tuple[Path]]:
        """Give what opens it in another process."""
        return WindowChoice, (self._folder,)

    def __len__(self) -> int:
        """Give how many windows an epoch has."""
        return int(self._ends[-1])

    def __getitem__(self, drawn: tuple[int, int]) -> WindowPlace:
        """Give a window by its number; the other number, any at all, draws it from the seconds it is to be near."""
        number, chance = drawn
        track = int(np.searchsorted(self._ends, number, "right"))
        first = int(self._ends[track - 1]) if track else 0
        part, parts = number - first, int(self._ends[track]) - first
        chosen = self._chosen.read(track, 1)[0]
        loud = int(chosen["loud"])
        low, high = part * loud // parts, max((part + 1) * loud // parts, part * loud // parts + 1)
        bits = np.unpackbits(self._bits.read(int(chosen["bits_at"]), int(chosen["bits"])))
        start = np.flatnonzero(bits)[low + mixed(chance) % (high - low)]
        return WindowPlace(int(chosen["row"]), int(start))


def write_choice(folder: Path, index: WindowIndex, rows: NDArray[np.int64], request: WindowRequest) -> None:
    """Write the windows of rows, several of which may be of one track: the last that has all stems counts.

    Raises:
        UsageError: there is none; it tells why.
    """
    numbers = _stem_numbers(index, request.stems)
    has_all = (numbers[rows] != NONE).all(axis=1)
    track = index.rows.mapped()["track"]
    kept = _last_of_each(rows[has_all], track)
    left_out = Counter({"no such stem": len(np.unique(track[rows])) - len(kept)})
    written = _ChoiceFiles(folder, request)
    stems, levels = index.stems.mapped(), index.levels.mapped()
    for begin in range(0, len(kept), _ROWS_AT_ONCE):
        some = kept[begin : begin + _ROWS_AT_ONCE]
        records = [stems[numbers[some, place]] for place in range(len(request.stems))]
        starts = find_starts(levels, records, request)
        written.add(index.rows.mapped()[some], some, records, starts)
    written.finish(left_out)
    if not written.windows:
        raise UsageError(
            f"No window of {request.seconds:g} s can be taken of {len(np.unique(track[rows]))} tracks.",
            fix=f"Left out: {_told(written.left_out)}. Ask for less.",
        )


class _ChoiceFiles:
    """What is written of a choice, some rows at a time."""

    def __init__(self, folder: Path, request: WindowRequest) -> None:
        self._folder, self._step = folder, max(1.0, request.seconds)
        self._digest = hashlib.blake2b(request.as_text().encode(), digest_size=16)
        self.left_out: Counter[str] = Counter()
        self.windows = self._unmeasured = self._bytes = 0
        for name in ("chosen", "bits", "ends"):
            (folder / name).write_bytes(b"")

    def add(
        self,
        rows: NDArray[np.void],
        numbers: NDArray[np.int64],
        stems: Sequence[NDArray[np.void]],
        starts: Starts,
    ) -> None:
        """Add rows in which there is a window, and count the others."""
        loud, bits = starts.loud_counts(), bits_of(starts)
        room = -(-np.maximum(starts.counts, 0) // 8)
        chosen = np.zeros(len(rows), CHOSEN)
        chosen["row"], chosen["loud"], chosen["bits"] = numbers, loud, room
        chosen["bits_at"] = self._bytes + np.cumsum(room) - room
        self._bytes += len(bits)
        is_in = loud > 0
        ends = self.windows + np.cumsum(np.ceil(loud[is_in] / self._step).astype("<i8"))
        self.windows = int(ends[-1]) if len(ends) else self.windows
        self._append("chosen", chosen[is_in])
        self._append("bits", bits)
        self._append("ends", ends)
        self._note(rows, stems, starts, bits)
        self.left_out["too short"] += int((starts.counts < 1).sum())
        self.left_out["too quiet"] += int(((starts.counts > 0) & ~is_in).sum())
        self._unmeasured += int((is_in & ~starts.has_levels).sum())

    def finish(self, left_out: Counter[str]) -> None:
        """Write the record, which makes it a choice."""
        self.left_out = +(self.left_out + left_out)
        told = {
            "format": FORMAT,
            "digest": self._digest.hexdigest(),
            "left_out": self.left_out,
            "unmeasured": self._unmeasured,
        }
        (self._folder / RECORD_NAME).write_text(json.dumps(told))

    def _note(
        self,
        rows: NDArray[np.void],
        stems: Sequence[NDArray[np.void]],
        starts: Starts,
        bits: NDArray[np.uint8],
    ) -> None:
        """Take what decides about windows into the digest, whatever the parts are that it was read from."""
        for values in (
            rows["digest"],
            *(stem[name] for stem in stems for name in ("frames", "sample_rate", "size_bytes")),
            starts.counts,
            bits,
        ):
            self._digest.update(np.ascontiguousarray(values).tobytes())

    def _append(self, name: str, values: NDArray[Any]) -> None:
        with (self._folder / name).open("ab") as file:
            file.write(values.tobytes())


def _stem_numbers(index: WindowIndex, names: Sequence[str]) -> NDArray[np.int64]:
    """Give the number of each asked stem of each row; NONE where it is not there, or only a link."""
    for name in names:
        if name not in index.stem_names:
            raise UsageError(
                f"The dataset has no stem {name!r}.", fix=f"It has {', '.join(sorted(index.stem_names))}."
            )
    found = np.full((len(index.rows), len(names)), NONE, np.int64)
    stems = index.stems.mapped()
    is_readable = (stems["is_linked"] == 0) & (stems["frames"] > 0) & (stems["sample_rate"] > 0)
    for place, name in enumerate(names):
        numbers = np.flatnonzero(is_readable & (stems["name"] == index.stem_names.index(name)))
        found[stems["row"][numbers], place] = numbers
    return found


def _last_of_each(rows: NDArray[np.int64], track: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Give the last row of each track, in the order of the tracks."""
    _, last = np.unique(track[rows][::-1], return_index=True)
    return rows[len(rows) - 1 - last]


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
