"""Charts as inline SVG that needs no script: columns over an axis, and the 24 keys as a wheel.

Column charts stretch to the width there is, so their text is HTML beside the SVG: it never shrinks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stemline.report.markup import Html, element
from stemline.report.musical_key import KEYS

_HEIGHT = 100
_GAP = 0.16
_SIZE = 340
_RINGS = ((78.0, 118.0), (122.0, 168.0))
"""Inner and outer radius of the minors' and of the majors' ring."""


@dataclass(frozen=True, slots=True)
class ColumnChart:
    """One bar each and, over the same axis, an optional line."""

    label: str
    """What is shown, for who cannot see it."""
    values: Sequence[float]
    titles: Sequence[str]
    """What a bar says when pointed at."""
    ticks: Mapping[float, str]
    """Labels of the axis by their place, 0 to 1."""
    line: Sequence[float] = ()
    is_count: bool = False
    """Whether the values are numbers of things, of which there is no half."""


def column_chart(chart: ColumnChart) -> Html:
    """Give a column chart."""
    marks = axis_marks(max([*chart.values, *chart.line, 0.0]), is_count=chart.is_count)
    top, count = marks[0], len(chart.values)
    bars = [
        _bar(index, value / top, chart.titles[index]) for index, value in enumerate(chart.values) if value > 0
    ]
    heights = [round(_HEIGHT * (1 - mark / top), 2) for mark in marks]
    grid = [element("line", class_="grid", x1=0, x2=count, y1=y, y2=y) for y in heights]
    drawing = element(
        "svg",
        *grid,
        *bars,
        _line([value / top for value in chart.line]),
        viewBox=f"0 0 {count} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=chart.label,
    )
    scale = element("div", *(element("span", number(mark)) for mark in marks), class_="scale")
    ticks = (element("span", label, style=f"left:{place:.2%}") for place, label in chart.ticks.items())
    axis = element("div", *ticks, class_="axis")
    return element("div", scale, element("div", drawing, axis, class_="plot"), class_="chart")


def axis_marks(highest: float, *, is_count: bool) -> tuple[float, ...]:
    """Give the marks of an axis from its top down to 0: the middle one only where it can be counted to."""
    if not is_count:
        top = round_top(highest if highest > 0 else 1.0)
        return top, top / 2, 0.0
    top = round_top(max(highest, 1.0))
    if top == 1:
        return top, 0.0
    top += top % 2  # 5 has no half that is a count
    return top, top / 2, 0.0


def round_top(highest: float) -> float:
    """Give the next higher 1, 2, 4, 5, 6 or 8 with zeros behind it, whose half is as round."""
    unit = 10.0 ** math.floor(math.log10(highest))
    return next((step * unit for step in (1, 2, 4, 5, 6, 8, 10) if highest <= step * unit), highest)


def number(value: float) -> str:
    """Give a number without needless decimals."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.2g}"


def short(count: int) -> str:
    """Give a count in at most five characters."""
    for size, unit in ((1_000_000, "M"), (10_000, "k")):
        if count >= size:
            return f"{count / (size if unit == 'M' else 1_000):.3g}{unit}"
    return number(count)


def key_wheel(counts: Mapping[int, int]) -> Html:
    """Give the keys by fifths, majors outside and their relative minors inside, the frequent ones stronger.

    `counts` is by the place in `musical_key.KEYS`.
    """
    most = max(counts.values(), default=1)
    slices = []
    for step in range(12):
        major = 7 * step % 12
        minor = 12 + (major + 9) % 12
        for ring, index in enumerate((minor, major)):
            slices.append(_slice(step, ring, index, (counts.get(index, 0), most)))
    half, total = _SIZE / 2, sum(counts.values())
    hub = (
        element("text", number(total), x=half, y=half, class_="hub"),
        element("text", "has a key" if total == 1 else "have a key", x=half, y=half + 20, class_="hub-note"),
    )
    label = "How many tracks are in each key"
    box = f"0 0 {_SIZE} {_SIZE}"
    return element("svg", *slices, *hub, viewBox=box, class_="wheel", role="img", aria_label=label)


def _slice(step: int, ring: int, index: int, count_of_most: tuple[int, int]) -> Html:
    """Give one key's slice; step 0 is at the top and each further one a twelfth of a turn clockwise."""
    count, most = count_of_most
    share = count / most
    inner, outer = _RINGS[ring]
    begin, end = (math.tau * (step + offset) / 12 for offset in (-0.485, 0.485))
    corners = [_point(inner, begin), _point(outer, begin), _point(outer, end), _point(inner, end)]
    outline = (
        f"M{corners[0]}L{corners[1]}A{outer:g} {outer:g} 0 0 1 {corners[2]}"
        f"L{corners[3]}A{inner:g} {inner:g} 0 0 0 {corners[0]}Z"
    )
    x, y = _point((inner + outer) / 2, math.tau * step / 12).split()
    strength = f"{0.18 + 0.82 * share:.2f}" if count else "0"
    return element(
        "g",
        element("title", f"{KEYS[index]}: {number(count)}"),
        element("path", d=outline, class_="empty"),
        element("path", d=outline, class_="key", opacity=strength),
        element("text", KEYS[index], x=x, y=float(y) - (4 if count else -4)),
        element("text", short(count), x=x, y=float(y) + 11, class_="count") if count else "",
        class_="strong" if share > 0.5 else None,
    )


def _point(radius: float, angle: float) -> str:
    half = _SIZE / 2
    return f"{half + radius * math.sin(angle):.1f} {half - radius * math.cos(angle):.1f}"


def _bar(index: int, share: float, title: str) -> Html:
    height = max(share * _HEIGHT, 1.0)
    place = {"x": index + _GAP / 2, "y": round(_HEIGHT - height, 2), "width": 1 - _GAP}
    return element("rect", element("title", title), class_="bar", height=round(height, 2), **place)


def _line(shares: Sequence[float]) -> Html:
    """Give steps through the shares; nothing for none."""
    if not shares:
        return Html()
    corners = " ".join(
        f"{x},{_HEIGHT - share * _HEIGHT:.2f}"
        for index, share in enumerate(shares)
        for x in (index, index + 1)
    )
    return element("polyline", points=corners, class_="line")
