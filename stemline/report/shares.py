"""How much has each value of a column, as a table with hours, share, tracks and credits."""

from __future__ import annotations

from dataclasses import dataclass

from stemline.report.markup import Html, clipped, element

SHOWN_VALUES = 10
"""So many values of a column are told apart, those with most hours; the others are counted together."""
HOUR = 3_600.0


@dataclass(frozen=True, slots=True)
class ValueShare:
    """How much has one value of a column."""

    value: str | None
    """None: it was not told."""
    tracks: int
    seconds: float
    credits: int = 0
    """Charged for them, as far as the tables tell."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A dataset by the values of a column, most hours first."""

    shares: tuple[ValueShare, ...]
    values: int
    """How many there are."""
    rest: ValueShare | None
    """Those that are not told apart."""

    @property
    def is_told(self) -> bool:
        """Whether any track has a value."""
        return any(share.value is not None for share in self.shares)


def share_table(breakdown: Breakdown, heading: str, untold: str, total: float) -> Html:
    """Give the table of a breakdown of `total` seconds; `untold` stands for no value."""
    unit = "Hours" if total >= 2 * HOUR else "Minutes"
    head = element("tr", *(element("th", each) for each in (heading, unit, "Share", "Tracks", "Credits")))
    shares = [(each, each.value, untold) for each in breakdown.shares]
    if breakdown.rest is not None:
        shares.append((breakdown.rest, None, f"{breakdown.values - len(breakdown.shares):,} more"))
    rows = [_share_row(share, value, instead, total) for share, value, instead in shares]
    return element("table", element("thead", head), element("tbody", *rows), class_="numbers shares")


def _share_row(share: ValueShare, value: str | None, instead: str, total: float) -> Html:
    part = share.seconds / total if total else 0.0
    name = element("em", instead) if value is None else element("span", clipped(value, 60))
    bar = element("span", element("b", style=f"width:{part:.2%}"), class_="share")
    hours = share.seconds / (HOUR if total >= 2 * HOUR else 60)
    figures = (f"{hours:,.1f}", f"{part:.1%}", f"{share.tracks:,}", f"{share.credits:,}")
    return element("tr", element("td", name, bar), *(element("td", figure) for figure in figures))
