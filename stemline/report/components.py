"""What the sections of a page are built of: titled panels, lists of facts, tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from stemline.report.markup import Html, element


def panel(title: str, *content: str) -> Html:
    """Give a box with a title."""
    return element("section", element("h2", title), *content, class_="panel")


def empty_note(sentence: str) -> Html:
    """Give the sentence of a panel that has nothing to show."""
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


def counter(label: str, value: str, note: str) -> Html:
    """Give one of the few most telling numbers."""
    return element(
        "div", element("h2", label), element("p", value, class_="value"), element("p", note, class_="note")
    )


def listen(note: str, players: Iterable[Html]) -> Html:
    """Give tracks to listen to, under their heading."""
    return element(
        "section",
        element("h2", "Listen"),
        element("p", note, class_="note"),
        element("div", *players, class_="decks"),
        class_="listen",
    )
