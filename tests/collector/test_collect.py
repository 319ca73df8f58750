"""Ready tracks become stored stems, or say exactly why not; nothing paid for is lost."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import stemline
from stemline.collector import CollectTarget, Relink
from stemline.collector.batch import collect_batch
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, discard_staged, write_parts
from stemline.dataset.table_row import PublishedRow
from stemline.errors import StorageError
from stemline.records import Code, CollectedTrack, Failure, Job, Output, Phase, State
from stemline.storage import open_store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(params=["path", "memory", "s3"])
def any_target(request, tmp_path):
    if request.param == "path":
        return CollectTarget(str(tmp_path / "stems"))
    if request.param == "memory":
        return CollectTarget(f"memory://{uuid.uuid4().hex}/stems")
    bucket = request.getfixturevalue("bucket")
    return CollectTarget(f"s3://{bucket}/stems", request.getfixturevalue("s3_server").storage_options)


@pytest.fixture
def spool(tmp_path):
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def target(tmp_path, spool):
    return CollectTarget(str(tmp_path / "stems"), spool=str(spool))


def collect(ready, target):
    """Collect one track without waiting."""
    (result,) = collect_batch([ready], target, clock=lambda: NOW, sleep=lambda _: None)
    return result


def keys(target):
    return sorted(open_store(target.url, target.storage_options).list())


def test_a_ready_track_is_stored_and_measured(ready, any_target, audio):
    track = ready("a/b")

    result = collect(track, any_target)

    assert isinstance(result, CollectedTrack)
    assert (result.token, result.collected_at) == ("token-a/b", NOW)
    assert (result.bpm, result.key, result.bpm_source, result.key_source) == (
        120.0,
        "Am",
        "provider",
        "provider",
    )
    assert [stem.stem for stem in result.stems] == ["vocals", "instrumental"]
    store = open_store(any_target.url, any_target.storage_options)
    for stem in result.stems:
        data = audio[stem.stem, "flac"]
        assert store.read_bytes(stem.path) == data
        assert (stem.sha256, stem.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert (stem.format, stem.verification, stem.frames) == ("flac", "ok", 44100)
    assert keys(any_target) == sorted(stem.path for stem in result.stems)


def test_results_come_in_the_order_asked_and_downloads_by_expiry(ready, target, storage):
    tracks = [ready(name) for name in ("late", "soon", "never")]
    for index, hours in ((0, 5), (1, 1)):
        job = tracks[index].job
        outputs = tuple(replace(output, expires_at=NOW + timedelta(hours=hours)) for output in job.outputs)
        tracks[index] = replace(tracks[index], job=replace(job, outputs=outputs))

    results = collect_batch(tracks, replace(target, concurrency=1), clock=lambda: NOW)

    assert [result.token for result in results] == ["token-late", "token-soon", "token-never"]
    assert [path.split("/")[1] for path, _ in storage.requests][::2] == ["soon", "late", "never"]


def test_links_are_asked_for_as_ourselves_and_without_authorization(ready, target, storage):
    collect(ready(), target)

    for _, headers in storage.requests:
        assert headers["user-agent"] == f"stemline/{stemline.__version__}"
        assert "authorization" not in headers


def test_collecting_again_changes_nothing(ready, target):
    first = collect(ready(), target)
    before = keys(target)

    assert collect(ready(), target) == first
    assert keys(target) == before


def test_outputs_that_were_not_asked_for_are_left(ready, target, storage):
    track = ready()
    more = Output("fullAudio", f"{storage.url}/full")

    collect(replace(track, job=replace(track.job, outputs=(*track.job.outputs, more))), target)

    assert "/full" not in [path for path, _ in storage.requests]


class TestExpiry:
    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    def test_a_refused_link_asks_for_a_fresh_one(self, ready, target, storage, status):
        track = ready()
        storage.faults["/song/instrumental"] = [("status", status)]

        result = collect(track, target)

        host = storage.url.removeprefix("http://")
        sentence = f"{host} answers the link to instrumental.flac with status {status}."
        assert result == Relink("token-song", sentence, is_gone=status in {404, 410})
        folder = "_stemline/quarantine/token-song"
        assert keys(target) == [f"{folder}/reason.json", f"{folder}/vocals.flac"]  # not to be fetched twice

    def test_a_link_that_has_expired_is_not_even_tried(self, ready, target, storage):
        outputs = (Output("vocals", f"{storage.url}/song/vocals", NOW),)

        assert isinstance(collect(ready(outputs=outputs), target), Relink)
        assert storage.requests == []

    def test_a_link_that_expires_on_the_way_asks_for_a_fresh_one(self, ready, target, storage):
        track = ready()
        storage.faults["/song/vocals"] = [("cut", 1000), ("status", 403)]

        assert isinstance(collect(track, target), Relink)


class TestRejection:
    def quarantined(self, result, target, code):
        """The kept files by name, after checking the failure."""
        assert isinstance(result, Failure)
        assert (result.state, result.code, result.is_retryable) == (State.QUARANTINED, code, False)
        store = open_store(target.url)
        kept = {key.rpartition("/")[2]: store.read_bytes(key) for key in keys(target)}
        assert all(key.startswith("_stemline/quarantine/token-song/") for key in keys(target))
        reason = json.loads(kept.pop("reason.json"))
        assert (reason["track_id"], reason["job_id"], reason["code"]) == ("song", "job-song", str(code))
        assert reason["sentence"] in result.sentence
        return kept

    def test_a_missing_stem_quarantines_the_others(self, ready, target, storage, audio):
        track = ready(outputs=(Output("vocals", f"{storage.url}/song/vocals"),))

        kept = self.quarantined(collect(track, target), target, Code.MISSING_STEM)

        assert kept == {"vocals.flac": audio["vocals", "flac"]}

    @pytest.mark.parametrize("audio_format", ["mp3", "flac"])
    def test_audio_cut_off_at_the_provider_is_kept_in_quarantine(self, ready, target, storage, audio_format):
        track = ready(audio_format=audio_format)
        whole = storage.files["/song/vocals"]
        storage.files["/song/vocals"] = cut = whole[: len(whole) // 3]
        code = {"mp3": Code.TRUNCATED, "flac": Code.UNDECODABLE}[audio_format]

        kept = self.quarantined(collect(track, target), target, code)

        assert kept[f"vocals.{audio_format}"] == cut
        assert len(kept) == 2

    def test_a_page_in_place_of_audio_is_undecodable(self, ready, target, storage):
        track = ready()
        storage.files["/song/vocals"] = b"<html>Sorry</html>"

        self.quarantined(collect(track, target), target, Code.UNDECODABLE)

    def test_stems_of_another_length_than_the_source(self, ready, target):
        track = ready()
        attempt = replace(track.attempt, track=replace(track.attempt.track, duration_seconds=0.5))

        self.quarantined(collect(replace(track, attempt=attempt), target), target, Code.WRONG_DURATION)

    def test_a_wrong_length_in_the_manifest_gives_way_to_what_was_decoded(self, ready, target):
        """The provider's word for it lets the stems pass, and the row had 215 s all the same."""
        track = ready(duration_seconds=1.0)
        attempt = replace(track.attempt, track=replace(track.attempt.track, duration_seconds=215.0))

        (collected,) = collect_batch([replace(track, attempt=attempt)], target)

        assert collected.duration_seconds == collected.stems[0].duration_seconds
        assert {stem.verification for stem in collected.stems} == {"length"}

    def test_silence_in_every_stem(self, ready, target, storage, audio):
        track = ready()
        storage.files |= {f"/song/{stem}": audio["silence", "flac"] for stem in ("vocals", "instrumental")}

        self.quarantined(collect(track, target), target, Code.ALL_SILENT)

    @pytest.mark.parametrize("audio_format", ["mp3", "flac"])
    def test_a_stem_that_was_served_cut_off_once_is_fetched_again(self, ready, target, storage, audio_format):
        storage.faults["/song/vocals"] = [("short",)]

        assert isinstance(collect(ready(audio_format=audio_format), target), CollectedTrack)
        assert [path for path, _ in storage.requests] == [
            "/song/vocals",
            "/song/vocals",
            "/song/instrumental",
        ]

    def test_what_is_cut_off_twice_is_given_up(self, ready, target, storage):
        track = ready()
        storage.faults["/song/vocals"] = [("short",), ("short",)]

        self.quarantined(collect(track, target), target, Code.UNDECODABLE)

    def test_when_it_cannot_be_fetched_again_what_came_first_is_kept(self, ready, storage, audio):
        track, target = ready(), CollectTarget(f"memory://{uuid.uuid4().hex}")
        storage.faults["/song/vocals"] = [("short",), ("status", 403)]

        kept = self.quarantined(collect(track, target), target, Code.UNDECODABLE)

        assert kept["vocals.flac"] == audio["vocals", "flac"][: len(audio["vocals", "flac"]) // 3]

    def test_a_proxys_page_is_no_verdict_on_the_audio(self, ready, target, storage):
        storage.faults["/song/vocals"] = [("page",)] * 99

        result = collect(ready(), target)

        assert (result.state, result.code, result.is_retryable) == (State.READY, Code.DOWNLOAD_FAILED, True)
        assert keys(target) == []

    def test_one_bad_track_does_not_touch_the_others(self, ready, target, storage):
        tracks = [ready("good"), ready("bad"), ready("fine")]
        storage.files["/bad/vocals"] = b"no audio"

        results = collect_batch(tracks, target)

        assert [type(result) for result in results] == [CollectedTrack, Failure, CollectedTrack]

    def test_another_format_than_asked_is_kept_and_named_as_what_it_is(self, ready, target, storage, audio):
        track = ready()
        storage.files |= {f"/song/{stem}": audio[stem, "mp3"] for stem in ("vocals", "instrumental")}

        result = collect(track, target)

        assert [stem.path.rpartition("/")[2] for stem in result.stems] == ["vocals.mp3", "instrumental.mp3"]
        assert {stem.verification for stem in result.stems} == {"format"}


class TestMusic:
    def test_what_the_provider_does_not_tell_the_manifest_may(self, ready, target):
        result = collect(ready(bpm=None, key=None, columns={"bpm": "98.5", "key": "Gm"}), target)

        assert (result.bpm, result.bpm_source, result.key, result.key_source) == (
            98.5,
            "manifest",
            "Gm",
            "manifest",
        )

    def test_what_nobody_gives_is_measured(self, ready, target, storage, song):
        track = ready(bpm=None, key=None, columns={"bpm": "fast", "key": " "})
        storage.files |= {f"/song/{stem}": data for stem, data in song.files.items()}
        longer = replace(track.attempt.track, duration_seconds=song.seconds)

        result = collect(replace(track, attempt=replace(track.attempt, track=longer)), target)

        assert result.bpm == pytest.approx(song.bpm, rel=0.02)
        assert (result.key, result.bpm_source, result.key_source) == (song.key, "stemline", "stemline")

    def test_noise_has_no_tempo_and_no_source(self, ready, target, storage, audio):
        track = ready(bpm=None, key="C")
        storage.files |= {
            f"/song/{stem}": audio["instrumental", "flac"] for stem in ("vocals", "instrumental")
        }

        result = collect(track, target)

        assert (result.bpm, result.bpm_source, result.key_source) == (None, None, "provider")


class TestSource:
    @pytest.fixture
    def sourced(self, ready, storage, song, tmp_path):
        """A track whose source is a file here."""
        track = ready()
        storage.files |= {f"/song/{stem}": data for stem, data in song.files.items()}
        path = tmp_path / "source.flac"
        path.write_bytes(song.source)
        attempt = replace(
            track.attempt,
            track=replace(track.attempt.track, location=str(path), duration_seconds=song.seconds),
        )
        return replace(track, attempt=attempt)

    def test_stems_that_add_up_to_it_are_fine(self, sourced, target):
        stems = collect(sourced, target).stems

        assert {stem.verification for stem in stems} == {"ok"}
        assert all(stem.residual_db < -60 and stem.residual_of == "source" for stem in stems)

    def test_a_stem_of_another_song_is_a_warning(self, sourced, target, storage, song):
        storage.files["/song/instrumental"] = song.stranger

        result = collect(sourced, target)

        assert {stem.verification for stem in result.stems} == {"residual"}
        assert all(-10 < stem.residual_db < 0 for stem in result.stems)

    def test_a_source_we_cannot_read_says_nothing_about_the_stems(self, sourced, target):
        with open(sourced.attempt.track.location, "wb") as file:  # noqa: PTH123 - a location is text
            file.write(b"video of a kind only the provider knows")

        stems = collect(sourced, target).stems
        assert {(stem.verification, stem.residual_db, stem.residual_of) for stem in stems} == {
            ("ok", None, None)
        }


class TestDisk:
    def test_temporary_files_are_gone_whatever_happened(self, ready, target, spool, storage):
        tracks = [ready("good"), ready("bad"), ready("gone")]
        storage.files["/bad/vocals"] = b"no audio"
        del storage.files["/gone/vocals"]

        collect_batch(tracks, target)

        assert list(spool.iterdir()) == []

    @pytest.fixture
    def doubtful(self, ready, storage):
        """A track that has to go through the disk."""
        storage.faults["/song/vocals"] = [("short",)]
        return ready()

    def test_a_full_disk_stops_the_run_and_leaves_no_temporary_files(self, doubtful, target, tmp_path):
        if os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root")
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("mounting is not allowed here")
        try:
            with pytest.raises(StorageError, match=r"The disk that holds .*/disk.* is full"):
                collect(doubtful, replace(target, spool=str(disk)))
            assert list(disk.iterdir()) == []
        finally:
            subprocess.run(["/bin/umount", str(disk)], check=True)
        assert keys(target) == []

    def test_a_spool_folder_that_is_not_there_is_named(self, doubtful, target, tmp_path):
        with pytest.raises(StorageError, match="nowhere"):
            collect(doubtful, replace(target, spool=str(tmp_path / "nowhere")))

    def test_a_dataset_that_cannot_be_written_stops_the_run(self, ready, target, tmp_path):
        (tmp_path / "stems").write_text("in the way")

        with pytest.raises(StorageError, match="stems"):
            collect(ready(), target)


WORKER = """
import pickle, sys
from stemline.collector.batch import collect_batch
collect_batch(*pickle.load(sys.stdin.buffer))
"""


@pytest.mark.long
def test_a_killed_worker_leaves_whole_objects_only_and_the_next_one_finishes(ready, target, storage, audio):
    track = ready()
    storage.faults["/song/instrumental"] = [("stall", 1000)]
    alone = replace(target, concurrency=1)
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE)
    worker.stdin.write(pickle.dumps(([ready("first"), track], alone)))
    worker.stdin.close()
    assert storage.stalled.wait(30)
    worker.kill()
    worker.wait(30)

    store = open_store(target.url)
    assert {key.rpartition("/")[2]: store.read_bytes(key) for key in store.list()} == {
        f"{stem}.flac": audio[stem, "flac"] for stem in ("vocals", "instrumental")
    }
    assert isinstance(collect(track, target), CollectedTrack)
    assert len(list(store.list())) == 4


