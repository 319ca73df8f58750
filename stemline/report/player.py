"""A track as a card of a page: what it is, a lane for each stem, and what plays them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from stemline.ledger import BatchRow
from stemline.manifest.track_name import track_name
from stemline.records import MIX, STEMS
from stemline.report.markup import Html, clipped, element, with_code
from stemline.report.waveform import peak_waveform, waveform
from stemline.wording import counted

if TYPE_CHECKING:  # a run that has published nothing loads no decoder
    from stemline.reader.stem_place import StemPlace
    from stemline.report.preview import StemPreview

_QUIETEST_DBFS = -48.0
_STORED = "audio/"
_STEM_ORDER = tuple(dict.fromkeys(stem for stems in STEMS.values() for stem in stems))


@dataclass(frozen=True, slots=True)
class PlayedStem:
    """A stem as a card shows it, or the original beside them."""

    stem: str
    path: str | None
    """Relative to the dataset's root; None: it is inside the stems table."""
    duration_seconds: float
    rms_dbfs: float | None
    verification: str
    loudness: Sequence[float] = ()
    """Of each second in dBFS; empty where nobody measured it."""
    place: StemPlace | None = None
    """Where its sound is read from; None: that is not known."""
    preview: StemPreview | None = None
    trouble: str = ""
    """Why there is no preview."""

    @property
    def is_stored(self) -> bool:
        """Whether it is an object of the dataset."""
        return self.path is not None and self.path.startswith(_STORED)

    @property
    def is_original(self) -> bool:
        """Whether it is what the stems were separated from."""
        return self.stem == MIX

    @property
    def label(self) -> str:
        """Give what it is called on a page."""
        return "original" if self.is_original else self.stem


@dataclass(frozen=True, slots=True)
class PlayedTrack:
    """A track as a card shows it."""

    title: str
    artist: str
    """Empty where nobody tells it."""
    facts: tuple[str, ...]
    stems: tuple[PlayedStem, ...]
    """In the order they are shown, the original last."""
    preview_start: float = 0.0
    """Where in the track its previews begin."""
    preview_seconds: float = 0.0
    artwork: str = ""
    """A small picture as a data: URL."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max((stem.duration_seconds for stem in self.stems), default=0.0)


@dataclass(frozen=True, slots=True)
class AudioPlace:
    """Where the audio of a dataset is for who reads a page."""

    root_url: str
    link_root: str | None
    """What comes before a stem's path in a link; None: no page can reach it, and the path itself is shown."""


def played_row(row: BatchRow) -> PlayedTrack:
    """Give a track of a run as a card shows it."""
    stems = tuple(
        PlayedStem(stem.stem, stem.path, stem.duration_seconds, stem.rms_dbfs, stem.verification)
        for stem in sorted(row.collected.stems, key=lambda stem: shown_order(stem.stem))
    )
    track, collected = row.attempt.track, row.collected
    name = track_name(track.columns, track.location)
    seconds = max((stem.duration_seconds for stem in row.collected.stems), default=0.0)
    facts = (
        f"{collected.bpm:.1f} bpm" if collected.bpm is not None else "",
        collected.key or "",
        clock(seconds),
        f"{row.credits_charged:,} credits",
    )
    return PlayedTrack(name.title or track.track_id, name.artist, facts, stems)


def track_player(track: PlayedTrack, place: AudioPlace) -> Html:
    """Give a track with its stems: what plays their previews, and where the whole of them is."""
    highest = max((peak for stem in track.stems if stem.preview for peak in stem.preview.peaks), default=0.0)
    lanes = [_lane(stem, highest) for stem in track.stems if not stem.is_original or stem.preview]
    troubles = {stem.trouble for stem in track.stems if stem.trouble and not stem.is_original}
    is_silent = not any(stem.preview for stem in track.stems)
    return element(
        "article",
        _heading(track),
        Html() if is_silent else _transport(track),
        element("div", *lanes, class_="lanes"),
        *(element("p", with_code(sentence), class_="trouble") for sentence in sorted(troubles)),
        _whole_stems(track, place),
        class_="deck",
        data_title=clipped(track.title, 90),
    )


def preview_note(tracks: Sequence[PlayedTrack]) -> str:
    """Give the sentence that says what is to be heard of them, and how many cannot be."""
    longest = max((track.preview_seconds for track in tracks), default=0.0)
    silent = sum(not any(stem.preview for stem in track.stems) for track in tracks)
    if silent == len(tracks):
        return " This page has no previews of them: the cards say why, and how to get them."
    left_out = f" {counted(silent)} without: the card says why." if silent else ""
    return f" {longest:.0f} s of each, from where it is loudest, are inside this page.{left_out}"


