"""Writes a window index from the tables, a few thousand rows at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from numpy.typing import NDArray

from stemline.activity import QUIETEST_DBFS, TENTHS
from stemline.reader.stem_place import ACTIVITY_COLUMNS, STEM_COLUMNS
from stemline.reader.window_index import FORMAT, NONE, RECORD_NAME, ROW, SEPARATOR, STEM
from stemline.records import LINKED

_ROW_NAMES = ("track_id", "provider", "recipe")
_ROWS_AT_ONCE = 4096
_MOST_STEM_NAMES = 255
_LEVELS = (-32_000, 32_000)


def write_index(folder: Path, stems: pads.Dataset, activity: pads.Dataset, prefix: str) -> None:
    """Write the index of two tables into a folder; its record comes last. `prefix` stands before the parts' keys.

    Raises:
        OSError: the disk does not take it, or a part is gone.
        pyarrow.ArrowException: a part cannot be read.
    """
    build = _IndexBuild(folder, prefix)
    build.add_stems(stems)
    build.add_rows()
    build.add_seconds(activity)
    build.finish()


class _IndexBuild:
    """What is known so far: names of rows, and for each of them which stem has which number."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder, self._prefix = folder, prefix
        self._rows: dict[str, int] = {}
        self._stem_names: dict[str, int] = {}
        self._formats: dict[str, int] = {}
        self._parts: list[str] = []
        self._text_bytes = 0
        self._number_of: NDArray[np.int64] = np.empty((0, 0), np.int64)

    def add_stems(self, stems: pads.Dataset) -> None:
        """Write a record for each stem, in the order in which they come."""
        with (self._folder / "stems").open("wb") as records, (self._folder / "text").open("wb") as text:
            for part, first_row, batch in _batches(stems, (*STEM_COLUMNS, "audio")):
                records.write(self._stem_records(batch, (part, first_row), text).tobytes())

    def add_rows(self) -> None:
        """Write the rows in the order of their names, and which stems each has."""
        names = sorted(self._rows)
        place = np.empty(len(names), np.uint32)
        place[[self._rows[name] for name in names]] = np.arange(len(names), dtype=np.uint32)
        self._rows = {name: number for number, name in enumerate(names)}
        stems = _mapped(self._folder / "stems", STEM)
        stems["row"] = place[stems["row"]]
        order = np.lexsort((stems["name"], stems["row"])).astype("<u4")
        (self._folder / "order").write_bytes(order.tobytes())
        self._number_of = np.full((len(names), max(len(self._stem_names), 1)), NONE, np.int64)
        self._number_of[stems["row"], stems["name"]] = np.arange(len(stems))
        self._write_rows(names, np.bincount(stems["row"], minlength=len(names)))

    def add_seconds(self, activity: pads.Dataset) -> None:
        """Write what each second holds, and note in the stems' records where."""
        stems = _mapped(self._folder / "stems", STEM)
        with ExitStack() as stack:
            files = [
                stack.enter_context((self._folder / name).open("wb"))
                for name in ("levels", "byte_offset", "first_frame")
            ]
            for _, _, batch in _batches(activity, (*_ROW_NAMES, "stem", *ACTIVITY_COLUMNS)):
                self._note_seconds(batch, stems, files)

    def finish(self) -> None:
        """Write the record, which makes it an index."""
        told = {
            "format": FORMAT,
            "stem_names": list(self._stem_names),
            "formats": list(self._formats),
            "parts": self._parts,
        }
        (self._folder / RECORD_NAME).write_text(json.dumps(told))

    def _stem_records(
        self, batch: pa.RecordBatch, origin: tuple[str, int], text: BinaryIO
    ) -> NDArray[np.void]:
        found = np.zeros(len(batch), STEM)
        found["row"] = [self._rows.setdefault(name, len(self._rows)) for name in _row_names(batch)]
        found["name"] = _codes(batch["stem"], self._stem_names)
        found["format"] = _codes(batch["format"], self._formats)
        found["is_linked"] = pc.match_substring(batch["verification"], LINKED)
        for name in ("sample_rate", "channels", "frames", "size_bytes"):
            found[name] = pc.fill_null(batch[name], NONE)
        found["part"], found["levels_at"], found["offsets_at"] = NONE, NONE, NONE
        if "audio" in batch.schema.names:
            found["part"], found["part_row"] = (
                self._part(origin[0].removeprefix(self._prefix)),
                origin[1] + np.arange(len(batch)),
            )
        if "path" in batch.schema.names:
            self._add_paths(batch["path"], found, text)
        return found

    def _add_paths(self, paths: pa.Array, found: NDArray[np.void], text: BinaryIO) -> None:
        data = [(each or "").encode() for each in paths.to_pylist()]
        found["path_bytes"] = [len(each) for each in data]
        found["path_at"] = self._text_bytes + np.cumsum([0, *map(len, data)])[:-1]
        self._text_bytes += text.write(b"".join(data))

    def _part(self, key: str) -> int:
        if not self._parts or self._parts[-1] != key:
            self._parts.append(key)
        return len(self._parts) - 1

    def _write_rows(self, names: list[str], counts: NDArray[np.int64]) -> None:
        ends = np.cumsum(counts)
        last, track = None, -1
        with (self._folder / "rows").open("wb") as rows, (self._folder / "text").open("ab") as text:
            for number, name in enumerate(names):
                data, count, track_id = name.encode(), counts[number], name.rsplit(SEPARATOR, 2)[0]
                track += track_id != last
                last = track_id
                digest = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
                row = (track, self._text_bytes, len(data), ends[number] - count, count, digest)
                rows.write(np.array([row], ROW).tobytes())
                self._text_bytes += text.write(data)

    def _note_seconds(
        self, batch: pa.RecordBatch, stems: NDArray[np.void], files: Sequence[BinaryIO]
    ) -> None:
        row = np.array([self._rows.get(name, NONE) for name in _row_names(batch)], np.int64)
        stem = _codes(batch["stem"], dict(self._stem_names))
        is_known = (row != NONE) & (stem < len(self._stem_names))
        number = np.full(len(batch), NONE, np.int64)
        number[is_known] = self._number_of[row[is_known], stem[is_known]]
        is_known = number != NONE
        levels_at = files[0].tell() // 2
        offsets_at = files[1].tell() // 8
        level_ends, levels = _values(batch["rms_dbfs"])
        offset_ends, offsets = _values(batch["byte_offset"])
        _, frames = _values(batch["first_frame"])
        whole = np.nan_to_num(levels * TENTHS, nan=QUIETEST_DBFS * TENTHS)
        files[0].write(np.clip(np.rint(whole), *_LEVELS).astype("<i2").tobytes())
        files[1].write(offsets.astype("<i8").tobytes())
        files[2].write(frames.astype("<i8").tobytes())
        seconds, places = np.diff(level_ends), np.diff(offset_ends)
        header = pc.fill_null(batch["header_bytes"], NONE).to_numpy(zero_copy_only=False)
        has_places = (places == seconds) & (header != NONE) & (seconds > 0)
        for name, values in (
            ("levels_at", levels_at + level_ends[:-1]),
            ("seconds", seconds),
            ("offsets_at", np.where(has_places, offsets_at + offset_ends[:-1], NONE)),
            ("header_bytes", header),
        ):
            stems[name][number[is_known]] = values[is_known]