def test_what_a_worker_is_handed_and_hands_back_can_be_pickled(ready, target):
    handed = pickle.loads(pickle.dumps(([ready()], target)))  # noqa: S301 - our own bytes

    results = collect_batch(*handed)

    assert pickle.loads(pickle.dumps(results)) == results  # noqa: S301 - our own bytes


def test_secrets_of_the_target_stay_out_of_logs():
    assert "hidden" not in repr(CollectTarget("s3://x", {"secret": "hidden"}))


def test_an_embedded_dataset_holds_the_audio_and_no_objects(ready, target, audio):
    track = ready()
    embedded = replace(target, audio="embedded")
    store, layout = open_store(target.url), DatasetLayout(audio="embedded")

    collected = collect(track, embedded)
    batch = DatasetBatch("0001", "run-1", [PublishedRow(track.attempt, track.job, collected)])
    write_parts(store, batch, layout)
    discard_staged(store, batch, layout)

    stems = pd.read_parquet(store.url("stems")).set_index("stem")
    assert stems.loc["vocals", "audio"]["bytes"] == audio["vocals", "flac"]
    assert [key for key in keys(target) if not key.endswith((".parquet", ".json"))] == []


def test_a_collected_track_is_published_with_paths_that_lead_to_the_audio(ready, target, audio):
    track = ready()
    store = open_store(target.url)
    write_parts(
        store,
        DatasetBatch("0001", "run-1", [PublishedRow(track.attempt, track.job, collect(track, target))]),
        DatasetLayout(),
    )

    for row in pd.read_parquet(store.url("stems")).itertuples():
        assert store.read_bytes(row.path) == audio[row.stem, "flac"]


def test_a_job_without_any_output_is_a_missing_stem(ready, target):
    track = replace(ready(), job=Job("job-song", Phase.DONE))

    assert collect(track, target).code is Code.MISSING_STEM
