"""HTML that is escaped unless it was built here: an element takes text and elements, and only text is escaped."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import parse_qs, urlsplit

_BEHIND_SCHEME = re.compile(r"(?<=://)[^\s\"'<>]+")
"""What stands behind the scheme of a URL: to look for schemes takes the square of a long word's length."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_MARKS = re.compile(
    "([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{3})[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
"""More marks over one letter than any language writes would reach over the lines around it."""
_VOID = frozenset({"input", "meta", "br", "img"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str | float | None) -> Html:
    """Give an element; `class_` stands for class, `data_x` for data-x, None leaves an attribute out."""
    written = "".join(
        f' {attribute.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for attribute, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """Give the children one after the other, as markup."""
    return Html("".join(child if isinstance(child, Html) else text(child) for child in children))


def text(content: str) -> Html:
    """Give text as markup: escaped, and what no page may hold replaced."""
    printable = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", content)
    return Html(escape(printable if printable.isascii() else _MARKS.sub(r"\1", printable)))


def with_code(content: str) -> Html:
    """Give text as markup, what stands between backticks as code."""
    parts = content.split("`")
    return joined(*(element("code", part) if index % 2 else part for index, part in enumerate(parts)))


def clipped(content: str, longest: int = 160) -> str:
    """Give at most so many characters."""
    return content if len(content) <= longest else f"{content[: longest - 1]}…"


def without_secrets(content: str) -> str:
    """Give text whose URLs have lost what may give access: user, password and signed queries."""
    return _BEHIND_SCHEME.sub(lambda match: _bare(match[0]), content)


def _bare(rest: str) -> str:
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:
        return "…"
    host = parts.netloc.rpartition("@")[2]
    video = parse_qs(parts.query).get("v")
    query = f"?v={video[0]}" if video else "?…" if "?" in rest else ""
    return f"{host}{parts.path}{query}"
