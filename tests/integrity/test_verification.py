"""What a check tells of a dataset: nothing of a sound one, each kind of damage by its word."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.dataset.doubtful_audio import quarantine_folder
from stemline.errors import StorageError
from stemline.integrity import verification
from stemline.integrity.verification import Thoroughness, check_dataset_integrity
from stemline.records import LINKED, StemFile
from stemline.rewrite.rewrite import RewritePlan
from stemline.rewrite.snapshot import POINTER_KEY, Snapshot, write_snapshot
from stemline.run.compaction import compact_parts
from stemline.run.rewriting import rewriting


@pytest.fixture
def published(night):
    """Three tracks in two batches."""
    night.publish("a", "b")
    night.publish("c")
    return night


def compact(night):
    compact_parts(night.night.ledger, night.store, "set")


def test_nothing_is_said_of_a_sound_dataset(published):
    report = published.check()
    assert report.is_sound
    assert (report.parts, report.objects, report.read) == (4, 3, 3)
    assert report.as_tree()["missing"] == report.as_tree()["notes"] == []


def test_nothing_is_said_of_a_compacted_dataset_and_of_what_was_added_since(published):
    compact(published)
    published.publish("d")
    report = published.check()
    assert report.is_sound, report
    assert (report.parts, report.objects) == (4, 4)


def test_what_a_run_is_at_is_not_extra(published):
    published.collect("collected")
    published.ready("ready")
    published.store_audio("ready")
    published.store.put_bytes("audio/README.txt", b"")
    assert published.told() == {"extra": ["audio/README.txt"]}


def test_parts_of_a_batch_that_is_open_are_not_extra(published):
    token = published.collect("open")
    batches, publisher = published.night.ledger.batches, published.night.publisher
    batches.open(published.night.run_id, "b" * 20, [token])
    publish, batches.publish = batches.publish, lambda *_: 0
    publisher._write(published.night.run_id, "b" * 20)
    batches.publish = publish
    assert published.told() == {}
    published.store.delete(f"tracks/part-{'b' * 20}.parquet")  # cut off before it was written
    assert published.told() == {}
    batches.publish("b" * 20, [])
    assert published.told() == {"rows": ["open unlisted", "open without_track"]}


@pytest.mark.parametrize(("table", "is_compacted"), [("tracks", True), ("stems", False), ("stems", True)])
@pytest.mark.long
def test_damaged_parts_are_named_and_the_rest_goes_on(published, table, is_compacted):
    if is_compacted:
        compact(published)
    key = published.part(table)
    file, data = published.file(key), published.file(key).read_bytes()
    published.file(published.paths["a"]).write_bytes(b"")  # its row is in the other part
    is_only = is_compacted and table == "stems"
    other = [] if is_only else [published.paths["a"]]
    for damaged in (data[:-20], b"", data[:200] + b"\0\0\0" + data[203:]):
        file.write_bytes(damaged)
        told = published.told()
        assert {"rows", *told} == {"rows", "altered"}
        assert {key, *other} <= set(told["altered"]) <= {key, published.paths["a"]}
    file.unlink()
    file.mkdir()
    assert published.told()["altered"] == [*other, key]
    file.rmdir()
    told = published.told()
    assert (told["missing"], told.get("altered", [])) == ([key], other)
    assert "extra" not in told
    if table == "tracks":
        assert told["rows"][-1] == "c unlisted"


def test_parts_that_nobody_knows_are_extra(published):
    key = published.part()
    copy = key.replace(".parquet", " copy.parquet")
    published.store.copy(key, copy)
    published.store.put_bytes("tracks/notes.txt", b"mine")
    published.store.put_bytes("tracks/.DS_Store", b"")
    told = published.told()
    assert told["extra"] == sorted([copy, "tracks/notes.txt"])
    assert told["rows"] == ["c doubled"]


def test_a_part_that_came_back_after_it_was_merged_is_extra(published):
    key = published.part()
    data = published.store.read_bytes(key)
    compact(published)
    assert key not in set(published.store.list("tracks"))
    published.store.put_bytes(key, data)
    told = published.told()
    assert told["extra"] == [key]
    assert told["rows"] == ["c doubled"]


def test_audio_that_is_gone_grown_or_changed_is_told(published):
    gone, grown, changed = (published.paths[name] for name in "abc")
    published.file(gone).unlink()
    published.file(grown).write_bytes(b"more than there was, by far")
    data = published.file(changed).read_bytes()
    published.file(changed).write_bytes(data[::-1])
    assert published.told() == {"missing": [gone], "altered": sorted([grown, changed])}
    assert published.told(sample=0) == {"missing": [gone], "altered": [grown]}
    published.file(changed).unlink()
    published.file(changed).mkdir()
    assert published.told()["altered"] == sorted([grown, changed])


def test_audio_that_no_row_names_is_extra_unless_a_release_does(published):
    stray = published.paths["a"].replace("vocals.flac", "drums.flac")
    published.store.put_bytes(stray, b"boom")
    published.store.put_bytes("audio/00/old/local-x/vocals.flac", b"la")
    assert published.told() == {"extra": sorted([stray, "audio/00/old/local-x/vocals.flac"])}
    table = pa.table({"path": ["audio/00/old/local-x/vocals.flac"]})
    (published.night.folder / "out/releases/v1/stems").mkdir(parents=True)
    pq.write_table(table, published.file("releases/v1/stems/part-1.parquet"))
    assert published.told() == {"extra": [stray]}


def test_a_sample_is_always_the_same_and_as_large_as_asked(published):
    assert published.check(sample=2).read == 2
    assert published.check(sample=9).read == 3


def test_decoding_tells_what_is_no_sound(published):
    assert published.told(is_decoding=True) == {"altered": sorted(published.paths.values())}


def test_mixes_outside_the_dataset_are_not_looked_for(night):
    nothing = dict.fromkeys(
        ("sample_rate", "channels", "frames", "size_bytes", "sha256", "peak_dbfs", "rms_dbfs")
    )
    mix = StemFile("mix", "/a.wav", "wav", duration_seconds=6.5, verification=f"length,{LINKED}", **nothing)
    token = night.collect("a", mix)
    night.night.publisher.publish(night.night.run_id, [token])
    assert night.told() == {}


def test_quarantine_without_an_owner_is_extra(published):
    ledger = published.night.ledger
    owned, delivered = (ledger.attempts.get(published.ready("q")), ledger.attempts.get("token-a"))
    for folder in (quarantine_folder(owned), quarantine_folder(delivered), "_stemline/quarantine/nobody"):
        published.store.put_bytes(f"{folder}/vocals.flac", b"hm")
    assert published.told() == {
        "extra": ["_stemline/quarantine/nobody/vocals.flac", f"{quarantine_folder(delivered)}/vocals.flac"]
    }


@pytest.mark.parametrize("garbage", [b"", b"{}", b"[]", b'{"snapshot": "no.json"}', b"\xff\xfe"])
@pytest.mark.long
def test_a_pointer_that_is_garbage_is_told_and_the_rest_goes_on(published, garbage):
    compact(published)
    published.store.put_bytes(POINTER_KEY, garbage)
    for key in ("_stemline/layout.json", "_stemline/tombstones/salt.json"):
        published.store.put_bytes(key, b"{")
    published.file(published.paths["a"]).unlink()
    assert published.told() == {
        "missing": [published.paths["a"]],
        "altered": ["_stemline/layout.json", POINTER_KEY, "_stemline/tombstones/salt.json"],
    }


def test_a_snapshot_that_names_what_is_nowhere_is_told(published):
    compact(published)
    write_snapshot(published.store, Snapshot(9, verification.utc_now(), "x", ()))
    shutil.rmtree(published.night.folder / "out" / "tracks")
    assert [each for each in published.told()["rows"] if "unlisted" in each]


def test_a_dataset_without_its_ledger_is_checked_by_its_tables(published):
    published.file(published.paths["b"]).unlink()
    report = check_dataset_integrity(published.store, None, Thoroughness())
    assert report.as_tree()["missing"] == [published.paths["b"]]
    assert "no ledger" in report.notes[0]


def test_what_is_right_at_the_second_look_is_not_told(published, monkeypatch):
    path = published.paths["a"]
    data = published.store.read_bytes(path)
    published.file(path).unlink()
    looked = verification.looked

    def late(*arguments):
        if late.looks:
            published.store.put_bytes(path, data)
        late.looks += 1
        return looked(*arguments)

    late.looks = 0
    monkeypatch.setattr(verification, "looked", late)
    assert published.told() == {}


@pytest.mark.long
def test_garbage_in_any_file_is_told_by_its_name_and_stops_nothing(published):
    compact(published)
    published.publish("d")
    root = published.night.folder / "out"
    skipped = ("/runs/", "README", "00000001.json")  # the last is a snapshot before the newest
    keys = sorted(key for key in published.store.list() if not any(word in key for word in skipped))
    for number, key in enumerate(keys):
        data = published.store.read_bytes(key)
        (root / key).write_bytes((b"", b"\xff\xfe\0garbage", data[: len(data) // 2])[number % 3])
        told = published.told()
        name = POINTER_KEY if key.startswith("_stemline/snapshots/") else key
        assert name in told.get("altered", []), (key, told)
        published.store.put_bytes(key, data)
    assert published.told() == {}


@pytest.mark.long
def test_nothing_is_said_while_a_run_publishes_and_parts_are_merged(published):
    def work():
        for number in range(12):
            published.publish(f"x{number}")
            if number % 6 == 5:
                compact(published)

    seen = []
    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(work)
        while not working.done():
            assert published.told() == {}
            seen.append(published.check().objects)
        working.result()
    assert published.told() == {}
    assert len(set(seen)) > 1


def test_stems_that_are_there_twice_are_told_also_where_a_rewrite_has_taken_them_for_its_own(published):
    key = published.part("stems")
    published.store.put_bytes(key.replace("part-", "part-0"), published.store.read_bytes(key))
    with rewriting(published.night.ledger, published.store, "set") as rewriter:
        rewriter.commit(RewritePlan("nothing", "compact", ()))
    rows = {f"{name} doubled" for name in pq.read_table(published.file(key))["track_id"].to_pylist()}
    assert published.told() == {"rows": sorted(rows)}


def test_where_no_copy_is_the_snapshots_may_be_removed(published):
    compact(published)
    published.store.put_bytes(POINTER_KEY, b"{")
    with pytest.raises(StorageError, match=r"current\.json cannot be read") as refused:
        compact(published)
    assert "without one remove" in str(refused.value.fix)
    published.store.delete_all(list(published.store.list("_stemline/snapshots")))
    published.publish("d")
    compact(published)
    assert (published.check().is_sound, published.check().parts) == (True, 2)