def _batches(table: pads.Dataset, columns: tuple[str, ...]) -> Iterator[tuple[str, int, pa.RecordBatch]]:
    """Give a table some rows at a time, with the part they are of and the number of the first one there.

    Nothing is read ahead: a row group of activity may have a hundred megabytes. Of embedded audio only paths are read.
    """
    for fragment in table.get_fragments():
        names = [name for name in columns if name in table.schema.names]
        wanted: Any = {name: pads.field(name) for name in names if name != "audio"}
        if "audio" in names:
            wanted["audio"] = pads.scalar(True)  # noqa: FBT003 - that it is there
        part, row = getattr(fragment, "path", ""), 0
        for batch in fragment.to_batches(
            schema=table.schema, columns=wanted, batch_size=_ROWS_AT_ONCE, batch_readahead=0
        ):
            yield part, row, batch
            row += len(batch)


def _row_names(batch: pa.RecordBatch) -> list[str]:
    columns = [batch[name] for name in _ROW_NAMES]
    names: list[str] = pc.binary_join_element_wise(*columns, SEPARATOR).to_pylist()
    return names


def _codes(column: pa.Array, known: dict[str, int]) -> NDArray[np.int64]:
    """Give the number of each word, of a few words in all."""
    encoded = column.dictionary_encode()
    codes = [known.setdefault(word, len(known)) for word in encoded.dictionary.to_pylist()]
    if len(known) > _MOST_STEM_NAMES:
        raise ValueError(f"{len(known)} different names of stems or formats")
    found: NDArray[np.int64] = np.array(codes, np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    return found


def _values(lists: pa.ListArray) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Give where each list ends among the values of all, after a 0, and the values."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), values


def _mapped(path: Path, kind: np.dtype[Any]) -> NDArray[np.void]:
    """Give a file of records to change in place."""
    return np.memmap(path, kind, "r+") if path.stat().st_size else np.empty(0, kind)
