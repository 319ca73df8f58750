"""`stemline backfill` as a person uses it: shown, agreed to, frozen, made, and looked at afterwards."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from support.terminal import on_a_terminal

from stemline.audio import encode

TRACKS = 4
BOUNDS = ("--since", "2010", "--until", "2014", "--slice", "year")


def dated(project, count: int = TRACKS) -> list[dict]:
    """Rows of a second each from another year, the oldest first."""
    return [
        {**row, "duration_seconds": 2, "released_on": f"{2010 + n}-06-01"}
        for n, row in enumerate(project.good_rows(count))
    ]


@pytest.fixture
def years(project):
    """Five dated tracks, of which the last is outside the bounds."""
    project.write_manifest(dated(project, TRACKS + 1))
    project.write_config(provider={"pilot": 0}, execution={"batch_seconds": 0.05})
    return project


def backfill(project, *argv: object, **env: str):
    return project.stemline("backfill", project.config, "--name", "old", *argv, **env)


def test_what_the_dry_run_shows_is_what_is_frozen_and_made(years):
    shown = backfill(years, *BOUNDS, "--dry-run", "--json")
    assert shown.code == 0, shown.err
    plan = shown.tree
    assert {"name", "tracks", "credits", "seconds", "slices"} <= plan.keys()
    assert (plan["name"], plan["tracks"], plan["outside"]) == ("old", TRACKS, 1)
    assert [each["slice"] for each in plan["slices"]] == ["2013", "2012", "2011", "2010"]
    assert sum(each["credits"] for each in plan["slices"]) == plan["credits"]["high"]
    assert not years.ledger.exists()
    assert not years.dataset.exists()

    made = backfill(years, *BOUNDS, "--yes")
    assert made.code == 0, made.err
    words = made.out.split()
    assert all(each["slice"] in words for each in plan["slices"])
    assert "credits" in words
    frozen = years.query("SELECT track_id, slice FROM backfill_tracks ORDER BY position")
    assert frozen == [(f"t{n:02d}", f"{2010 + n}") for n in reversed(range(TRACKS))]
    years.assert_published_once(TRACKS)
    assert years.charges() <= plan["credits"]["high"]

    again = backfill(years, "--json")
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {"published": TRACKS}
    assert again.tree["backfill"]["state"] == "finished"
    years.assert_published_once(TRACKS)


@pytest.mark.long
def test_json_is_the_object_of_a_run_with_the_backfill_and_its_slices(years):
    made = backfill(years, *BOUNDS, "--yes", "--json")
    assert made.code == 0, made.err
    run = {"run_id", "tracks", "codes", "credits", "requests", "seconds", "predicted", "dataset", "report"}
    assert run | {"backfill", "slices"} <= made.tree.keys()
    assert made.tree["tracks"] == {"published": TRACKS}
    about = made.tree["backfill"]
    assert (about["name"], about["state"], about["runs"], about["share"]) == ("old", "finished", 1, 1.0)
    assert about["credits"] == {"reserved": 0, "charged": years.charges(), "ceiling": None}
    assert about["request"]["since"] == "2010-01-01T00:00:00+00:00"
    for each, year in zip(made.tree["slices"], (2013, 2012, 2011, 2010), strict=True):
        assert (each["slice"], each["tracks"], each["published"]) == (str(year), 1, 1)
        assert each["states"] == {"published": 1}
    listed = years.stemline("backfills", years.config, "--json").tree["backfills"]
    assert [each["backfill"] for each in listed] == [about]
    assert [each["slices"] for each in listed] == [made.tree["slices"]]
    shown = years.stemline("backfills", years.config)
    assert "4 of 4" in shown.out


@pytest.mark.long
def test_a_saved_plan_is_made_or_refused_when_it_has_moved(years):
    saved = backfill(years, *BOUNDS, "--dry-run", "--out", "plan.json")
    assert saved.code == 0, saved.err
    assert "--plan plan.json" in " ".join(saved.err.split())
    years.write_manifest(dated(years, TRACKS - 1))
    refused = backfill(years, *BOUNDS, "--plan", "plan.json", "--yes", "--json")
    assert (refused.code, refused.tree["error"]["kind"]) == (2, "PlanOutdated")
    assert "4 tracks then, 3 now" in refused.tree["error"]["message"]
    assert years.provider.charged == 0
    assert years.query("SELECT * FROM backfills") == []
    years.write_manifest(dated(years, TRACKS + 1))
    made = backfill(years, *BOUNDS, "--plan", "plan.json", "--yes", "--json")
    assert made.code == 0, made.err
    assert backfill(years, "--plan", "plan.json", "--json").code == 0
    plan = json.loads((years.folder / "plan.json").read_text())
    (years.folder / "plan.json").write_text(json.dumps({**plan, "manifest_digest": "other"}))
    other = backfill(years, "--plan", "plan.json", "--json")
    assert (other.code, other.tree["error"]["kind"]) == (2, "PlanOutdated")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("--since", "2014", "--until", "2014"), "is not before --until"),
        (("--since", "tomorrow"), "--since 'tomorrow' is no date"),
        (("--by", "realeased_on"), "Did you mean --by released_on?"),
        (("--where", "genra = 'jazz'"), "genra"),
        (("--where", ""), "--where is empty"),
        (("--credits", "9" * 30), "is no ceiling"),
        (("--deadline", "0001-01-01", "--name", ""), "--name '' is no name"),
        (("--mode", "some"), "--mode 'some' is not known"),
        (("--order", "cheapest"), "newest, oldest, priority, shortest"),
        (("--share", "150%"), "is no share"),
        (("--deadline", "soon"), "--deadline 'soon' is no date"),
        (("--out", "plan.json"), "--out saves what --dry-run shows"),
        (("--plan", "none.json"), "cannot be read"),
    ],
)
@pytest.mark.long
def test_what_cannot_be_asked_is_refused_in_a_sentence(years, argv, told):
    refused = backfill(years, *argv, "--yes")
    assert refused.code == 2
    assert told in " ".join(refused.err.split())
    assert "Traceback" not in refused.err
    assert not years.dataset.exists()


@pytest.mark.long
def test_what_was_frozen_otherwise_is_refused(years):
    assert backfill(years, *BOUNDS, "--share", "50%", "--credits", "100", "--yes").code == 0
    for argv, told in (
        (("--since", "2011"), "was frozen with --since"),
        (("--order", "oldest"), "goes newest first"),
        (("--share", "25%"), "has a share of 50%"),
        (("--credits", "99"), "has a ceiling of 100 credits"),
        (("--set", "recipe.format=flac"), "was frozen with recipe"),
    ):
        refused = backfill(years, *argv, "--yes")
        assert (refused.code, told in " ".join(refused.err.split())) == (2, True), refused.err
    assert backfill(years, *BOUNDS, "--share", "50%", "--credits", "100", "--yes").code == 0


@pytest.mark.long
def test_silence_is_no_consent_and_a_person_is_asked_for_the_sum(years):
    years.write_config(provider={"kind": "stemsplit", "pilot": 0})
    refused = backfill(years, *BOUNDS)
    assert refused.code == 2
    assert "there is nobody to ask" in " ".join(refused.err.split())
    code, shown = on_a_terminal(years, b"n\n", "backfill", years.config, "--name", "old", *BOUNDS)
    assert code == 130
    assert "2013" in shown
    assert "Spend up to 10 credits with stemsplit?" in shown
    assert years.query("SELECT * FROM backfills") == []
    assert years.provider.charged == 0


@pytest.mark.long
def test_frozen_it_needs_no_manifest_any_more(years):
    refused = backfill(years, *BOUNDS, "--yes", STEM_KEY="sk_nobody")
    assert refused.code == 5, refused.err
    (years.folder / "catalogue.csv").unlink()
    shown = backfill(years, "--dry-run", "--json")
    assert shown.code == 0, shown.err
    assert "does not exist" in shown.tree["changes"][0]
    made = backfill(years, "--json")
    assert made.code == 0, made.err
    years.assert_published_once(TRACKS)
    assert sorted(years.tracks()["mood"]) == ["m0", "m0", "m1", "m1"]


@pytest.mark.long
def test_what_changed_since_is_shown_and_not_taken_in(years):
    assert backfill(years, *BOUNDS, "--yes", STEM_KEY="sk_nobody").code == 5
    rows = dated(years, TRACKS + 1)
    rows[0]["uri"] = str(years.songs[-1])
    rows[4]["released_on"] = "2011-07-01"
    years.write_manifest([*rows[:2], *rows[3:]])
    shown = backfill(years, "--dry-run")
    assert shown.code == 0, shown.err
    told = " ".join(shown.out.split())
    assert "1 track within the bounds and not among what was frozen" in told
    assert "1 track no longer in the manifest" in told
    assert "1 track with another location or length by now: made as frozen (t00)." in told
    made = backfill(years, "--json")
    assert made.code == 0, made.err
    years.assert_published_once(TRACKS)


@pytest.mark.long
def test_rows_without_a_date_are_counted_and_listed(years):
    rows = dated(years)
    rows[1]["released_on"], rows[2]["released_on"] = "", "soon"
    years.write_manifest(rows)
    shown = backfill(years, *BOUNDS, "--dry-run")
    assert "2 without a date in released_on that can be read" in shown.out
    assert "no_date: Row 3: Column released_on holds 'soon', no date" in " ".join(shown.out.split())
    made = backfill(years, *BOUNDS, "--yes", "--json")
    assert made.tree["tracks"] == {"published": 2}
    with (years.dataset / "_stemline/rejects/backfill-old.csv").open() as file:
        assert [row["code"] for row in csv.DictReader(file)] == ["no_date", "no_date"]


@pytest.mark.long
def test_modes_take_what_is_missing_failed_and_all(years):
    assert years.run("--limit", "2").code == 0
    missing = backfill(years, *BOUNDS, "--dry-run", "--json").tree
    assert (missing["tracks"], missing["done"]) == (2, 2)
    everything = backfill(years, *BOUNDS, "--mode", "all", "--dry-run", "--json").tree
    assert (everything["tracks"], everything["paid_again"] > 0) == (4, True)
    refused = backfill(years, *BOUNDS, "--mode", "all")
    assert refused.code == 2
    assert "paid for before" in " ".join(refused.err.split())
    stale = backfill(years, *BOUNDS, "--mode", "stale", "--set", "recipe.format=flac", "--dry-run", "--json")
    assert stale.tree["tracks"] == 2


@pytest.mark.long
def test_status_report_and_doctor_know_a_backfill_for_what_it_is(years):
    made = backfill(years, *BOUNDS, "--yes", "--json").tree
    status = years.stemline("status", years.config, "--json")
    assert status.code == 0, status.err
    assert status.tree["tracks"] == {"published": TRACKS}
    report = years.stemline("report", years.config, "--json")
    assert report.code == 0, report.err
    page = (years.dataset / "_stemline/runs" / f"{made['run_id']}.html").read_text()
    assert "Backfill old" in page
    assert all(f"{2010 + n}" in page for n in range(TRACKS))
    assert years.stemline("doctor", years.config).code in (0, 3)
    assert years.run().code == 0
    assert years.charges() == years.provider.charged


@pytest.mark.long
def test_a_track_only_a_backfill_knows_can_be_forgotten(years):
    assert backfill(years, *BOUNDS, "--yes", STEM_KEY="sk_nobody").code == 5
    forgotten = years.stemline("forget", years.config, "--track", "t02", "--yes", "--json")
    assert forgotten.code == 0, forgotten.err
    assert years.query("SELECT count(*) FROM backfill_tracks WHERE track_id = 't02'") == [(0,)]
    made = backfill(years, "--json")
    assert made.tree["tracks"] == {"published": TRACKS - 1}
    assert "t02" not in set(years.tracks()["track_id"])


@pytest.mark.long
def test_the_dates_of_a_folder_are_those_of_its_tags(years):
    music = years.folder / "music"
    music.mkdir()
    for n, song in enumerate(song for song in years.songs if song.suffix == ".flac"):
        tag(song, music / f"{n}.flac", f"{2010 + n}-06-01")
    years.write_config(catalogue={"manifest": str(music)}, provider={"pilot": 0})
    shown = backfill(years, "--since", "2011", "--until", "2013", "--slice", "year", "--dry-run", "--json")
    assert shown.code == 0, shown.err
    assert [each["slice"] for each in shown.tree["slices"]] == ["2012", "2011"]
    made = backfill(years, "--since", "2011", "--until", "2013", "--yes", "--json")
    assert made.tree["tracks"] == {"published": 2}
    again = years.stemline(
        "backfill", years.config, "--since", "2011", "--until", "2014", "--dry-run", "--json"
    )
    assert (again.tree["tracks"], again.tree["done"], again.tree["undated"]) == (1, 2, 0)


def tag(song, to, date: str) -> None:
    """Copy a file with its date among the tags."""
    with av.open(str(song)) as source, av.open(str(to), "w", format="flac") as target:
        target.metadata["DATE"] = date
        target.metadata["ARTIST"] = f"artist of {date}"
        stream = target.add_stream("flac", rate=source.streams.audio[0].rate, layout="mono")
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


@pytest.mark.long
def test_nothing_to_do_is_done(years):
    made = backfill(years, "--since", "2030", "--yes", "--json")
    assert made.code == 0, made.err
    assert (made.tree["tracks"], made.tree["slices"]) == ({}, [])
    assert made.tree["backfill"]["state"] == "finished"


@pytest.mark.long
def test_two_that_begin_the_same_one_at_once_pay_nothing_twice(years):
    assert backfill(years, *BOUNDS, "--yes", STEM_KEY="sk_nobody").code == 5
    both = [years.start("backfill", years.config, "--name", "old", "--json") for _ in range(2)]
    for done in [each.wait() for each in both]:
        assert done.code == 0, done.err
        assert done.tree["tracks"] == {"published": TRACKS}
        assert done.tree["backfill"]["state"] == "finished"
    years.assert_published_once(TRACKS)


def test_a_deadline_is_answered_with_what_would_help(years):
    years.write_config(provider={"pilot": 0}, budget={"day": 4})
    asked = (*BOUNDS, "--deadline", "2000-01-01")
    late = backfill(years, *asked, "--dry-run", "--json").tree["deadline"]
    assert (late["can_be"], late["remedies"]) == ("no", [])
    soon = backfill(years, *BOUNDS, "--deadline", "9999-01-01", "--dry-run", "--json").tree["deadline"]
    assert (soon["at"], soon["can_be"]) == ("9999-01-01T00:00:00+00:00", "yes")
    told = backfill(years, *asked, "--dry-run")
    assert "It is not done by 2000-01-01 00:00 UTC." in " ".join(told.out.split())


@pytest.mark.long
def test_what_is_made_is_adopted_verified_released_and_exported_like_any_other(years):
    assert backfill(years, *BOUNDS, "--yes").code == 0
    for argv in (("verify",), ("compact",), ("release", "r1"), ("releases",)):
        command, *rest = argv
        done = years.stemline(command, years.config, *rest)
        assert done.code == 0, (argv, done.err)
    years.ledger.unlink()
    refused = backfill(years, *BOUNDS, "--yes")
    assert (refused.code, "adopt" in refused.err) == (2, True)
    assert years.stemline("adopt", years.config).code == 0
    again = backfill(years, *BOUNDS, "--yes", "--json")
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {}
    assert len(years.provider.jobs()) == TRACKS


def lines_of_the_page() -> list[str]:
    """Give the command lines of docs/backfill.md, those in its text too."""
    text = (Path(__file__).parents[2] / "docs" / "backfill.md").read_text()
    block = re.search(r"^```\n(stemline .*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.split("  #")[0].strip() for line in block[1].splitlines()]


@pytest.mark.long
def test_each_command_of_the_page_does_what_it_says(years):
    years.write_manifest([{**row, "released_on": f"{2015 + n}"} for n, row in enumerate(dated(years))])
    lines = lines_of_the_page()
    assert len(lines) == 4
    for line in lines:
        words = [str(years.config) if word.startswith("configs/") else word for word in line.split()[1:]]
        words += [] if words[0] == "backfills" or "--dry-run" in words else ["--yes"]
        done = years.stemline(*words)
        assert done.code == 0, (line, done.err)
        assert bool(years.query("SELECT name FROM backfills")) is ("--dry-run" not in words)
    years.assert_published_once(TRACKS)
    for words in (("--pause", "old"), ("--change", "old", "--share", "10%")):
        assert years.stemline("backfills", years.config, *words).code == (2 if "--pause" in words else 0)


@pytest.mark.long
def test_all_pays_again_for_what_it_said_and_leaves_each_track_there_once(years):
    assert years.run("--limit", "2").code == 0
    before = years.charges()
    shown = backfill(years, *BOUNDS, "--mode", "all", "--dry-run", "--json").tree
    made = backfill(years, *BOUNDS, "--mode", "all", "--yes", "--json")
    assert made.code == 0, made.err
    assert made.tree["tracks"] == {"published": TRACKS}
    assert made.tree["backfill"]["state"] == "finished"
    assert years.jobs_by_track() == {"t00": 2, "t01": 2, "t02": 1, "t03": 1}
    assert years.charges() == years.provider.charged <= before + shown["credits"]["high"]
    assert years.open_reservations() == 0
    assert sorted(years.tracks()["track_id"]) == [f"t{n:02d}" for n in range(TRACKS)]
    again = backfill(years, "--json")
    assert (again.code, again.tree["backfill"]["state"]) == (0, "finished")
    assert len(years.provider.jobs()) == 6


@pytest.mark.long
def test_a_file_that_is_another_one_by_the_time_it_is_sent_is_neither_sent_nor_paid(years):
    """It was frozen as 2 s of audio: what lies there months later was uploaded and paid for, whatever it was."""
    years.songs = [Path(shutil.copy(song, years.folder)) for song in years.songs[:TRACKS]]
    years.write_manifest(dated(years))
    held = backfill(years, *BOUNDS, "--credits", "1", "--yes", "--json")
    assert held.code == 4, held.err
    swapped, longer = years.songs[1], years.songs[2]
    secret = "not audio, and nobody's business " * 1000
    swapped.write_text(secret)
    noise = np.random.default_rng(1).standard_normal((22_050 * 20, 1)) * 0.1
    encode(longer, noise, 22_050, longer.suffix[1:])

    steered = years.stemline("backfills", years.config, "--change", "old", "--credits", "12")
    assert steered.code == 0, steered.err
    done = backfill(years, "--json")
    assert done.code == 3, done.err
    assert done.tree["tracks"] == {"published": TRACKS - 2, "rejected": 2}
    assert done.tree["codes"] == {"ok": TRACKS - 2, "source_changed": 2}
    rows = years.query("SELECT track_id, state, code, sentence FROM tracks WHERE state = 'rejected'")
    assert {row[0] for row in rows} == {"t01", "t02"}
    assert all("nothing of it was sent" in row[3] for row in rows)
    assert len(years.provider.jobs()) == TRACKS - 2
    assert years.provider.charged == years.charges() <= 12

    night = years.run()  # measures anew: one is no audio, the other is as long as it is
    assert night.code == 3, night.err
    assert night.tree["codes"]["unreadable_audio"] == 1
    assert years.query("SELECT state, credits FROM tracks WHERE track_id = 't02'") == [("published", 20)]


@pytest.mark.long
def test_it_does_not_go_on_into_another_dataset_than_the_one_it_began_in(years):
    """What is published is planned by none of its runs: the dataset could be gone, and the exit code was 0."""
    part = backfill(years, *BOUNDS, "--credits", "6", "--yes", "--json")
    assert part.code == 4, part.err
    published = part.tree["tracks"]["published"]
    assert 0 < published < TRACKS
    shutil.rmtree(years.dataset)
    assert years.stemline("backfills", years.config, "--change", "old", "--credits", "100").code == 0
    again = backfill(years, "--json")
    assert (again.code, again.tree["error"]["kind"]) == (2, "DatasetReplaced"), again.err
    assert years.charges() == part.tree["credits"]["charged"]
