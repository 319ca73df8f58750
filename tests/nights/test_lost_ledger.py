"""What a dataset holds is paid for once, whatever became of the ledger, the working directory or the configuration."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest
from support.postgresql import new_schema

COUNT = 3
AWS = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_DEFAULT_REGION": "us-east-1"}


def lose(project):
    """Lose the ledger."""
    for file in project.folder.glob("night.db*"):
        file.unlink()


def back_up(project):
    """Give a function that puts the ledger back as it is now."""
    copy = project.folder / "backup.db"
    with closing(sqlite3.connect(project.ledger)) as ledger, closing(sqlite3.connect(copy)) as other:
        ledger.backup(other)

    def restore():
        lose(project)
        shutil.copy(copy, project.ledger)

    return restore


def adopt(project, *argv):
    done = project.stemline("adopt", project.config, "--json", *argv)
    assert done.code == 0, done.err
    return done.tree


def assert_refused(project, *argv, words="stemline adopt"):
    """`run`, `plan` and `doctor` end with 2, name the way out, and nothing is paid or written."""
    charged, files = project.provider.charged, project.files("audio") | project.files("tracks")
    for command in ("run", "plan", "doctor"):
        said = project.stemline(command, project.config, "--json", *argv)
        assert said.code == 2, (command, said.out, said.err)
        assert words in said.out, (command, said.out)
        assert "Traceback" not in said.err
    assert project.provider.charged == charged
    assert (project.files("audio") | project.files("tracks")) == files


def assert_nothing_is_paid_again(project, count=COUNT):
    """A run of everything publishes what is published, asks for nothing and changes no file."""
    charged, files = project.provider.charged, project.files()
    done = project.run()
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": count}
    assert done.tree["requests"]["sent"] == 0
    assert project.provider.charged == charged
    assert project.files() == files


def test_a_lost_ledger_is_noticed_before_a_credit_is_spent(published):
    lose(published)
    assert_refused(published)


@pytest.mark.long
def test_a_lost_ledger_is_noticed_in_another_working_directory(project):
    project.prepare(COUNT, ledger={"url": "sqlite:///night.db"})
    assert project.run().code == 0
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    key = {"STEM_KEY": project.provider.key}
    charged = project.provider.charged
    said = project.launcher.run(elsewhere, "run", project.config, "--json", **key)
    assert said.code == 2, said.err
    assert "stemline adopt" in said.tree["error"]["fix"]
    assert project.provider.charged == charged


@pytest.mark.long
def test_without_a_url_the_ledger_lies_with_the_dataset_and_is_found_from_everywhere(project):
    project.prepare(COUNT, ledger={"url": None})
    assert project.run().code == 0
    assert (project.dataset / "_stemline" / "night.db").exists()
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    charged = project.provider.charged
    again = project.launcher.run(elsewhere, "run", project.config, "--json", STEM_KEY=project.provider.key)
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {"published": COUNT}
    assert project.provider.charged == charged


@pytest.mark.long
def test_a_ledger_in_the_working_directory_is_kept_to_and_its_place_is_told(published):
    (published.folder / ".stemline").mkdir()
    published.ledger.rename(published.folder / ".stemline" / "night.db")
    published.write_config(ledger={"url": None})
    said = published.run()
    assert said.code == 0, said.err
    assert said.err.count("where earlier versions put it") == 1
    assert not (published.dataset / "_stemline" / "night.db").exists()


@pytest.mark.long
def test_another_name_over_the_same_dataset_is_refused(project):
    project.prepare(COUNT, ledger={"url": None})
    assert project.run().code == 0
    assert_refused(project, "--set", "name=other")


@pytest.mark.long
def test_an_older_backup_of_the_ledger_is_noticed_and_brought_up_to_date(project):
    project.prepare(2)
    assert project.run().code == 0
    restore = back_up(project)
    project.prepare(4)
    assert project.run().code == 0
    restore()
    assert_refused(project)
    adopted = adopt(project)
    assert (adopted["tracks"], adopted["known"]) == (2, 2)
    assert_nothing_is_paid_again(project, 4)
    project.assert_published_once(4)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "verb",
    [
        pytest.param("mark_sending", marks=LONG),
        "record_submission",
        pytest.param("record_ready", marks=LONG),
        pytest.param("record_collected", marks=LONG),
    ],
)
@pytest.mark.long
def test_a_backup_from_the_middle_of_a_run_is_brought_up_to_date(project, verb):
    project.prepare(2)
    running = project.start("run", project.config, "--json")
    running.until(lambda: project.has_happened(verb))
    restore = back_up(project)
    assert running.wait().code == 0
    restore()
    if project.query("SELECT count(*) FROM tracks WHERE state = 'published'") == [(2,)]:
        return  # it was over before it could be copied
    adopt(project)
    assert_nothing_is_paid_again(project, 2)
    project.assert_published_once(2)


@pytest.mark.long
def test_after_adopting_nothing_is_paid_and_nothing_is_written_again(published):
    lose(published)
    tables = published.tracks()
    assert adopt(published)["tracks"] == COUNT
    assert_nothing_is_paid_again(published)
    published.assert_published_once(COUNT)
    assert published.charges() == tables["credits_charged"].sum()
    tokens = dict(published.query("SELECT token, job_id FROM attempts"))
    assert tokens == dict(zip(tables["attempt_token"], tables["job_id"], strict=True))


@pytest.mark.long
def test_adopting_twice_adds_nothing(published):
    lose(published)
    first = adopt(published)
    second = adopt(published)
    assert first["tracks"] == second["known"] == COUNT
    assert second["tracks"] == second["credits"] == 0
    assert published.charges() == first["credits"]


@pytest.mark.long
def test_after_adopting_only_what_is_new_is_paid(published):
    lose(published)
    adopt(published)
    published.prepare(COUNT + 2)
    done = published.run()
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": COUNT + 2}
    published.assert_published_once(COUNT + 2)


@pytest.mark.long
def test_adopted_charges_count_in_the_budget_of_their_day(published):
    lose(published)
    spent = adopt(published)["credits"]
    published.prepare(COUNT + 1, budget={"day": spent + 1})
    stopped = published.run()
    assert stopped.code == 4, stopped.out
    assert stopped.tree["tracks"] == {"published": COUNT, "held": 1}


@pytest.mark.long
def test_a_ledger_lost_again_after_adopting_is_noticed_again(published):
    lose(published)
    adopt(published)
    lose(published)
    assert_refused(published)
    assert adopt(published)["tracks"] == COUNT


@pytest.mark.long
def test_an_adoption_that_was_cut_off_keeps_runs_from_beginning(published):
    lose(published)
    adopt(published)
    with closing(sqlite3.connect(published.ledger)) as ledger, ledger:
        ledger.execute("UPDATE datasets SET is_adopting = 1")
    assert_refused(published)
    adopt(published)
    assert_nothing_is_paid_again(published)


@pytest.mark.long
def test_a_dataset_from_before_ledgers_had_records_tells_by_its_parts(published):
    shutil.rmtree(published.dataset / "_stemline" / "ledgers")
    (published.dataset / "_stemline" / "dataset.json").unlink()
    lose(published)
    assert_refused(published)
    adopt(published)
    assert_nothing_is_paid_again(published)


@pytest.mark.long
def test_a_ledger_from_before_datasets_had_names_goes_on_with_its_dataset(published):
    shutil.rmtree(published.dataset / "_stemline" / "ledgers")
    (published.dataset / "_stemline" / "dataset.json").unlink()
    with closing(sqlite3.connect(published.ledger)) as ledger, ledger:
        ledger.execute("DELETE FROM datasets")
        ledger.execute("UPDATE attempts SET dataset_id = NULL")
    done = published.run()
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": COUNT}
    published.assert_published_once(COUNT)
    lose(published)
    assert_refused(published)


@pytest.mark.long
def test_a_run_of_nothing_new_does_not_write_the_record_again(published):
    records = published.files("_stemline/ledgers")
    assert published.run().code == 0
    assert published.files("_stemline/ledgers") == records


@pytest.mark.long
def test_embedded_audio_is_adopted_as_well(project):
    project.prepare(COUNT, dataset={"audio": "embedded"})
    assert project.run().code == 0
    lose(project)
    assert adopt(project)["tracks"] == COUNT
    assert_nothing_is_paid_again(project)
    (result,) = project.query("SELECT result FROM attempts WHERE track_id = 't00'")
    assert json.loads(result[0])["stems"] == [], "the tables hold them"


@pytest.mark.long
def test_the_attempt_after_an_adopted_one_gets_a_place_of_its_own(published):
    lose(published)
    adopt(published)
    numbers = published.query("SELECT DISTINCT number FROM attempts")
    assert numbers == [(1,)]
    part = next((published.dataset / "tracks").rglob("*.parquet"))
    assert pq.read_table(part).num_rows > 0


@pytest.mark.long
@pytest.mark.xdist_group("s3")
def test_over_a_store_a_lost_postgresql_ledger_is_noticed_and_filled(project, postgresql, s3_server, bucket):
    dataset = {"url": f"s3://{bucket}/stems", "storage_options": s3_server.storage_options}
    project.database = new_schema(postgresql)
    assert project.prepare(COUNT, dataset=dataset).run(**AWS).code == 0
    charged = project.provider.charged
    project.database = new_schema(postgresql)
    project.prepare(COUNT, dataset=dataset)
    for command in ("run", "plan", "doctor"):
        said = project.stemline(command, project.config, "--json", **AWS)
        assert said.code == 2, (command, said.out, said.err)
        assert "stemline adopt" in said.out
    adopted = project.stemline("adopt", project.config, "--json", **AWS)
    assert (adopted.code, adopted.tree["tracks"]) == (0, COUNT), adopted.err
    again = project.run(**AWS)
    assert (again.code, again.tree["tracks"]) == (0, {"published": COUNT}), again.err
    assert again.tree["requests"]["sent"] == 0
    assert project.provider.charged == charged
