"""A track counts as published in the dataset it was published to."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

COUNT = 3


def assert_refused(project, *words):
    """`run` and `plan` end with 2 and say what to do, and nothing is paid."""
    charged = project.provider.charged
    for command in ("run", "plan"):
        said = project.stemline(command, project.config, "--json")
        assert said.code == 2, (command, said.out, said.err)
        for word in words:
            assert word in said.out, (command, said.out)
    assert project.provider.charged == charged


@pytest.mark.long
def test_another_dataset_is_never_said_to_hold_what_it_does_not(published):
    published.write_config(dataset={"url": str(published.folder / "empty")})
    assert_refused(published, "t00", str(published.dataset), "dataset.url")


@pytest.mark.long
def test_a_dataset_that_was_emptied_is_noticed(published):
    shutil.rmtree(published.dataset)
    assert_refused(published, "t00", "emptied")


@pytest.mark.long
def test_a_dataset_whose_tables_are_gone_is_noticed(published):
    shutil.rmtree(published.dataset / "tracks")
    assert_refused(published, "no longer in its tables")


@pytest.mark.long
def test_a_moved_dataset_stays_the_same(published):
    moved = published.folder / "moved"
    published.dataset.rename(moved)
    published.write_config(dataset={"url": str(moved)})
    done = published.run()
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": COUNT}


@pytest.mark.long
def test_a_copy_of_the_tables_and_audio_is_taken_up_by_adopting(published):
    copy = published.folder / "copy"
    for name in ("tracks", "stems", "audio"):
        shutil.copytree(published.dataset / name, copy / name)
    published.write_config(dataset={"url": str(copy)})
    assert_refused(published, "stemline adopt")
    adopted = published.stemline("adopt", published.config, "--json")
    assert (adopted.tree["tracks"], adopted.tree["known"]) == (0, COUNT)
    charged = published.provider.charged
    assert published.run().code == 0
    assert published.provider.charged == charged


@pytest.mark.long
def test_adopting_says_how_many_tracks_the_stems_table_has_no_row_of(published):
    whole = published.stemline("adopt", published.config, "--json")
    assert whole.tree["without_stems"] == 0
    shutil.rmtree(published.dataset / "stems")
    torn = published.stemline("adopt", published.config, "--json")
    assert torn.tree["without_stems"] == COUNT
    assert (
        f"{COUNT} tracks without a row in the stems table"
        in published.stemline("adopt", published.config).out
    )


@pytest.mark.long
def test_adopting_says_how_many_stems_have_lost_their_part_of_the_tracks(published):
    part = next((published.dataset / "tracks").rglob("*.parquet"))
    assert published.stemline("adopt", published.config, "--json").tree["lone_parts"] == 0
    part.unlink()
    assert published.stemline("adopt", published.config, "--json").tree["lone_parts"] == 1
    assert "may be paid for again" in published.stemline("adopt", published.config).out


@pytest.mark.long
def test_other_tracks_of_the_same_ledger_may_go_to_another_dataset(published):
    published.write_manifest(published.good_rows(COUNT + 2)[COUNT:])
    published.write_config(dataset={"url": str(published.folder / "other")})
    done = published.run()
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 2}
    published.prepare(COUNT)
    assert published.run().code == 0


@pytest.mark.long
def test_a_ledger_from_before_datasets_had_names_knows_its_own_parts(published):
    published.write_config(dataset={"url": str(published.folder / "empty")})
    with closing(sqlite3.connect(published.ledger)) as ledger, ledger:
        ledger.execute("DELETE FROM datasets")
        ledger.execute("UPDATE attempts SET dataset_id = NULL")
    assert_refused(published, "t00", "another dataset")


@pytest.mark.long
def test_two_recipes_each_with_a_ledger_of_its_own_share_a_dataset(published):
    own = {"ledger": {"url": f"sqlite:///{published.folder}/other.db"}}
    published.write_config(recipe={"stems": "vocals"}, **own)
    other = published.run()
    assert other.code == 0, other.err
    assert other.tree["tracks"] == {"published": COUNT}
    assert len(published.tracks()) == 2 * COUNT
    records = [json.loads(file.read_text()) for file in (published.dataset / "_stemline/ledgers").iterdir()]
    assert sorted(key for record in records for key in record["published"]) == [
        "local/both-fast-wav",
        "local/vocals-fast-wav",
    ]
    charged = published.provider.charged
    for config in (own, {}):
        published.write_config(**({"recipe": {"stems": "vocals"}} if config else {}), **config)
        assert published.run().code == 0
    assert published.provider.charged == charged
