"""The contract of a form of exports, and the forms there are."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from stemline.errors import UsageError
from stemline.export.options import ExportOptions
from stemline.export.sample import ExportSample
from stemline.export.target_files import TargetFiles, WrittenShard

_FORMS = {
    "hf": ("stemline.export.hf", "HuggingFaceForm"),
    "webdataset": ("stemline.export.webdataset", "WebDatasetForm"),
    "msst": ("stemline.export.msst", "TrainerForm"),
    "shar": ("stemline.export.shar", "SharForm"),
}


@dataclass(frozen=True, slots=True)
class ExportShard:
    """What is written in one go, and redone as a whole when it is cut off: consecutive tracks of one split."""

    split: str
    number: int
    """In its split, from 0."""
    count: int
    """How many shards the split has."""
    first_row: int
    """In the selection, which is sorted by split and track_id."""
    tracks: int

    @property
    def name(self) -> str:
        """A file name of it that no other shard has."""
        return f"{self.split}-{self.number:06}"


@dataclass(frozen=True, slots=True)
class ExportContents:
    """What all shards together hold, known before the first is written; the same selection gives the same."""

    options: ExportOptions
    digest: str
    """Of selection and options: another export has another one."""
    columns: pa.Schema
    """The metadata of a sample, `ExportSample.metadata`, with the types the tables have."""
    stems: tuple[str, ...]
    """All stems that any sample has, in order; a track may lack one unless `options.stems` named it."""
    splits: dict[str, int]
    """The splits by the names that files have, in order, and how many tracks were selected of each."""
    shards: tuple[ExportShard, ...]
    title: str
    """What the card is headed with."""

    @property
    def first_split(self) -> str:
        """The split that a card's examples open."""
        return "train" if "train" in self.splits else next(iter(self.splits))


class ExportForm(ABC):
    """One form of exports: what a shard's files are, and what stands beside them.

    The frame (`exporting.export_dataset`) selects, plans, reads and records; a form writes. It is called so:

    1. `write_shard` once for each shard, in order, with the shard's samples as they are read: one at a time, so that
       a form holds no more than it must. A run that goes on skips shards that were finished. A sample whose audio
       is missing or altered never comes: the frame lists it as left out.
    2. `write_whole` once, when all shards are written: lists and tables over everything, from the shards' records.
       What it needs to know of a shard, `write_shard` returns as `facts` (JSON): they are kept with the record.
    3. `card` once: the README.

    All bytes go through `files` (`TargetFiles`): `files.create(path)` gives a writable file that streams to the target
    and has its name only when it is whole; `files.put(path, data)` is for small ones. Size and SHA-256 are recorded by
    it. Nothing else may be written, nothing may depend on clock, machine, path of the target, or on other shards:
    the same selection gives the same bytes, in which order and how often ever shards are written. Paths are relative
    to the target, with `/`; `README.md`, `export.json` and `_export/` are the frame's own.

    Sound comes in `ExportSample.sounds` as whole files: the stem's own object as it lies in the dataset, or, where the
    person asked for a cut (`--seconds`), a rate or mono, a flac written anew (16 bit, or 24 where the source has more).
    A form that takes one format alone names it in `audio_format` and gets all sound in it.
    """

    name: ClassVar[str]
    shard_bytes: ClassVar[int] = 480_000_000
    """A shard holds tracks of at most so many bytes together; one larger track is a shard of its own."""
    shard_tracks: ClassVar[int] = 10_000
    """And at most so many tracks."""
    audio_format: ClassVar[str | None] = None
    """`wav` or `flac`: sound in another format is decoded and written anew in it; None: as it is."""
    sample_rate: ClassVar[int | None] = None
    """In Hz, where whoever reads the form takes all sound to have this rate; `--sample-rate` asks for another."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Installed packages whose versions decide about bytes; `export.json` names them."""

    def __init__(self, contents: ExportContents) -> None:
        """Take what there is to write; raises UsageError for what the form cannot hold."""
        self.contents = contents

    def prepare(self, sample: ExportSample) -> ExportSample:
        """Give a sample as `write_shard` needs it; runs in several threads at once, ahead of the writing.

        Here belongs what takes computing time, such as a sum of stems. Raises AudioRejected to leave the track out.
        """
        return sample

    @abstractmethod
    def write_shard(
        self, shard: ExportShard, samples: Iterable[ExportSample], files: TargetFiles
    ) -> dict[str, object] | None:
        """Write a shard's files; give facts for `write_whole`."""

    def write_whole(  # noqa: B027 - most forms have nothing to add
        self, shards: Sequence[WrittenShard], files: TargetFiles
    ) -> None:
        """Write what spans the shards."""

    def card_head(self, shards: Sequence[WrittenShard]) -> dict[str, object]:
        """Give what the card's YAML head says besides licence and tags."""
        del shards
        return {}

    @abstractmethod
    def card_reading(self) -> str:
        """Give, in Markdown, how the export is opened and what its samples are."""


def form_names() -> tuple[str, ...]:
    """Give the forms there are."""
    return tuple(_FORMS)


def load_form(name: str) -> type[ExportForm]:
    """Give a form by its name; raises UsageError, naming those there are."""
    if name not in _FORMS:
        raise UsageError(
            f"There is no form {name!r} of exports.", fix=f"Give --to one of {', '.join(_FORMS)}."
        )
    module, class_name = _FORMS[name]
    form: type[ExportForm] = getattr(importlib.import_module(module), class_name)
    return form
