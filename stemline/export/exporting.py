"""The frame of an export: select, plan, write shard by shard, describe, and say that it is whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa

from stemline import __version__
from stemline.errors import ConfigError, UsageError
from stemline.export.card import CARD_NAME, export_card
from stemline.export.form import ExportContents, ExportForm, ExportShard, load_form
from stemline.export.options import ExportOptions
from stemline.export.plan import planned_shards
from stemline.export.sample import ExportSample, ExportTrack, LeftOut, free_names
from stemline.export.sample_reader import SampleReader
from stemline.export.selection import TrackSelection, counted_splits, select_tracks
from stemline.export.sound_cut import SoundCut
from stemline.export.target import ExportTarget, refuse_inside
from stemline.export.target_files import TargetFiles, WrittenFile, WrittenShard
from stemline.forgetting.exports import EXPORTS_PREFIX
from stemline.reader import StemsDataset, open_dataset
from stemline.reader.resampling import SoundForm
from stemline.reader.store_access import StoreAccess
from stemline.release.record import LEAKAGE_NAME
from stemline.report.markup import without_secrets
from stemline.settings import Settings
from stemline.storage import Store, open_store, scratch_folder

FORMAT = 1
REFUSED_NAME = "refused.jsonl"
"""Lists the tracks that a gate kept out, a line each with the reason."""
MOST_REASONS = 100
_WINDOW_COLUMNS = {"window": pa.int32(), "start_seconds": pa.float64(), "seconds": pa.float64()}
Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class ExportOutcome:
    """What came of an export."""

    target: str
    record: Mapping[str, Any]
    """What `export.json` says."""
    is_new: bool
    """False: it was finished before, and nothing was done."""
    resumed: int
    """How many shards were finished by an earlier call."""

    @property
    def left_out(self) -> list[Mapping[str, str]]:
        """Tracks that are selected and not in it, each with the reason."""
        found: list[Mapping[str, str]] = self.record["left_out"]
        return found

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        told = {key: value for key, value in self.record.items() if key != "files"}
        head = {"out": self.target, "is_new": self.is_new, "resumed_shards": self.resumed}
        return {**head, **told, "files": len(self.record["files"])}


def export_dataset(
    settings: Settings, options: ExportOptions, out: str, on_progress: Progress = lambda _done, _all: None
) -> ExportOutcome:
    """Write a dataset out in a form; what a crash left of the same export is gone on with.

    `on_progress` is told how many tracks are through, and how many there are.

    Raises UsageError for a form, release, split, stem or filter that there is not, and for a target that holds
    anything else; StorageError where a store cannot be read or written.
    """
    form_class = load_form(options.form)
    access = StoreAccess(settings.dataset.url, settings.dataset.storage_options)
    target = _open_target(access, out)
    refuse_inside(target, access.store)
    dataset = open_dataset(access.url, access.storage_options, options.release)
    with scratch_folder() as scratch:
        selection = select_tracks(dataset, options, Path(scratch))
        contents = _contents(settings, options, selection, form_class)
        work = _ExportWork(dataset, access, selection, form_class(contents), on_progress)
        return work.run(target)


@dataclass
class _ExportWork:
    """One export under way."""

    dataset: StemsDataset
    access: StoreAccess
    selection: TrackSelection
    form: ExportForm
    on_progress: Progress

    def run(self, store: Store) -> ExportOutcome:
        digest = self.contents.digest
        target = ExportTarget(store, digest)
        finished = target.claim()
        if finished is not None:
            return ExportOutcome(store.root_url, finished, is_new=False, resumed=len(finished["shards"]))
        self._tell_dataset(store, digest)
        done = target.finished_shards()
        resumed = len(done)
        through = 0
        for shard in self.contents.shards:
            self.on_progress(through, len(self.selection.sizes))
            if shard.name not in done:
                done[shard.name] = self._write_shard(store, shard, through)
                target.record_shard(done[shard.name])
            through += shard.tracks
        self.on_progress(through, len(self.selection.sizes))
        shards = [done[shard.name] for shard in self.contents.shards]
        record = self._finish(store, shards, digest)
        target.finish(record)
        return ExportOutcome(store.root_url, record, is_new=True, resumed=resumed)

    @property
    def contents(self) -> ExportContents:
        return self.form.contents

    def _write_shard(self, store: Store, shard: ExportShard, through: int) -> WrittenShard:
        left_out: list[LeftOut] = []
        files, count = TargetFiles(store), _SampleCount()
        rows = self.selection.rows(shard.first_row, shard.tracks)

        def told(number: int) -> None:
            self.on_progress(through + number, len(self.selection.sizes))

        # Closed here: left to the garbage collector, its threads may be joined where that waits for ever.
        with closing(self._reader().read(_noted(rows, told), left_out)) as samples:
            facts = self.form.write_shard(shard, count.over(samples), files)
        return WrittenShard(
            shard.name,
            shard.split,
            count.samples,
            len(count.tracks),
            round(count.seconds, 3),
            count.audio_bytes,
            files.written,
            tuple(left_out),
            facts or {},
        )

    def _reader(self) -> SampleReader:
        options, wanted = self.contents.options, self.form.audio_format
        cut = None
        if options.is_recoded or wanted is not None:
            audio_format = cast("Literal['flac', 'wav']", wanted or "flac")
            sound = SoundForm(options.sample_rate or self.form.sample_rate, options.is_mono)
            cut = SoundCut(sound, options.seconds, audio_format)
        return SampleReader(self.dataset, self.access, cut, wanted, self.form.prepare)

    def _tell_dataset(self, store: Store, digest: str) -> None:
        """Keep in the dataset where its tracks go, before they do: who forgets one is told of it."""
        out = without_secrets(store.root_url)
        name = hashlib.sha256(f"{digest} {out}".encode()).hexdigest()[:32]
        options = self.contents.options.as_tree()
        tree = {"to": options.pop("to"), "out": out, "digest": digest, "options": options}
        tree["tracks"] = len(self.selection.sizes)
        data = json.dumps(tree, indent=1, ensure_ascii=False).encode() + b"\n"
        self.access.store.put_bytes(f"{EXPORTS_PREFIX}/{name}.json", data)

    def _finish(self, store: Store, shards: list[WrittenShard], digest: str) -> dict[str, Any]:
        whole = TargetFiles(store)
        self.form.write_whole(shards, whole)
        record = self._record(shards, digest)
        refused = [each.as_tree() for each in self.selection.refused]
        if refused:
            whole.put(REFUSED_NAME, b"".join(map(_line, refused)))
        if self.selection.leakage.splits:
            whole.put(LEAKAGE_NAME, _line(self.selection.leakage.as_tree()))
        whole.put(CARD_NAME, export_card(self.form, shards, record))
        files: Iterable[WrittenFile] = chain(whole.written, *(shard.files for shard in shards))
        told = sorted(files, key=lambda file: file.path)
        record["files"] = [
            {"path": each.path, "size_bytes": each.size_bytes, "sha256": each.sha256} for each in told
        ]
        return record

    def _record(self, shards: list[WrittenShard], digest: str) -> dict[str, Any]:
        reasons = Counter(each.reason for each in self.selection.refused)
        left_out = [*self.selection.incomplete, *(each for shard in shards for each in shard.left_out)]
        splits = {
            split: {
                "samples": sum(shard.samples for shard in shards if shard.split == split),
                "tracks": sum(shard.tracks for shard in shards if shard.split == split),
                "seconds": round(sum(shard.seconds for shard in shards if shard.split == split), 3),
            }
            for split in self.contents.splits
        }
        return {
            "format": FORMAT,
            "digest": digest,
            "title": self.contents.title,
            **self.contents.options.as_tree(),
            "stems": list(self.contents.stems),
            "splits": splits,
            "shards": [shard.name for shard in shards],
            "left_out": [each.as_tree() for each in sorted(left_out, key=lambda each: each.track_id)],
            "refused": {"tracks": reasons.total(), "reasons": dict(reasons.most_common(MOST_REASONS))},
            "leakage": self.selection.leakage.counts(),
            "versions": {"stemline": __version__, **{name: version(name) for name in self._libraries()}},
        }

    def _libraries(self) -> tuple[str, ...]:
        recoding = ("av", "soundfile", "soxr") if self._reader().cut is not None else ()
        return tuple(sorted({*self.form.libraries, *recoding}))


@dataclass
class _SampleCount:
    """Counts samples as they pass."""

    samples: int = 0
    seconds: float = 0.0
    audio_bytes: int = 0

    def __post_init__(self) -> None:
        self.tracks: set[str] = set()

    def over(self, samples: Iterable[ExportSample]) -> Iterator[ExportSample]:
        for sample in samples:
            self.samples += 1
            self.tracks.add(sample.track.track_id)
            self.seconds += sample.duration_seconds or 0.0
            self.audio_bytes += sum(len(each.data) for each in sample.sounds.values())
            yield sample


def _line(tree: Mapping[str, Any]) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _noted(rows: Iterable[ExportTrack], note: Callable[[int], None]) -> Iterator[ExportTrack]:
    for number, row in enumerate(rows):
        note(number)
        yield row


def _open_target(access: StoreAccess, out: str) -> Store:
    if not out.strip():
        raise UsageError("--out is empty.", fix="Give a folder or a URL such as s3://bucket/folder.")
    try:
        store = open_store(out, access.beside(out).storage_options)
    except ConfigError as error:
        message, fix = (text.replace("dataset.url", "--out") for text in (error.message, error.fix))
        raise UsageError(message, fix=fix) from error
    # An export can be made again, and a shard is not counted as whole by a name and a record alone.
    store.is_flushed = False
    return store


def _contents(
    settings: Settings, options: ExportOptions, selection: TrackSelection, form: type[ExportForm]
) -> ExportContents:
    if not selection.sizes:
        reasons = sorted({each.reason for each in selection.incomplete})
        raise UsageError(f"No track is left to export: {'; '.join(reasons[:3])}.", fix="Ask for others.")
    columns = selection.columns
    if options.seconds is not None:
        names = free_names(columns.names, _WINDOW_COLUMNS)
        kept = [each.with_name(names[each.name]) for each in columns]
        columns = pa.schema([*kept, *(pa.field(name, kind) for name, kind in _WINDOW_COLUMNS.items())])
    title = f"{settings.name}, release {options.release}" if options.release else settings.name
    told = [FORMAT, form.name, options.as_tree(), title, selection.digest]
    return ExportContents(
        options,
        hashlib.sha256(json.dumps(told).encode()).hexdigest(),
        columns,
        selection.stems,
        counted_splits(selection),
        planned_shards(selection.sizes, form),
        title,
    )
