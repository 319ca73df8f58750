"""A Creative Commons license told from the ways people write it: its name, its abbreviation, its address.

The versions differ in what they allow, so one without a version cannot be told: https://creativecommons.org/licenses/
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\d+\.\d+|[a-z]+|\d+|[^\sa-z0-9]")
_ADDRESS = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/"
    r"(?:licenses/(?P<elements>[a-z+-]+)/(?P<version>\d\.\d)(?:/(?P<port>[a-z]{2,3}))?|publicdomain/(?P<domain>zero|mark)/1\.0)"
    r"(?:/(?:deed|legalcode)(?:\.[a-z_-]+)?|/rdf)?/?(?:[?#].*)?"
)
_PUNCTUATION = frozenset("-_,/():+")
_FILLERS = frozenset(
    [
        *("creative", "commons", "cc", "license", "licence", "licensed", "licenses", "the", "a", "under"),
        *("international", "unported", "generic", "universal", "intl", "aka", "music", "sharing"),
    ]
)
_ELEMENTS = {
    "by": "BY",
    "attribution": "BY",
    "nc": "NC",
    "noncommercial": "NC",
    "sa": "SA",
    "sharealike": "SA",
    "nd": "ND",
    "noderivs": "ND",
    "noderivatives": "ND",
    "noderivative": "ND",
    "zero": "ZERO",
}
_PAIRS = {
    ("non", "commercial"): "noncommercial",
    ("share", "alike"): "sharealike",
    ("no", "derivs"): "noderivs",
    ("no", "derivatives"): "noderivatives",
    ("no", "derivative"): "noderivative",
    ("noderivative", "works"): "noderivatives",
    ("noderivatives", "works"): "noderivatives",
}
_PORTS = {
    "united states": "us",
    "united kingdom": "uk",
    "england and wales": "uk",
    "germany": "de",
    "france": "fr",
    "austria": "at",
    "australia": "au",
    "netherlands": "nl",
    "japan": "jp",
    "intergovernmental organization": "igo",
}
_ORDER = ("BY", "NC", "ND", "SA")


def creative_commons_id(text: str) -> str | None:
    """Give the SPDX id that a text in lower case stands for; None where it is no text of this kind, or has no version.

    The id is built by the rule of such ids: whether SPDX has it is for the caller to look up.
    """
    address = _ADDRESS.fullmatch(text)
    if address is not None:
        return _of_address(address)
    if "://" in text:
        return None
    return _of_words(text)


def _of_address(address: re.Match[str]) -> str:
    if address["domain"] is not None:
        return {"zero": "CC0-1.0", "mark": "CC-PDM-1.0"}[address["domain"]]
    elements = {element.upper() for element in re.split(r"[+-]", address["elements"])}
    return _built(elements, address["version"], address["port"] or "")


def _of_words(text: str) -> str | None:
    if text.startswith("cc0"):
        text = "cc zero" + text[3:].replace("(cc0 1.0)", "").replace("public domain dedication", "")
    port = next((short for name, short in _PORTS.items() if text.endswith(f" {name}")), "")
    for name, short in _PORTS.items():
        text = text.removesuffix(f" {name}") if short == port else text
    words = _joined([word for word in _TOKEN.findall(text) if word not in _PUNCTUATION])
    if not _names_creative_commons(words):
        return None
    versions = {_version(word) for word in words if word[0].isdigit()}
    rest = [
        word for word in words if not word[0].isdigit() and word not in _FILLERS and word not in _ELEMENTS
    ]
    ports = {*rest, *([port] if port else [])}
    if len(versions) > 1 or len(ports) > 1 or any(len(word) not in {2, 3} for word in ports):
        return None
    elements = {_ELEMENTS[word] for word in words if word in _ELEMENTS}
    if elements == {"ZERO"} and versions <= {"1.0"} and not ports:
        return "CC0-1.0"  # the only one there is
    return _built(elements, versions.pop(), "".join(ports)) if versions else None


def _joined(words: list[str]) -> list[str]:
    """Give the words with those put together that are one: `non`, `commercial`."""
    joined: list[str] = []
    for word in words:
        pair = _PAIRS.get((joined[-1], word)) if joined else None
        if pair is None:
            joined.append(word)
        else:
            joined[-1] = pair
    return joined


def _names_creative_commons(words: list[str]) -> bool:
    """Tell whether the words are about these licenses at all: `by 4.0` alone is not."""
    elements = {_ELEMENTS[word] for word in words if word in _ELEMENTS}
    return (
        "cc" in words or words[:2] == ["creative", "commons"] or "attribution" in words or len(elements) > 1
    )


def _version(word: str) -> str:
    return word if "." in word else f"{word}.0"


def _built(elements: set[str], version: str, port: str) -> str:
    ordered = [element for element in _ORDER if element in elements]
    ordered += sorted(elements.difference(_ORDER))  # then it is no id, and SPDX does not have it
    return "-".join(["CC", *ordered, version, *([port.upper()] if port else [])])
