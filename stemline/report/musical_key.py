"""The 24 musical keys, however a provider or a manifest spells them."""

from __future__ import annotations

import re

MAJORS = ("C", "D♭", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
MINORS = ("Cm", "C♯m", "Dm", "E♭m", "Em", "Fm", "F♯m", "Gm", "G♯m", "Am", "B♭m", "Bm")
KEYS = (*MAJORS, *MINORS)
"""Majors from C upwards in semitones, then minors likewise."""

_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHIFT = {"#": 1, "♯": 1, "b": -1, "♭": -1, "": 0}
_NAMED = re.compile(r"([A-Ga-g])\s*([#♯b♭]?)(?:[\s_-]*(major|maj|minor|min|M|m))?", re.ASCII)
_CAMELOT = re.compile(r"(1[0-2]|[1-9])([ABab])")


def key_index(name: str) -> int | None:
    """Give the place in KEYS of `Am`, `A minor`, `Bb`, `F#min` or `8A`; None for what is no key."""
    spelled = name.strip()
    if match := _CAMELOT.fullmatch(spelled):
        is_minor = match[2] in "Aa"
        # Camelot 8B is C and each step is a fifth; 8A is its relative minor.
        tonic = (7 * (int(match[1]) - 8) + (9 if is_minor else 0)) % 12
        return tonic + 12 * is_minor
    if not (match := _NAMED.fullmatch(_lowered(spelled))):
        return None
    tonic = (_NATURAL[match[1].upper()] + _SHIFT[match[2]]) % 12
    return tonic + 12 * ((match[3] or "").startswith("m") and not (match[3] or "").startswith("maj"))


def _lowered(spelled: str) -> str:
    """Give a spelled-out mode in lower case, so that `A Minor` reads as `A minor`; `M` and `m` stay apart."""
    return re.sub(r"(?i)maj(or)?|min(or)?", lambda match: match[0].lower(), spelled)
