"""The sections of a dataset's page, each from a digest to markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from stemline.report.account_section import sound_words
from stemline.report.chart import ColumnChart, column_chart, number
from stemline.report.components import counter, empty_note, facts, listen, panel
from stemline.report.dataset_digest import DatasetDigest
from stemline.report.dataset_figures import Growth
from stemline.report.markup import Html, clipped, element
from stemline.report.music_charts import music_panels
from stemline.report.player import AudioPlace, preview_note, track_player
from stemline.report.shares import HOUR, Breakdown, share_table
from stemline.wording import byte_size, counted, length

_BREAKDOWNS = {
    "split": ("Splits", "Split", "in no split", "No track is in a split."),
    "license": ("Licences", "Licence", "unknown", "No track has a licence."),
    "ai_training": (
        "May it be trained on?",
        "AI training",
        "unknown",
        "No track says whether it may be trained on.",
    ),
    "artist": ("By artist", "Artist", "unknown", ""),
    "album": ("By album", "Album", "unknown", ""),
    "provider_recipe": ("Providers and recipes", "Provider · recipe", "unknown", "Nothing is published yet."),
}
"""Title, heading, what stands for no value, and what is said where no track has one."""


def dataset_counters(digest: DatasetDigest) -> Html:
    """Give the few most telling numbers."""
    totals = digest.totals
    again = totals.separations - totals.tracks
    mean = length(round(totals.seconds / totals.separations)) if totals.separations else "nothing"
    return element(
        "section",
        counter(
            "Tracks",
            f"{totals.tracks:,}",
            f"by {counted(totals.artists, 'artist')}" if totals.artists else "no artist is told",
        ),
        counter(
            "Music",
            _total_length(totals.seconds),
            f"{again:,} separated again, counted too" if again else f"{mean} a track",
        ),
        counter("Stems", f"{totals.stems:,}", _per_track(totals.stems, totals.separations)),
        counter("Audio", byte_size(totals.bytes), _per_hour(totals.bytes, totals.seconds)),
        class_="counters",
    )


def _total_length(seconds: float) -> str:
    return f"{seconds / HOUR:,.0f} h" if seconds >= 100 * HOUR else length(round(seconds))


def _per_track(stems: int, separations: int) -> str:
    return f"{number(round(stems / separations, 1))} a track" if separations else "none"


def _per_hour(size: int, seconds: float) -> str:
    return f"{byte_size(size / seconds * HOUR)} an hour of music" if seconds else "none"


def breakdowns(digest: DatasetDigest) -> Html:
    """Give hours and tracks by split, licence, whether training is allowed, provider and recipe."""
    told_first = sorted(_BREAKDOWNS, key=lambda name: not digest.breakdowns[name].is_told)
    panels = [_breakdown(name, digest.breakdowns[name], digest.totals.seconds) for name in told_first]
    panels.append(_sound(digest))
    return element("div", *panels, class_="breakdowns")


def _breakdown(name: str, breakdown: Breakdown, total: float) -> Html:
    title, heading, untold, nothing = _BREAKDOWNS[name]
    if not breakdown.is_told:
        return panel(title, empty_note(nothing)) if nothing else Html()
    return panel(title, share_table(breakdown, heading, untold, total))


def _sound(digest: DatasetDigest) -> Html:
    """Give formats, and what was found when the stems were verified."""
    if not digest.sounds:
        return Html()
    told = {
        sound_words(each.format, each.sample_rate, each.channels): counted(each.stems, "stem")
        for each in digest.sounds
    }
    told |= {f"Verified: {clipped(word, 40)}": counted(n, "stem") for word, n in digest.verification.items()}
    return panel("Sound", facts(told))


def growth_and_music(digest: DatasetDigest) -> Html:
    """Give what came when, and tempo and key."""
    if digest.growth is None:
        return Html()
    return element("div", _growth(digest.growth), *music_panels(digest.music), class_="pair")


def _growth(growth: Growth) -> Html:
    total = sum(growth.seconds)
    in_all, spent = f"{counted(sum(growth.tracks))}, {_total_length(total)}", sum(growth.credits)
    in_all += f", {counted(spent, 'credit')}" if spent else ""
    if len(growth.tracks) == 1 and growth.step_days == 1:
        return panel("Growth", element("p", f"All of it came on {_day(growth.first)}: {in_all}."))
    unit, size = ("hours", HOUR) if total >= 2 * HOUR else ("minutes", 60.0)
    every = {1: "a day", 7: "a week"}.get(growth.step_days, f"in {growth.step_days} days")
    values = [seconds / size for seconds in growth.seconds]
    chart = ColumnChart(
        label=f"Music that came, in {unit} {every}",
        values=values,
        titles=[
            f"{_day(growth.day(column))}: {counted(tracks)}, {length(round(growth.seconds[column]))}"
            + (f", {counted(growth.credits[column], 'credit')}" if growth.credits[column] else "")
            for column, tracks in enumerate(growth.tracks)
        ],
        ticks=_day_ticks(growth),
    )
    note = f"{in_all} from {_day(growth.first)} to {_day(growth.last)}."
    return panel(
        f"Growth in {unit} {every}",
        column_chart(chart),
        *(_spending(chart, growth.credits, every) if spent else ()),
        element("p", note, class_="note"),
    )


def _spending(growth: ColumnChart, credits_: Sequence[int], every: str) -> tuple[Html, Html]:
    """Give the credits of the same days under what came in them."""
    chart = replace(growth, label=f"Credits charged {every}", values=credits_, is_count=True)
    return element("h3", f"Credits {every}"), column_chart(chart)


def _day_ticks(growth: Growth) -> dict[float, str]:
    """Give up to four labels, at the middle of their columns."""
    count = len(growth.tracks)
    every = -(-count // 4)
    is_long = (growth.last - growth.first).days > 300
    return {
        (column + 0.5) / count: f"{growth.day(column):%b %Y}" if is_long else _short_day(growth.day(column))
        for column in range(0, count, every)
    }


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _short_day(day: date) -> str:
    return f"{day.day} {day:%b}"


def tracks_to_hear(digest: DatasetDigest, link_root: str | None) -> Html:
    """Give some tracks to listen to; `link_root` leads from the page to the dataset, where it is of this machine."""
    if not digest.heard:
        return Html()
    place = AudioPlace(digest.root_url, link_root)
    total = counted(digest.totals.separations)
    note = f"{len(digest.heard)} of {total}, chosen to differ.{preview_note(digest.heard)}"
    return listen(note, (track_player(track, place) for track in digest.heard))
