"""What every section of a page is built of: titled boxes, lists of facts, tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stemline.report.markup import Html, element


def length(seconds: float) -> str:
    """Give a length of time in its two largest units."""
    whole = round(seconds)
    if seconds < 10 and seconds != whole:
        return f"{seconds:.1f} s"
    for size, name, smaller, part in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size:,} {name} {rest} {part}" if rest else f"{whole // size:,} {name}"
    return f"{whole} s"


def card(title: str, *content: str) -> Html:
    """Give a titled box."""
    return element("section", element("h2", title), *content, class_="card")


def nothing(sentence: str) -> Html:
    """Give what a box says that has nothing to show."""
    return element("p", sentence, class_="nothing")


def facts(values: Mapping[str, str]) -> Html:
    """Give names with their values."""
    rows = (element("div", element("dt", name), element("dd", value)) for name, value in values.items())
    return element("dl", *rows)


def table(head: tuple[str, ...], rows: Sequence[Sequence[str]], name: str) -> Html:
    """Give a table whose cells carry their column's name, for screens too narrow for columns."""
    top = element("thead", element("tr", *(element("th", title) for title in head)))
    body = (
        element("tr", *(element("td", cell, data_label=title) for title, cell in zip(head, row, strict=True)))
        for row in rows
    )
    return element("table", top, element("tbody", *body), class_=name)
