"""What is opened: the live parts, a release, wherever the dataset is; and what is said where there is none."""

from __future__ import annotations

import re
import shutil
import uuid
from pathlib import Path

import numpy as np
import pytest

import stemline
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import claim_layout
from stemline.errors import StemlineError, UsageError
from stemline.rewrite.snapshot import live_parts


def names(table) -> list[str]:
    return sorted(set(table.to_table(columns=["track_id"]).column(0).to_pylist()))


@pytest.fixture(
    params=["path", "s3", *(pytest.param(each, marks=pytest.mark.long) for each in ("file", "memory"))]
)
def anywhere(request, published):
    if request.param == "file":
        published.url = f"file://{published.url}"
    elif request.param == "memory":
        published.url = f"memory://{uuid.uuid4().hex}/set"
    elif request.param == "s3":
        published.url = f"s3://{request.getfixturevalue('bucket')}/set"
        published.storage_options = request.getfixturevalue("s3_server").storage_options
    return published


@pytest.mark.long
def test_tables_and_sound_are_the_same_wherever_the_dataset_is(anywhere):
    for track_id in "ab":
        anywhere.publish(track_id)
    anywhere.release("v1")
    anywhere.publish("c")

    live = stemline.open_dataset(anywhere.url, anywhere.storage_options)
    released = stemline.open_dataset(anywhere.url, anywhere.storage_options, release="v1")
    folder = stemline.open_dataset(f"{anywhere.url}/releases/v1/", anywhere.storage_options)

    assert names(live.tracks) == names(live.stems) == names(live.activity) == ["a", "b", "c"]
    assert (released.release, folder.release) == ("v1", "v1")
    for dataset in (live, released, folder):
        found = dataset.audio("b", "vocals", 2.5, 1.5)
        assert np.array_equal(
            found, anywhere.whole("b", "vocals")[round(2.5 * 22_050) :][: round(1.5 * 22_050)]
        )
    for dataset in (released, folder):
        assert names(dataset.tracks) == ["a", "b"]
        assert dataset.sql("SELECT count(*) FROM stems JOIN activity USING (track_id, stem)").fetchall() == [
            (4,)
        ]


def test_a_partition_column_is_there_as_the_files_have_it(published):
    published.publish("a")
    table = stemline.open_dataset(published.url).tracks.to_table()

    assert table.schema.equals(DatasetLayout().tracks, check_metadata=False)
    assert not [name for name in table.column_names if name.startswith("by_")]


def test_a_dataset_without_parts_is_empty(published):
    claim_layout(published.store, DatasetLayout())
    dataset = stemline.open_dataset(published.url)

    assert [table.count_rows() for table in (dataset.tracks, dataset.stems, dataset.activity)] == [0, 0, 0]
    assert dataset.sql("SELECT max(bpm) FROM tracks").fetchall() == [(None,)]
    with pytest.raises(UsageError, match="has no track 'a'"):
        dataset.audio("a", "vocals")


def test_a_dataset_whose_layout_was_left_behind_is_read_by_its_parts(published, tmp_path):
    published.publish("a")
    copy = tmp_path / "copy"
    shutil.copytree(published.url, copy, ignore=shutil.ignore_patterns("_stemline"))
    dataset = stemline.open_dataset(str(copy))

    assert names(dataset.tracks) == ["a"]
    assert len(dataset.audio("a", "vocals", 1.0, 1.0)) == 22_050


def test_what_is_not_there_is_named_with_what_is(published):
    with pytest.raises(UsageError, match=r"There is no dataset at .*/set\. Give the dataset\.url"):
        stemline.open_dataset(published.url)
    published.publish("a")
    published.publish("a", quality="fast", day=21)
    with pytest.raises(UsageError, match=r"no release 'v2'\. Make one"):
        stemline.open_dataset(published.url, release="v2")
    published.release("v1")
    with pytest.raises(UsageError, match=r"no release 'v2'\. It has v1"):
        stemline.open_dataset(published.url, release="v2")
    dataset = stemline.open_dataset(published.url)
    with pytest.raises(UsageError, match=r"has no track 'z'\. Those it has are in the table tracks"):
        dataset.audio("z", "vocals")
    with pytest.raises(UsageError, match=r"has no stem 'drums'\. It has instrumental, vocals"):
        dataset.audio("a", "drums")
    with pytest.raises(
        UsageError, match=r"no stems by acme\. It has those by local \(vocals-best-flac\), local"
    ):
        dataset.audio("a", "vocals", provider="acme")
    with pytest.raises(UsageError, match=r"The query cannot be answered: .*nowhere"):
        dataset.sql("SELECT * FROM nowhere")


