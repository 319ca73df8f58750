"""How the tables are laid out: which folders partition them, which columns they have.

A partition's folder is `by_<column>=<value>` and the column itself stays in the file. One name for both
cannot be read by everyone: pandas refuses a text column beside a folder of the same name, pyarrow a
dictionary one, and Hugging Face `datasets` loses a column that only the folder names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import pyarrow as pa

from stemline.dataset.paths import LONGEST_NAME, name_digest
from stemline.dataset.table_schemas import activity_schema, stems_schema, tracks_schema
from stemline.errors import ConfigError
from stemline.manifest.source_root import NOWHERE, SourceRoot

# Not hive's own word: pyarrow makes that a null, and pandas cannot read a table whose folders have one.
_NO_VALUE = "__null__"
_HIVES_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class DatasetLayout:
    """How the tables are cut into folders and which columns they have."""

    partition_by: tuple[str, ...] = ("provider", "collected_on")
    carried: pa.Schema = field(default_factory=lambda: pa.schema([]))
    """The manifest's own columns with their types."""
    audio: Literal["objects", "embedded"] = "objects"
    source_root: SourceRoot = NOWHERE
    """What `source_uri` is relative to."""
    gives_splits: bool = False
    """Whether who publishes gives every row its split."""

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

    @property
    def activity(self) -> pa.Schema:
        """The schema of the activity table."""
        return activity_schema(self.tracks, self.partition_by)

    def schema_of(self, table: str) -> pa.Schema:
        """Give the schema of a table by its name."""
        return {"tracks": self.tracks, "stems": self.stems, "activity": self.activity}[table]

    def folder(self, row: Mapping[str, Any]) -> str:
        """Give the partition folders of a row of the tracks table; empty when nothing partitions."""
        return "/".join(f"by_{column}={_folder_value(row[column])}" for column in self.partition_by)


def _folder_value(value: object) -> str:
    """Give a value as a hive folder spells it: percent-encoded, so that readers give it back."""
    if value is None or value == "":
        return _NO_VALUE
    text = str(value).lower() if isinstance(value, bool) else str(value)
    name = quote(text, safe="", errors="surrogatepass")
    if len(name) <= LONGEST_NAME and text != _HIVES_NULL:
        return name
    return f"{quote(text[:12], safe='', errors='surrogatepass')}...{name_digest(text)[:32]}"
