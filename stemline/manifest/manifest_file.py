"""Where a manifest is and in which form; a folder, prefix or glob of audio files is a manifest too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any

import fsspec
import fsspec.utils
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.lines import BATCH_ROWS, int_array, text_array
from stemline.manifest.manifest_source import ManifestSource


class ManifestForm(StrEnum):
    """The forms of a manifest that can be read."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    LISTING = "listing"


SIZE = "__stemline_size"
"""The column with an audio file's size in a listing."""

_FORMS = "Give a .csv, .tsv, .jsonl or .parquet file, or a folder, prefix or glob of audio files."
_FORM_OF_SUFFIX = {
    ".csv": ManifestForm.CSV,
    ".tsv": ManifestForm.TSV,
    ".jsonl": ManifestForm.JSONL,
    ".ndjson": ManifestForm.JSONL,
    ".parquet": ManifestForm.PARQUET,
}
_GLOB = re.compile(r"[*?\[]")
_LISTING_SCHEMA = pa.schema([("uri", pa.string()), (SIZE, pa.int64())])
_AUDIO_SUFFIXES = (
    *(".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aif", ".aiff"),
    *(".wma", ".webm", ".mka", ".alac", ".wv", ".ape"),
)


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest that was found: its file system, its path there, its form."""

    source: ManifestSource
    file_system: Any
    path: str
    form: ManifestForm
    base: str
    """What relative locations are relative to; ends with a slash."""


def find_manifest(source: ManifestSource) -> ManifestFile:
    """Give where the manifest is and in which form.

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
    return ManifestFile(source, file_system, path, form, _base(source, file_system, path))


def _form(source: ManifestSource, file_system: Any, path: str) -> ManifestForm:  # noqa: ANN401 - fsspec ships no types
    if source.is_web:
        return _form_of_name(source)
    if not file_system.exists(path):
        if _GLOB.search(path):
            return ManifestForm.LISTING
        raise ManifestError(
            f'The manifest "{source.manifest}" does not exist.', fix="Check catalogue.manifest in the config."
        )
    return ManifestForm.LISTING if file_system.isdir(path) else _form_of_name(source)


def _form_of_name(source: ManifestSource) -> ManifestForm:
    form = _FORM_OF_SUFFIX.get(source.name.suffix.lower())
    if form is None:
        raise ManifestError(f'The manifest "{source.manifest}" has no known form.', fix=_FORMS)
    if form is ManifestForm.PARQUET and source.is_gzipped:
        raise ManifestError(
            f'The manifest "{source.manifest}" is a gzipped parquet file.',
            fix="Unpack it: parquet is compressed inside.",
        )
    return form


def _base(source: ManifestSource, file_system: Any, path: str) -> str:  # noqa: ANN401 - fsspec ships no types
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


def read_listing(file: ManifestFile) -> pa.RecordBatchReader:
    """Give `uri` and size of every audio file of a folder, prefix or glob, in no certain order.

    Hidden files are left out.
    """
    return pa.RecordBatchReader.from_batches(_LISTING_SCHEMA, _batches(_files(file)))


def _batches(files: Iterator[tuple[str, int]]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(files, BATCH_ROWS)):
        uris, sizes = zip(*some, strict=True)
        yield pa.RecordBatch.from_arrays([text_array(uris), int_array(sizes)], schema=_LISTING_SCHEMA)


def _files(file: ManifestFile) -> Iterator[tuple[str, int]]:
    root, pattern = _root_and_pattern(file)
    is_here = is_local(file.file_system)
    # Walking folder by folder keeps one folder in memory; find() and glob() keep the whole tree.
    for _, _, files in file.file_system.walk(root, detail=True):
        for name, facts in files.items():
            path = str(facts["name"])
            if not _is_audio(name) or (pattern and not pattern.match(path)):
                continue
            yield (
                (path if is_here else str(file.file_system.unstrip_protocol(path))),
                int(facts["size"] or 0),
            )


def _root_and_pattern(file: ManifestFile) -> tuple[str, re.Pattern[str] | None]:
    glob = _GLOB.search(file.path)
    if glob is None or file.file_system.isdir(file.path):
        return file.path, None
    root = file.path[: glob.start()].rsplit("/", 1)[0]
    return root, re.compile(fsspec.utils.glob_translate(file.path))


def _is_audio(name: str) -> bool:
    return name.lower().endswith(_AUDIO_SUFFIXES) and not name.startswith(".")
