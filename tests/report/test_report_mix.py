"""The source beside its stems, on the page of a run."""

from __future__ import annotations

from stemline.report import write_report
from stemline.wording import byte_size, mix_sentence


def read(night):
    return night.store.read_bytes(write_report(night.ledger, night.store, night.run_id)).decode()


def test_where_a_linked_original_lies_is_nobody_elses_business(night, stem):
    where = "audio/ab/t1/stemsplit-four-best-flac"
    linked = stem("mix", "/home/ann/cat/t1.mp3", verification="linked", size_bytes=None, frames=None)
    night.publish(night.plan(), stems=(stem("vocals", f"{where}/vocals.flac"), linked))
    night.finish()

    page = read(night)

    assert "/home/ann" not in page
    assert "Solo original" not in page


def test_what_is_missing_is_told_with_the_first_reason(night):
    lacking = {"stored": 7, "linked": 0, "missing": 1_200, "problems": {"t<1>": "The source is gone."}}
    night.finish(mix=lacking)
    assert "7 stored, 0 linked, 1,200 missing, such as that of t&lt;1&gt;: The source is gone." in read(night)
    assert mix_sentence({**lacking, "missing": 0}) == "7 stored, 0 linked"


def test_nothing_is_said_where_none_is_missing(night):
    night.finish(mix={"stored": 7, "linked": 0, "missing": 0, "problems": {}})
    assert "Mixes" not in read(night)


def test_bytes_are_told_in_a_unit_that_suits_them():
    sizes = (0, 999, 1_000, 123_456, 4_560_000, 7.8e9, 5e15)
    assert [byte_size(size) for size in sizes] == [
        *("0 bytes", "999 bytes", "1.0 kB", "123 kB", "4.6 MB", "7.8 GB", "5,000 TB")
    ]
