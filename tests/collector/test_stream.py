"""Stems go from the provider into the store as they come, and get their names when they are right."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from stemline.collector import CollectTarget, Relink
from stemline.collector.batch import collect_batch
from stemline.collector.download import Downloader, new_client
from stemline.collector.stream import StemStreamer, is_streamable
from stemline.dataset.paths import stem_path
from stemline.errors import AudioRejected
from stemline.records import CollectedTrack, Output, Recipe, State
from stemline.storage import open_store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def diskless(tmp_path):
    """A target without any disk to work on: what goes there raises."""
    return CollectTarget(str(tmp_path / "stems"), spool=str(tmp_path / "nowhere"))


@pytest.fixture
def target(tmp_path):
    return CollectTarget(str(tmp_path / "stems"))


def collect(ready, target):
    (result,) = collect_batch([ready], target, clock=lambda: NOW, sleep=lambda _: None)
    return result


def keys(target):
    return sorted(open_store(target.url, target.storage_options).list())


@pytest.fixture
def sourced(ready, storage, song, tmp_path):
    """A track with a source, and with tempo and key that nobody gives."""
    track = ready(bpm=None, key=None)
    storage.files |= {f"/song/{stem}": data for stem, data in song.files.items()}
    path = tmp_path / "source.flac"
    path.write_bytes(song.source)
    attempt = replace(
        track.attempt, track=replace(track.attempt.track, location=str(path), duration_seconds=song.seconds)
    )
    return replace(track, attempt=attempt)


class TestDiskless:
    @pytest.mark.parametrize("audio_format", ["flac", "mp3"])
    @pytest.mark.parametrize("kind", ["objects", "embedded"])
    def test_a_good_track_never_touches_the_local_disk(self, ready, diskless, audio_format, kind):
        target = replace(diskless, audio=kind)

        result = collect(ready(audio_format=audio_format), target)

        assert isinstance(result, CollectedTrack)
        assert keys(target) == sorted(stem.path for stem in result.stems)

    def test_nor_on_its_way_to_s3(self, ready, diskless, s3_server, bucket):
        target = replace(diskless, url=f"s3://{bucket}/stems", storage_options=s3_server.storage_options)

        assert isinstance(collect(ready(), target), CollectedTrack)

    def test_nor_when_it_is_analysed(self, sourced, diskless):
        assert collect(sourced, diskless).bpm_source == "stemline"

    def test_nor_when_the_transfer_breaks(self, ready, diskless, storage):
        storage.faults["/song/vocals"] = [("cut", 1000), ("status", 503), ("cut", 500)]

        assert isinstance(collect(ready(), diskless), CollectedTrack)
        assert storage.ranges("/song/vocals") == [None, "bytes=1000-", "bytes=1000-", "bytes=1500-"]


class TestSameResult:
    """Through the disk and past it: `memory://` takes no streams."""

    @pytest.fixture
    def other(self):
        return CollectTarget(f"memory://{uuid.uuid4().hex}/stems")

    @pytest.mark.parametrize("audio_format", ["flac", "mp3"])
    def test_both_ways_say_the_same_of_a_track(self, ready, diskless, other, audio_format):
        track = ready(audio_format=audio_format)

        assert collect(track, diskless) == collect(track, other)

    def test_both_ways_measure_the_same_tempo_and_key(self, sourced, diskless, other):
        assert collect(sourced, diskless) == collect(sourced, other)

    def test_both_ways_miss_the_same(self, sourced, diskless, other, storage, song):
        storage.files["/song/instrumental"] = song.stranger

        result = collect(sourced, diskless)

        assert {stem.verification for stem in result.stems} == {"residual"}
        assert result == collect(sourced, other)


class TestNames:
    def test_a_stem_has_no_name_before_its_last_byte(self, ready, target, storage):
        storage.faults["/song/instrumental"] = [("stall", 1000)]
        worker = threading.Thread(target=collect, args=(ready(), target))
        worker.start()
        try:
            assert storage.stalled.wait(30)
            assert [key.rpartition("/")[2] for key in keys(target)] == ["vocals.flac"]
        finally:
            storage.going_on.set()
            worker.join(30)

        assert len(keys(target)) == 2

    def test_a_stem_that_is_not_right_never_has_one(self, ready, target, storage, audio):
        """Its bytes come whole, and only the decoder knows."""
        track = ready()
        data = bytearray(audio["instrumental", "flac"])
        data[-500] ^= 0xFF
        storage.files["/song/instrumental"] = bytes(data)
        named = {stem: f"{stem}.flac" for stem in ("vocals", "instrumental")}

        with new_client(1) as client:
            streamer = StemStreamer(Downloader(client, lambda _: None), open_store(target.url), 1.0)
            with pytest.raises(AudioRejected, match="checksum"):
                streamer.stream_stems(track, named, with_mixdown=False)

        assert keys(target) == ["vocals.flac"]

    @pytest.mark.parametrize(
        ("fault", "kind"), [([("status", 403)], Relink), ([("status", 500)] * 9, State.READY)]
    )
    def test_a_track_that_cannot_be_had_leaves_no_object(self, ready, target, storage, fault, kind):
        """Neither this run's, nor those of one that was killed."""
        track = ready()
        storage.faults["/song/vocals"] = fault
        left = stem_path(track.attempt, "instrumental", "flac")
        open_store(target.url).put_bytes(left, b"from a run that was killed")

        result = collect(track, target)

        assert kind in (type(result), getattr(result, "state", None))
        assert keys(target) == []

    def test_a_track_that_turns_out_wrong_at_its_last_stem_leaves_no_object(self, ready, target, storage):
        track = ready()
        storage.files["/song/instrumental"] = b"no audio"

        assert collect(track, target).state is State.QUARANTINED
        assert [key for key in keys(target) if not key.startswith("_stemline/quarantine/")] == []


