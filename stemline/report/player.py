"""A player for a sample track: its stems, to be heard together or one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from stemline.ledger import BatchRow
from stemline.records import MIX, STEMS
from stemline.report.markup import Html, clipped, element, joined
from stemline.report.waveform import waveform

_QUIETEST_DBFS = -48.0
_STORED = "audio/"
_STEM_ORDER = tuple(dict.fromkeys(stem for stems in STEMS.values() for stem in stems))


@dataclass(frozen=True, slots=True)
class PlayedStem:
    """A stem as a player shows it."""

    stem: str
    path: str | None
    """Relative to the dataset's root; None: it is inside the stems table."""
    duration_seconds: float
    rms_dbfs: float | None
    verification: str
    loudness: Sequence[float] = ()
    """Of each second in dBFS; empty where nobody measured it."""

    @property
    def is_stored(self) -> bool:
        """Whether it is an object of the dataset."""
        return self.path is not None and self.path.startswith(_STORED)


@dataclass(frozen=True, slots=True)
class PlayedTrack:
    """A track as a player shows it."""

    title: str
    artist: str
    facts: tuple[str, ...]
    stems: tuple[PlayedStem, ...]
    """In the order they are shown; without a mix, which is what all of them together are."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max((stem.duration_seconds for stem in self.stems), default=0.0)


@dataclass(frozen=True, slots=True)
class AudioPlace:
    """Where the audio of a dataset is for who reads a page."""

    root_url: str
    link_root: str | None
    """What comes before a stem's path in a link; None: no page can play it, and the path itself is shown."""


def played_row(row: BatchRow) -> PlayedTrack:
    """Give a track of a run as a player shows it."""
    order = row.attempt.recipe.stem_names
    heard = [stem for stem in row.collected.stems if stem.stem != MIX]
    stems = tuple(
        PlayedStem(stem.stem, stem.path, stem.duration_seconds, stem.rms_dbfs, stem.verification)
        for stem in sorted(heard, key=lambda s: order.index(s.stem) if s.stem in order else len(order))
    )
    columns, collected = row.attempt.track.columns, row.collected
    track_id = row.attempt.track.track_id
    seconds = max((stem.duration_seconds for stem in row.collected.stems), default=0.0)
    facts = (
        f"{collected.bpm:.1f} bpm" if collected.bpm is not None else "",
        collected.key or "",
        clock(seconds),
        f"{row.credits_charged:,} credits",
    )
    title, artist = str(columns.get("title") or track_id), str(columns.get("artist") or "")
    return PlayedTrack(title, artist or track_id, facts, stems)


def track_player(track: PlayedTrack, place: AudioPlace) -> Html:
    """Give a track with its stems: players where the page can reach the audio, its paths where it cannot."""
    links = place.link_root
    if links is None or not all(stem.is_stored for stem in track.stems):
        body = [_path(stem, place.root_url) for stem in track.stems]
        return element("article", _heading(track), *body, class_="deck")
    players = [_stem_player(stem, links) for stem in track.stems]
    return element("article", _heading(track), _controls(track.seconds), *players, class_="deck")


def _heading(track: PlayedTrack) -> Html:
    return element(
        "header",
        element("h3", clipped(track.title, 90)),
        element("p", clipped(track.artist, 90), class_="artist"),
        element("p", *(element("span", clipped(fact, 40)) for fact in track.facts if fact), class_="facts"),
    )


def _controls(seconds: float) -> Html:
    """Give the controls that play every stem of a track at once; the script connects them."""
    seek = element(
        "input", type="range", min=0, max=f"{seconds:.2f}", step="any", value=0, aria_label="Position"
    )
    return element(
        "div",
        element("button", "Play all", type="button", class_="play"),
        seek,
        element("output", f"0:00 / {clock(seconds)}"),
        class_="transport",
    )


def _stem_player(stem: PlayedStem, links: str) -> Html:
    buttons = joined(
        element("button", "M", type="button", class_="mute", title=f"Mute {stem.stem}", aria_pressed="false"),
        element("button", "S", type="button", class_="solo", title=f"Solo {stem.stem}", aria_pressed="false"),
    )
    source = links + quote(stem.path or "", safe="/=")
    audio = element("audio", src=source, controls="", preload="none", aria_label=stem.stem)
    switches = element("span", buttons, class_="switches")
    return element("div", _name(stem), switches, waveform(stem.loudness), audio, **_row(stem))


def _path(stem: PlayedStem, root_url: str) -> Html:
    where = f"{root_url}/{stem.path}" if stem.is_stored else "inside the stems table"
    code = element("code", clipped(where, 400))
    return element("div", _name(stem), waveform(stem.loudness), code, **_row(stem))


def _row(stem: PlayedStem) -> dict[str, str]:
    return {"class_": "stem drawn" if stem.loudness else "stem", "data_stem": stem.stem}


def _name(stem: PlayedStem) -> Html:
    """Give a stem's name over its level, and the result of its verification where that is not `ok`."""
    level = 0.0 if stem.rms_dbfs is None else max(0.0, 1 - stem.rms_dbfs / _QUIETEST_DBFS)
    rms = "silent" if stem.rms_dbfs is None else f"{stem.rms_dbfs:.1f} dBFS"
    warning = Html() if stem.verification == "ok" else element("em", clipped(stem.verification, 40))
    meter = element("i", element("b", style=f"width:{level:.0%}"), class_="level", title=f"RMS {rms}")
    return element("span", element("strong", clipped(stem.stem, 40)), warning, meter, class_="name")


def clock(seconds: float) -> str:
    """Give a length as on a player, such as 3:07."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def stem_place(stem: str) -> tuple[int, str]:
    """Give what sorts stems as they are shown: those we know first, in one order everywhere."""
    return (_STEM_ORDER.index(stem) if stem in _STEM_ORDER else len(_STEM_ORDER)), stem
