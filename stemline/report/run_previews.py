"""Previews of a run's sample tracks, looked up in the few parts that hold them, however large the dataset is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from stemline.errors import StemlineError
from stemline.ledger import BatchRow, Ledger
from stemline.reader.part_list import PartList, read_part_list
from stemline.reader.stem_audio import StemAudio
from stemline.reader.stem_lookup import SoughtTrack, track_places
from stemline.reader.stem_place import StemPlace, stem_place
from stemline.reader.store_access import StoreAccess
from stemline.reader.tables import OpenTables
from stemline.records import LINKED, MIX
from stemline.report.artwork import artwork_url
from stemline.report.player import PlayedStem, PlayedTrack
from stemline.report.preview_cut import PreviewLimits, cut_previews
from stemline.report.timed_work import done_in_time
from stemline.settings.default_ledger import local_folder
from stemline.storage import Store

_ARTWORK_SECONDS = 5.0
"""For all pictures of a page."""


def preview_rows(
    ledger: Ledger, store: Store, rows: Sequence[BatchRow], tracks: Sequence[PlayedTrack], seconds: float
) -> tuple[PlayedTrack, ...]:
    """Give the tracks of these rows with previews, or with why there is none; they take so many seconds at most.

    Nothing is raised for the lack of one.
    """
    access = StoreAccess(store.root_url, store.storage_options)
    tables = _tables(ledger, access, rows)
    placed = [
        _beside_source(_placed(track, _places(row, tables)), row)
        for row, track in zip(rows, tracks, strict=True)
    ]
    pictured = _with_artwork(placed, [row.attempt.track.location for row in rows])
    return cut_previews(pictured, StemAudio(access), PreviewLimits(time_limit=seconds))


def _beside_source(track: PlayedTrack, row: BatchRow) -> PlayedTrack:
    """Give the track with its source as the original, where that is a file of this machine and there is no mix."""
    attempt = row.attempt
    file = local_folder(attempt.track.location)
    if not file or any(stem.is_original for stem in track.stems):
        return track
    name = (attempt.track.track_id, MIX, attempt.provider, attempt.recipe.name)
    place = StemPlace(*name, file, "", None, None, None, None, is_linked=True)
    original = PlayedStem(MIX, None, track.seconds, None, LINKED, place=place)
    return replace(track, stems=(*track.stems, original))


def _with_artwork(tracks: Sequence[PlayedTrack], locations: Sequence[str]) -> list[PlayedTrack]:
    """Give the tracks with the covers of those sources that are files of this machine."""
    files = {number: path for number, place in enumerate(locations) if (path := local_folder(place))}
    jobs = {number: partial(artwork_url, Path(path)) for number, path in files.items()}
    found = done_in_time(jobs, _ARTWORK_SECONDS)
    return [replace(track, artwork=found.get(number, "")) for number, track in enumerate(tracks)]


def _tables(ledger: Ledger, access: StoreAccess, rows: Sequence[BatchRow]) -> OpenTables | None:
    """Give the tables cut down to the parts that hold these rows; None where there are none to be read."""
    batches = ledger.queries.batches_of([row.attempt.token for row in rows])
    try:
        listed = read_part_list(access.store, None)
    except StemlineError:
        return None
    parts = {
        table: tuple(key for key in keys if batch_of(key) in batches) for table, keys in listed.parts.items()
    }
    return OpenTables(access, PartList(parts, listed.layout))


def batch_of(key: str) -> str:
    """Give the batch whose name a part bears."""
    return key.rpartition("/")[2].removeprefix("part-").partition(".")[0]


def _places(row: BatchRow, tables: OpenTables | None) -> Mapping[str, StemPlace]:
    """Give where the stems of a row are, by their names: as the tables tell, else as the ledger does."""
    attempt = row.attempt
    name = {
        "track_id": attempt.track.track_id,
        "provider": attempt.provider,
        "recipe": attempt.recipe.name,
    }
    known = {stem.stem: stem_place({**asdict(stem), **name}) for stem in row.collected.stems}
    if tables is None:
        return known
    try:
        return known | track_places(SoughtTrack(**name), tables)
    except (StemlineError, OSError, ValueError):  # a part that was replaced or damaged meanwhile
        return known


def _placed(track: PlayedTrack, places: Mapping[str, StemPlace]) -> PlayedTrack:
    stems = []
    for stem in track.stems:
        place = places.get(stem.stem)
        told = place.seconds.rms_dbfs.tolist() if place is not None and place.seconds is not None else ()
        stems.append(replace(stem, place=place, loudness=told))
    return replace(track, stems=tuple(stems))
