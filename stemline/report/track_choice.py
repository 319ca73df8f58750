"""Tracks to hear: a few that differ as much as they can, the same ones each time, with how loud each second is."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stemline.manifest.track_name import track_name
from stemline.reader.stem_lookup import SoughtTrack, track_places
from stemline.reader.stem_place import ACTIVITY_COLUMNS, STEM_COLUMNS, StemPlace, stem_place
from stemline.report.figure_tables import FigureTables, selected_rows
from stemline.report.player import PlayedStem, PlayedTrack, clock, shown_order

HEARD_TRACKS = 24
_CANDIDATES = 1_000
_TEMPO_BAND = 20
_TRAITS = ("artist", "split", "license", "provider_recipe", "key", "tempo")
_STEM_COLUMNS = (*STEM_COLUMNS, "duration_seconds", "rms_dbfs")
_ACTIVITY_COLUMNS = ("track_id", "stem", "provider", "recipe", *ACTIVITY_COLUMNS)
_Key = tuple[str, str, str]
"""Track, provider and recipe."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A track that may be chosen."""

    key: _Key
    title: str | None
    artist: str | None
    source_uri: str | None
    bpm: float | None
    music_key: str | None
    split: str | None
    license: str | None

    @property
    def traits(self) -> Mapping[str, object]:
        """Give what makes it differ from others; a track without an artist has one of its own."""
        _, provider, recipe = self.key
        has_tempo = self.bpm is not None and math.isfinite(self.bpm)
        values = (
            self.artist or self.key[0],
            self.split,
            self.license,
            (provider, recipe),
            self.music_key,
            int((self.bpm or 0) // _TEMPO_BAND) if has_tempo else None,
        )
        return dict(zip(_TRAITS, values, strict=True))


def choose_tracks_to_hear(tables: FigureTables, *, is_maker_told: bool) -> list[PlayedTrack]:
    """Give some dozen tracks with their stems, each with its provider and recipe where `is_maker_told`."""
    chosen = _varied(_candidates(tables))
    if not chosen:
        return []
    track_ids = sorted({each.key[0] for each in chosen})
    stems = _by_track(selected_rows(tables, "stems", track_ids, _STEM_COLUMNS))
    rows = selected_rows(tables, "activity", track_ids, _ACTIVITY_COLUMNS)
    activity = {(_key(row), row["stem"]): row for row in rows}
    return [
        _played(each, _stems(tables, each, stems.get(each.key, {}), activity), is_maker_told=is_maker_told)
        for each in chosen
    ]


def _candidates(tables: FigureTables) -> list[_Candidate]:
    """Give some tracks as chance has them, and one of each provider, recipe and split."""
    found = tables.rows(
        f"""
        WITH chances AS (
            SELECT track_id, provider, recipe, title, artist, source_uri, bpm, key, split,
                coalesce(license_spdx, license) AS license, md5(concat_ws('/', track_id, provider, recipe)) AS chance
            FROM tracks
        ), drawn AS (
            SELECT * FROM chances ORDER BY chance LIMIT {_CANDIDATES}
        ), rare AS (
            SELECT unnest(min_by(chances, chance)) FROM chances
            GROUP BY provider, recipe, split ORDER BY min(chance) LIMIT {_CANDIDATES}
        )
        SELECT * EXCLUDE (chance) FROM (SELECT * FROM drawn UNION SELECT * FROM rare) ORDER BY chance, title
        """
    )
    by_key = {
        (row[0], row[1], row[2]): row[3:] for row in found
    }  # a track that was paid for twice counts once
    return [_Candidate(key, *facts) for key, facts in by_key.items()]


def _varied(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Give those that share least with what is chosen already, one by one; of equals the first."""
    used: Counter[tuple[str, object]] = Counter()
    left = list(candidates)
    chosen: list[_Candidate] = []
    while left and len(chosen) < HEARD_TRACKS:
        best = min(left, key=lambda each: sum(used[trait] for trait in each.traits.items()))
        left.remove(best)
        chosen.append(best)
        used.update(best.traits.items())
    return chosen


def _by_track(rows: Iterable[Mapping[str, Any]]) -> dict[_Key, dict[str, Mapping[str, Any]]]:
    found: defaultdict[_Key, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        found[_key(row)][row["stem"]] = row
    return found


def _key(row: Mapping[str, Any]) -> _Key:
    return row["track_id"], row["provider"], row["recipe"]


def _stems(
    tables: FigureTables,
    track: _Candidate,
    rows: Mapping[str, Mapping[str, Any]],
    activity: Mapping[tuple[_Key, str], Mapping[str, Any]],
) -> tuple[PlayedStem, ...]:
    """Give the stems of a track as they are shown, each with where its sound is."""
    found = {name: activity.get((track.key, name)) for name in rows}
    places: Mapping[str, StemPlace] = {}
    if all("path" in row for row in rows.values()):
        places = {name: stem_place(row, found[name]) for name, row in rows.items()}
    else:  # inside the stems table, whose rows have to be found again by their numbers
        places = track_places(SoughtTrack(*track.key), tables.dataset.tables)
    return tuple(
        PlayedStem(
            name,
            row.get("path"),
            row["duration_seconds"],
            row["rms_dbfs"],
            row["verification"],
            (found[name] or {}).get("rms_dbfs") or (),
            places.get(name),
        )
        for name, row in sorted(rows.items(), key=lambda item: shown_order(item[0]))
    )


def _played(track: _Candidate, stems: tuple[PlayedStem, ...], *, is_maker_told: bool) -> PlayedTrack:
    _, provider, recipe = track.key
    facts = (
        f"{track.bpm:.0f} bpm" if track.bpm is not None else "",
        track.music_key or "",
        clock(max((stem.duration_seconds for stem in stems), default=0.0)),
        track.split or "",
        track.license or "",
        f"{provider} {recipe}" if is_maker_told else "",
    )
    name = track_name({"title": track.title, "artist": track.artist}, track.source_uri)
    return PlayedTrack(name.title or track.key[0], name.artist, facts, stems)
