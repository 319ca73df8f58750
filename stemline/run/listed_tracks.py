"""Tracks as `status` lists them: by the name a person knows, with the id that commands take beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from stemline.ledger import TrackStatus
from stemline.manifest.track_name import track_name
from stemline.records import Track

SHOWN_TRACKS = 20


def in_manifest_order(tracks: Iterable[Track]) -> list[Track]:
    """Give tracks as the manifest has them."""
    return sorted(tracks, key=lambda track: (track.position, track.track_id))


def named_trees(tracks: Sequence[Track]) -> list[dict[str, str]]:
    """Give tracks by id and name for `--json`."""
    return [
        {"track_id": track.track_id, **asdict(track_name(track.columns, track.location))} for track in tracks
    ]


def failure_tree(failure: TrackStatus) -> dict[str, Any]:
    """Give a track that failed for `--json`."""
    told = asdict(failure)
    return {**told, **asdict(track_name(told.pop("columns"), failure.location))}


def track_lines(tracks: Sequence[Track]) -> Iterable[RenderableType]:
    """Give the first of some tracks, a line each."""
    yield _table((_called(track),) for track in tracks[:SHOWN_TRACKS])
    if len(tracks) > SHOWN_TRACKS:
        yield f"  and {len(tracks) - SHOWN_TRACKS:,} more"


def failure_lines(failures: Sequence[TrackStatus]) -> RenderableType:
    """Give tracks that failed, each with its code and why."""
    return _table((_called(each), each.code, escape(each.sentence)) for each in failures)


def _called(track: Track | TrackStatus) -> str:
    """Give a track's name with its id; an id alone where no name is known."""
    name = track_name(track.columns, track.location).words()
    track_id = escape(track.track_id)
    return f"{escape(name)}  [dim]{track_id}[/]" if name and name != track.track_id else track_id


def _table(rows: Iterable[tuple[str, ...]]) -> Padding:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 2))
