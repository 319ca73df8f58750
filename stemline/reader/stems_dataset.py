"""A stems dataset as those see it who train on it: its tables, and its sound by windows."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads

from stemline.audio import Samples
from stemline.errors import AudioRejected, StorageError, UsageError
from stemline.reader.part_list import read_part_list, split_release
from stemline.reader.resampling import SoundForm, require_rate
from stemline.reader.stem_audio import StemAudio
from stemline.reader.stem_lookup import StemName, find_stem
from stemline.reader.store_access import StoreAccess
from stemline.reader.tables import OpenTables
from stemline.reader.window_opening import open_windows
from stemline.reader.window_progress import States
from stemline.reader.window_request import (
    PREFETCH_BYTES,
    Delivery,
    WindowRequest,
    require_number,
    stem_names,
)
from stemline.reader.windows import StemWindows
from stemline.records import STEMS
from stemline.storage import Store

if TYPE_CHECKING:
    import duckdb

LONGEST_START = 1e6
"""In seconds: no track is so long."""
_STALE = (OSError, IndexError, pa.ArrowException)
"""What reading a part comes to that a rewrite has replaced since it was looked up."""


def open_dataset(
    url: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None, release: str | None = None
) -> StemsDataset:
    """Give the dataset at a path or fsspec URL as it is now, or one of its releases; a release's folder is one too.

    `storage_options` are those of `dataset.storage_options`, as s3fs and others spell them.

    Raises:
        UsageError: there is no dataset, or no such release; it names those there are.
        ConfigError: the URL or an option is unusable.
        StorageError: the store cannot be asked.
    """
    if not isinstance(url, str | os.PathLike):
        raise UsageError(f"A dataset's url is no {type(url).__name__}.", fix="Give a path or an fsspec URL.")
    access = StoreAccess(os.fspath(url), dict(storage_options or {}))
    if release is None:
        found = split_release(access.url, access.store)
        if found is not None:
            access, release = StoreAccess(found[0], access.storage_options), found[1]
    return StemsDataset(access, release)


class StemsDataset:
    """The tables and the sound of a dataset. It can be pickled, and used in forked processes.

    What runs publish later is seen after `refresh`.
    """

    def __init__(self, access: StoreAccess, release: str | None = None) -> None:
        """Look up which parts there are; errors as of `open_dataset`."""
        self._access, self._release = access, release
        self.tables = OpenTables(access, read_part_list(access.store, release))
        """The parts that are read, and the rows of single tracks."""
        self.stem_audio = StemAudio(access)
        """Reads windows of stems whose place is known."""

    @property
    def url(self) -> str:
        """The dataset's path or URL."""
        return self._access.store.root_url

    @property
    def store(self) -> Store:
        """What the dataset's objects are read from."""
        return self._access.store

    @property
    def release(self) -> str | None:
        """The release that is read; None: the dataset as it was when it was opened, or refreshed."""
        return self._release

    @property
    def tracks(self) -> pads.Dataset:
        """One row a track, provider and recipe."""
        return self.tables.table("tracks")

    @property
    def stems(self) -> pads.Dataset:
        """One row a stem."""
        return self.tables.table("stems")

    @property
    def activity(self) -> pads.Dataset:
        """One row a stem: what each of its seconds holds, and where its bytes begin."""
        return self.tables.table("activity")

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Give what DuckDB answers over the views `tracks`, `stems`, `activity`; raises UsageError where it cannot."""
        import duckdb  # noqa: PLC0415 - most who train ask no SQL

        connection = duckdb.connect()
        for name in ("tracks", "stems", "activity"):
            connection.register(name, self.tables.table(name))
        try:
            return connection.sql(query)
        except duckdb.Error as error:
            raise UsageError(
                f"The query cannot be answered: {str(error).splitlines()[0]}",
                fix="The views are tracks, stems and activity.",
            ) from error

    def audio(  # noqa: PLR0913 - a window and the form it is wanted in
        self,
        track_id: str,
        stem: str,
        start: float = 0.0,
        seconds: float | None = None,
        *,
        provider: str | None = None,
        recipe: str | None = None,
        sample_rate: int | None = None,
        mono: bool = False,
    ) -> Samples:
        """Give sound of a stem as float32, (frames, channels), full scale at -1..1; without `seconds`, to its end.

        Start and length are rounded to frames of the result; where the stem ends earlier, so does the result. Of
        several providers or recipes the newest is read, unless one is named.

        Raises:
            UsageError: there is no such track or stem, or the window is none; it tells which there are.
            AudioRejected: the object is gone, or is not what the tables tell of.
            StorageError: the store cannot be asked.
        """
        _check_window(start, seconds, sample_rate)
        name, form = StemName(track_id, stem, provider, recipe), SoundForm(sample_rate, mono)
        try:
            return self._read(name, start, seconds, form)
        except AudioRejected:
            if not self.refresh():
                raise
        except _STALE:
            self.refresh()
        try:
            return self._read(name, start, seconds, form)
        except _STALE as error:
            raise StorageError(
                f"The parts of {self.url} cannot be read: {error}.", fix="Run `stemline verify`."
            ) from error

    def windows(  # noqa: PLR0913 - what is asked for, its form, its order
        self,
        seconds: float = 6.0,
        stems: Sequence[str] = STEMS["four"],
        *,
        split: str | None = None,
        where: str | None = None,
        min_rms_dbfs: float | Mapping[str, float] | None = None,
        sample_rate: int | None = None,
        mono: bool = False,
        seed: int = 0,
        resume: States | None = None,
        epochs: int | None = 1,
        rank: int | None = None,
        world_size: int | None = None,
        prefetch_bytes: int = PREFETCH_BYTES,
        as_torch: bool | None = None,
    ) -> StemWindows:
        """Give aligned windows of stems to iterate over; docs/training.md tells what each argument does.

        Without `as_torch` they are a `torch.utils.data.IterableDataset` where torch was imported before.

        Raises:
            UsageError: a split, stem or filter that is not there, or none is left; a state of other windows.
            StorageError: the tables cannot be read, or the folder for indexes not written.
        """
        return open_windows(
            copy.copy(self),  # which may look at newer snapshots
            WindowRequest(seconds, stem_names(stems), split, where, min_rms_dbfs),
            SoundForm(sample_rate, mono),
            Delivery(seed, epochs, rank, world_size, prefetch_bytes, as_torch),
            resume,
        )

    def refresh(self) -> bool:
        """Look up which parts there are now; tell whether they are others. A release has the same for ever."""
        before = self.tables.listed
        self.tables = OpenTables(self._access, read_part_list(self._access.store, self._release))
        return self.tables.listed.parts != before.parts

    def _read(self, name: StemName, start: float, seconds: float | None, form: SoundForm) -> Samples:
        place = find_stem(name, self.tables)
        return self.stem_audio.read(place, start, seconds, form)[0]

    def __repr__(self) -> str:
        """Name the dataset."""
        release = "" if self._release is None else f", release={self._release!r}"
        return f"StemsDataset({self.url!r}{release})"


def _check_window(start: float, seconds: float | None, sample_rate: int | None) -> None:
    require_number("start", start, lowest=0.0, highest=LONGEST_START)
    if seconds is not None:
        require_number("seconds", seconds, lowest=0.0, highest=LONGEST_START)
    require_rate(sample_rate)
