"""The activity table: a row a stem beside the other tables, small, and the same to every reader."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from support.part_keys import write_keys
from support.weeks import READERS

from stemline.activity import SecondOffsets, StemActivity
from stemline.dataset.activity_table import activity_tables
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch
from stemline.storage import open_store
from stemline.verify import decode_stem

FOUR_MINUTES = 240


def activity(seed: int, *, is_told: bool = True) -> StemActivity:
    """Four minutes as music has them: a flac's seconds of 60 to 110 kB, in blocks of 4096 frames."""
    random = np.random.default_rng(seed)
    offsets = np.cumsum(random.integers(60_000, 110_000, FOUR_MINUTES))
    frames = np.arange(FOUR_MINUTES) * 44_100 // 4096 * 4096
    levels = np.round(np.clip(-20 + np.cumsum(random.normal(0, 1.5, FOUR_MINUTES)), -120, 0), 1)
    told = SecondOffsets(tuple(offsets.tolist()), tuple(frames.tolist()), 86) if is_told else None
    return StemActivity(tuple(levels.tolist()), told)


def measured(press, name, *of_stems):
    """A track with what the seconds of its stems hold; None: it was not measured."""
    row = press.row(name)
    packed = [each and each.pack() for each in of_stems]
    stems = [replace(stem, activity=each) for stem, each in zip(row.collected.stems, packed, strict=True)]
    return replace(row, collected=replace(row.collected, stems=tuple(stems)))


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "set"))


LAYOUT = DatasetLayout(("genre", "collected_on"), pa.schema([("genre", pa.string())]))


def test_every_reader_sees_a_row_a_stem_with_its_partition_columns(store, press, tmp_path):
    told, untold = activity(1), activity(2, is_told=False)
    rows = [measured(press, "a", told, untold), measured(press, "b", None, None)]
    keys = write_keys(store, DatasetBatch("0001", "run-1", rows), LAYOUT)

    assert [key.partition("/")[0] for key in keys] == ["stems", "activity", "tracks"]
    for read in READERS.values():
        found = sorted(read(tmp_path / "set", "activity"), key=lambda row: row["stem"])
        assert [(row["track_id"], row["genre"], row["run_id"]) for row in found] == [
            ("a", "soul", "run-1")
        ] * 2
        by_stem = dict(zip([stem.stem for stem in rows[0].collected.stems], (told, untold), strict=True))
        for row in found:
            expected = by_stem[row["stem"]]
            assert list(row["rms_dbfs"]) == pytest.approx(expected.rms_dbfs)
            told_here = expected.offsets
            for name in ("byte_offset", "first_frame"):
                assert (row[name] is None) == (told_here is None)
                assert told_here is None or tuple(row[name]) == getattr(told_here, name)


def test_a_batch_of_tracks_that_were_not_measured_has_no_part(store, press):
    keys = write_keys(store, press.batch("a"), DatasetLayout())

    assert [key.partition("/")[0] for key in keys] == ["stems", "tracks"]


def test_beside_embedded_audio_it_tells_of_its_bytes(store, press):
    row = measured(press, "a", activity(1), activity(2))
    for stem in row.collected.stems:
        store.put_bytes(stem.path, b"sound")

    keys = write_keys(store, DatasetBatch("0001", "run-1", [row]), replace(LAYOUT, audio="embedded"))

    (key,) = (key for key in keys if key.startswith("activity/"))
    assert pq.read_table(store.url(key))["byte_offset"].null_count == 0


def test_the_same_rows_give_the_same_bytes(store, press):
    batch = DatasetBatch("0001", "run-1", [measured(press, "a", activity(1), activity(2))])

    first, again = ({key: store.read_bytes(key) for key in write_keys(store, batch, LAYOUT)} for _ in "12")

    assert first == again


def test_four_minutes_take_less_than_two_kilobytes_a_stem(store, press):
    rows = [measured(press, f"t{n}", activity(2 * n), activity(2 * n + 1)) for n in range(50)]

    (key,) = (key for key in write_keys(store, DatasetBatch("1", "r", rows), LAYOUT) if "activity" in key)

    assert store.size(key) < 2_000 * 100
    assert pq.read_metadata(store.url(key)).num_rows == 100


def test_a_stem_that_was_published_without_gets_its_row_from_its_file(store, press, tmp_path):
    (stems, _) = write_keys(store, press.batch("a"), LAYOUT)
    soundfile.write(tmp_path / "stem.wav", np.full(20_000, 0.5), 8_000)
    found = decode_stem(tmp_path / "stem.wav").activity
    rows = [{**row, "activity": found.pack()} for row in pq.read_table(store.url(stems)).to_pylist()]

    (table,) = activity_tables(rows, LAYOUT.activity)

    assert table.schema == LAYOUT.activity
    assert [(row["track_id"], row["stem"], row["genre"]) for row in table.to_pylist()] == [
        ("a", "instrumental", "soul"),
        ("a", "vocals", "soul"),
    ]
    for row in table.to_pylist():
        assert row["rms_dbfs"] == pytest.approx(found.rms_dbfs)
        assert row["byte_offset"] == list(found.offsets.byte_offset)
        assert row["header_bytes"] == 44
