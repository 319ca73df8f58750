"""Where every second of every stem begins, in files of this machine: what windows are drawn from and read by.

The tables tell the same, in row groups that are far too much to read for one window, and 13 GB of a million tracks in
memory. So it is written once for each state of a dataset into a folder, and read from there by a few bytes a window,
by as many processes as there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stemline.activity import TENTHS
from stemline.reader.array_file import ArrayFile
from stemline.reader.stem_place import EmbeddedPlace, SecondPlaces, StemPlace

FORMAT = 1
RECORD_NAME = "index.json"
SEPARATOR = "\x1f"
"""Between the names of a row; neither a provider's nor a recipe's has one."""
NONE = -1
"""What stands in a stem's record for a number that the tables do not tell."""

STEM = np.dtype(
    [
        ("row", "<u4"),
        ("name", "u1"),
        ("format", "u1"),
        ("is_linked", "u1"),
        ("channels", "<i2"),
        ("sample_rate", "<i4"),
        ("frames", "<i8"),
        ("size_bytes", "<i8"),
        ("path_at", "<i8"),
        ("path_bytes", "<u4"),
        ("part", "<i4"),
        ("part_row", "<i8"),
        ("levels_at", "<i8"),
        ("seconds", "<i4"),
        ("offsets_at", "<i8"),
        ("header_bytes", "<i8"),
    ]
)
"""One stem. `levels_at` and `offsets_at` count values, from where on `seconds` of them are its own."""

ROW = np.dtype(
    [
        ("track", "<u4"),
        ("name_at", "<i8"),
        ("name_bytes", "<u4"),
        ("stems_at", "<u4"),
        ("stems", "<u4"),
        ("digest", "<u8"),
    ]
)
"""One track by one provider and recipe: names, and where its stems stand in `order`; sorted by the names."""


class IndexRow(NamedTuple):
    """A track by one provider and recipe."""

    track_id: str
    provider: str
    recipe: str
    stems: NDArray[np.uint32]
    """The numbers of its stems."""


class WindowIndex:
    """Every stem of a dataset in one state. It can be pickled, shared by threads, and used in forked processes."""

    def __init__(self, folder: Path) -> None:
        """Open what `index_build` has written; raises OSError, or ValueError for what is of another version."""
        self.folder = folder
        told = json.loads((folder / RECORD_NAME).read_bytes())
        if told["format"] != FORMAT:
            raise ValueError(folder)
        self.stem_names: list[str] = told["stem_names"]
        self._formats: list[str] = told["formats"]
        self._parts: list[str] = told["parts"]
        self.rows = ArrayFile(folder / "rows", ROW)
        self.stems = ArrayFile(folder / "stems", STEM)
        self.order = ArrayFile(folder / "order", "<u4")
        self.levels = ArrayFile(folder / "levels", "<i2")
        self._text = ArrayFile(folder / "text", "u1")
        self._byte_offset = ArrayFile(folder / "byte_offset", "<i8")
        self._first_frame = ArrayFile(folder / "first_frame", "<i8")

    def __reduce__(self) -> tuple[type[WindowIndex], tuple[Path]]:
        """Give what opens it in another process."""
        return WindowIndex, (self.folder,)

    def row(self, number: int) -> IndexRow:
        """Give a row."""
        found = self.rows.read(number, 1)[0]
        text = self._text.read(int(found["name_at"]), int(found["name_bytes"])).tobytes().decode()
        track_id, provider, recipe = text.rsplit(SEPARATOR, 2)
        stems = self.order.read(int(found["stems_at"]), int(found["stems"]))
        return IndexRow(track_id, provider, recipe, stems)

    def row_names(self) -> pa.LargeStringArray:
        """Give the names of all rows, each as one text with separators."""
        rows = self.rows.mapped()
        if not len(rows):
            return pa.array([], pa.large_string())
        begin = int(rows["name_at"][0])
        data = self._text.read(begin, int(rows["name_bytes"].sum(dtype=np.int64)))
        ends = np.concatenate([[0], np.cumsum(rows["name_bytes"], dtype=np.int64)])
        return pa.LargeStringArray.from_buffers(len(rows), pa.py_buffer(ends), pa.py_buffer(data))

    def places(self, row: IndexRow) -> Iterator[StemPlace]:
        """Give where the stems of a row are."""
        for number in row.stems:
            yield self._place(row, self.stems.read(int(number), 1)[0])

    def _place(self, row: IndexRow, stem: Any) -> StemPlace:  # noqa: ANN401 - numpy does not type its records
        path = self._text.read(int(stem["path_at"]), int(stem["path_bytes"])).tobytes().decode()
        part = int(stem["part"])
        return StemPlace(
            row.track_id,
            self.stem_names[stem["name"]],
            row.provider,
            row.recipe,
            path,
            self._formats[stem["format"]],
            _number(stem["sample_rate"]),
            _number(stem["channels"]),
            _number(stem["frames"]),
            _number(stem["size_bytes"]),
            is_linked=bool(stem["is_linked"]),
            seconds=self._seconds(stem),
            embedded=None if part == NONE else EmbeddedPlace(self._parts[part], int(stem["part_row"])),
        )

    def _seconds(self, stem: Any) -> SecondPlaces | None:  # noqa: ANN401 - as above
        at, count = int(stem["offsets_at"]), int(stem["seconds"])
        if at == NONE:
            return None
        return SecondPlaces(
            np.divide(self.levels.read(int(stem["levels_at"]), count), TENTHS, dtype=np.float32),
            self._byte_offset.read(at, count),
            self._first_frame.read(at, count),
            int(stem["header_bytes"]),
        )


def _number(value: Any) -> int | None:  # noqa: ANN401 - as above
    return None if value == NONE else int(value)
