"""The artists that a name stands for: joint names cut up, guests found in titles, placeholders known.

Cutting a band's name in two ('Earth, Wind & Fire') ties a few artists more together than need be, which costs nothing.
Not cutting a joint name lets an artist into two splits. So whatever may be a joint name is cut; what would tie half a
catalogue together ('X and Friends') is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_MARKS = re.compile("[\u0300-\u036f]")
_PUNCTUATION = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "`": "'", "\u00d7": "&"} | dict.fromkeys("\u2010\u2011\u2013\u2014", "-")
)
"""Quotes, hyphens and the sign of multiplication as a keyboard has them."""
_BRACKETS = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_GUESTS = re.compile(r"(?<!\w)(?:featuring\b|(?:feat|ft)\b\.?)\s*(.+)")
_TITLE_GUESTS = re.compile(r"[(\[{]\s*(?:featuring\b|(?:feat|ft|with)\b\.?)\s*([^()\[\]{}]+)")
_MAY_HAVE_GUESTS = re.compile(r"feat|ft\b|with\b", re.IGNORECASE)
_WORDS = r"featuring|feat|ft|with|and|und|et|versus|vs|meets|presents|pres"
_JOINTS = re.compile(
    rf"\s*[&,;/+|\n\0·•、，]\s*|(?<=\s)(?:{_WORDS})(?:\.\s*|\s+)|(?<=\w\s)x\s+(?=\w)|(?<=\s)w/\s*"  # noqa: RUF001
)
_BACKWARDS = re.compile(r"([^,]+), (the|die|der|los|les)")
PLACEHOLDERS = frozenset(
    """
    |various|various artists|various artist|various interprets|va|v/a|v.a|diverse|unknown|unknown artist|[unknown]
    |unknown artists|<unknown>|(unknown)|artist unknown|n/a|na|n.a|none|null|nil|nan|tba|tbd|?|-|--|_|not available
    |not applicable|untitled|anonymous|no artist|traditional|trad|unbekannt|unbekannter kunstler|unbekannter interpret
    |diverse interpreten|verschiedene|verschiedene interpreten|varios artistas|artistas varios|artistes divers
    """.replace("\n    ", "").split("|")
)
_GENERIC = re.compile(
    r"(?:(?:his|her|their|special|all) )*"
    r"(?:friends?|guests?|others?|more|co|company|sons?|family|orchestra|choir|chorus|ensemble|strings|band|remix|live|jr|sr"
    r"|lyrics|piano|vocals|commentary|love|intro|bonus track|guest artists?|orchester|chor)"
)
"""Pieces of joint names that many artists have in common."""


def names_of(artist: object, title: object = None) -> frozenset[str]:
    """Give the artists of a track as names that compare equal; none where nobody is named."""
    found = _artists(_text(artist))
    text = _text(title)
    return found | _guests(text) if _MAY_HAVE_GUESTS.search(text) else found


def plain_name(value: object) -> str:
    """Give a text as it is compared: without differences of case, accents, form of letters and spaces."""
    text = unicodedata.normalize("NFKD", _text(value).translate(_PUNCTUATION)).casefold()
    return " ".join(unicodedata.normalize("NFKC", _MARKS.sub("", text)).split())


def is_placeholder(value: object) -> bool:
    """Tell whether a text names nobody, such as 'Various Artists'."""
    return plain_name(value).strip(" .") in PLACEHOLDERS


@lru_cache(maxsize=65_536)
def _artists(artist: str) -> frozenset[str]:
    if is_placeholder(artist):
        return frozenset()
    kept = unicodedata.normalize("NFKC", artist.translate(_PUNCTUATION)).casefold()
    whole = " ".join(kept.replace("\n", ";").replace("\0", ";").split())
    backwards = _BACKWARDS.fullmatch(whole)
    if backwards:  # 'Beatles, The'
        whole = f"{backwards[2]} {backwards[1]}"
    return _pieces(whole)


def _pieces(whole: str) -> frozenset[str]:
    """Give the names in a text of small letters."""
    guests = _GUESTS.search(whole)
    bare = _BRACKETS.sub(" ", whole)
    texts = [bare if bare.strip() else whole, guests[1] if guests else ""]
    pieces = {_piece(each) for text in texts for each in _JOINTS.split(text)}
    pieces = {each for each in pieces if each and each not in PLACEHOLDERS}
    telling = {each for each in pieces if not _GENERIC.fullmatch(each)}
    if telling:
        return _without_article(telling)
    name = _piece(whole)
    return _without_article({name} if name and name not in PLACEHOLDERS and pieces else ())


def _guests(title: str) -> frozenset[str]:
    kept = " ".join(unicodedata.normalize("NFKC", title.translate(_PUNCTUATION)).casefold().split())
    found = [each[1] for each in _TITLE_GUESTS.finditer(kept)]
    open_ended = _GUESTS.search(_BRACKETS.sub(" ", kept))
    if open_ended:
        found.append(open_ended[1])
    pieces = frozenset[str]().union(*(_pieces(each) for each in found))
    return frozenset(each for each in pieces if not _GENERIC.fullmatch(each))


def _piece(text: str) -> str:
    return plain_name(text).replace(".", "").strip(" -_()[]{}\"'")


def _without_article(names: Iterable[str]) -> frozenset[str]:
    """Give names without a leading 'the', which catalogues leave out at will."""
    return frozenset(name.removeprefix("the ").strip() or name for name in names)


def _text(value: object) -> str:
    return "" if value is None else str(value)
