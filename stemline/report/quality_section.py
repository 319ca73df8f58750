"""What was measured of stems as markup: distributions over one axis each, and lists of silent and clipped ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stemline.report.components import empty_note, panel, table
from stemline.report.markup import Html, clipped, element, joined
from stemline.report.quality_figures import (
    CLIPPED_LIMITS,
    SHOWN_STEMS,
    Distribution,
    DistributionRow,
    DoubtfulStem,
    DoubtfulStems,
)
from stemline.wording import counted

_HEIGHT = 100
_AUDIBLE = 4
"""The first column of clipped shares that is more than a stem may have and pass."""


def distributions(quality: Sequence[Distribution]) -> Html:
    """Give every metric that was measured."""
    if not quality:
        return panel(
            "Quality", empty_note("Nothing was measured of these stems: they are of an older version.")
        )
    return element("div", *(_distribution(each) for each in quality), class_="halves quality")


def _distribution(found: Distribution) -> Html:
    metric = found.metric
    is_clipping = metric.column == "clipped_share"
    figures = ("Any", "> 0.1 %") if is_clipping else ("p5", "Median", "p95")
    head = element("tr", *(element("th", each) for each in (metric.heading, "", *figures)))
    rows = [_row(row, found, is_clipping=is_clipping) for row in found.rows]
    ticks = (
        element("span", label, style=f"left:{place:.2%}")
        for place, label in _ticks(found, is_clipping).items()
    )
    axis = element(
        "tr", element("td"), element("td", element("div", *ticks, class_="axis")), class_="axis-row"
    )
    for_more = f" {found.more:,} more are not shown." if found.more else ""
    return panel(
        f"{metric.title} in {metric.unit}",
        element(
            "table",
            element("thead", head),
            element("tbody", *rows, axis),
            class_="numbers spread two" if is_clipping else "numbers spread",
        ),
        element("p", metric.note + for_more, class_="note"),
    )


def _row(row: DistributionRow, found: Distribution, *, is_clipping: bool) -> Html:
    stems = counted(row.measured, "stem")
    drawing = element("td", _histogram(row, found, is_clipping=is_clipping), class_="drawing")
    return element(
        "tr",
        element("td", clipped(row.name, 60), title=f"{row.name}: {stems}"),
        drawing,
        *(element("td", figure) for figure in _figures(row, found, is_clipping=is_clipping)),
        data_stem=row.name,
    )


def _figures(row: DistributionRow, found: Distribution, *, is_clipping: bool) -> tuple[str, ...]:
    if is_clipping:
        return tuple(f"{sum(row.counts[first:]) / row.measured:.1%}" for first in (1, _AUDIBLE))
    show = _percent if found.metric.unit.startswith("%") else _level
    return show(row.low), show(row.median), show(row.high)


def _histogram(row: DistributionRow, found: Distribution, *, is_clipping: bool) -> Html:
    most, bins = max(row.counts), len(row.counts)
    bars = [
        element(
            "rect",
            element("title", f"{_range(index, found, is_clipping=is_clipping)}: {counted(count, 'stem')}"),
            class_="bar",
            x=index + 0.06,
            width=0.88,
            y=round(_HEIGHT - height, 1),
            height=round(height, 1),
        )
        for index, count in enumerate(row.counts)
        if count and (height := max(count / most * _HEIGHT, 3.0))
    ]
    return element(
        "svg",
        element("line", class_="grid", x1=0, x2=bins, y1=_HEIGHT, y2=_HEIGHT),
        *bars,
        viewBox=f"0 0 {bins} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{row.name}: {found.metric.title} in {found.metric.unit}",
    )


def _range(index: int, found: Distribution, *, is_clipping: bool) -> str:
    """Say which values a column stands for."""
    if is_clipping:
        names = (
            "none",
            *(f"up to {limit:.3%}" for limit in CLIPPED_LIMITS[1:]),
            f"more than {CLIPPED_LIMITS[-1]:.0%}",
        )
        return names[index]
    step = (found.high - found.low) / len(found.rows[0].counts)
    low = found.low + index * step
    show = _percent if found.metric.unit.startswith("%") else _level
    return f"{show(low)} to {show(low + step)} {found.metric.unit}"


def _ticks(found: Distribution, is_clipping: bool) -> dict[float, str]:  # noqa: FBT001 - one of two axes
    if is_clipping:
        bins = len(CLIPPED_LIMITS) + 1
        edges = {
            (index + 1) / bins: f"{100 * limit:g}" for index, limit in enumerate(CLIPPED_LIMITS) if limit
        }
        return {0.5 / bins: "none", **edges}
    if found.metric.unit.startswith("%"):
        return {0.0: "0", 0.5: "50", 1.0: "100"}
    span = found.high - found.low
    step = next(step for step in (5, 10, 20, 40, 80) if span / step <= 4)
    first = -(-found.low // step) * step
    count = int((found.high - first) // step) + 1
    return {(first + n * step - found.low) / span: _level(first + n * step, 0) for n in range(count)}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _level(value: float, digits: int = 1) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def doubtful_stems(silent: DoubtfulStems, clipped_: DoubtfulStems) -> Html:
    """Give the silent and the clipped stems: how many, and the worst of them."""
    if not silent.count and not clipped_.count:
        return panel(
            "Silent and clipped stems", empty_note("No stem is silent as a whole, and none is clipped.")
        )
    return joined(
        _listed(
            "Silent stems",
            silent,
            "silent as a whole. One may well be, such as the vocals of an instrumental; a sampler passes over it.",
            {
                "Loudness": lambda each: _decibels(each.rms_dbfs),
                "Peak": lambda each: _decibels(each.peak_dbfs),
            },
        ),
        _listed(
            "Clipped stems",
            clipped_,
            "clipped: more than 0.1 % of the samples are at full scale.",
            {
                "Clipped": lambda each: _share(each.clipped_share),
                "Loudness": lambda each: _decibels(each.rms_dbfs),
            },
        ),
    )


def _listed(
    title: str, found: DoubtfulStems, what: str, figures: dict[str, Callable[[DoubtfulStem], str]]
) -> Html:
    if not found.count:
        return panel(title, empty_note("There is none."))
    by_stem = ", ".join(f"{clipped(stem, 40)} {count:,}" for stem, count in found.by_stem.items())
    are = "is" if found.count == 1 else "are"
    note = f"{counted(found.count, 'stem')} {are} {what} By stem: {by_stem}."
    rows = [
        [
            joined(element("strong", clipped(each.title or each.track_id, 80)), " ", _artist(each)),
            element("span", clipped(each.stem, 40), data_stem=each.stem, class_="stem-name"),
            *(show(each) for show in figures.values()),
            clipped(each.made_by, 60),
        ]
        for each in found.worst
    ]
    listed = table(("Track", "Stem", *figures, "Made by"), rows, "doubtful")
    scrolled = element("div", listed, class_="scroll", tabindex="0", role="region", aria_label=title)
    more = found.count - len(rows)
    rest = (
        element("p", f"The worst {SHOWN_STEMS}; {more:,} more are not shown.", class_="note") if more else ""
    )
    return panel(title, element("p", note, class_="note above"), scrolled, rest)


def _artist(each: DoubtfulStem) -> Html:
    return element("small", clipped(each.artist, 80)) if each.artist else Html()


def _decibels(value: float | None) -> str:
    return "digital silence" if value is None else f"{_level(value)} dBFS"


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2%}"
