"""The audio files of a folder, prefix or glob, with what was passed over among them."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import fsspec.utils
import pyarrow as pa

from stemline.errors import ManifestError
from stemline.manifest.lines import BATCH_ROWS, text_array
from stemline.manifest.passed_over import DATASETS, kind_of

SIZE = "__stemline_size"
"""The column with an audio file's size in a listing."""
NAME_PROBLEM = "__stemline_name_problem"
"""The column that says why a file cannot be a track, to go behind `Row 5 `; null: it can."""
DATASET_FOLDER = "_stemline"
"""What every dataset has in its own folder."""
GLOB = re.compile(r"[*?\[]")

_MAY_READ = "give yourself the right to read it, or take it out of the catalogue"
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
    is_dataset: bool = False
    """Whether it is a folder that holds a dataset of stems, and stands for all that is in it."""


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

        Hidden files are passed over, and so are datasets of stems: a run after the first would pay for what that one
        made. Linked folders are followed. Raises ManifestError where the place itself is a dataset.
        """
        if self.file_system.exists(f"{self.root.rstrip('/')}/{DATASET_FOLDER}"):
            raise dataset_refused(self.root)
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
            elif found.is_dataset:
                self.passed_over[DATASETS] += 1
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
            if os.path.isdir(os.path.join(folder, DATASET_FOLDER)):  # noqa: PTH112, PTH118 - as above
                yield FoundFile(folder, None, is_dataset=True)
                continue
            entries = os.scandir(folder)
        except OSError as error:
            what = f'is the folder "{folder}", which cannot be read ({error.strerror}): {_MAY_READ}.'
            yield FoundFile(folder, None, what)
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
    dataset = None
    while True:
        page = file_system.call_s3("list_objects_v2", **asked, **more)
        for found in page.get("Contents", ()):
            path = f"{bucket}/{found['Key']}"
            if dataset is not None and path.startswith(dataset):
                continue
            if (dataset := _dataset_of(path)) is not None:  # of what a dataset holds, this is listed first
                yield FoundFile(dataset, None, is_dataset=True)
            elif not path.endswith("/"):
                yield FoundFile(path, int(found["Size"]))
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
    if is_flat:
        yield from _flat_files(file_system.find(root, detail=True))
        return
    for folder, within, files in file_system.walk(root, detail=True):
        if DATASET_FOLDER in within:
            within.clear()  # and nothing below it is looked at
            yield FoundFile(str(folder), None, is_dataset=True)
        else:
            yield from (_found(facts) for facts in files.values())


def _flat_files(listed: Mapping[str, dict[str, Any]]) -> Iterator[FoundFile]:
    datasets = {dataset for path in listed if (dataset := _dataset_of(path)) is not None}
    yield from (FoundFile(dataset, None, is_dataset=True) for dataset in sorted(datasets))
    inside = tuple(datasets)
    yield from (_found(facts) for path, facts in listed.items() if not path.startswith(inside))


def _found(facts: Mapping[str, Any]) -> FoundFile:
    return FoundFile(str(facts["name"]), int(facts["size"] or 0))


def _dataset_of(path: str) -> str | None:
    """Give the folder of the dataset, with a slash behind it, of whose own files this is one; None for others."""
    before, mark, _ = path.partition(f"/{DATASET_FOLDER}/")
    return f"{before}/" if mark else None


def dataset_refused(place: str) -> ManifestError:
    """Give the error of a catalogue whose folder is that of a dataset."""
    return ManifestError(
        f'"{place}" holds a dataset of stems: a run would pay for what an earlier one made.',
        fix="Name the folder of your music in catalogue.manifest, and another one, beside or in it, in dataset.url.",
    )
