"""Older parts brought to the columns a dataset has now: cut off, at the same moment as others, over damaged parts."""

from __future__ import annotations

import json
from threading import Barrier, Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.weeks import Weeks, read_by_everyone

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout, read_layout
from stemline.dataset.renewal import renew_parts
from stemline.errors import LeaseHeld, StorageError
from stemline.records import Track
from stemline.storage.local_store import LocalStore

MOOD = DatasetLayout(carried=pa.schema([("mood", pa.string())]))


@pytest.fixture
def weeks(tmp_path):
    weeks = Weeks(tmp_path, layout=DatasetLayout(carried=pa.schema([("plays", pa.int64())])))
    for name in "abcde":
        weeks.publish([Track(name, f"https://h/{name}", 1, columns={"plays": 7})])
    return weeks


def parts(weeks):
    return sorted(weeks.folder.glob("out/tracks/**/*.parquet"))


def schemas(weeks):
    return [pq.read_schema(part).names for part in parts(weeks)]


@pytest.mark.parametrize("written", range(5))
def test_it_is_cut_off_after_any_part_and_the_next_run_does_the_rest(weeks, written):
    left = iter(range(written))

    def require_hold():
        assert len(pa.concat_tables(map(pq.read_table, parts(weeks)), promote_options="default")) == 5
        if next(left, None) is None:
            raise LeaseHeld("Cut off.", fix="")

    claim_layout(weeks.store, MOOD)
    with pytest.raises(LeaseHeld):
        renew_parts(weeks.store, MOOD, require_hold)
    assert sum("mood" in names for names in schemas(weeks)) == written
    assert read_layout(weeks.store).is_behind

    assert renew_parts(weeks.store, MOOD) == 5 - written
    assert renew_parts(weeks.store, MOOD) == 0
    assert all("mood" in names for names in schemas(weeks))


def test_a_damaged_part_is_named_and_stays_as_it_is(weeks):
    damaged = parts(weeks)[2]
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:-7])
    claim_layout(weeks.store, MOOD)

    with pytest.raises(StorageError, match=damaged.name):
        renew_parts(weeks.store, MOOD)
    assert damaged.read_bytes() == sound[:-7]

    damaged.write_bytes(sound)
    renew_parts(weeks.store, MOOD)
    assert read_by_everyone(weeks.folder / "out", "mood", "plays") == dict.fromkeys("abcde", (None, 7))


def test_files_of_others_beside_the_parts_are_left_alone(weeks):
    pq.write_table(pa.table({"x": [1]}), weeks.folder / "out/tracks/notes.parquet")
    before = (weeks.folder / "out/tracks/notes.parquet").read_bytes()
    claim_layout(weeks.store, MOOD)

    renew_parts(weeks.store, MOOD)

    assert (weeks.folder / "out/tracks/notes.parquet").read_bytes() == before


def test_a_column_of_a_part_is_never_dropped(weeks):
    """A layout that was put back from an older copy knows less than the parts do."""
    old = weeks.store.read_bytes("_stemline/layout.json")
    weeks.run(weeks.write("f.csv", "uri,track_id,label\nhttps://h/f,f,Warp\n"))
    weeks.store.put_bytes("_stemline/layout.json", old)

    weeks.run(weeks.write("g.csv", "uri,track_id,mood\nhttps://h/g,g,calm\n"))

    assert weeks.read("label", "mood") == {
        **dict.fromkeys("abcde", (None, None)),
        "f": ("Warp", None),
        "g": (None, "calm"),
    }


def test_nothing_is_rewritten_where_no_column_joined(weeks):
    row = {"uri": "https://h/s", "track_id": "s", "b": {"z": 1, "a": [1.5]}, "title": "T", "tags": []}
    weeks.run(weeks.write("s.jsonl", json.dumps(row) + "\n"))
    before = {part: part.read_bytes() for part in parts(weeks)}

    for name in ("t", "u"):
        again = {**row, "uri": f"https://h/{name}", "track_id": name, "artist": "A", "tags": None}
        weeks.run(weeks.write(f"{name}.jsonl", json.dumps(again) + "\n"))

    assert before.items() <= {part: part.read_bytes() for part in parts(weeks)}.items()
    assert not read_layout(weeks.store).is_behind


def test_runs_that_join_columns_at_the_same_moment_lose_none(weeks):
    others, barrier = [Weeks(weeks.folder, number=100 * n) for n in range(1, 4)], Barrier(3)

    def run(week, name):
        manifest = week.write(f"{name}.csv", f"uri,track_id,{name}\nhttps://h/{name},{name},v\n")
        barrier.wait()
        week.run(manifest)

    threads = [Thread(target=run, args=(week, f"col{number}")) for number, week in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    weeks.open(weeks.write("z.csv", "uri,track_id,col0,col1,col2\nhttps://h/z,z,,,\n"))

    found = weeks.read("col0", "col1", "col2")
    assert {name: row for name, row in found.items() if name.startswith("col")} == {
        f"col{number}": tuple("v" if place == number else None for place in range(3)) for number in range(3)
    }


class _StoreWhereAColumnJoins(LocalStore):
    """Between the parts of a batch another run joins a column."""

    def put_file(self, key, local_path):
        super().put_file(key, local_path)
        claim_layout(LocalStore(self.root_url), MOOD)


def test_a_column_that_joins_while_a_batch_is_written_is_in_its_parts(weeks):
    tracks = weeks.open(weeks.write("y.csv", "uri,track_id,plays\nhttps://h/y,y,7\n"))
    weeks.publish(tracks, _StoreWhereAColumnJoins(weeks.store.root_url))
    renew_parts(weeks.store, MOOD)

    assert all("mood" in names for names in schemas(weeks))