@pytest.mark.parametrize(
    ("start", "seconds", "rate", "sentence"),
    [
        (-1, 2, None, "start is -1"),
        (0, -1, None, "seconds is -1"),
        (float("nan"), 1, None, "start is nan"),
        ("1", 1, None, "start is '1'. Give a number from 0"),
        (0, "1", None, "seconds is '1'"),
        (0, 1, 0, "There is no sample_rate 0"),
    ],
)
def test_a_window_that_is_none_is_refused(published, start, seconds, rate, sentence):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)

    with pytest.raises(UsageError, match=sentence):
        dataset.audio("a", "vocals", start, seconds, sample_rate=rate)


@pytest.mark.parametrize("url", [None, 7, "", "   ", "nosuch://bucket/set", "s3://", "/dev/null/set", "a\0b"])
def test_a_url_that_is_no_good_gets_a_sentence(url):
    with pytest.raises(StemlineError):
        stemline.open_dataset(url, {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"})


def test_of_several_recipes_the_newest_is_read_unless_one_is_named(published):
    published.publish("a", day=20)
    published.publish("a", quality="fast", day=21, rate=16_000)
    dataset = stemline.open_dataset(published.url)

    assert len(dataset.audio("a", "vocals", 0.0, 1.0)) == 16_000
    assert len(dataset.audio("a", "vocals", 0.0, 1.0, recipe="vocals-best-flac")) == 22_050


def test_what_is_published_later_is_seen_after_a_refresh(published):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    published.publish("b")

    assert names(dataset.tracks) == ["a"]
    assert dataset.refresh()
    assert names(dataset.tracks) == ["a", "b"]
    assert not dataset.refresh()


@pytest.mark.long
def test_parts_that_were_merged_meanwhile_are_looked_up_anew(anywhere):
    for track_id in "abc":
        anywhere.publish(track_id)
    dataset = stemline.open_dataset(anywhere.url, anywhere.storage_options)
    warm = stemline.open_dataset(anywhere.url, anywhere.storage_options)
    warm.audio("a", "vocals", 1.0, 1.0)
    anywhere.compact()

    for reader in (dataset, warm):
        found = reader.audio("c", "vocals", 1.0, 1.0)
        assert np.array_equal(found, anywhere.whole("c", "vocals")[22_050:44_100])
    assert len(dataset.tables.listed.parts["tracks"]) == 1


def test_half_way_through_a_rewrite_every_row_is_read_once(published, monkeypatch):
    for track_id in "abc":
        published.publish(track_id)
    store, seen = published.store, []
    copy = type(store).copy

    def look(self, source, target):
        copy(self, source, target)
        dataset = stemline.open_dataset(published.url)
        seen.append((dataset.tracks.count_rows(), len(dataset.audio("b", "vocals", 1.0, 1.0))))

    monkeypatch.setattr(type(store), "copy", look)
    published.compact(store)

    assert set(seen) == {(3, 22_050)}


def test_a_track_that_was_forgotten_is_not_there_any_more(published):
    published.publish("a")
    published.publish("b")
    dataset = stemline.open_dataset(published.url)
    dataset.audio("a", "vocals", 1.0, 1.0)
    for key in [key for key in live_parts(published.store) if key.endswith("1.parquet")]:
        published.store.delete(key)
    for key in [key for key in published.store.list("audio") if "/a/" in key]:
        published.store.delete(key)

    with pytest.raises(UsageError, match="has no track 'a'"):
        dataset.audio("a", "vocals", 1.0, 1.0)


def test_what_the_page_asks_is_answered(published):
    published.publish("a")
    text = (Path(__file__).parents[2] / "docs/training.md").read_text()
    asked = re.findall("```python\n(.*?)```", text, re.DOTALL)[1]
    found = {"dataset": stemline.open_dataset(published.url)}

    exec(asked, found)  # noqa: S102 - our own page

    assert list(found["loud"].columns) == ["track_id", "stem", "level"]
    assert found["tracks"].num_rows == 1
