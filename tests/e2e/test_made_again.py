"""Published tracks made again with the local service: paid once more, in the tables once, and readable all the time."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from support.project import STEM_NAMES
from support.remaking_run import make_again, newest_numbers

from stemline.integrity.verification import Thoroughness, verify_dataset
from stemline.run.releasing import release_dataset
from stemline.settings import load_settings


@pytest.fixture
def published(project, monkeypatch):
    """Three tracks in the dataset, and a release of them."""
    monkeypatch.setenv("STEM_KEY", project.provider.key)
    project.prepare(3)
    assert project.run().code == 0
    release_dataset(load_settings(project.config), "v1")
    return project


def assert_there_once(project, count=3):
    wanted = sorted(row["track_id"] for row in project.good_rows(count))
    assert sorted(project.tracks()["track_id"]) == wanted
    pairs = Counter(project.stems()[["track_id", "stem"]].itertuples(index=False, name=None))
    assert pairs == Counter((track_id, stem) for track_id in wanted for stem in STEM_NAMES)
    seconds = pd.read_parquet(project.dataset / "activity")
    assert Counter(zip(seconds["track_id"], seconds["stem"], strict=True)) == pairs


def assert_sound(project):
    report = verify_dataset(load_settings(project.config), Thoroughness(is_decoding=True))
    assert report.is_sound, report
    assert report.leftovers == ()


def folders(project, track_id):
    return sorted(path.name for path in (project.dataset / "audio").glob(f"*/{track_id}/*"))


@pytest.mark.long
def test_it_is_paid_twice_in_sum_and_the_older_release_is_what_it_was(published):
    before = published.files("releases")
    numbers = newest_numbers(published.config, ["t00", "t01"])
    assert numbers == {"t00": 1, "t01": 1}

    done = make_again(published.config, numbers)

    assert done.exit_code == 0, done.reason
    assert done.summary["tracks"] == {"published": 3}
    assert done.summary["published"] == {"by_this_run": 2, "by_others": 0, "before": 1}
    assert_there_once(published)
    assert published.jobs_by_track() == Counter(t00=2, t01=2, t02=1)
    assert published.charges() == published.provider.charged
    assert published.open_reservations() == 0
    assert published.files("releases") == before
    plain = "local-both-fast-wav"
    assert folders(published, "t00") == [plain, f"{plain}-2"]
    assert folders(published, "t02") == [plain]
    assert_sound(published)


@pytest.mark.long
def test_the_same_again_pays_nothing_and_changes_nothing(published):
    numbers = newest_numbers(published.config, ["t00"])
    assert make_again(published.config, numbers).exit_code == 0
    files, charged = published.files(), published.provider.charged

    again = make_again(published.config, numbers)

    assert again.exit_code == 0
    assert again.summary["requests"]["sent"] == 0
    after = published.files()
    assert {n for n in files.keys() | after.keys() if files.get(n) != after.get(n)} == set()
    assert published.provider.charged == charged
    assert published.run().tree["tracks"] == {"published": 3}
    assert published.files() == files


@pytest.mark.long
def test_audio_that_no_release_names_goes_with_its_rows(project, monkeypatch):
    monkeypatch.setenv("STEM_KEY", project.provider.key)
    project.prepare(2)
    assert project.run().code == 0
    make_again(project.config, newest_numbers(project.config, ["t00"]))
    assert folders(project, "t00") == ["local-both-fast-wav-2"]
    assert_sound(project)


@pytest.mark.long
def test_a_source_that_lies_elsewhere_by_now_is_what_is_made(published):
    rows = published.good_rows(3)
    rows[0]["uri"] = str(published.songs[5])
    published.write_manifest(rows)
    assert make_again(published.config, newest_numbers(published.config, ["t00"])).exit_code == 0
    found = published.tracks().set_index("track_id").loc["t00"]
    assert found["source_uri"].endswith(published.songs[5].name)
    assert published.query("SELECT location FROM tracks WHERE track_id = 't00'") == [
        (str(published.songs[5]),)
    ]
    assert_sound(published)


@pytest.mark.long
def test_corrected_columns_come_with_the_newer_stems(published):
    rows = published.good_rows(3)
    rows[0]["mood"] = rows[1]["mood"] = "other"
    published.write_manifest(rows)
    assert make_again(published.config, newest_numbers(published.config, ["t00"])).exit_code == 0
    found = published.tracks().set_index("track_id")["mood"].astype(str)
    assert dict(found) == {"t00": "other", "t01": "other", "t02": "m0"}
    assert_sound(published)


@pytest.mark.long
def test_what_cannot_be_made_again_stays_as_it_was_and_says_why(published, break_with):
    before = {name: published.files(name) for name in ("tracks", "stems", "audio")}
    numbers = newest_numbers(published.config, ["t00"])
    rows = published.good_rows(3)
    rows[0] |= {"uri": str(published.songs[5]), "mood": "other"}
    published.write_manifest(rows)
    break_with({"fault": "stems_stretched"})

    done = make_again(published.config, numbers)

    assert done.exit_code == 0, done.reason
    assert done.summary["tracks"] == {"published": 3}
    assert done.summary["codes"] == {"ok": 2, "not_made_again": 1}
    ((state, sentence, location),) = published.query(
        "SELECT state, sentence, location FROM tracks WHERE track_id = 't00'"
    )
    assert state == "published"
    assert "could not be made again" in sentence
    assert location == str(published.songs[0])
    assert {name: published.files(name) for name in before} == before
    assert published.charges() == published.provider.charged
    assert published.jobs_by_track()["t00"] == 2
    assert_sound(published)

    again = make_again(published.config, numbers)

    assert again.summary["requests"]["sent"] == 0
    assert published.jobs_by_track()["t00"] == 2


@pytest.mark.long
def test_what_did_not_verify_may_be_accepted_and_takes_the_older_ones_place(published, break_with):
    break_with({"fault": "stems_stretched"})
    make_again(published.config, newest_numbers(published.config, ["t00"]))
    assert published.tracks().set_index("track_id").loc["t00", "attempt_token"]

    told = published.stemline("resolve", published.config, "t00", "--accept", "--json")

    assert told.code == 0, told.out + told.err
    assert told.tree["state"] == "published"
    assert_there_once(published)
    stems = published.stems()
    assert set(stems[stems["track_id"] == "t00"]["path"].str.split("/").str[3]) == {"local-both-fast-wav-2"}
    report = verify_dataset(load_settings(published.config), Thoroughness())
    assert report.is_sound, report


@pytest.mark.long
def test_without_credits_for_it_the_track_is_held_and_the_next_night_leaves_it(published):
    numbers = newest_numbers(published.config, ["t00"])
    done = make_again(published.config, numbers, "budget.run=0")
    assert done.exit_code == 4
    assert_there_once(published)

    night = published.run()

    assert night.code == 0
    assert night.tree["tracks"] == {"published": 3}
    assert night.tree["requests"]["sent"] == 0
    assert make_again(published.config, numbers).summary["published"]["by_this_run"] == 1
    assert_sound(published)
