"""The plan of an export: its shards, which follow from the selection alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from stemline.export.form import ExportForm, ExportShard


def planned_shards(sizes: Iterable[tuple[str, int]], form: type[ExportForm]) -> tuple[ExportShard, ...]:
    """Give the shards of tracks in order, each with its split and an upper bound of its bytes."""
    shards: list[ExportShard] = []
    row = 0
    for split, tracks in groupby(sizes, key=lambda each: each[0]):
        counts = list(_counts((size for _, size in tracks), form))
        for number, count in enumerate(counts):
            shards.append(ExportShard(split, number, len(counts), row, count))
            row += count
    return tuple(shards)


def _counts(sizes: Iterable[int], form: type[ExportForm]) -> Iterator[int]:
    """Give how many tracks each shard of a split has."""
    tracks = held = 0
    for size in sizes:
        if tracks and (held + size > form.shard_bytes or tracks == form.shard_tracks):
            yield tracks
            tracks = held = 0
        tracks, held = tracks + 1, held + size
    if tracks:
        yield tracks
