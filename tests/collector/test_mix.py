"""The source beside its stems: as it is, or named where it lies; its lack is told and costs no stem."""

from __future__ import annotations

import hashlib
import pickle
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow.parquet as pq
import pytest
from collector.conftest import SECONDS
from probe.probe_audio import encode, write_blocks
from probe.probe_audio import song as noise

from stemline.collector import CollectTarget
from stemline.collector.batch import collect_batch, open_collector
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, discard_staged, write_parts
from stemline.dataset.stored_tracks import WantedTracks, list_stored_parts, read_stored_tracks
from stemline.dataset.table_row import PublishedRow
from stemline.manifest.source_root import SourceRoot
from stemline.records import CollectedTrack, Failure, Output, State
from stemline.storage import open_store
from stemline.storage.local_store import LocalStore

CODECS = {
    "mp3": "libmp3lame",
    "m4a": "aac",
    "opus": "libopus",
    "wav": "pcm_s16le",
    "aiff": "pcm_s16be",
}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEMS = {"vocals", "instrumental"}


@pytest.fixture
def copying(tmp_path):
    return CollectTarget(str(tmp_path / "stems"), mix="copy")


@pytest.fixture
def linking(copying):
    return replace(copying, mix="link")


@pytest.fixture
def sourced(ready, audio, tmp_path):
    """Gives a track of which the source is a file of this machine, or elsewhere."""

    def sourced(location=None, **job):
        if location is None:
            location = str(tmp_path / "song.flac")
            Path(location).write_bytes(audio["instrumental", "flac"])
        track = ready(**job)
        moved = replace(track.attempt.track, location=location, duration_seconds=None)
        return replace(track, attempt=replace(track.attempt, track=moved))

    return sourced


def collect(ready, target):
    (result,) = collect_batch([ready], target, clock=lambda: NOW, sleep=lambda _: None)
    assert isinstance(result, CollectedTrack), result
    return result


def mix_of(collected):
    return next((stem for stem in collected.stems if stem.stem == "mix"), None)


def objects(target):
    return sorted(open_store(target.url).list("audio"))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_a_source_is_stored_as_it_is_and_measured_as_a_stem(sourced, copying, audio):
    mix = mix_of(collect(sourced(), copying))

    data = audio["instrumental", "flac"]
    assert open_store(copying.url).read_bytes(mix.path) == data
    assert mix.path.endswith("/song/local-both-best-flac/mix.flac")
    assert (mix.size_bytes, mix.sha256) == (len(data), digest(data))
    assert (mix.sample_rate, mix.channels, mix.frames) == (22050, 1, 44100)
    assert mix.rms_dbfs == pytest.approx(-15.2, abs=0.1)
    assert mix.verification == "ok"


def test_stems_that_go_through_the_disk_get_their_mix_as_well(sourced, copying, audio):
    target = replace(copying, url=f"memory://{uuid.uuid4().hex}/stems")  # which takes no streams
    track = replace(sourced(), is_repeated=True)

    collected = collect(track, target)

    assert {stem.stem for stem in collected.stems} == {*STEMS, "mix"}
    assert open_store(target.url).read_bytes(mix_of(collected).path) == audio["instrumental", "flac"]


def test_what_ends_in_quarantine_leaves_no_mix_and_gets_it_once_it_is_whole(sourced, copying, storage, audio):
    track = sourced()
    storage.files["/song/vocals"] = b"no audio"
    (refused,) = collect_batch([track], copying, clock=lambda: NOW, sleep=lambda _: None)
    assert (refused.state, objects(copying)) == (State.QUARANTINED, [])

    storage.files["/song/vocals"] = audio["vocals", "flac"]
    collected = collect(replace(track, is_repeated=True), copying)

    assert {stem.stem for stem in collected.stems} == {*STEMS, "mix"}


@pytest.mark.parametrize("suffix", [*CODECS, "ogg"])
@pytest.mark.long
def test_its_format_is_its_own(sourced, copying, tmp_path, suffix):
    rate = 48_000 if suffix == "opus" else 44_100
    path = tmp_path / f"a.{suffix}"
    if suffix == "ogg":
        write_blocks(path, noise(SECONDS), rate, "VORBIS")
    else:
        encode(path, noise(SECONDS, rate), CODECS[suffix], rate)

    mix = mix_of(collect(sourced(str(path)), copying))

    assert mix.format == {"opus": "ogg"}.get(suffix, suffix)
    assert mix.path.endswith(f"/mix.{mix.format}")
    assert open_store(copying.url).read_bytes(mix.path) == path.read_bytes()


def test_a_source_of_another_length_than_its_stems_is_told(sourced, copying, tmp_path):
    path = encode(tmp_path / "long.wav", noise(5), "pcm_s16le")

    assert mix_of(collect(sourced(str(path)), copying)).verification == "length"


