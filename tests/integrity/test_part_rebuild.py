"""Parts written again from the ledger, wherever compaction has put the rows of a batch."""

from __future__ import annotations

import pytest
from support.night import open_night

from stemline.dataset.identity import DATASET_KEY
from stemline.integrity import part_rebuild
from stemline.integrity.part_rebuild import PartRebuild
from stemline.manifest.source_root import NOWHERE
from stemline.rewrite.snapshot import read_snapshot
from stemline.run.compaction import compact_parts


@pytest.fixture
def night(tmp_path, monkeypatch):
    """Three batches in two partitions, the first two of which were merged."""
    monkeypatch.setattr(part_rebuild, "source_of", lambda *_: None)
    monkeypatch.setattr(part_rebuild, "find_source_root", lambda _: NOWHERE)
    with open_night(tmp_path, ("artist",)) as night:
        night.store.put_bytes(DATASET_KEY, b'{"dataset_id": "set"}')
        for some in ({"a": "X", "b": "Y"}, {"c": "X", "d": "Y"}, {"e": "X", "f": "Y"}):
            tokens = [night.collect(name, artist=artist) for name, artist in some.items()]
            night.publisher.publish(night.run_id, tokens)
            if "c" in some:
                compact_parts(night.ledger, night.store, "set")
        yield night


def test_each_partition_of_a_batch_is_written_again(night):
    before, parts = night.rows(), {part.key: part for part in read_snapshot(night.store).parts}
    wanted = [(key, part) for key, part in parts.items() if not key.startswith("activity")]
    assert len(wanted) == 4
    for key, _ in wanted:
        night.store.delete(key)

    outcomes = list(PartRebuild(None, night.store, night.ledger, "set").run(wanted))

    assert [each.is_mended for each in outcomes] == [True] * 4, outcomes
    assert night.rows() == before
    assert sorted(night.rows()) == [*"abcdef"]
