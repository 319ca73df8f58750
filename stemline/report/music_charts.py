"""Tempo and key of the published tracks as charts."""

from __future__ import annotations

from collections import Counter

from stemline.report.chart import ColumnChart, column_chart, key_wheel, number
from stemline.report.components import panel
from stemline.report.digest import TEMPO_STEP, MusicTally
from stemline.report.markup import Html, clipped, element
from stemline.report.musical_key import KEYS
from stemline.wording import counted


def music_panels(music: MusicTally) -> list[Html]:
    """Give the panels of tempo and key: of neither where no published track has it."""
    return [each for each in (_tempo(music), _keys(music)) if each]


def _tempo(music: MusicTally) -> Html:
    """Give the published tracks by tempo."""
    tempos = music.tempos
    if not tempos:
        return Html()
    first, last = min(tempos) - TEMPO_STEP, max(tempos) + TEMPO_STEP
    bands = range(first, last + 1, TEMPO_STEP)
    every = 20 if len(bands) <= 36 else 40
    ticks = {(bpm - first) / (len(bands) * TEMPO_STEP): str(bpm) for bpm in bands if bpm % every == 0}
    chart = ColumnChart(
        label="Tracks by tempo in bpm",
        values=[tempos[bpm] for bpm in bands],
        titles=[f"{bpm} to {bpm + TEMPO_STEP} bpm: {counted(tempos[bpm])}" for bpm in bands],
        ticks=ticks,
        is_count=True,
    )
    return panel("Tempo in bpm", column_chart(chart), _sources(music.tempo_sources))


def _keys(music: MusicTally) -> Html:
    """Give the published tracks by key, on the circle of fifths."""
    if not music.keys:
        return Html()
    top = (
        element("li", element("strong", KEYS[index]), " ", element("span", number(count), class_="note"))
        for index, count in music.keys.most_common(5)
    )
    other = f"{counted(music.other_keys)} with a key spelled otherwise." if music.other_keys else ""
    note = element("p", other, class_="note") if other else ""
    side = element("div", element("h3", "Most frequent"), element("ol", *top), note, class_="top-keys")
    wheel = element("div", key_wheel(music.keys), side, class_="wheel-row")
    return panel("Key", wheel, _sources(music.key_sources))


def _sources(sources: Counter[str]) -> Html:
    counts = ", ".join(f"{clipped(name, 40)} {count:,}" for name, count in sources.most_common(5))
    return element("p", f"As told by: {counts}.", class_="note")