def test_a_web_source_is_fetched_once(sourced, copying, storage, audio):
    storage.files["/source.mp3?token=1"] = audio["vocals", "mp3"]

    mix = mix_of(collect(sourced(f"{storage.url}/source.mp3?token=1"), copying))

    assert open_store(copying.url).read_bytes(mix.path) == audio["vocals", "mp3"]
    assert mix.path.endswith("/mix.mp3")
    assert len(storage.ranges("/source.mp3?token=1")) == 1


def test_an_object_of_a_store_is_fetched(sourced, copying, audio):
    place = f"memory://{uuid.uuid4().hex}/a.flac"
    with fsspec.open(place, "wb") as file:
        file.write(audio["vocals", "flac"])

    mix = mix_of(collect(sourced(place), copying))

    assert open_store(copying.url).read_bytes(mix.path) == audio["vocals", "flac"]


@pytest.mark.parametrize("target", ["copying", "linking"])
@pytest.mark.parametrize(
    "location", ["{url}/gone.flac", "memory://no/such.flac", "/no/such.flac", "http://127.0.0.1:9/a.flac"]
)
def test_without_its_source_a_track_is_collected_and_that_is_told(
    sourced, storage, request, target, location
):
    target = request.getfixturevalue(target)
    track = sourced(location.format(url=storage.url))
    if target.mix == "link" and not location.startswith("/"):
        assert mix_of(collect(track, target)).is_linked  # nobody asked for it
        return

    collected = collect(track, target)

    assert {stem.stem for stem in collected.stems} == STEMS
    assert collected.mix_problem.startswith("The source is not beside its stems: ")
    assert len(objects(target)) == 2


@pytest.mark.parametrize("content", [b"no audio at all", b""])
def test_a_source_that_is_no_audio_is_no_mix(sourced, copying, content, tmp_path):
    path = tmp_path / "text.flac"
    path.write_bytes(content)

    collected = collect(sourced(str(path)), copying)

    assert collected.mix_problem
    assert len(objects(copying)) == 2


def test_a_store_that_does_not_take_the_mix_has_the_stems(sourced, copying, monkeypatch):
    put = LocalStore.put_stream

    def refuse(store, key, chunks):
        if "/mix." in key:
            raise OSError(28, "No space left on device")
        put(store, key, chunks)

    monkeypatch.setattr(LocalStore, "put_stream", refuse)

    collected = collect(sourced(), copying)

    assert {stem.stem for stem in collected.stems} == STEMS
    assert "No space" in collected.mix_problem


def test_a_run_that_stops_collects_the_track_another_time_with_its_mix(sourced, copying):
    with open_collector(copying) as collector:
        track = sourced("memory://no/such.flac")
        mixes = collector.mixes
        collector.stop()
        with pytest.raises(Exception, match="The run stops"), mixes.at_hand(track):
            pass
        result = collector.collect(track)

    assert isinstance(result, Failure)
    assert (result.state, result.is_retryable) == (State.READY, True)


@pytest.mark.parametrize("target", ["copying", "linking"])
def test_what_the_provider_gives_as_mix_is_the_mix(sourced, request, target, storage, audio):
    target = request.getfixturevalue(target)
    track = sourced()
    storage.files["/whole"] = audio["vocals", "flac"]
    outputs = (*track.job.outputs, Output("mix", f"{storage.url}/whole"))

    collected = collect(replace(track, job=replace(track.job, outputs=outputs)), target)

    assert [stem.stem for stem in collected.stems].count("mix") == 1
    assert open_store(target.url).read_bytes(mix_of(collected).path) == audio["vocals", "flac"]


def test_a_video_has_the_mix_its_provider_gives_or_none(sourced, copying):
    collected = collect(sourced("https://youtu.be/abcdefghijk"), copying)

    assert (mix_of(collected), collected.mix_problem) == (None, None)


@pytest.mark.parametrize("is_odd", [False, True])
def test_a_fetched_source_tells_whether_the_stems_add_up_to_it(sourced, copying, storage, song, is_odd):
    track = sourced(f"{storage.url}/source.flac")
    storage.files |= {f"/song/{stem}": data for stem, data in song.files.items()}
    storage.files |= {"/source.flac": song.source} | ({"/song/instrumental": song.stranger} if is_odd else {})

    collected = collect(track, copying)

    found = {stem.stem: stem.verification for stem in collected.stems}
    assert found == dict.fromkeys(STEMS, "residual" if is_odd else "ok") | {"mix": "ok"}
    assert _residuals_of(collected) == dict.fromkeys(STEMS, "source") | {"mix": None}


