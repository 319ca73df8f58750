"""A manifest as the configuration names it, and the slice of it that is wanted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from stemline.manifest.location import URL_PATTERN

LOCATION_NAMES = ("uri", "url", "path", "source_url")
"""The names of the location column, the first one found wins; case does not matter."""

UNDECIDED = b"stemline.undecided"
"""In the metadata of a PyArrow field: no value was ever seen, so its type may still become another."""


def is_undecided(column: Any) -> bool:  # noqa: ANN401 - PyArrow is heavy, and this module is light
    """Tell whether no value has yet decided the type of a column, a PyArrow field."""
    return bool(column.metadata and UNDECIDED in column.metadata)


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A manifest and the slice of it that is wanted."""

    manifest: str
    where: str | None = None
    limit: int | None = None
    skip: int = 0
    """Of the selected rows so many are passed over, before `limit` counts."""
    storage_options: dict[str, Any] = field(default_factory=dict, repr=False)
    order_by: str | None = None
    rows: tuple[int, ...] | None = None
    """The rows that are wanted, by their numbers; None: all."""
    root: str | None = None
    """A folder that files of this machine must lie in; None: they may lie anywhere."""
    types: dict[str, str] = field(default_factory=dict)
    """Column: its type, in the words of `catalogue.types`."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our name: the manifest's name of a column."""
    carried: Any = None
    """The columns the dataset keeps, a PyArrow schema; None: there is no dataset yet."""
    parsed: Any = field(default=None, repr=False, compare=False)
    """The manifest where it is parsed already (see `loading.parse_manifest`); None: each reading parses it."""

    @property
    def is_url(self) -> bool:
        """Whether the manifest has a scheme, such as s3:// (file:// counts too)."""
        return re.match(URL_PATTERN, self.manifest) is not None

    @property
    def is_web(self) -> bool:
        """Whether the manifest is read over http(s)."""
        return self.manifest.lower().startswith(("http://", "https://"))

    @property
    def name(self) -> PurePosixPath:
        """The manifest's path without scheme, query or `.gz`, for its suffix."""
        path = urlsplit(self.manifest).path if self.is_web else self.manifest
        return PurePosixPath(path[:-3] if self.is_gzipped else path)

    @property
    def is_gzipped(self) -> bool:
        """Whether the file is compressed with gzip, by its name."""
        path = urlsplit(self.manifest).path if self.is_web else self.manifest
        return path.lower().endswith(".gz")
