"""verify, on a real workplace."""

from __future__ import annotations

import os
import time

import pytest
from pandas import read_parquet
from pandas.testing import assert_frame_equal


def test_a_dataset_is_verified_damaged_and_verified_again(project):
    project.prepare(3)
    assert project.run().code == 0
    sound = project.stemline("verify", project.config, "--decode", "--json")
    assert sound.code == 0, sound.out + sound.err
    assert {name: sound.tree[name] for name in ("objects", "missing", "extra", "altered")} == {
        "objects": 6,
        "missing": [],
        "extra": [],
        "altered": [],
    }
    assert project.stemline("compact", project.config).code == 0
    gone, cut, *_ = sorted(project.stems()["path"])
    (project.dataset / gone).unlink()
    (project.dataset / cut).write_bytes((project.dataset / cut).read_bytes()[:-1])
    (project.dataset / "audio" / "stray.wav").write_bytes(b"RIFF")
    told = project.stemline("verify", project.config, "--json")
    assert told.code == 3
    assert [told.tree[word] for word in ("missing", "extra", "altered")] == [
        [gone],
        ["audio/stray.wav"],
        [cut],
    ]
    shown = project.stemline("verify", project.config, "--sample", "2")
    assert shown.code == 3
    assert f"missing       {gone}" in shown.out
    assert "Next: Mend what can be mended for nothing" in shown.out
    assert f"verify {project.config} --repair" in shown.out
    assert "Traceback" not in shown.err


def test_nothing_is_alarmed_about_where_nothing_has_run(project):
    project.prepare(1)
    empty = project.stemline("verify", project.config, "--json")
    assert (empty.code, empty.tree["parts"], empty.tree["objects"]) == (0, 0, 0)
    assert not project.dataset.exists()


def age(path, days=2):
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def repair(project, **env):
    return project.stemline("verify", project.config, "--repair", "--json", **env)


@pytest.mark.long
def test_what_is_gone_is_mended_for_nothing(project):
    project.prepare(3)
    assert project.run().code == 0
    gone, cut, *_ = sorted(project.stems()["path"])
    (project.dataset / gone).unlink()
    (project.dataset / cut).write_bytes(b"RIFF")
    for name in ("old.wav", "young.wav"):
        (project.dataset / "audio" / name).write_bytes(b"RIFF")
    age(project.dataset / "audio" / "old.wav")
    lost = next((project.dataset / "tracks").rglob("part-*.parquet"))
    rows = lost.read_bytes()
    lost.unlink()
    mended = repair(project)
    assert mended.code == 3, mended.out + mended.err
    assert [mended.tree[word] for word in ("missing", "extra", "altered", "rows")] == [
        [],
        ["audio/young.wav"],
        [],
        [],
    ]
    told = {each["path"]: each["is_mended"] for each in mended.tree["repair"]}
    part = str(lost.relative_to(project.dataset))
    assert told == {gone: True, cut: True, "audio/old.wav": True, "audio/young.wav": False, part: True}
    assert lost.read_bytes() == rows
    (project.dataset / "audio" / "young.wav").unlink()
    project.assert_published_once(3)

    before = project.tracks().sort_values("track_id", ignore_index=True)
    assert project.stemline("compact", project.config).code == 0
    for table in ("tracks", "stems"):
        next((project.dataset / table).rglob("part-*.parquet")).write_bytes(b"PAR1")
    mended = repair(project)
    assert mended.code == 0, mended.out + mended.err
    assert_frame_equal(project.tracks(), before)
    project.assert_published_once(3)


@pytest.mark.long
def test_what_cannot_be_mended_is_told_with_what_to_do(project, second):
    project.prepare(2)
    assert project.run().code == 0
    gone = min(project.stems()["path"])
    (project.dataset / gone).unlink()
    activity = next((project.dataset / "activity").rglob("part-*.parquet"))
    activity.write_bytes(b"")
    told = repair(project, STEM_KEY=second.key)
    assert told.code == 3
    sentences = {each["path"]: each["sentence"] for each in told.tree["repair"]}
    assert "API key that the configuration no longer holds" in sentences[gone]
    assert "from a copy" in sentences[str(activity.relative_to(project.dataset))]
    assert second.charged == 0
    activity.unlink()
    assert repair(project).tree["missing"] == [str(activity.relative_to(project.dataset))]
    assert (project.dataset / gone).exists()


@pytest.mark.long
def test_what_older_tracks_hold_is_measured_where_they_are_decoded_and_mended(project):
    project.prepare(2)
    assert project.run().code == 0
    before = read_parquet(project.dataset / "activity").sort_values(["track_id", "stem"], ignore_index=True)
    lost = sorted((project.dataset / "activity").rglob("part-*.parquet"))
    lost[0].unlink()
    mended = project.stemline("verify", project.config, "--repair", "--decode", "--json")
    assert mended.code == 0, mended.out + mended.err
    after = read_parquet(project.dataset / "activity").sort_values(["track_id", "stem"], ignore_index=True)
    assert_frame_equal(after, before)
    shown = project.stemline("verify", project.config, "--repair", "--decode")
    assert (shown.code, "mended" in shown.out) == (0, False)


@pytest.mark.long
def test_a_dataset_of_which_something_was_forgotten_is_sound(project):
    project.prepare(3)
    assert project.run().code == 0
    assert project.stemline("release", project.config, "v1").code == 0
    gone = project.stemline("forget", project.config, "--track", "t01", "--yes", "--json")
    assert gone.code == 0, gone.out + gone.err
    project.prepare(4)
    assert project.run().tree["tracks"] == {"published": 3, "rejected": 1}
    told = project.stemline("verify", project.config, "--json")
    assert told.code == 0, told.out + told.err
    assert (told.tree["objects"], told.tree["leftovers"], told.tree["notes"]) == (6, [], [])
    record = project.dataset / "releases" / "v1" / "release.json"
    part = next((record.parent / "tracks").rglob("part-*.parquet"))
    data = part.read_bytes()
    part.write_bytes(data[:-1])
    (record.parent / "mine.txt").write_bytes(b"")
    mended = repair(project)
    assert mended.code == 3, mended.out + mended.err
    told = {each["path"]: each["sentence"] for each in mended.tree["repair"]}
    keys = [str(path.relative_to(project.dataset)) for path in (record.parent / "mine.txt", part, record)]
    assert list(told) == keys[:2]
    assert "remove it if" in told[keys[0]]
    assert "stemline release" in told[keys[1]]
    record.unlink()
    assert repair(project).tree["missing"] == [keys[2]]


@pytest.mark.long
def test_what_a_service_of_the_runs_own_let_go_of_is_made_again_for_nothing_and_that_is_said(project):
    project.prepare(1, provider={"kind": "local", "base_url": None, "api_key": None, "engine": "draft"})
    assert project.run().code == 0
    gone = min(project.stems()["path"])
    (project.dataset / gone).unlink()
    told = repair(project)
    (outcome,) = told.tree["repair"]
    assert (told.code, outcome["is_mended"]) == (3, False)
    assert "costs nothing" in outcome["sentence"]
    assert "paying" not in outcome["sentence"]
    assert "backfill CONFIG --mode all --where" in outcome["sentence"]
    words = ("--mode", "all", "--where", "mood IS NOT NULL", "--by", "mood", "--yes", "--json")
    made = project.stemline("backfill", project.config, *words)
    assert made.code == 0, made.err
    assert project.stemline("verify", project.config, "--json").code == 0
