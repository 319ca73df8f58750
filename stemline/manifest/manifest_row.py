"""One row of a manifest becomes a track or a reject."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from stemline.errors import TerminalError, TrackRefused
from stemline.manifest.fence import Fence
from stemline.manifest.file_search import find_file, path_of_uri
from stemline.manifest.location import LocationKind, location_kind
from stemline.manifest.windows_path import is_windows_path, windows_refusal
from stemline.records import Code, Reject, Track

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CLOCK = re.compile(r"[0-9]{1,3}(:[0-5][0-9]){1,2}([.][0-9]{1,6})?")
"""Seconds as `view` reads them for a filter."""
_LONGEST_ID = 256
_LARGEST_PRIORITY = 2**31 - 1


class ManifestRow(NamedTuple):
    """A row as DuckDB gives it, every value still as written."""

    number: int
    written: str | None
    """The location as written; `location` is the absolute one."""
    location: str | None
    track_id: str | None
    duration: str | None
    priority: str | None
    size_bytes: int | None
    rank: int | None
    """Its place in the order that was asked for, which takes the place of `priority`."""


def read_row(row: ManifestRow, columns: dict[str, Any], fence: Fence | None = None) -> Track | Reject:
    """Give the track, or the reject that says what is wrong with the row; the size of local files is read."""
    try:
        return _track(row, columns, fence)
    except TerminalError as error:
        sentence = f"Row {row.number}: {error}"
        location = row.written if error.code is Code.BAD_LOCATION else row.location
        return Reject(row.number, row.track_id, location, error.code, sentence)


def _track(row: ManifestRow, columns: dict[str, Any], fence: Fence | None) -> Track:
    if row.written is None or row.location is None or row.track_id is None:
        raise TrackRefused("the location is empty.", code=Code.NO_LOCATION, fix="Fill it in or drop the row.")
    kind = _kind(row.written, row.location)
    if len(row.track_id) > _LONGEST_ID or _CONTROL.search(row.track_id):
        raise _bad("track_id", row.track_id, f"at most {_LONGEST_ID} characters without control characters")
    duration = None if row.duration is None else _seconds(row.duration)
    priority = _priority(row)
    location, size_bytes = row.location, row.size_bytes
    if kind is LocationKind.FILE and size_bytes is None:
        location, size_bytes = _find(row.written, location)
    if kind is not LocationKind.FILE:
        scheme, mark, rest = location.partition("://")
        location = scheme.lower() + mark + rest  # RFC 3986, 3.1; who opens it knows small letters alone
    if fence is not None:
        fence.check(location)
    if size_bytes == 0:
        raise TrackRefused(
            f'the file "{location}" is empty.', code=Code.EMPTY_FILE, fix="Export or copy it again."
        )
    return Track(row.track_id, location, row.number, priority, duration, size_bytes, columns)


def _kind(written: str, location: str) -> LocationKind:
    """Give the kind of a location; a word alone is a file where there is one of that name."""
    try:
        return location_kind(written)
    except TrackRefused:
        if location.startswith("/") and location.endswith(f"/{written}") and os.path.isfile(location):  # noqa: PTH113 - texts
            return LocationKind.FILE
        raise


def _find(written: str, location: str) -> tuple[str, int | None]:
    """Give where a file lies and its size; one in a store is not looked at."""
    path = path_of_uri(written)
    is_uri = path is not written
    is_here = is_uri or location.startswith("/")
    named = path.lstrip("/") if is_uri else path
    if is_here and not is_windows_path(named):
        return find_file(path if is_uri else location, is_uri=is_uri)
    if not is_windows_path(named):
        return location, None
    with suppress(TrackRefused):
        if is_here:  # a file of this machine may be called so
            return find_file(path if is_uri else location, is_uri=is_uri)
    raise windows_refusal(named, location.removesuffix(written) if is_here and not is_uri else "")


def _priority(row: ManifestRow) -> int:
    if row.rank is not None:
        return -row.rank
    return 0 if row.priority is None else _whole(row.priority)


def _seconds(text: str) -> float:
    try:
        seconds = _clock_seconds(text) if _CLOCK.fullmatch(text) else float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise _bad(
            "duration_seconds",
            text,
            "seconds above 0 such as 215.5, or 3:35, or leave it empty to measure it",
        )
    return seconds


def _clock_seconds(text: str) -> float:
    """Give the seconds of what a clock shows: `3:45`, `1:02:03`."""
    parts = reversed(text.split(":"))  # from behind: hours may be missing
    return float(sum(Decimal(part) * 60**place for place, part in enumerate(parts)))


def _whole(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= _LARGEST_PRIORITY or number != int(number):
        raise _bad("priority", text, "a whole number, higher ones go first")
    return int(number)


def _bad(column: str, text: str, wanted: str) -> TrackRefused:
    return TrackRefused(f'{column} is "{text[:80]}".', code=Code.BAD_VALUE, fix=f"Give {wanted}.")
