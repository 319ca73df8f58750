"""Of what was too large for one part, each part is written again with its own rows."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.integrity.part_rebuild import WRITTEN, PartRebuild
from stemline.rewrite import merging
from stemline.run.compaction import compact_parts
from stemline.settings import Settings


@pytest.fixture
def split(night, monkeypatch):
    """Five tracks, whose merged parts hold two each."""
    monkeypatch.setattr(merging, "PART_BYTES", 1)
    monkeypatch.setattr(merging, "ROWS_PER_GROUP", 2)
    night.publish("e", "a")
    night.publish("d", "b", "c")
    compact_parts(night.night.ledger, night.store, "set")
    assert len(list(night.store.list("tracks"))) == 3
    return night


def rebuild(night, *keys):
    url = night.store.url()
    tree = {
        "name": "night",
        "catalogue": {"manifest": str(night.night.folder / "songs.csv")},
        "provider": {"kind": "local", "api_key": "sk"},
        "recipe": {"stems": "vocals"},
        "dataset": {"url": url, "partition_by": []},
    }
    described = night.check().described
    parts = PartRebuild(Settings.model_validate(tree), night.store, night.night.ledger, "set", described)
    return [each.sentence for each in parts.run([(key, described.get(key)) for key in keys])]


def rows(night, key):
    return pq.read_table(pa.BufferReader(night.store.read_bytes(key))).to_pylist()


@pytest.mark.parametrize("table", ["tracks", "stems"])
@pytest.mark.long
def test_each_of_several_parts_is_written_again_with_its_own_rows(split, table):
    keys = sorted(split.store.list(table))
    before = {key: (rows(split, key), split.store.read_bytes(key)) for key in keys}
    split.file(keys[0]).unlink()
    split.file(keys[1]).write_bytes(b"PAR1")
    split.file(keys[2]).unlink()
    assert rebuild(split, *keys) == [WRITTEN] * 3
    assert {key: (rows(split, key), split.store.read_bytes(key)) for key in keys} == before
    assert split.told() == {}


@pytest.mark.long
def test_what_would_be_cut_elsewhere_now_is_cut_where_it_was(split, monkeypatch):
    keys = sorted(split.store.list("tracks"))
    before = {key: rows(split, key) for key in keys}
    for per_group, size in ((3, 1), (1, 1), (10_000, 1 << 20)):
        monkeypatch.setattr(merging, "PART_BYTES", size)
        monkeypatch.setattr(merging, "ROWS_PER_GROUP", per_group)
        for key in keys:
            split.file(key).unlink()
        assert rebuild(split, *keys) == [WRITTEN] * 3
        assert {key: rows(split, key) for key in keys} == before
        assert split.told() == {}


def test_nothing_is_written_where_the_rows_are_not_as_many(split):
    keys = sorted(split.store.list("tracks"))
    ledger = split.night.ledger
    rows_of, ledger.batches.rows = ledger.batches.rows, lambda batch_id: rows_of(batch_id)[:1]
    assert "2 of its rows, not its 5" in rebuild(split, keys[1])[0]
