"""Audio that is embedded in the stems table: the row group that holds a stem, read once for its neighbours as well."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.errors import AudioRejected
from stemline.reader.range_decoding import not_as_told
from stemline.reader.stem_place import StemPlace
from stemline.reader.store_access import StoreAccess
from stemline.reader.store_files import open_part
from stemline.records import Code

_COLUMNS = ("track_id", "stem", "provider", "recipe")


class _RowGroup(NamedTuple):
    part: str
    first_row: int
    rows: pa.Table


class EmbeddedAudio:
    """Reads the bytes of embedded stems. The last row group is kept: the stems of a track lie together."""

    def __init__(self, access: StoreAccess) -> None:
        """Take where the dataset is."""
        self._access = access
        self._kept = threading.local()

    def read(self, place: StemPlace) -> bytes:
        """Give the whole file of a stem.

        Raises:
            AudioRejected: the part is gone or holds another row there by now, or the row has no audio.
        """
        audio = self._audio(place)
        data: bytes | None = audio["bytes"].as_py()
        if data is None:
            raise AudioRejected(
                f"{place.name} is a link to {audio['path']}, and not in the dataset.", code=Code.MISSING_FILE
            )
        return data

    def link(self, place: StemPlace) -> str:
        """Give where a linked mix lies; raises AudioRejected as `read` does."""
        return self._audio(place)["path"].as_py() or ""

    def _audio(self, place: StemPlace) -> pa.StructScalar:
        group, row = self._row_group(place)
        found = {name: group.rows[name][row].as_py() for name in _COLUMNS}
        if found != {name: getattr(place, name) for name in _COLUMNS}:
            raise not_as_told(place.name)
        return group.rows["audio"][row]

    def _row_group(self, place: StemPlace) -> tuple[_RowGroup, int]:
        if place.embedded is None:
            raise not_as_told(place.name)
        part, wanted = place.embedded
        kept: _RowGroup | None = getattr(self._kept, "group", None)
        if kept is None or kept.part != part or not 0 <= wanted - kept.first_row < len(kept.rows):
            try:
                kept = self._kept.group = _read_group(self._access, part, wanted)
            except FileNotFoundError as error:
                raise AudioRejected(f"{place.name} is gone with {part}.", code=Code.MISSING_FILE) from error
            except (IndexError, pa.ArrowException) as error:
                raise not_as_told(place.name) from error
        return kept, wanted - kept.first_row


def _read_group(access: StoreAccess, part: str, row: int) -> _RowGroup:
    with open_part(access.store, part) as source, pq.ParquetFile(source) as file:
        first = 0
        for number in range(file.num_row_groups):
            count: Any = file.metadata.row_group(number).num_rows
            if row < first + count:
                return _RowGroup(part, first, file.read_row_group(number, columns=[*_COLUMNS, "audio"]))
            first += count
    raise IndexError(row)
