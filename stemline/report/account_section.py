"""What a run's tracks came to as markup: by artist, album and licence, how they sound, and night by night."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from stemline.ledger import RunOutcome
from stemline.report.chart import ColumnChart, column_chart
from stemline.report.components import facts, panel
from stemline.report.markup import Html, clipped, element, without_secrets
from stemline.report.run_account import RunAccount, ValueAccount
from stemline.wording import counted, length

SHOWN_VALUES = 10
_TITLES = {"artist": "By artist", "album": "By album", "license": "Licences"}
_CHANNELS = {1: "mono", 2: "stereo"}


def breakdowns(account: RunAccount) -> Html:
    """Give tracks and credits by artist, album and licence, and how the stems sound; what is not told is left out."""
    told = {
        group: values
        for group, values in account.groups.items()
        if any(value for value in values) and any(map(_is_telling, values.values()))
    }
    panels = {group: _breakdown(_TITLES[group], values) for group, values in told.items()}
    # Albums are the longest: of two columns they fill one.
    shown = (panels.get("artist"), panels.get("license"), _sound(account), panels.get("album"))
    return element("div", *(each for each in shown if each), class_="breakdowns") if any(shown) else Html()


def _is_telling(each: ValueAccount) -> bool:
    """Whether anything became of the tracks."""
    return bool(each.published or each.failed or each.credits)


def _breakdown(title: str, values: Mapping[tuple[str, ...] | None, ValueAccount]) -> Html:
    ranked = sorted(values.items(), key=lambda item: (not item[0], -item[1].tracks, str(item[0])))
    shown = [item for item in ranked if item[0]][:SHOWN_VALUES]
    rest = [item for item in ranked if item[0] and item not in shown]
    rows = [_value_row(" · ".join(name for name in value or () if name), each) for value, each in shown]
    if rest:
        rows.append(_value_row(f"{len(rest):,} more", _sum(each for _, each in rest), is_told=False))
    rows += [
        _value_row("not told" if value is None else "others", each, is_told=False)
        for value, each in ranked
        if not value
    ]
    head = ("", "Published", "Failed", "Audio", "Credits")
    used = [place for place in range(len(head)) if not place or any(row[place] for row in rows)]
    return panel(
        title,
        element(
            "table",
            element("thead", element("tr", *(element("th", head[place]) for place in used))),
            element(
                "tbody", *(element("tr", *(element("td", row[place]) for place in used)) for row in rows)
            ),
            class_="numbers account",
        ),
    )


def _value_row(name: str, each: ValueAccount, *, is_told: bool = True) -> list[str]:
    told = clipped(without_secrets(name), 60)
    of_all = "" if each.published == each.tracks else f" of {each.tracks:,}"
    return [
        told if is_told else element("em", told),
        f"{each.published:,}{of_all}",
        f"{each.failed:,}" if each.failed else "",
        length(round(each.seconds)) if each.seconds else "",
        f"{each.credits:,}" if each.credits else "",
    ]


def _sum(values: Iterable[ValueAccount]) -> ValueAccount:
    total = ValueAccount()
    for each in values:
        total.tracks += each.tracks
        total.published += each.published
        total.failed += each.failed
        total.credits += each.credits
        total.seconds += each.seconds
    return total


def _sound(account: RunAccount) -> Html:
    """Give hours, files and what was found when they were verified."""
    if not account.sounds:
        return Html()
    told = {"Audio published": length(round(account.seconds))}
    told |= {sound_words(*sound): counted(count, "stem") for sound, count in account.sounds.most_common(5)}
    told |= {
        f"Verified: {word}": counted(count, "stem") for word, count in account.verification.most_common(8)
    }
    return panel("Sound", facts(told))


def sound_words(audio_format: str | None, sample_rate: int | None, channels: int | None) -> str:
    """Say what files are, such as `flac, 44.1 kHz, stereo`."""
    rate = "" if sample_rate is None else f"{sample_rate / 1000:g} kHz"
    spread = "" if channels is None else _CHANNELS.get(channels, f"{channels} channels")
    return ", ".join(each for each in (clipped(audio_format or "", 20), rate, spread) if each)


def history(outcomes: Sequence[RunOutcome]) -> Html:
    """Give tracks and credits by night; nothing for a single one."""
    nights = sorted({each.started_at.date() for each in outcomes})
    if len(nights) < 2:
        return Html()
    published, charged = Counter[date](), Counter[date]()
    for each in outcomes:
        published[each.started_at.date()] += each.published or 0
        charged[each.started_at.date()] += each.charged
    runs = Counter(each.started_at.date() for each in outcomes)
    charts = (
        _nightly("Tracks published", published, nights, runs),
        _nightly("Credits charged", charged, nights, runs),
    )
    note = f"{counted(len(outcomes), 'run')} that began from {_day(nights[0])} to {_day(nights[-1])}, UTC."
    return panel(
        "Run history",
        element("div", *charts, class_="halves"),
        element("p", note, class_="note"),
    )


def _nightly(title: str, values: Counter[date], nights: Sequence[date], runs: Mapping[date, int]) -> Html:
    first, count = nights[0], (nights[-1] - nights[0]).days + 1
    days = [first + timedelta(days=place) for place in range(count)]
    every = -(-count // 4)
    chart = ColumnChart(
        label=f"{title} by night",
        values=[values[day] for day in days],
        titles=[f"{_day(day)}: {values[day]:,} in {counted(runs.get(day, 0), 'run')}" for day in days],
        ticks={
            (place + 0.5) / count: f"{days[place].day} {days[place]:%b}" for place in range(0, count, every)
        },
        is_count=True,
    )
    total = f"{values.total():,} in all"
    return element(
        "div", element("h3", f"{title}, ", element("span", total, class_="note")), column_chart(chart)
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"
