"""Where a manifest is and in which form; a folder, prefix or glob of audio files is a manifest too."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stemline.errors import ManifestError
from stemline.file_place import file_place
from stemline.library_words import in_our_words
from stemline.manifest.listing import GLOB, Listing, is_audio_name
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.manifest.windows_path import is_windows_path


class ManifestForm(StrEnum):
    """The forms of a manifest that can be read."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    LISTING = "listing"


_NO_COLUMN = re.compile(r'Referenced column "?([^"]+?)"? not found')
_AGGREGATE = re.compile(r"GROUP BY|aggregate", re.IGNORECASE)
_SYNTAX = re.compile(r'syntax error at or near "([^"]*)"')
_FORMS = (
    "Give a .csv, .tsv, .jsonl or .parquet file, a folder of Parquet parts, "
    "or a folder, prefix or glob of audio files."
)
_FORM_OF_SUFFIX = {
    ".csv": ManifestForm.CSV,
    ".tsv": ManifestForm.TSV,
    ".jsonl": ManifestForm.JSONL,
    ".ndjson": ManifestForm.JSONL,
    ".parquet": ManifestForm.PARQUET,
}


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest that was found: its file system, its path there, its form."""

    source: ManifestSource
    file_system: Any
    path: str
    form: ManifestForm
    base: str
    """What relative locations are relative to; ends with a slash."""
    listing: Listing | None = None
    """The audio files, when these are the manifest."""
    parts: tuple[str, ...] = ()
    """The paths of the Parquet files, in their order."""
    passed_over: Counter[str] = field(default_factory=Counter)
    """What of it is no row, by kind; counted as it is read."""


def find_manifest(source: ManifestSource) -> ManifestFile:
    """Give where the manifest is and in which form.

    Raises `ManifestError` when it is missing, cannot be reached, or is of no known form.
    """
    try:
        file_system, path = file_place(source.manifest, source.storage_options, is_url=source.is_url)
        # A listing kept from an earlier scan would hide what has come since.
        file_system.invalidate_cache()
        form = _form(source, file_system, path)
        parts = (
            _parquet_parts(file_system, path) if form is ManifestForm.PARQUET and not source.is_web else ()
        )
    except ManifestError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise ManifestError(
            f'The manifest "{source.manifest}" cannot be reached: {first_line(error)}.',
            fix="Check catalogue.manifest and the credentials.",
        ) from error
    is_listing = form is ManifestForm.LISTING
    listing = Listing.of(file_system, path, is_local=is_local(file_system)) if is_listing else None
    passed_over = Counter[str]() if listing is None else listing.passed_over
    base = _base(source, file_system, path)
    return ManifestFile(source, file_system, path, form, base, listing, parts, passed_over)


def find_source_root(source: ManifestSource) -> SourceRoot:
    """Give what source URIs are relative to: `catalogue.root`, a catalogue's own folder, or its manifest's.

    Only a folder is looked at. Where that is out of reach URIs stay as they are.
    """
    if source.root is not None:
        return SourceRoot.of_folder(source.root)
    try:
        if source.parsed is None and source.name.suffix.lower() in _FORM_OF_SUFFIX:
            place = file_place(source.manifest, source.storage_options, is_url=source.is_url)
            return SourceRoot(_base(source, *place))
        file = source.parsed.file if source.parsed is not None else find_manifest(source)
    except (ManifestError, OSError, ValueError, ImportError):
        return NOWHERE
    return SourceRoot(listing_root(file) or file.base)


def listing_root(file: ManifestFile) -> str | None:
    """Give the folder or prefix that a listing's files lie below, with a slash at its end; None for a table."""
    if file.listing is None:
        return None
    root = file.listing.root
    root = root if file.listing.is_local else str(file.file_system.unstrip_protocol(root))
    return root.rstrip("/") + "/"


def _parquet_parts(file_system: Any, path: str) -> tuple[str, ...]:  # noqa: ANN401 - fsspec ships no types
    """Give the Parquet files that a file, a folder or a glob stands for; hidden ones and `_metadata` are none."""
    if file_system.isfile(path):
        return (path,)
    found = file_system.find(path) if file_system.isdir(path) else file_system.glob(path)
    return tuple(sorted(str(each) for each in found if _is_part(str(each).removeprefix(path))))


def _is_part(path: str) -> bool:
    *_, name = path.split("/")
    is_hidden = any(each.startswith((".", "_")) for each in path.split("/") if each)
    return name.lower().endswith(".parquet") and not is_hidden


def _form(source: ManifestSource, file_system: Any, path: str) -> ManifestForm:  # noqa: ANN401 - fsspec ships no types
    if source.is_web:
        return _form_of_name(source)
    if not file_system.exists(path):
        if GLOB.search(path):
            return ManifestForm.PARQUET if path.lower().endswith(".parquet") else ManifestForm.LISTING
        raise _missing(source, path)
    if not file_system.isdir(path):
        return _form_of_name(source)
    is_table = _holds_parquet(file_system, path)
    return ManifestForm.PARQUET if is_table else ManifestForm.LISTING


def _missing(source: ManifestSource, path: str) -> ManifestError:
    if is_windows_path(source.manifest):
        fix = "It is a path of a Windows machine: write in catalogue.manifest where it lies on this one."
    elif source.is_url or path == source.manifest:
        fix = "Put the place of your manifest, or of a folder of music, into catalogue.manifest."
    else:
        fix = (
            f"It was looked for as {path}, from where the command runs. Put the place of your manifest, or of a folder "
            "of music, into catalogue.manifest."
        )
    return ManifestError(f'The manifest "{source.manifest}" does not exist.', fix=fix)


def _holds_parquet(file_system: Any, path: str) -> bool:  # noqa: ANN401 - fsspec ships no types
    """Tell whether a folder is a table in parts: Parquet files in it, or in folders such as `year=2024`."""
    for facts in file_system.ls(path, detail=True):
        name = str(facts["name"]).rstrip("/")
        base = name.rsplit("/", 1)[-1]
        if base.startswith((".", "_")):
            continue
        if facts["type"] != "directory" and base.lower().endswith(".parquet"):
            return True
        if facts["type"] == "directory" and "=" in base and _holds_parquet(file_system, name):
            return True
    return False


def _form_of_name(source: ManifestSource) -> ManifestForm:
    form = _FORM_OF_SUFFIX.get(source.name.suffix.lower())
    if form is None:
        ending, is_audio = source.name.suffix, is_audio_name(source.name.name)
        what = (
            "it is an audio file"
            if is_audio
            else f"its name {f'ends in {ending}' if ending else 'has no ending'}"
        )
        raise ManifestError(
            f'The manifest "{source.manifest}" has no known form: {what}.',
            fix="Give the folder it lies in, or a table that lists it." if is_audio else _FORMS,
        )
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


def filter_reason(error: BaseException) -> str:
    """Say what is wrong with a filter or an order, in words of the manifest rather than of SQL."""
    told = first_line(error).split("Error: ", 1)[-1].rstrip("!")
    if missing := _NO_COLUMN.search(told):
        return f'there is no column "{missing[1]}"'
    if _AGGREGATE.search(told):
        return "aggregates such as sum() take rows together, and each row is asked for itself"
    if near := _SYNTAX.search(told):
        # The bracket behind it is ours: what is there ends too early.
        return "it ends too early" if near[1] == ")" else f'it cannot be read at "{near[1]}"'
    return told


def first_line(error: BaseException) -> str:
    """Give the first line of an error's text without a trailing full stop."""
    return in_our_words((str(error).strip() or type(error).__name__).splitlines()[0].rstrip("."))
