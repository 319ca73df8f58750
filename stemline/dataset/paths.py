"""Where audio lies in the dataset, and names that any store takes."""

from __future__ import annotations

import hashlib

from stemline.records import Attempt

TABLES = ("stems", "activity", "tracks")
"""The folders of the tables, in the order in which a batch is written to them."""

STAGED_PREFIX = "_stemline/staged"
"""Where a collector leaves audio that is to be embedded, until its part is published."""

LONGEST_NAME = 180
"""How many characters the name of a file or folder has at most."""

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def stem_path(attempt: Attempt, stem: str, audio_format: str) -> str:
    """Give where a stem's audio lies, relative to the dataset.

    No two attempts share a path, so an object once named never changes.
    """
    return f"audio/{attempt_folder(attempt)}/{stem}.{audio_format}"


def staged_path(attempt: Attempt, stem: str, audio_format: str) -> str:
    """Give where a stem's audio waits to be embedded, relative to the dataset."""
    return f"{STAGED_PREFIX}/{attempt_folder(attempt)}/{stem}.{audio_format}"


def path_safe(text: str) -> str:
    """Give a file name that no other text gets: letters, digits, `.`, `_`, `-` stay, others become `=XX`."""
    escaped = "".join(
        chr(byte) if byte in _PLAIN and not (index == 0 and byte == ord(".")) else f"={byte:02X}"
        for index, byte in enumerate(text.encode("utf-8", "surrogatepass"))
    )
    return escaped if len(escaped) <= LONGEST_NAME else f"{escaped[:100]}=-{name_digest(text)}"


def attempt_folder(attempt: Attempt) -> str:
    """Give the folder of an attempt's objects, below `audio` or below where they wait."""
    track_id = attempt.track.track_id
    again = "" if attempt.number <= 1 else f"-{attempt.number}"
    asked = f"{path_safe(attempt.provider)}-{attempt.recipe.name}{again}"
    return f"{name_digest(track_id)[:2]}/{path_safe(track_id)}/{asked}"


def name_digest(text: str) -> str:
    """Give the SHA-256 of a name in hex, also of one that is no valid Unicode."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def rejects_key(run_id: str) -> str:
    """Give the key of the list of rows that a run could not use, for people."""
    return f"_stemline/rejects/{run_id}.csv"
