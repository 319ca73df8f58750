"""A license as SPDX writes it, from what people write: https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from stemline.rights.creative_commons import creative_commons_id

if TYPE_CHECKING:
    from license_expression import LicenseExpression, Licensing

MOST_CHARACTERS = 300
"""Longer ones are a license's text, or no license."""
_OPERATOR = re.compile(r"(\(|\)|(?<![^\s()])(?:and|or|with)(?![^\s()]))", re.IGNORECASE)
_REFERENCE = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_SPDX_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?spdx\.org/licenses/(?P<id>[a-z0-9.+-]+?)(?:\.(?:html|json|txt))?/?",
    re.IGNORECASE,
)
_DASHES = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_NAMES = {
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "free art license 1.3": "LAL-1.3",
    "licence art libre 1.3": "LAL-1.3",
    "open database license 1.0": "ODbL-1.0",
    "odbl 1.0": "ODbL-1.0",
    "public domain mark 1.0": "CC-PDM-1.0",
}
"""Full names outside Creative Commons that music and its data are given under."""


def normalise_license(text: object) -> str | None:
    """Give a license as an SPDX expression, ids as the list has them; None for what cannot be read as one.

    Read are SPDX expressions in any case, with old ids, `LicenseRef-…` and `WITH`; the names, abbreviations and
    addresses of Creative Commons; addresses of spdx.org. No license is guessed: one without its version is unknown,
    and so are "public domain", which differs by country, and "all rights reserved". Never raises.
    """
    if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
        return None
    return _normalised(text)


@lru_cache(4_096)
def _normalised(text: str) -> str | None:
    plain = " ".join(unicodedata.normalize("NFKC", text).translate(_DASHES).split())
    if not plain.isprintable():
        return None
    found = _single_id(plain)
    if found is not None:
        return None if found in _exceptions() else found
    expression = _parsed(plain)
    rendered = "" if expression is None else str(expression.render())
    return rendered if 0 < len(rendered) <= MOST_CHARACTERS else None


def is_satisfied(license_spdx: str, allowed: Collection[str]) -> bool:
    """Tell whether an expression lets one use it under licenses out of `allowed`: of OR one, of AND all.

    A license WITH an exception counts as one of its own. What is no expression is not satisfied.
    """
    expression = _parsed(license_spdx)
    return expression is not None and _holds(expression, allowed)


def license_ids(license_spdx: str) -> list[str]:
    """Give the licenses an expression is made of, one WITH its exception as one; none where it is no expression."""
    expression = _parsed(license_spdx)
    return [] if expression is None else sorted({str(each.render()) for each in expression.get_symbols()})


def is_one_license(license_spdx: str) -> bool:
    """Tell whether an expression is one license, with or without an exception, and not a choice or a sum."""
    expression = _parsed(license_spdx)
    return expression is not None and not expression.args


def known_ids() -> list[str]:
    """Give the ids of the SPDX list, without the exceptions and the references of other lists."""
    exceptions = _exceptions()
    return [
        key
        for key in _licensing().known_symbols
        if key not in exceptions and not key.startswith("LicenseRef-")
    ]


def _holds(expression: LicenseExpression, allowed: Collection[str]) -> bool:
    if not expression.args:
        return str(expression.render()) in allowed
    is_enough = any if type(expression).__name__ == "OR" else all
    return is_enough(_holds(each, allowed) for each in expression.args)


@lru_cache(4_096)
def _parsed(text: str) -> LicenseExpression | None:
    """Give an expression whose every id is the list's own; None for what is none."""
    from license_expression import ExpressionError  # noqa: PLC0415

    words = list(_expression_words(text))
    if None in words:
        return None
    try:
        parsed: LicenseExpression | None = _licensing().parse(
            " ".join(word for word in words if word), strict=True, simple=True
        )
    except (
        ExpressionError,
        LookupError,
        TypeError,
    ):  # the parser's own two for some stray brackets and operators
        return None
    return parsed


def _expression_words(text: str) -> Iterator[str | None]:
    """Give operators, brackets and ids in order; None for what is no license."""
    for piece in _OPERATOR.split(text):
        word = piece.strip()
        if word:
            yield word.upper() if _OPERATOR.fullmatch(word) else _single_id(word)


def _single_id(text: str) -> str | None:
    """Give the id that a text without operators stands for."""
    if _REFERENCE.fullmatch(text):
        return text
    address = _SPDX_ADDRESS.fullmatch(text)
    lower = (text if address is None else address["id"]).lower()
    ids = _ids()
    built = creative_commons_id(lower)
    named = _NAMES.get(lower.replace("licence", "license")) or _NAMES.get(lower)
    short = re.sub(r" licen[sc]e$", "", lower)
    candidates = (lower, short, built.lower() if built else "", named.lower() if named else "")
    return next((ids[each] for each in candidates if each in ids), None) or _or_later(lower)


def _or_later(lower: str) -> str | None:
    """Give an id with the `+` that SPDX lets stand behind any: this version, or a later one."""
    found = _ids().get(lower.removesuffix("+")) if lower.endswith("+") else None
    return None if found is None or found in _exceptions() else f"{found}+"


@cache
def _licensing() -> Licensing:
    from license_expression import get_spdx_licensing  # noqa: PLC0415 - 0.03 s that few commands need

    return get_spdx_licensing()


@cache
def _ids() -> dict[str, str]:
    """Give every id in lower case with the one it is now; an old one without a version stands for none."""
    known = _licensing().known_symbols
    old = {
        alias.lower(): key
        for key, symbol in known.items()
        for alias in symbol.aliases
        if any(letter.isdigit() for letter in alias)
    }
    return old | {key.lower(): key for key in known}


@cache
def _exceptions() -> frozenset[str]:
    return frozenset(key for key, symbol in _licensing().known_symbols.items() if symbol.is_exception)
