"""What every page stands in: its style and its script, with nothing left to fetch."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from importlib.resources import files
from string import Template

from stemline.report.markup import Html, element, text

_SCRIPTS = ("player.js", "track_table.js")
_STYLES = ("page.css", "player.css")


def html_page(title: str, body: Iterable[str]) -> str:
    """Give a whole HTML page of sections; empty ones are left out."""
    script = "\n".join(map(_asset, _SCRIPTS))
    return Template(_asset("page.html")).substitute(
        title=text(title),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style="\n".join(map(_asset, _STYLES)),
        body="\n".join(part for part in body if part),
        script=script,
    )


def brand() -> Html:
    """Give our mark."""
    return element("p", *brand_marks(), class_="brand")


def brand_marks() -> tuple[Html, ...]:
    """Give what our mark is made of."""
    return (*(element("i") for _ in range(4)), element("span", "stemline"))


def instant(at: datetime) -> str:
    """Give a point in time as people write it, to the minute."""
    return f"{at.day} {at:%b %Y, %H:%M}"


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
