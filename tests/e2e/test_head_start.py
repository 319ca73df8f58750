"""A large catalogue that goes on: what is next in line is sent while the manifest is read again."""

from __future__ import annotations

import threading

import pytest

from flows.process_catalogue import run_steps
from stemline.errors import ManifestError
from stemline.run import head_start
from stemline.run.planning import RunPlanning

COUNT, HEAD = 12, 3
PATIENCE = 60.0


@pytest.fixture
def begun(project, monkeypatch):
    """A catalogue of which the budget let a few tracks through, large for this test."""
    project.prepare(COUNT, budget={"run": 8})
    held = project.run()
    assert held.code == 4, held.err
    assert 0 < held.tree["tracks"]["published"] < COUNT - 2 * HEAD
    project.write_config()
    monkeypatch.setenv("STEM_KEY", project.provider.key)
    monkeypatch.setattr(head_start, "WORTHWHILE", 2)
    monkeypatch.setattr(head_start, "HEAD_TRACKS", HEAD)
    return project


@pytest.fixture
def sent(begun, monkeypatch):
    """Whether a track was sent before the rest was planned: planning it waits for that."""
    wire, found, plan_rest = threading.Event(), [], RunPlanning.plan_rest
    jobs = len(begun.provider.jobs())

    def plan_late(planning, on_planned):
        for _ in range(int(PATIENCE / 0.05)):
            if len(begun.provider.jobs()) > jobs or wire.wait(0.05):
                break
        found.append(len(begun.provider.jobs()) - jobs)
        plan_rest(planning, on_planned)

    monkeypatch.setattr(RunPlanning, "plan_rest", plan_late)
    return found


@pytest.mark.long
def test_what_is_next_in_line_is_sent_before_all_is_planned(begun, sent):
    result = run_steps(begun.config)
    assert result.exit_code == 0, result.summary
    assert 0 < sent[0] <= HEAD
    assert result.summary["tracks"] == {"published": COUNT}
    assert result.summary["predicted"] is not None
    begun.assert_published_once(COUNT)


CHANGES = ("another id", "priorities", "priorities behind them", "an order", "a limit")


@pytest.mark.parametrize(
    "change", ["a row in front", *(pytest.param(each, marks=pytest.mark.long) for each in CHANGES)]
)
def test_a_manifest_that_says_who_comes_first_is_read_first(begun, sent, change):
    rows, limit = begun.good_rows(COUNT), None
    if change == "a row in front":
        rows = [{**rows[0], "track_id": "first"}, *rows]
    if change == "another id":
        rows = [{**row, "track_id": f"{row['track_id']}-{change}"} for row in rows]
    if change == "priorities":
        rows = [{**row, "priority": number} for number, row in enumerate(rows)]
    if change == "priorities behind them":
        rows[-1]["priority"] = 1
    if change == "an order":
        begun.write_config(catalogue={"order_by": "plays DESC"})
    if change == "a limit":
        limit = COUNT
    begun.write_manifest(rows)
    result = run_steps(begun.config, limit=limit)
    assert result.exit_code == 0, result.reason
    assert not sent
    assert result.summary["tracks"] == {"published": len(rows)}


@pytest.mark.long
def test_what_was_dropped_from_the_manifest_is_not_sent(begun, sent):
    kept = [row for row in begun.good_rows(COUNT) if row["track_id"] < "t09"]
    begun.write_manifest(kept)
    result = run_steps(begun.config)
    assert result.exit_code == 0, result.reason
    assert sent
    assert sorted(begun.tracks()["track_id"]) == [row["track_id"] for row in kept]
    assert begun.jobs_by_track() == {row["track_id"]: 1 for row in kept}


@pytest.mark.long
def test_rows_that_are_bad_and_rows_that_are_new_end_where_they_always_do(begun, sent):
    rows = begun.good_rows(COUNT)
    rows += [{**rows[0], "track_id": "new"}, {"track_id": "gone", "uri": str(begun.folder / "nowhere.wav")}]
    begun.write_manifest([*rows, rows[1]])
    result = run_steps(begun.config)
    assert result.exit_code == 3, result.reason
    assert sent
    assert result.summary["tracks"] == {"published": COUNT + 1, "rejected": 2}
    assert result.summary["codes"] == {"ok": COUNT + 1, "missing_file": 1, "duplicate_id": 1}


@pytest.mark.long
def test_splits_are_decided_before_anything_is_published(begun, sent):
    begun.write_config(dataset={"splits": {"by": "track_id", "shares": {"train": 0.5, "test": 0.5}}})
    result = run_steps(begun.config)
    assert result.exit_code == 0, result.reason
    assert sent
    assert set(begun.tracks()["split"]) <= {"train", "test"}


@pytest.mark.long
def test_what_was_sent_is_kept_when_the_rest_cannot_be_read(begun, sent, monkeypatch):
    with monkeypatch.context() as broken:

        def survey(*_):
            raise ManifestError("The manifest is cut off.", fix="Get it again.")

        broken.setattr(RunPlanning, "_survey", survey)
        with pytest.raises(ManifestError, match="cut off"):
            run_steps(begun.config)
    assert sent[0] > 0
    result = run_steps(begun.config)
    assert result.exit_code == 0, result.reason
    begun.assert_published_once(COUNT)


@pytest.mark.long
def test_an_interrupted_run_stops_reading_too(begun, monkeypatch):
    plan_rest = RunPlanning.plan_rest

    def interrupt(planning, on_planned):
        planning.run.interrupt()
        plan_rest(planning, on_planned)

    with monkeypatch.context() as stopping:
        stopping.setattr(RunPlanning, "plan_rest", interrupt)
        assert run_steps(begun.config).exit_code == 130
    result = run_steps(begun.config)
    assert result.exit_code == 0, result.reason
    begun.assert_published_once(COUNT)


@pytest.mark.long
def test_a_small_catalogue_is_read_first(begun, sent, monkeypatch):
    monkeypatch.setattr(head_start, "WORTHWHILE", COUNT)
    assert run_steps(begun.config).exit_code == 0
    assert not sent
