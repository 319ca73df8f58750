"""What previews cost a page: seconds, CPU and bytes read for so many tracks of four stems, on disk and on S3."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support import s3
from support.sound_dataset import SoundDataset

from stemline.reader import open_dataset
from stemline.reader.stem_lookup import SoughtTrack, track_places
from stemline.reader.stems_dataset import StemsDataset
from stemline.report.player import PlayedStem, PlayedTrack
from stemline.report.preview_cut import cut_previews
from stemline.storage import Store

STEMS = ("vocals", "drums", "bass", "other")


def main() -> None:
    """Measure both places."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=180.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "scratch").mkdir()
        measure("disk", SoundDataset(str(path / "dataset"), path / "scratch"), asked)
        facts = s3.start(path)
        try:
            server = s3.S3Server(**facts["server"])
            server.client().create_bucket(Bucket="page")
            measure("S3", SoundDataset("s3://page/stems", path / "scratch", server.storage_options), asked)
        finally:
            s3.stop(facts)


def measure(name: str, dataset: SoundDataset, asked: argparse.Namespace) -> None:
    """Publish tracks, cut their previews and tell what that took."""
    for number in range(asked.tracks):
        dataset.publish(f"t{number}", stems=STEMS, seconds=asked.seconds, rate=44_100)
    opened = open_dataset(dataset.url, dataset.storage_options)
    tracks = [played(opened, f"t{number}") for number in range(asked.tracks)]
    store = opened.stem_audio.access.store
    whole = sum(stem.place.size_bytes for track in tracks for stem in track.stems)
    read = counted(store)
    began, cpu = time.perf_counter(), sum(os.times()[:2])
    cut = cut_previews(tracks, opened.stem_audio)
    wall, used = time.perf_counter() - began, sum(os.times()[:2]) - cpu
    previews = [stem.preview for track in cut for stem in track.stems if stem.preview]
    text = sum(len(each.url) for each in previews)
    print(
        f"{name}: {len(previews)} previews of {cut[0].preview_seconds:.0f} s in {wall:.1f} s ({used:.1f} s of CPU), "
    )
    print(
        f"  {len(read)} reads, {sum(read) / 1e6:.1f} MB of {whole / 1e6:.0f}; {text / 1e6:.1f} MB in the page"
    )


def played(opened: StemsDataset, track_id: str) -> PlayedTrack:
    """Give a track as a card shows it."""
    places = track_places(SoughtTrack(track_id, "local", "vocals-best-flac"), opened.tables)
    stems = tuple(
        PlayedStem(
            name, place.path, place.frames / 44_100, -20.0, "ok", place.seconds.rms_dbfs.tolist(), place
        )
        for name, place in places.items()
    )
    return PlayedTrack(track_id, "Nina", (), stems)


def counted(store: Store) -> list[int]:
    """Have the store note how many bytes each read gave."""
    read, ask = [], store.read_range

    def read_range(key: str, start: int, stop: int) -> bytes:
        data = ask(key, start, stop)
        read.append(len(data))
        return data

    store.read_range = read_range
    return read


if __name__ == "__main__":
    main()
