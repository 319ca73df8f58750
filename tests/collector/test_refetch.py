"""Of a track that is paid, only what is wrong is fetched again, and what came is never lost or fetched twice."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest

from stemline.audio import decode, encode
from stemline.collector import CollectTarget
from stemline.collector.batch import collect_batch
from stemline.dataset import stem_path
from stemline.dataset.doubtful_audio import clear_quarantine
from stemline.errors import StorageError
from stemline.records import Code, CollectedTrack, Output, Recipe, State
from stemline.storage import open_store

FOUR = Recipe("four", "best", "flac")
FOLDER = "_stemline/quarantine/token-song"


@pytest.fixture(params=["streamed", "through the disk"])
def target(request, tmp_path):
    if request.param == "streamed":
        return CollectTarget(str(tmp_path / "stems"))
    return CollectTarget(f"memory://{uuid.uuid4().hex}/stems")


@pytest.fixture
def four(ready, storage, audio):
    """A track of four stems, its links good for more than one read."""
    track = ready()
    outputs = []
    for stem in FOUR.stem_names:
        storage.files[f"/song/{stem}"] = audio["instrumental", "flac"]
        outputs.append(Output(stem, f"{storage.url}/song/{stem}"))
    attempt, job = replace(track.attempt, recipe=FOUR), replace(track.job, outputs=tuple(outputs))
    return replace(track, attempt=attempt, job=job, is_last=False)


def collect(track, target):
    (result,) = collect_batch([track], target, sleep=lambda _: None)
    return result


def keys(target, below=""):
    return sorted(open_store(target.url).list(below))


def fetched(storage):
    """How often each stem was asked for."""
    paths = [path.rpartition("/")[2] for path, _ in storage.requests]
    return {stem: paths.count(stem) for stem in FOUR.stem_names}


def reason(target):
    return json.loads(open_store(target.url).read_bytes(f"{FOLDER}/reason.json"))


def test_a_stem_that_stays_broken_is_fetched_under_fresh_links_and_the_others_are_not(four, target, storage):
    storage.faults["/song/drums"] = [("short",)] * 4
    first = collect(four, target)
    assert (first.state, first.code, first.is_retryable) == (State.READY, Code.UNDECODABLE, True)
    assert keys(target, "audio") == []
    again = replace(four, is_repeated=True)
    results = [collect(again, target) for _ in range(2)]
    assert [result.state for result in results] == [State.READY] * 2
    assert isinstance(collect(again, target), CollectedTrack)
    assert fetched(storage) == {"vocals": 1, "drums": 5, "bass": 1, "other": 1}


def test_the_last_time_it_is_quarantined_with_all_that_came(four, target, storage):
    storage.faults["/song/drums"] = [("short",)] * 3
    collect(four, target)
    failure = collect(replace(four, is_repeated=True, is_last=True), target)
    assert (failure.state, failure.code) == (State.QUARANTINED, Code.UNDECODABLE)
    stems = [f"{FOLDER}/{stem}.flac" for stem in sorted(FOUR.stem_names)]
    assert keys(target) == sorted([*stems, f"{FOLDER}/reason.json"])
    assert reason(target)["stems"] == ["drums"]


@pytest.mark.parametrize("fault", [("status", 403), ("page",), ("cut", 0)])
def test_what_came_before_a_link_or_a_transfer_failed_is_not_fetched_again(four, target, storage, fault):
    storage.faults["/song/bass"] = [fault] * (1 if fault[0] == "status" else 4)
    assert not isinstance(collect(four, target), CollectedTrack)
    assert keys(target, "audio") == []
    assert isinstance(collect(replace(four, is_repeated=True), target), CollectedTrack)
    assert [fetched(storage)[stem] for stem in ("vocals", "drums", "other")] == [1, 1, 1]


def test_a_stem_that_is_right_now_takes_the_place_of_what_was_wrong_with_it(four, target, storage, audio):
    """Two are wrong, then one of them, then none: no good bytes are fetched twice, no bad ones believed."""
    storage.faults |= {"/song/vocals": [("short",)] * 2, "/song/drums": [("short",)] * 3}
    collect(replace(four, is_last=True), target)
    assert reason(target)["stems"] == ["drums", "vocals"]
    again = replace(four, is_repeated=True)
    assert collect(again, target).state is State.READY
    assert reason(target)["stems"] == ["drums"]
    assert open_store(target.url).read_bytes(f"{FOLDER}/vocals.flac") == audio["instrumental", "flac"]
    while storage.faults["/song/drums"]:
        assert collect(again, target).state is State.READY
    assert isinstance(collect(again, target), CollectedTrack)
    assert fetched(storage) == {"vocals": 3, "drums": 4, "bass": 1, "other": 1}


def test_a_reason_that_is_half_written_costs_nothing_but_another_look(four, target, storage):
    storage.faults["/song/drums"] = [("short",)] * 2
    collect(four, target)
    open_store(target.url).put_bytes(f"{FOLDER}/reason.json", b'{"stems": ["dr')
    again = replace(four, is_repeated=True)
    assert collect(again, target).state is State.READY
    assert isinstance(collect(again, target), CollectedTrack)
    assert fetched(storage)["vocals"] == 1


def test_of_a_stem_that_is_mixed_down_only_the_part_that_failed_is_fetched_again(
    ready, storage, audio, target
):
    track = ready()
    names = ("vocals", "drums", "bass", "other")
    storage.files |= {f"/song/{stem}": audio["vocals", "flac"] for stem in names}
    outputs = tuple(Output(stem, f"{storage.url}/song/{stem}") for stem in names)
    track = replace(track, job=replace(track.job, outputs=outputs), is_last=False)
    storage.faults["/song/bass"] = [("short",)] * 2
    assert collect(track, target).state is State.READY
    assert reason(target)["stems"] == ["bass"]
    done = collect(replace(track, is_repeated=True), target)
    assert [stem.stem for stem in done.stems] == ["vocals", "instrumental"]
    assert fetched(storage) == {"vocals": 1, "drums": 1, "bass": 3, "other": 1}


def test_a_reason_names_every_bad_stem_the_worst_first(four, target, storage, audio):
    """Not in the order in which they came, and each time the same."""
    links = [output for output in four.job.outputs if output.stem != "other"]
    storage.files |= {"/song/vocals": audio["silence", "flac"][:100], "/song/bass": b"no audio"}
    track = replace(four, job=replace(four.job, outputs=tuple(links)))
    longer = replace(four.attempt.track, duration_seconds=9.0)
    track = replace(track, attempt=replace(four.attempt, track=longer))
    failure = collect(track, target)
    assert (failure.state, failure.code) == (State.QUARANTINED, Code.MISSING_STEM)
    said = [failure.sentence.find(word) for word in ("no other", "vocals.flac", "bass.flac", "drums.flac")]
    assert -1 not in said
    assert said == sorted(said)
    assert reason(target)["stems"] == ["bass", "drums", "other", "vocals"]
    clear_quarantine(open_store(target.url), track.attempt)
    assert collect(track, target).sentence == failure.sentence


def test_stems_shorter_than_another_are_all_named_the_shortest_first(four, target, storage, audio, tmp_path):
    whole = tmp_path / "whole.flac"
    whole.write_bytes(audio["instrumental", "flac"])
    samples = decode(whole)
    for stem, share in (("drums", 0.9), ("bass", 0.8)):
        short = tmp_path / f"{stem}.flac"
        encode(short, samples.samples[: int(share * len(samples.samples))], samples.sample_rate, "flac")
        storage.files[f"/song/{stem}"] = short.read_bytes()
    failure = collect(replace(four, is_last=True), target)
    assert failure.code is Code.TRUNCATED
    assert failure.sentence.index("bass lasts") < failure.sentence.index("drums lasts")


def test_stems_that_are_all_silent_are_not_fetched_twice_to_be_sure(four, target, storage, audio):
    storage.files |= {f"/song/{stem}": audio["silence", "flac"] for stem in FOUR.stem_names}
    assert collect(four, target).code is Code.ALL_SILENT
    assert set(fetched(storage).values()) == {1}


def test_a_store_that_takes_no_more_in_the_middle_of_a_track_is_left_without_a_named_stem_of_it(
    four, tmp_path
):
    """What stands in the way of the third stem is a folder of its name; once it is gone all is collected."""
    target = CollectTarget(str(tmp_path / "stems"))
    obstacle = tmp_path / "stems" / stem_path(four.attempt, "bass", "flac") / "in the way"
    obstacle.parent.mkdir(parents=True)
    obstacle.touch()
    with pytest.raises(StorageError):
        collect(four, target)
    assert keys(target) == [stem_path(four.attempt, "bass", "flac") + "/in the way"]
    obstacle.unlink()
    obstacle.parent.rmdir()
    assert isinstance(collect(replace(four, is_repeated=True), target), CollectedTrack)
    assert keys(target) == sorted(stem_path(four.attempt, stem, "flac") for stem in FOUR.stem_names)
