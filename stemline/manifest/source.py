"""Where a manifest is and in which form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import fsspec

from stemline.errors import ManifestError
from stemline.manifest.location import URL_PATTERN


class Form(StrEnum):
    """The forms of a manifest that can be read."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    LISTING = "listing"


LOCATION_NAMES = ("uri", "url", "path", "source_url")
"""The names of the location column, the first one found wins; case does not matter."""

FORMS = "Give a .csv, .tsv, .jsonl or .parquet file, or a folder, prefix or glob of audio files."
_FORM_OF_SUFFIX = {
    ".csv": Form.CSV,
    ".tsv": Form.TSV,
    ".jsonl": Form.JSONL,
    ".ndjson": Form.JSONL,
    ".parquet": Form.PARQUET,
}
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Source:
    """A manifest and the slice of it that is wanted."""

    manifest: str
    where: str | None = None
    limit: int | None = None
    storage_options: dict[str, Any] = field(default_factory=dict)
    order_by: str | None = None

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


@dataclass(frozen=True, slots=True)
class Place:
    """A source that was looked up: its file system, its path there, its form."""

    source: Source
    file_system: Any
    path: str
    form: Form
    base: str
    """What relative locations are relative to; ends with a slash."""


def find(source: Source) -> Place:
    """Give the manifest's place.

    Raises `ManifestError` when it is missing, cannot be reached, or is of no known form.
    """
    try:
        file_system, path = fsspec.core.url_to_fs(source.manifest, **source.storage_options)
        # A listing kept from an earlier scan would hide what has come since.
        file_system.invalidate_cache()
        form = _form(source, file_system, path)
    except ManifestError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise ManifestError(
            f'The manifest "{source.manifest}" cannot be reached: {first_line(error)}.',
            fix="Check catalogue.manifest and the credentials.",
        ) from error
    return Place(source, file_system, path, form, _base(source, file_system, path))


def _form(source: Source, file_system: Any, path: str) -> Form:  # noqa: ANN401 - fsspec ships no types
    if source.is_web:
        return _form_of_name(source)
    if not file_system.exists(path):
        if _MAGIC.search(path):
            return Form.LISTING
        raise ManifestError(
            f'The manifest "{source.manifest}" does not exist.', fix="Check catalogue.manifest in the config."
        )
    return Form.LISTING if file_system.isdir(path) else _form_of_name(source)


def _form_of_name(source: Source) -> Form:
    form = _FORM_OF_SUFFIX.get(source.name.suffix.lower())
    if form is None:
        raise ManifestError(f'The manifest "{source.manifest}" has no known form.', fix=FORMS)
    if form is Form.PARQUET and source.is_gzipped:
        raise ManifestError(
            f'The manifest "{source.manifest}" is a gzipped parquet file.',
            fix="Unpack it: parquet is compressed inside.",
        )
    return form


def _base(source: Source, file_system: Any, path: str) -> str:  # noqa: ANN401 - fsspec ships no types
    if source.is_web:
        return source.manifest.split("?", 1)[0].rsplit("/", 1)[0] + "/"
    if is_local(file_system):
        return path.rsplit("/", 1)[0] + "/"
    return str(file_system.unstrip_protocol(path)).rsplit("/", 1)[0] + "/"


def is_local(file_system: Any) -> bool:  # noqa: ANN401 - fsspec ships no types
    """Tell whether a file system is this machine's own."""
    protocol = file_system.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def first_line(error: BaseException) -> str:
    """Give the first line of an error's text without a trailing full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
