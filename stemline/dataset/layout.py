"""Where things lie: the folders of a partition, the path of a stem.

A partition's folder is `by_<column>=<value>` and the column itself stays in the file. One name for both
cannot be read by everyone: pandas refuses a text column beside a folder of the same name, pyarrow a
dictionary one, and Hugging Face `datasets` loses a column that only the folder names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa

from stemline.dataset.schema import stems_schema, tracks_schema
from stemline.errors import ConfigError
from stemline.records import Attempt

STAGED_PREFIX = "_stemline/staged"
"""Where a collector leaves audio that is to be embedded, until its part is published."""

# Not hive's own word: pyarrow makes that a null, and pandas cannot read a table whose folders have one.
_NO_VALUE = "__null__"
_LONGEST_NAME = 180
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@dataclass(frozen=True)
class Layout:
    """How the tables are cut into folders and which columns they have."""

    partition_by: tuple[str, ...] = ("provider", "collected_on")
    carried: pa.Schema = field(default_factory=lambda: pa.schema([]))
    """The manifest's own columns with their types."""
    audio: Literal["objects", "embedded"] = "objects"

    def __post_init__(self) -> None:
        """Refuse a partition column that is not there.

        Raises:
            ConfigError: it names the column and those there are.
        """
        names = self.tracks.names
        for column in self.partition_by:
            if column not in names:
                raise ConfigError(
                    f"dataset.partition_by names {column!r}, which is no column of the tracks table.",
                    fix=f"Its columns are {', '.join(names)}.",
                )

    @property
    def tracks(self) -> pa.Schema:
        """The schema of the tracks table."""
        return tracks_schema(self.carried, self.partition_by)

    @property
    def stems(self) -> pa.Schema:
        """The schema of the stems table."""
        return stems_schema(self.tracks, self.partition_by, embedded=self.audio == "embedded")

    def folder(self, row: Mapping[str, Any]) -> str:
        """Give the partition folders of a row of the tracks table; empty when nothing partitions."""
        return "/".join(f"by_{column}={_folder_value(row[column])}" for column in self.partition_by)


def stem_path(attempt: Attempt, stem: str, audio_format: str) -> str:
    """Give where a stem's audio lies, relative to the dataset.

    No two attempts share a path, so an object once named never changes.
    """
    return f"audio/{_below(attempt)}/{stem}.{audio_format}"


def staged_path(attempt: Attempt, stem: str, audio_format: str) -> str:
    """Give where a stem's audio waits to be embedded, relative to the dataset."""
    return f"{STAGED_PREFIX}/{_below(attempt)}/{stem}.{audio_format}"


def path_safe(text: str) -> str:
    """Give a file name that no other text gets: letters, digits, `.`, `_`, `-` stay, others become `=XX`."""
    escaped = "".join(
        chr(byte) if byte in _PLAIN and not (index == 0 and byte == ord(".")) else f"={byte:02X}"
        for index, byte in enumerate(text.encode("utf-8", "surrogatepass"))
    )
    return escaped if len(escaped) <= _LONGEST_NAME else f"{escaped[:100]}=-{_digest(text)}"


def _below(attempt: Attempt) -> str:
    track_id = attempt.track.track_id
    again = "" if attempt.number <= 1 else f"-{attempt.number}"
    asked = f"{path_safe(attempt.provider)}-{attempt.recipe.name}{again}"
    return f"{_digest(track_id)[:2]}/{path_safe(track_id)}/{asked}"


def _folder_value(value: object) -> str:
    """Give a value as a hive folder spells it: percent-encoded, so that readers give it back."""
    if value is None or value == "":
        return _NO_VALUE
    text = str(value).lower() if isinstance(value, bool) else str(value)
    name = quote(text, safe="", errors="surrogatepass")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{quote(text[:12], safe='', errors='surrogatepass')}...{_digest(text)[:32]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