@pytest.mark.parametrize("is_odd", [False, True])
@pytest.mark.long
def test_stems_of_a_video_are_compared_with_the_mix_given(sourced, copying, storage, song, is_odd):
    """Streamed, and through the disk."""
    track = sourced("https://youtu.be/abcdefghijk")
    storage.files |= {f"/song/{stem}": data for stem, data in song.files.items()}
    storage.files |= {"/whole": song.source} | ({"/song/instrumental": song.stranger} if is_odd else {})
    outputs = (*track.job.outputs, Output("mix", f"{storage.url}/whole"))
    track = replace(track, job=replace(track.job, outputs=outputs))

    streamed, spooled = (collect(replace(track, is_repeated=again), copying) for again in (False, True))

    assert streamed == spooled
    assert _residuals_of(streamed) == dict.fromkeys(STEMS, "mix") | {"mix": None}
    stems = [stem for stem in streamed.stems if stem.stem != "mix"]
    assert all(stem.residual_db > -10 for stem in stems) == is_odd
    assert {stem.verification for stem in stems} == {"residual" if is_odd else "ok"}


def _residuals_of(collected):
    return {stem.stem: stem.residual_of for stem in collected.stems}


def test_a_linked_source_of_this_machine_is_measured_and_not_stored(sourced, linking, audio):
    track = sourced()

    mix = mix_of(collect(track, linking))

    assert mix.path == track.attempt.track.location
    assert (mix.sha256, mix.frames) == (digest(audio["instrumental", "flac"]), 44100)
    assert mix.verification == "linked"
    assert len(objects(linking)) == 2


def test_a_linked_source_elsewhere_is_not_downloaded(sourced, linking, storage):
    mix = mix_of(collect(sourced(f"{storage.url}/source.mp3"), linking))

    assert mix.path == f"{storage.url}/source.mp3"
    assert (mix.format, mix.frames, mix.sha256, mix.size_bytes) == ("mp3", None, None, None)
    assert mix.duration_seconds == pytest.approx(SECONDS)
    assert storage.ranges("/source.mp3") == []


def published(track, collected, target, layout, **facts):
    """Write a track's rows, and give its stems as everybody reads them, by name."""
    store = open_store(target.url)
    batch = DatasetBatch("0001", "run-1", [PublishedRow(track.attempt, track.job, collected, **facts)])
    write_parts(store, batch, layout)
    discard_staged(store, batch, layout)
    return pd.read_parquet(store.url("stems")).set_index("stem")


def test_a_linked_row_is_named_from_the_manifest_and_takes_the_digest_of_the_upload(
    sourced, linking, storage
):
    track = sourced(f"{storage.url}/cat/source.mp3")
    layout = DatasetLayout(source_root=SourceRoot(f"{storage.url}/cat/"))

    stems = published(track, collect(track, linking), linking, layout, source_sha256="ab" * 32)

    assert stems.loc["mix", ["path", "sha256", "verification"]].to_list() == [
        "source.mp3",
        "ab" * 32,
        "linked",
    ]
    store = open_store(linking.url)
    (part,) = list_stored_parts(store)[0]
    wanted = WantedTracks("local", track.attempt.recipe, layout.source_root)
    ((row,),) = read_stored_tracks(store, part, wanted)
    assert row.attempt.number == 1
    assert mix_of(row.collected).path == track.attempt.track.location
    assert pq.read_schema(store.url(part.stem_keys[0])).field("path").nullable is False


def test_a_mix_that_is_not_what_was_uploaded_is_told(sourced, copying):
    track = sourced()
    collected = collect(track, copying)

    stems = published(track, collected, copying, DatasetLayout(), source_sha256="ab" * 32)

    assert stems.loc["mix", "verification"] == "changed"


@pytest.mark.parametrize("target", ["copying", "linking"])
def test_an_embedded_dataset_holds_the_mix_or_its_place(sourced, request, target, audio):
    target = replace(request.getfixturevalue(target), audio="embedded")
    track = sourced()
    layout = DatasetLayout(audio="embedded")

    stems = published(track, collect(track, target), target, layout)

    held = stems.loc["mix", "audio"]
    location = Path(track.attempt.track.location)
    assert held["bytes"] == (audio["instrumental", "flac"] if target.mix == "copy" else None)
    assert held["path"].endswith("/mix.flac" if target.mix == "copy" else str(location))
    assert location.exists()
    assert list(open_store(target.url).list("_stemline/staged")) == []


def test_a_target_with_a_mix_goes_to_another_process_and_keeps_its_secrets():
    target = CollectTarget("s3://x", mix="copy", source_options={"secret": "hidden"})

    assert pickle.loads(pickle.dumps(target)) == target  # noqa: S301 - our own bytes
    assert "hidden" not in repr(target)
