"""Splits over whole runs: decided before anything is sent, kept in the dataset, and the same for whoever comes next."""

from __future__ import annotations

import json
import signal

import pandas as pd
import pyarrow.parquet as pq
import pytest

SPLITS = {"train": 0.5, "validation": 0.25, "test": 0.25, "by": "artist", "seed": 3}
ARTISTS = ["A", "B", "A & B", "Various Artists"]


def prepare(project, artists, **splits):
    rows = project.good_rows(len(artists))
    project.write_manifest([each | {"artist": artist} for each, artist in zip(rows, artists, strict=True)])
    project.write_config(dataset={"url": str(project.dataset), "splits": splits or SPLITS})


def run(project):
    done = project.run()
    assert done.code == 0, done.err
    return done.tree


def splits(project):
    frame = pd.read_parquet(project.dataset / "tracks")
    return dict(zip(frame["track_id"], frame["split"], strict=True))


@pytest.mark.long
def test_a_run_publishes_each_artist_in_one_split_and_says_how_many_are_in_each(project):
    prepare(project, ARTISTS)
    tree = run(project)
    found = splits(project)
    assert found["t00"] == found["t01"] == found["t02"]
    assert set(found.values()) <= {"train", "validation", "test"}
    counts = pd.Series(found).value_counts().to_dict()
    assert tree["splits"] == {"train": 0, "validation": 0, "test": 0, "none": 0} | counts
    assert "in_no_split" not in tree


@pytest.mark.long
def test_another_ledger_other_shares_and_new_rows_move_nobody(project):
    prepare(project, ARTISTS)
    run(project)
    before, files = splits(project), project.files()
    assert run(project)["splits"] == {"train": 0, "validation": 0, "test": 0, "none": 0}
    assert {key: files[key] for key in files if "/runs/" not in key}.items() <= project.files().items()
    for file in project.folder.glob("night.db*"):
        file.unlink()
    assert project.stemline("adopt", project.config, "--json").code == 0
    prepare(project, [*ARTISTS, "a feat. C", "C"], holdout=1.0, seed=9)
    done = run(project)
    found = splits(project)
    assert found == {**before, "t04": before["t00"], "t05": before["t00"]}
    assert "stay where they are" in done["splits_notice"]
    prepare(project, ["Solo", *ARTISTS[1:]], holdout=1.0, seed=9)
    run(project)
    assert splits(project) == {**found, "t00": "holdout"}


@pytest.mark.long
@pytest.mark.parametrize("moment", ["part_unnamed"])
def test_killed_between_the_log_and_the_parts_nobody_moves(project, moment):
    prepare(project, ARTISTS)
    assert project.stemline("run", project.config, "--json", STEM_KILL_AT=moment).code == -signal.SIGKILL
    decided = (project.dataset / "_stemline" / "splits" / "00000001.json").read_bytes()
    prepare(project, ARTISTS, holdout=1.0)
    tree = run(project)
    assert (project.dataset / "_stemline" / "splits" / "00000001.json").read_bytes() == decided
    found = splits(project)
    assert found["t00"] == found["t01"] == found["t02"] != "holdout"
    assert sum(tree["splits"].values()) == len(ARTISTS)


@pytest.mark.long
def test_a_dataset_of_before_gets_splits_with_its_next_run_and_nothing_is_paid(project):
    prepare(project, ARTISTS)
    project.write_config(dataset={"url": str(project.dataset)})
    run(project)
    assert pd.isna(list(splits(project).values())).all()
    charged = project.provider.charged
    project.write_config(dataset={"url": str(project.dataset), "splits": SPLITS})
    assert sum(run(project)["splits"].values()) == len(ARTISTS)
    found = splits(project)
    assert found["t00"] == found["t01"] == found["t02"]
    assert None not in found.values()
    assert project.provider.charged == charged
    assert project.stemline("verify", project.config, "--json").code == 0


@pytest.mark.long
def test_forgetting_verifying_and_repairing_know_splits(project):
    prepare(project, ["Zappa", "Bowie", "Zappa & Bowie", "Cher"])
    run(project)
    before = splits(project)
    part = next((project.dataset / "tracks").rglob("*.parquet"))
    held = pq.read_table(part)["track_id"].to_pylist()
    part.unlink()
    damaged = project.stemline("verify", project.config, "--json")
    assert damaged.code == 3
    assert project.stemline("verify", project.config, "--repair", "--json").code == 0, held
    assert splits(project) == before
    assert project.stemline("forget", project.config, "--artist", "Zappa", "--yes", "--json").code == 0
    log = b"".join(path.read_bytes() for path in (project.dataset / "_stemline" / "splits").iterdir())
    assert b"zappa" not in log.lower()
    assert project.stemline("verify", project.config, "--json").code == 0
    (project.dataset / "_stemline" / "splits" / "00000001.json").write_text("{")
    told = project.stemline("verify", project.config, "--json")
    assert told.code == 3
    assert "_stemline/splits/00000001.json" in json.dumps(told.tree)


@pytest.mark.long
def test_compaction_and_a_release_carry_splits(project):
    prepare(project, ARTISTS)
    run(project)
    before = splits(project)
    assert project.stemline("compact", project.config, "--json").code == 0
    assert splits(project) == before
    assert project.stemline("release", project.config, "v1", "--json").code == 0
    released = pd.read_parquet(project.dataset / "releases" / "v1" / "tracks")
    assert dict(zip(released["track_id"], released["split"], strict=True)) == before
    record = json.loads((project.dataset / "releases" / "v1" / "release.json").read_text())
    assert record["leakage"]["is_clean"]
    assert record["leakage"]["splits"] == pd.Series(before).value_counts().to_dict()
    card = (project.dataset / "releases" / "v1" / "README.md").read_text()
    assert "## Splits, and what leaks" in card
    assert project.stemline("forget", project.config, "--artist", "B", "--yes", "--json").code == 0
    report = (project.dataset / "releases" / "v1" / "leakage.json").read_text()
    assert json.loads(report)["examples"] == []
    assert project.stemline("verify", project.config, "--json").code == 0
