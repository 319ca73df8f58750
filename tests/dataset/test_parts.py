"""What a published batch looks like, and that publishing it again changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.part_keys import write_keys

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.parts import DatasetBatch, discard_staged, write_parts
from stemline.dataset.paths import staged_path
from stemline.dataset.table_schemas import SCHEMA_VERSION
from stemline.errors import StorageError
from stemline.storage import open_store


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "stems"))


def table(store, key):
    return pq.read_table(store.url(key), partitioning=None)


def contents(store):
    return {key: store.read_bytes(key) for key in store.list()}


def test_a_batch_is_one_part_per_table_and_partition_stems_first(store, press, carried):
    keys = write_keys(store, press.batch("a", "b"), DatasetLayout(carried=carried))

    assert keys == [
        "stems/by_provider=local/by_collected_on=2026-11-21/part-0001.parquet",
        "tracks/by_provider=local/by_collected_on=2026-11-21/part-0001.parquet",
    ]


def test_a_batch_over_two_days_has_a_part_for_each(store, press, carried):
    later = replace(press, collected_at=press.collected_at + timedelta(hours=1))
    batch = DatasetBatch("0001", "run-1", [press.row("a"), later.row("b")])

    keys = write_keys(store, batch, DatasetLayout(("collected_on",), carried))

    assert [key.split("/")[1] for key in keys] == [
        "by_collected_on=2026-11-21",
        "by_collected_on=2026-11-22",
    ] * 2


def test_the_days_are_utc_days(store, press, carried):
    eastern = datetime(2026, 11, 21, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    press.collected_at = eastern

    (_, key) = write_keys(store, press.batch("a"), DatasetLayout((), carried))

    (row,) = table(store, key).to_pylist()
    assert row["collected_on"] == date(2026, 11, 22)
    assert row["collected_at"] == eastern.astimezone(UTC)


def test_publishing_again_writes_the_same_bytes_under_the_same_names(store, press, carried):
    rows = [press.row(name) for name in ("b", "a", "c")]
    layout = DatasetLayout(carried=carried)
    write_parts(store, DatasetBatch("0001", "run-1", rows), layout)
    before = contents(store)

    write_parts(store, DatasetBatch("0001", "run-1", rows[::-1]), layout)

    assert contents(store) == before


def test_a_track_has_all_that_is_known_of_it(store, press, carried):
    row = replace(
        press.row("a", title="Sinnerman", isrc=12, license="CC BY 4.0", AI_training=True), split="test"
    )

    (_, key) = write_keys(store, DatasetBatch("0001", "run-1", [row]), DatasetLayout((), carried))

    assert table(store, key).to_pylist() == [
        {
            "track_id": "a",
            "provider": "local",
            "stems": "both",
            "quality": "best",
            "format": "flac",
            "recipe": "both-best-flac",
            "bpm": 120.5,
            "key": "C# major",
            "bpm_source": "provider",
            "key_source": "provider",
            "duration_seconds": 2.5,
            "credits_charged": 3,
            "job_id": "job-a",
            "attempt_token": "token-a",
            "source_uri": "/music/a.flac",
            "source_sha256": "ab" * 32,
            "artist": "Nina",
            "title": "Sinnerman",
            "album": None,
            "isrc": "12",
            "license": "CC BY 4.0",
            "license_spdx": "CC-BY-4.0",
            "ai_training": "allowed",
            "released_on": date(1964, 3, 1),
            "split": "test",
            "run_id": "run-1",
            "collected_at": datetime(2026, 11, 21, 23, 30, tzinfo=UTC),
            "collected_on": date(2026, 11, 21),
            "genre": "soul",
            "plays": 7,
            "manifest_bpm": 99.0,
        }
    ]


def test_a_stem_has_all_that_was_measured(store, press, carried):
    (key, _) = write_keys(store, press.batch("a"), DatasetLayout(("genre",), carried))

    rows = table(store, key).to_pylist()
    assert [row["stem"] for row in rows] == ["instrumental", "vocals"]
    assert rows[1] == {
        "track_id": "a",
        "stem": "vocals",
        "provider": "local",
        "recipe": "both-best-flac",
        "path": "audio/ca/a/local-both-best-flac/vocals.flac",
        "format": "flac",
        "sample_rate": 44100,
        "channels": 2,
        "frames": 110250,
        "duration_seconds": 2.5,
        "size_bytes": 1000,
        "sha256": "cd" * 32,
        "peak_dbfs": None,
        "rms_dbfs": None,
        "verification": "silent",
        "silent_share": 1.0,
        "clipped_share": 0.0,
        "residual_db": -41.5,
        "residual_of": "source",
        "run_id": "run-1",
        "collected_on": date(2026, 11, 21),
        "genre": "soul",
    }


def test_columns_that_came_back_from_the_ledger_as_text_get_their_types_again(store, press):
    carried = pa.schema(
        [("added_at", pa.timestamp("us")), ("checked_on", pa.date32()), ("genre", pa.string())]
    )
    row = press.row("a", added_at="2024-05-06T07:08:09", checked_on="2024-05-06")

    (_, key) = write_keys(store, DatasetBatch("0001", "run-1", [row]), DatasetLayout((), carried))

    (found,) = table(store, key).to_pylist()
    assert found["added_at"] == datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 - the manifest has no zone
    assert found["checked_on"] == date(2024, 5, 6)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("1999", date(1999, 1, 1)),
        ("1999-05", date(1999, 5, 1)),
        ("1999-05-06", date(1999, 5, 6)),
        ("1999-05-06T10:00:00Z", date(1999, 5, 6)),
        ("spring", None),
        ("", None),
        (None, None),
    ],
)
def test_a_release_written_as_text_keeps_its_text_beside_the_day(store, press, written, day):
    carried = pa.schema([("released_on", pa.string())])

    (_, key) = write_keys(
        store, DatasetBatch("1", "run-1", [press.row("a", released_on=written)]), DatasetLayout((), carried)
    )

    (row,) = table(store, key).to_pylist()
    assert (row["released_on"], row["manifest_released_on"]) == (day, written)


def test_rows_are_sorted_and_say_so(store, press, carried):
    (stems, tracks) = write_keys(store, press.batch("c", "a", "b"), DatasetLayout((), carried))

    assert table(store, tracks)["track_id"].to_pylist() == ["a", "b", "c"]
    assert table(store, stems)["track_id"].to_pylist() == ["a", "a", "b", "b", "c", "c"]
    assert len(pq.read_metadata(store.url(stems)).row_group(0).sorting_columns) == 2


def test_the_schema_version_is_in_every_part(store, press, carried):
    for key in write_keys(store, press.batch("a"), DatasetLayout(carried=carried)):
        assert (
            pq.read_schema(store.url(key)).metadata[b"stemline.schema_version"]
            == str(SCHEMA_VERSION).encode()
        )


def test_a_write_that_fails_leaves_no_part(store, press, carried, tmp_path):
    write_parts(store, press.batch("a"), DatasetLayout(carried=carried))
    before = contents(store)
    (tmp_path / "stems/stems/by_provider=other").write_text("in the way")
    press.provider = "other"

    with pytest.raises(StorageError):
        write_parts(store, press.batch("b", batch_id="0002"), DatasetLayout(carried=carried))

    assert {key for key in contents(store) if key.endswith(".parquet")} == {
        key for key in before if key.endswith(".parquet")
    }


@pytest.mark.parametrize("batch_id", ["", "../up", "a b", "x" * 200])
def test_a_batch_id_must_be_a_file_name(batch_id):
    with pytest.raises(ValueError, match="batch_id"):
        DatasetBatch(batch_id, "run-1", [])


class TestEmbedded:
    @pytest.fixture
    def batch(self, store, press):
        """A batch of two tracks whose audio is staged: 40 MB each stem."""
        rows = []
        for name in ("a", "b"):
            row = press.row(name)
            stems = tuple(
                replace(stem, path=staged_path(row.attempt, stem.stem, "flac"), size_bytes=40_000_000)
                for stem in row.collected.stems
            )
            for stem in stems:
                store.put_bytes(stem.path, f"{name} {stem.stem}".encode() * 4_000)
            rows.append(replace(row, collected=replace(row.collected, stems=stems)))
        return DatasetBatch("0001", "run-1", rows)

    def test_the_audio_is_in_the_stems_table(self, store, batch, carried):
        (key, _) = write_keys(store, batch, DatasetLayout((), carried, "embedded"))

        rows = table(store, key).to_pylist()
        assert "path" not in rows[0]
        assert rows[3]["audio"] == {
            "bytes": b"b vocals" * 4_000,
            "path": "3e/b/local-both-best-flac/vocals.flac",
        }

    def test_a_row_group_holds_at_most_64_megabytes_of_audio(self, store, batch, carried):
        (key, _) = write_keys(store, batch, DatasetLayout((), carried, "embedded"))

        assert pq.read_metadata(store.url(key)).num_row_groups == 4

    def test_publishing_again_gives_the_same_bytes_until_the_staged_audio_is_discarded(
        self, store, batch, carried
    ):
        layout = DatasetLayout((), carried, "embedded")
        keys = write_keys(store, batch, layout)
        first = [store.read_bytes(key) for key in keys]
        assert write_keys(store, batch, layout) == keys
        assert [store.read_bytes(key) for key in keys] == first

        discard_staged(store, batch, layout)

        assert list(store.list("_stemline/staged")) == []
        with pytest.raises(StorageError, match="is gone before it was published"):
            write_parts(store, batch, layout)

    def test_audio_bytes_are_neither_compressed_nor_measured(self, store, batch, carried):
        (key, _) = write_keys(store, batch, DatasetLayout((), carried, "embedded"))

        group = pq.read_metadata(store.url(key)).row_group(0)
        columns = {
            group.column(index).path_in_schema: group.column(index) for index in range(group.num_columns)
        }
        assert columns["audio.bytes"].compression == "UNCOMPRESSED"
        assert not columns["audio.bytes"].is_stats_set
        assert columns["track_id"].compression == "ZSTD"

    def test_hugging_face_datasets_takes_it_for_audio(self, store, batch, carried, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        import datasets  # noqa: PLC0415 - it reads the environment when it is imported

        write_parts(store, batch, DatasetLayout(("genre", "released_on"), carried, "embedded"))

        found = datasets.load_dataset(
            "parquet", data_dir=store.url("stems"), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert isinstance(found.features["audio"], datasets.Audio)
        assert found.num_rows == 4
        assert {"genre", "released_on"} <= set(found.column_names)
        raw = found.cast_column("audio", datasets.Audio(decode=False))
        assert raw[0]["audio"]["bytes"] == b"a instrumental" * 4_000
