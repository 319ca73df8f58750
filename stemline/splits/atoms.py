"""What ties a track to others: its artists and its ISRC, or what else the dataset is split by, each as a digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from stemline.splits.artist_names import is_placeholder, names_of, plain_name

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_NO_ISRC = re.compile(r"[\s.-]+")


def track_atoms(cells: Mapping[str, Any], by: str) -> tuple[int, ...]:
    """Give the digests of what a track is tied to others by, from its cells in the tracks table; in order.

    One that names nobody, and has no ISRC, is tied to what has the same audio, if that is known, else to nothing.
    """
    atoms = {*_group_atoms(cells, by)}
    isrc = well_formed_isrc(cells.get("isrc"))
    if isrc:
        atoms.add(text_digest(f"isrc:{isrc}"))
    if not atoms:
        digest = cells.get("source_sha256")
        atoms.add(text_digest(f"sha256:{digest}" if digest else f"track:{cells['track_id']}"))
    return tuple(sorted(atoms))


def needs_nobody(cells: Mapping[str, Any], by: str) -> bool:
    """Tell whether no other track can be tied to one: where it is alone is then all that its group is."""
    return not well_formed_isrc(cells.get("isrc")) and not _group_atoms(cells, by)


def given_split(cells: Mapping[str, Any]) -> str | None:
    """Give the split that the manifest says, if it does."""
    value = cells.get("split")
    text = "" if value is None else str(value)
    return text if text.strip() else None


def well_formed_isrc(value: object) -> str:
    """Give an ISRC (ISO 3901) without the marks between its parts, in capitals; empty for what is none."""
    text = "" if value is None else _NO_ISRC.sub("", str(value)).upper()
    return text if _ISRC.fullmatch(text) else ""


def _group_atoms(cells: Mapping[str, Any], by: str) -> tuple[int, ...]:
    if by == "artist":
        return tuple(map(name_digest, names_of(cells.get("artist"), cells.get("title"))))
    value = cells.get(by)
    if value is None or by == "isrc" or (by != "track_id" and is_placeholder(value)):
        return ()
    text = str(value) if by == "track_id" else plain_name(value)
    return (text_digest(f"{'track' if by == 'track_id' else by}:{text}"),)


@lru_cache(maxsize=65_536)
def name_digest(name: str) -> int:
    """Give the digest of an artist, by one of the names that `names_of` gives."""
    return text_digest(f"artist:{name}")


def text_digest(text: str) -> int:
    """Give the first eight bytes of a digest as a number."""
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(found[:8])