class TestDisk:
    """What needs the whole file goes through the local disk, and comes out all the same."""

    @pytest.mark.parametrize(
        "faults", [[("unsized",)], [("cut", 1000), ("whole",)], [("cut", 1000), ("status", 416)]]
    )
    def test_a_transfer_that_cannot_be_streamed(self, ready, target, storage, faults):
        storage.faults["/song/instrumental"] = faults

        assert isinstance(collect(ready(), target), CollectedTrack)
        assert storage.ranges("/song/vocals") == [None]  # what was right is not fetched again

    def test_a_stem_that_is_to_be_derived(self, ready, target, storage, audio):
        track = ready()
        parts = {f"/{stem}": audio["vocals", "flac"] for stem in ("drums", "bass", "other")}
        storage.files |= parts
        outputs = (track.job.outputs[0], *(Output(path[1:], f"{storage.url}{path}") for path in parts))

        result = collect(replace(track, job=replace(track.job, outputs=outputs)), target)

        assert [stem.verification for stem in result.stems] == ["ok", "clipped,derived"]
        assert len(storage.requests) == 4

    @pytest.mark.parametrize(
        ("recipe", "stems", "url", "is_so"),
        [
            (Recipe("both", "best", "flac"), ("vocals", "instrumental"), "/stems", True),
            (Recipe("both", "best", "wav"), ("vocals", "instrumental", "mix"), "s3://bucket/stems", True),
            (Recipe("both", "best", "ogg"), ("vocals", "instrumental"), "/stems", False),
            (Recipe("both", "best", "flac"), ("vocals",), "/stems", False),
            (Recipe("both", "best", "flac"), ("vocals", "drums", "bass", "other"), "/stems", False),
            (Recipe("both", "best", "flac"), ("vocals", "instrumental"), "memory://stems", False),
        ],
    )
    def test_it_is_decided_track_by_track(self, ready, recipe, stems, url, is_so):
        outputs = tuple(Output(stem, "http://vendor") for stem in stems)
        track = ready(outputs=outputs)
        track = replace(track, attempt=replace(track.attempt, recipe=recipe))
        store = open_store(url, {"key": "k", "secret": "s"} if url.startswith("s3") else {})

        assert is_streamable(track, store) is is_so
