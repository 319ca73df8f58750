"""How fast exports are beside the libraries' own writers, over the same objects on this disk, in turns.

    .venv/bin/python benchmarks/bench_export.py [TRACKS] [ROUNDS]

Each side reads the objects and writes shards. Ours besides holds each object against its SHA-256, takes that of each
shard. With cores to spare these take their turns beside the copying. Needs `datasets` and `webdataset`.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import datasets
import numpy as np
import webdataset

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, write_parts
from stemline.dataset.paths import stem_path
from stemline.dataset.table_row import PublishedRow
from stemline.export.exporting import export_dataset
from stemline.export.options import ExportOptions
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, StemFile, Track
from stemline.settings import Settings
from stemline.storage import open_store

STEMS = ("bass", "drums", "other", "vocals")
STEM_BYTES = 6_000_000
"""A stem of four minutes as flac; what the bytes say does not matter to who copies them."""
SHARD_BYTES = 480_000_000


def main(tracks: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="stemline-bench-") as folder:
        root = Path(folder)
        settings = publish(root / "set", tracks)
        size = tracks * len(STEMS) * STEM_BYTES
        print(f"{tracks} tracks of {len(STEMS)} stems, {size / 1e6:,.0f} MB, best of {rounds}")
        for form, theirs in (("hf", datasets_writer), ("webdataset", webdataset_writer)):
            ours, other = [], []
            for _ in range(rounds):
                other.append(timed(root / "theirs", lambda out, theirs=theirs: theirs(root / "set", out)))
                ours.append(
                    timed(
                        root / "ours",
                        lambda out, form=form: export_dataset(settings, ExportOptions(form), str(out)),
                    )
                )
            pairs = [min(times) for each in (ours, other) for times in zip(*each, strict=True)]
            clock, cpu, clock_other, cpu_other = pairs
            print(
                f"{form:<11} ours {clock:6.2f} s ({size / clock / 1e6:5.0f} MB/s, {cpu:.2f} s of CPU)   own writer "
                f"{clock_other:6.2f} s ({size / clock_other / 1e6:5.0f} MB/s, {cpu_other:.2f} s of CPU)   "
                f"ours takes {clock / clock_other:.2f} of its time"
            )


def timed(out: Path, work: Callable[[Path], object]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU."""
    began, cpu_began = time.perf_counter(), time.process_time()
    work(out)
    took = time.perf_counter() - began, time.process_time() - cpu_began
    shutil.rmtree(out)
    return took


def samples(dataset: Path) -> Iterator[dict[str, object]]:
    """Every track's objects, read as a script without us reads them."""
    for folder in sorted(dataset.glob("audio/*/*/*")):
        stems = {stem: (folder / f"{stem}.flac").read_bytes() for stem in STEMS}
        yield {"track_id": folder.parent.name, **stems}


def datasets_writer(dataset: Path, out: Path) -> None:
    """As `push_to_hub` writes shards: each held in memory, then `to_parquet`."""
    out.mkdir()
    features = datasets.Features(
        {"track_id": datasets.Value("string"), **{stem: datasets.Audio(decode=False) for stem in STEMS}}
    )
    for number, shard in enumerate(shards(samples(dataset))):
        columns: dict[str, list[object]] = {"track_id": [each["track_id"] for each in shard]}
        for stem in STEMS:
            columns[stem] = [{"bytes": each[stem], "path": f"{each['track_id']}.flac"} for each in shard]
        made = datasets.Dataset.from_dict(columns, features=features)
        made.to_parquet(out / f"train-{number:05}.parquet", batch_size=2)


def shards(rows: Iterator[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    each = SHARD_BYTES // (STEM_BYTES * len(STEMS))
    group: list[dict[str, object]] = []
    for row in rows:
        group.append(row)
        if len(group) == each:
            yield group
            group = []
    if group:
        yield group


def webdataset_writer(dataset: Path, out: Path) -> None:
    out.mkdir()
    with webdataset.ShardWriter(str(out / "train-%06d.tar"), maxsize=SHARD_BYTES, verbose=0) as writer:
        for row in samples(dataset):
            name = row.pop("track_id")
            files = {f"{stem}.flac": data for stem, data in row.items()}
            writer.write({"__key__": name, **files, "json": {"track_id": name}})


def publish(root: Path, tracks: int) -> Settings:
    store, recipe = open_store(str(root)), Recipe("four", "best", "flac")
    rows = []
    for number in range(tracks):
        track = Track(f"track{number:05}", "/music/x.flac", number, duration_seconds=240.0, columns={})
        attempt = Attempt(f"token-{number}", track, recipe, "local", 1, 240)
        stems = []
        for stem in STEMS:
            data = np.random.default_rng(number).bytes(STEM_BYTES)
            path = stem_path(attempt, stem, "flac")
            store.put_bytes(path, data)
            facts = (44_100, 2, 240 * 44_100, 240.0, len(data), hashlib.sha256(data).hexdigest(), -1.0, -20.0)
            stems.append(StemFile(stem, path, "flac", *facts, "ok"))
        at = datetime(2026, 11, 28, tzinfo=UTC)
        collected = CollectedTrack(attempt.token, tuple(stems), 120.0, "Am", None, None, at)
        rows.append(PublishedRow(attempt, Job(f"job-{number}", Phase.DONE), collected))
    write_parts(store, DatasetBatch("bench", "run", rows), DatasetLayout())
    tree = {"name": "bench", "catalogue": {"manifest": "m.csv"}, "dataset": {"url": str(root)}}
    return Settings.model_validate({**tree, "recipe": {"stems": "four"}, "provider": {"kind": "local"}})


if __name__ == "__main__":
    main(*(int(each) for each in [*sys.argv[1:3], *("24", "3")[len(sys.argv) - 1 :]]))