def _heading(track: PlayedTrack) -> Html:
    picture = element("img", src=track.artwork, alt="", width=72, height=72, class_="artwork")
    return element(
        "header",
        picture if track.artwork else Html(),
        element(
            "div",
            element("h3", clipped(track.title, 90)),
            element("p", clipped(track.artist, 90), class_="artist") if track.artist else "",
            element(
                "p", *(element("span", clipped(fact, 40)) for fact in track.facts if fact), class_="facts"
            ),
        ),
    )


def _transport(track: PlayedTrack) -> Html:
    """Give the controls that play the stems of a track together; the script connects them."""
    length = track.preview_seconds
    seek = element(
        "input",
        type="range",
        min=0,
        max=f"{length:.3f}",
        step="0.001",
        value=0,
        aria_label=f"Position in {clipped(track.title, 90)}",
    )
    start, end = clock(track.preview_start), clock(track.preview_start + length)
    return element(
        "div",
        element(
            "button", "Play", type="button", class_="play", aria_label=f"Play {clipped(track.title, 90)}"
        ),
        seek,
        element("span", f"{start} to {end}", class_="time", data_start=f"{track.preview_start:.3f}"),
        class_="transport",
    )


def _lane(stem: PlayedStem, highest: float) -> Html:
    """Give a stem with its waveform: of its preview, else of the whole of it as loud as it is."""
    parts = [_name(stem)]
    if stem.preview is None:
        parts.append(waveform(stem.loudness))
    else:
        parts += [
            element("span", *_switches(stem), class_="switches"),
            peak_waveform(stem.preview.peaks, highest, f"Waveform of {stem.label}"),
            element("audio", src=stem.preview.url, controls="", preload="none", aria_label=stem.label),
        ]
    kind = "lane" if stem.preview else "lane silent"
    return element(
        "div", *parts, class_=kind, data_stem=stem.stem, role="group", aria_label=clipped(stem.label, 40)
    )


def _switches(stem: PlayedStem) -> list[Html]:
    """Give what silences a stem and what lets it be heard alone; the original is only ever heard alone."""
    name = clipped(stem.label, 40)
    solo = element(
        "button", "S", type="button", class_="solo", title=f"Solo {name}", aria_label=f"Solo {name}",
        aria_pressed="false",
    )  # fmt: skip
    mute = element(
        "button", "M", type="button", class_="mute", title=f"Mute {name}", aria_label=f"Mute {name}",
        aria_pressed="false",
    )  # fmt: skip
    return [solo] if stem.is_original else [mute, solo]


def _whole_stems(track: PlayedTrack, place: AudioPlace) -> Html:
    """Give where the whole stems are: as links where the page leads to them, else as their paths."""
    stems = [stem for stem in track.stems if not stem.is_original or stem.is_stored]
    if place.link_root is not None and all(stem.is_stored for stem in stems):
        links = (
            element("a", clipped(stem.label, 40), href=place.link_root + quote(stem.path or "", safe="/="))
            for stem in stems
        )
        return element("p", element("span", "Whole stems"), *links, class_="whole")
    paths = (element("li", element("code", _where(stem, place.root_url))) for stem in stems)
    return element(
        "details", element("summary", "Where the whole stems are"), element("ul", *paths), class_="whole"
    )


def _where(stem: PlayedStem, root_url: str) -> str:
    return clipped(f"{root_url}/{stem.path}" if stem.is_stored else "inside the stems table", 400)


def _name(stem: PlayedStem) -> Html:
    """Give a stem's name over its level, and the result of its verification where that is not `ok`."""
    if stem.is_original:
        return element("span", element("strong", stem.label), class_="name")
    level = 0.0 if stem.rms_dbfs is None else max(0.0, 1 - stem.rms_dbfs / _QUIETEST_DBFS)
    rms = "silent" if stem.rms_dbfs is None else f"{stem.rms_dbfs:.1f} dBFS"
    warning = Html() if stem.verification == "ok" else element("em", clipped(stem.verification, 40))
    meter = element("i", element("b", style=f"width:{level:.0%}"), class_="level", title=f"RMS {rms}")
    return element("span", element("strong", clipped(stem.label, 40)), warning, meter, class_="name")


def clock(seconds: float) -> str:
    """Give a length as on a player, such as 3:07."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def shown_order(stem: str) -> tuple[int, str]:
    """Give what sorts stems as they are shown: those we know first, in one order everywhere, the original last."""
    place = len(_STEM_ORDER) + (stem == MIX)
    return (_STEM_ORDER.index(stem) if stem in _STEM_ORDER else place), stem
