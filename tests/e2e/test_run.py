"""`stemline run` from a manifest to a dataset, and again."""

from __future__ import annotations

import json

import pandas as pd
import pytest

CONTRACT = {"run_id", "tracks", "codes", "credits", "requests", "seconds", "predicted", "dataset", "report"}
CONTRACT |= {"published", "passed_over", "corrected", "compacted", "reason"}
CONTRACT |= {"windows", "rejects", "next"}


def test_bad_rows_are_named_and_good_ones_published(project, tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "noise.mp3").write_bytes(bytes(range(256)) * 200)
    rows = project.good_rows(12)
    rows += [
        {"track_id": "gone", "uri": str(tmp_path / "nowhere.wav")},
        {"track_id": "empty", "uri": str(tmp_path / "empty.wav")},
        {"track_id": "noise", "uri": str(tmp_path / "noise.mp3")},
        {"track_id": "t03", "uri": str(project.songs[0])},
        {"track_id": "nothing", "uri": ""},
    ]
    project.write_manifest(rows)
    project.write_config()
    done = project.run()
    assert done.code == 3, done.err
    assert set(done.tree) == CONTRACT
    assert done.tree["tracks"] == {"published": 12, "rejected": 5}
    codes = dict.fromkeys(
        ("missing_file", "empty_file", "unreadable_audio", "duplicate_id", "no_location"), 1
    )
    assert done.tree["codes"] == {"ok": 12, **codes}
    assert done.tree["credits"]["balance"] == project.provider.balance
    project.assert_published_once(12)
    rejects = pd.read_csv(project.dataset / f"_stemline/rejects/{done.tree['run_id']}.csv")
    assert dict(zip(rejects["row"], rejects["code"], strict=True)) == {
        13: "missing_file",
        14: "empty_file",
        15: "unreadable_audio",
        16: "duplicate_id",
        17: "no_location",
    }
    assert all(rejects["sentence"].str.len() > 10)
    summary = json.loads((project.dataset / f"_stemline/runs/{done.tree['run_id']}.json").read_text())
    assert {**summary, "next": done.tree["next"]} == done.tree  # a command is for where somebody stands


def test_manifest_columns_come_through_with_their_types(project):
    project.prepare(3)
    assert project.run().code == 0
    frame = project.tracks().set_index("track_id").sort_index()
    assert list(frame["mood"]) == ["m0", "m1", "m0"]
    assert list(frame["plays"]) == [0, 1000, 2000]
    assert frame["plays"].dtype == "int64"
    assert (frame["quality"] == "fast").all() or (frame.filter(like="quality") == "fast").all(axis=None)


def test_a_second_run_pays_nothing_and_changes_no_byte(project):
    project.prepare(4)
    assert project.run().code == 0
    files, balance, jobs = project.files(), project.provider.balance, len(project.provider.jobs())
    again = project.run()
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {"published": 4}
    assert again.tree["credits"]["charged"] == 0
    assert again.tree["requests"]["sent"] == 0
    assert project.files() == files
    assert (project.provider.balance, len(project.provider.jobs())) == (balance, jobs)


def test_a_grown_catalogue_pays_for_the_new_tracks_alone(project):
    project.prepare(3)
    assert project.run().code == 0
    before = project.files()
    project.prepare(5)
    assert project.run().tree["tracks"] == {"published": 5}
    project.assert_published_once(5)
    # The record of the ledger says how far it has come, and the card what there is; nothing else is touched.
    told = ("_stemline/ledgers/", "README.md")
    kept = {name: digest for name, digest in before.items() if not name.startswith(told)}
    assert kept.items() <= project.files().items()
    assert before.keys() - kept.keys() <= project.files().keys()


@pytest.mark.parametrize(("argv", "published"), [(("--limit", 2), 2), (("--where", "plays > 2500"), 1)])
@pytest.mark.long
def test_a_selection_is_all_a_run_is_about(project, argv, published):
    project.prepare(4)
    done = project.run(*argv)
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": published}
    assert len(project.tracks()) == published


def test_json_is_the_only_thing_on_stdout_and_no_key_is_anywhere(project):
    project.prepare(2)
    done = project.run()
    assert isinstance(done.tree, dict)
    secret = project.provider.key.encode()
    for path in project.folder.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path
    assert project.provider.key not in done.out + done.err


def test_without_json_a_person_reads_counts_credits_and_places(project):
    project.prepare(2)
    done = project.stemline("run", project.config, "--yes")
    assert done.code == 0, done.err
    assert "published  2" in done.out
    assert str(project.dataset) in done.out.replace("\n", "")
    assert "Traceback" not in done.err


@pytest.mark.long
def test_embedded_audio_lies_in_the_stems_table(project):
    project.prepare(2, dataset={"audio": "embedded", "partition_by": []})
    assert project.run().code == 0
    stems = project.stems()
    assert all(
        len(cell["bytes"]) == size for cell, size in zip(stems["audio"], stems["size_bytes"], strict=True)
    )
    assert not (project.dataset / "audio").exists()
    assert not list((project.dataset / "_stemline").rglob("*.wav"))
