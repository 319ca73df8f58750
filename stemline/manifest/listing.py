"""A folder, prefix or glob of audio files as a manifest: its files, one batch a folder or less."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import fsspec.utils
import pyarrow as pa

from stemline.manifest.lines import BATCH_ROWS
from stemline.manifest.source import Place, is_local

SIZE = "__stemline_size"
_SCHEMA = pa.schema([("uri", pa.string()), (SIZE, pa.int64())])
_MAGIC = re.compile(r"[*?\[]")
_SUFFIXES = (
    *(".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aif", ".aiff"),
    *(".wma", ".webm", ".mka", ".alac", ".wv", ".ape"),
)


def read_listing(place: Place) -> pa.RecordBatchReader:
    """Give `uri` and size of every audio file at the place, hidden files left out, in no certain order."""
    return pa.RecordBatchReader.from_batches(_SCHEMA, _batches(_files(place)))


def _batches(files: Iterator[tuple[str, int]]) -> Iterator[pa.RecordBatch]:
    while some := list(islice(files, BATCH_ROWS)):
        uris, sizes = zip(*some, strict=True)
        yield pa.record_batch(
            [pa.array(list(uris), pa.string()), pa.array(list(sizes), pa.int64())], schema=_SCHEMA
        )


def _files(place: Place) -> Iterator[tuple[str, int]]:
    root, pattern = _root_and_pattern(place)
    is_here = is_local(place.file_system)
    # Walking folder by folder keeps one folder in memory; find() and glob() keep the whole tree.
    for _, _, files in place.file_system.walk(root, detail=True):
        for name, facts in files.items():
            path = str(facts["name"])
            if not _is_audio(name) or (pattern and not pattern.match(path)):
                continue
            yield (
                (path if is_here else str(place.file_system.unstrip_protocol(path))),
                int(facts["size"] or 0),
            )


def _root_and_pattern(place: Place) -> tuple[str, re.Pattern[str] | None]:
    magic = _MAGIC.search(place.path)
    if magic is None or place.file_system.isdir(place.path):
        return place.path, None
    root = place.path[: magic.start()].rsplit("/", 1)[0]
    return root, re.compile(fsspec.utils.glob_translate(place.path))


def _is_audio(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")
