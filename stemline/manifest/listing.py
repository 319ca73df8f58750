"""The audio files of a folder, prefix or glob, with what was passed over among them."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import fsspec.utils
import pyarrow as pa

from stemline.manifest.lines import BATCH_ROWS, text_array
from stemline.manifest.passed_over import kind_of

SIZE = "__stemline_size"
"""The column with an audio file's size in a listing."""
NAME_PROBLEM = "__stemline_name_problem"
"""The column that says why a file cannot be a track, to go behind `Row 5 `; null: it can."""
GLOB = re.compile(r"[*?\[]")

_SCHEMA = pa.schema([("uri", pa.string()), (SIZE, pa.int64()), (NAME_PROBLEM, pa.string())])
_AUDIO_SUFFIXES = (
    *(".mp3", ".mp2", ".mpga", ".mpa", ".wav", ".wave", ".w64", ".rf64", ".bwf", ".flac", ".aif", ".aiff"),
    *(
        ".aifc",
        ".caf",
        ".au",
        ".snd",
        ".ogg",
        ".oga",
        ".ogx",
        ".opus",
        ".spx",
        ".m4a",
        ".m4b",
        ".m4r",
        ".mp4",
    ),
    *(".aac", ".ac3", ".eac3", ".dts", ".amr", ".3gp", ".3ga", ".wma", ".asf", ".webm", ".mka", ".alac"),
    *(".wv", ".ape", ".tta", ".tak", ".mpc", ".dsf", ".dff"),
)


class FoundFile(NamedTuple):
    """A file that was found: its path as the store has it."""

    path: str
    size_bytes: int | None
    """None: it is no regular file, or a link that leads nowhere."""
    problem: str = ""
    """Why it cannot even be looked at."""


@dataclass(slots=True)
class Listing:
    """The audio files below a place; `passed_over` counts the others once all were read."""

    file_system: Any
    root: str
    pattern: re.Pattern[str] | None
    is_local: bool
    passed_over: Counter[str] = field(default_factory=Counter)
    """By the ends of their names."""

    @classmethod
    def of(cls, file_system: Any, path: str, *, is_local: bool) -> Listing:  # noqa: ANN401 - fsspec ships no types
        """Give the listing of a folder, a prefix or a glob."""
        glob = GLOB.search(path)
        if glob is None or file_system.isdir(path):
            return cls(file_system, path, None, is_local)
        root = path[: glob.start()].rsplit("/", 1)[0]
        return cls(file_system, root, re.compile(fsspec.utils.glob_translate(path)), is_local)

    def read(self) -> pa.RecordBatchReader:
        """Give `uri`, size and what is wrong with its name of every audio file, in no certain order.

        Hidden files are passed over; linked folders are followed.
        """
        return pa.RecordBatchReader.from_batches(_SCHEMA, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        rows = (self._row(found) for found in self._wanted())
        while some := list(islice(rows, BATCH_ROWS)):
            uris, sizes, problems = zip(*some, strict=True)
            # By way of text: an array of numbers would import pandas.
            written = text_array([None if size is None else str(size) for size in sizes])
            arrays = [text_array(uris), written.cast(pa.int64()), text_array(problems)]
            yield pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)

    def _wanted(self) -> Iterator[FoundFile]:
        for found in self._files():
            name = found.path.rsplit("/", 1)[-1]
            if found.problem:
                yield found
            elif self.pattern and not self.pattern.match(found.path):
                continue  # what was not asked for was not passed over
            elif name.startswith(".") or not is_audio_name(name):
                self.passed_over[kind_of(name)] += 1
            else:
                yield found

    def _files(self) -> Iterator[FoundFile]:
        if self.is_local:
            return _local_files(self.root)
        if hasattr(self.file_system, "call_s3"):
            return _s3_files(self.file_system, self.root)
        return _stored_files(self.file_system, self.root)

    def _row(self, found: FoundFile) -> tuple[str, int | None, str | None]:
        path = found.path if self.is_local else str(self.file_system.unstrip_protocol(found.path))
        try:
            path.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(path).decode(errors="backslashreplace")
            return shown, None, f'has a name that is not UTF-8: "{shown}". Rename the file.'
        return path, found.size_bytes, found.problem or None


def is_audio_name(name: str) -> bool:
    """Tell whether a file's name ends like audio."""
    return name.lower().endswith(_AUDIO_SUFFIXES)


def _local_files(root: str) -> Iterator[FoundFile]:
    """Give every file below a folder; a folder that links lead to twice is entered once."""
    entered: set[tuple[int, int]] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            facts = os.stat(folder)  # noqa: PTH116 - paths that are not UTF-8 stay texts
            if (facts.st_dev, facts.st_ino) in entered:
                continue
            entered.add((facts.st_dev, facts.st_ino))
            entries = os.scandir(folder)
        except OSError as error:
            yield FoundFile(folder, None, f'is a folder that cannot be read: "{folder}" ({error.strerror}).')
            continue
        with entries:
            for entry in entries:
                size_bytes, is_folder = _look_at(entry)
                if is_folder:
                    folders.append(entry.path)
                else:
                    yield FoundFile(entry.path, size_bytes)


def _look_at(entry: os.DirEntry[str]) -> tuple[int | None, bool]:
    """Give the size of a regular file, and whether it is a folder; links are followed."""
    try:
        if entry.is_dir():
            return None, True
        facts = entry.stat()
    except OSError:
        return None, False
    return (facts.st_size if stat.S_ISREG(facts.st_mode) else None), False


def _s3_files(file_system: Any, root: str) -> Iterator[FoundFile]:  # noqa: ANN401 - fsspec ships no types
    """Give every key below a prefix, a page of a thousand for a request."""
    bucket, _, prefix = root.partition("/")
    asked = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
    more: dict[str, str] = {}
    while True:
        page = file_system.call_s3("list_objects_v2", **asked, **more)
        for found in page.get("Contents", ()):
            if not found["Key"].endswith("/"):
                yield FoundFile(f"{bucket}/{found['Key']}", int(found["Size"]))
        if not page.get("IsTruncated"):
            return
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _stored_files(file_system: Any, root: str) -> Iterator[FoundFile]:  # noqa: ANN401 - fsspec ships no types
    """Give every file of another store: in one flat listing where its client has one, else folder by folder."""
    is_flat = any(
        "_find" in vars(kind)
        for kind in type(file_system).__mro__
        if kind.__module__.split(".")[0] != "fsspec"
    )
    found: Iterable[dict[str, Any]] = (
        file_system.find(root, detail=True).values()
        if is_flat
        else (facts for _, _, files in file_system.walk(root, detail=True) for facts in files.values())
    )
    for facts in found:
        yield FoundFile(str(facts["name"]), int(facts["size"] or 0))
