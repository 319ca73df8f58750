"""Which rows a backfill is about, and what is said of the others."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.dated_catalogue import SECONDS, History

from stemline.errors import ManifestError, UsageError
from stemline.plan.ledger_view import open_ledger_view
from stemline.records import Code, Recipe, State

OTHER_RECIPE = Recipe("four", "fast", "mp3")


def test_rows_within_the_bounds_are_taken_whatever_form_their_dates_have(catalogue):
    catalogue.write(
        ["2015", "2015-06", "2019-12-31T23:59:59Z", "2020-01-01", "2014-12-31", "2020-01-01T00:30:00+02:00"]
    )
    assert catalogue.chosen(since="2015", until="2020") == ["t00", "t01", "t02", "t05"]
    assert catalogue.chosen(since="2020") == ["t03"]
    assert catalogue.chosen(until="2015") == ["t04"]


def test_rows_without_a_readable_date_are_rejected_where_bounds_ask_for_one(catalogue):
    catalogue.write(["2015-01-01", "", "soon", "2016"])
    with catalogue.planned(since="2015") as plan:
        assert plan.choice.undated == 2
        assert [(reject.row, reject.track_id, reject.code) for reject in plan.choice.rejected] == [
            (2, "t01", Code.NO_DATE),
            (3, "t02", Code.NO_DATE),
        ]
        assert "Column released_on is empty" in plan.choice.rejected[0].sentence
        assert "holds 'soon', no date" in plan.choice.rejected[1].sentence
    catalogue.freeze(since="2015")
    with (catalogue.folder / "dataset/_stemline/rejects/backfill-old.csv").open() as file:
        assert [(row["track_id"], row["code"]) for row in csv.DictReader(file)] == [
            ("t01", "no_date"),
            ("t02", "no_date"),
        ]


def test_rows_without_a_date_are_a_slice_of_their_own_without_bounds(catalogue):
    catalogue.write(["2015-01-01", "", "soon", "2016-02-03"])
    with catalogue.planned() as plan:
        assert [(each.slice, each.tracks, each.credits) for each in plan.forecast.slices] == [
            ("2016-02", 1, 60),
            ("2015-01", 1, 60),
            ("no date", 2, 120),
        ]
        assert plan.choice.rejected == []


def test_any_column_may_hold_the_dates_and_its_case_does_not_matter(catalogue):
    catalogue.write(["2015", "2016"], Added_At="2020-05-05 10:00:00")
    assert catalogue.chosen(by="added_at", since="2020", until="2021") == ["t00", "t01"]
    with catalogue.planned(by="ADDED_AT", slice="day") as plan:
        assert [each.slice for each in plan.forecast.slices] == ["2020-05-05"]


def test_a_column_that_is_not_there_names_a_near_one(catalogue):
    catalogue.write(["2015"])
    with pytest.raises(UsageError, match="--by realeased_on") as refused:
        catalogue.chosen(by="realeased_on")
    assert refused.value.fix == "Did you mean --by released_on?"


def test_a_where_that_is_wrong_is_refused(catalogue):
    catalogue.write(["2015"], genre="jazz")
    assert catalogue.chosen(where="genre = 'jazz'") == ["t00"]
    assert catalogue.chosen(where="genre = 'rock'") == []
    for wrong in ("genra = 'jazz'", "genre = ", "1; DROP TABLE x"):
        with pytest.raises(ManifestError):
            catalogue.chosen(where=wrong)


def test_numbers_dates_and_times_of_parquet_are_read_by_their_types(catalogue):
    zoned = pa.timestamp("us", tz="America/New_York")
    columns = {
        "track_id": ["t00", "t01", "t02"],
        "uri": [f"https://x.example/{n}.mp3" for n in range(3)],
        "duration_seconds": [60.0] * 3,
        "year": pa.array([2015, None, 3], pa.int16()),
        "day": pa.array([date(2015, 1, 1), None, date(1, 1, 1)]),
        "moment": pa.array(
            [datetime(2015, 1, 1, 3, tzinfo=UTC), None, datetime(2016, 1, 1, tzinfo=UTC)], zoned
        ),
        "naive": pa.array([datetime(2015, 1, 1), None, datetime(2016, 1, 1)], pa.timestamp("ns")),  # noqa: DTZ001
        "tags": pa.array([["2015"], None, []]),
    }
    catalogue.manifest = catalogue.folder / "manifest.parquet"
    pq.write_table(pa.table(columns), catalogue.manifest)
    for by, slices in {
        "year": ["2015-01", "no date"],
        "day": ["2015-01", "0001-01", "no date"],
        "moment": ["2015-12", "2015-01", "no date"],
        "naive": ["2016-01", "2015-01", "no date"],
        "tags": ["no date"],
    }.items():
        with catalogue.planned(by=by) as plan:
            found = [each.slice for each in plan.forecast.slices]
        assert found == (["2016-01", "2015-01", "no date"] if by == "moment" else slices)


def test_dates_of_json_lines_are_read(catalogue):
    catalogue.manifest = catalogue.folder / "manifest.jsonl"
    rows = [
        {
            "track_id": f"t{n:02d}",
            "uri": f"https://x.example/{n}",
            "duration_seconds": 60,
            "released_on": each,
        }
        for n, each in enumerate(["2015-01-01", None, "2016-02-01T10:00:00+02:00", "never"])
    ]
    catalogue.manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with catalogue.planned(since="2015") as plan:
        assert [each.slice for each in plan.forecast.slices] == ["2016-02", "2015-01"]
        assert plan.choice.undated == 2


def test_bad_and_duplicate_rows_are_named_and_do_not_stop_the_good_ones(catalogue):
    catalogue.write_rows(
        [
            {"released_on": "2015-01-01"},
            {"released_on": "2015-01-02", "track_id": "t00"},
            {"released_on": "2015-01-03", "uri": ""},
            {"released_on": "2015-01-04", "duration_seconds": "long"},
            {"released_on": "2015-01-05"},
        ]
    )
    with catalogue.planned(since="2015") as plan:
        assert [row.track.track_id for row in plan.choice.rows.rows()] == ["t00", "t04"]
        assert [reject.code for reject in plan.choice.rejected] == [
            Code.DUPLICATE_ID,
            Code.NO_LOCATION,
            Code.BAD_VALUE,
        ]


def test_an_empty_selection_is_a_plan_of_nothing(catalogue):
    catalogue.write(["2015"])
    with catalogue.planned(since="2030") as plan:
        assert (plan.forecast.tracks, plan.choice.outside) == (0, 1)
        assert (plan.forecast.workload.credits_high, plan.forecast.forecast.seconds_high) == (0, 0)
    catalogue.freeze(since="2030")
    assert catalogue.frozen() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(
    cells=st.lists(
        st.text(max_size=12) | st.integers() | st.floats() | st.dates() | st.datetimes(), max_size=5
    )
)
def test_any_cell_of_a_manifest_is_taken_or_listed(catalogue, cells):
    catalogue.write([str(cell) for cell in cells])
    with suppress(ManifestError), catalogue.planned(since="0001") as plan:
        rejected = {reject.row for reject in plan.choice.rejected}
        assert plan.forecast.tracks + len(rejected) + plan.choice.outside == len(cells)


STATES = (State.PLANNED, State.SUBMITTING, State.UNKNOWN, State.PROCESSING, State.READY, State.COLLECTED)
ENDS = (State.PUBLISHED, State.FAILED, State.QUARANTINED, State.EXPIRED)


@pytest.fixture
def every_state(catalogue, history):
    """Tracks 0 to 9 in each state, 10 failed for good, 11 published from elsewhere, 12 with another recipe, 13 new."""
    catalogue.write(["2015-01-01"] * 14)
    for number, state in enumerate((*STATES, *ENDS)):
        history.bring(number, state)
    history.let_outputs_go()
    history.bring(10, State.FAILED, fatal=True)
    history.bring(11, State.PUBLISHED, location="https://x.example/moved.mp3")
    History(history.ledger, catalogue.settings(), OTHER_RECIPE).bring(12, State.PUBLISHED)
    return catalogue


@pytest.mark.parametrize(
    ("mode", "taken", "to_pay", "again"),
    [
        ("missing", [0, 1, 2, 3, 4, 5, 7, 12, 13], [0, 7, 12, 13], []),
        ("failed", [7, 8, 9, 10], [7, 8, 9, 10], [8, 9]),
        ("stale", [11, 12], [11, 12], [11]),
        ("all", [*range(14)], [0, 6, 7, 8, 9, 10, 11, 12, 13], [6, 8, 9, 11]),
    ],
)
@pytest.mark.long
def test_a_mode_takes_what_it_says_and_says_what_it_pays_again(every_state, mode, taken, to_pay, again):
    with every_state.planned(mode=mode) as plan:
        rows = list(plan.choice.rows.rows())
        assert [int(row.track.track_id[1:]) for row in rows] == taken
        assert [int(row.track.track_id[1:]) for row in rows if row.credits] == to_pay
        assert plan.forecast.workload.credits_high == SECONDS * len(to_pay)
        assert plan.choice.paid_again == SECONDS * len(again)
        left_out = plan.choice.done + plan.choice.failed_before
        assert left_out + len(taken) == 14


@pytest.mark.parametrize("mode", ["missing", "failed", "all"])
def test_what_is_quarantined_and_still_with_the_provider_costs_nothing(catalogue, history, mode):
    catalogue.write(["2015-01-01"])
    history.bring(0, State.QUARANTINED)
    with catalogue.planned(mode=mode) as plan:
        (row,) = plan.choice.rows.rows()
        assert (row.credits, row.last_attempt, plan.choice.paid_again) == (0, None, 0)


def test_what_may_have_been_charged_is_among_what_is_paid_again(catalogue, history):
    catalogue.write(["2015-01-01", "2015-01-01"])
    history.bring(0, State.FAILED, code=Code.JOB_LOST)
    history.bring(1, State.FAILED)
    with catalogue.planned(mode="failed") as plan:
        assert plan.choice.paid_again == SECONDS
        assert plan.forecast.workload.credits_high == 2 * SECONDS


def test_what_is_paid_again_costs_what_it_is_long_though_the_manifest_does_not_say(catalogue, history):
    catalogue.write(["2015-01-01"], duration_seconds="")
    history.bring(0, State.PUBLISHED)
    with catalogue.planned(mode="all") as plan:
        assert plan.choice.paid_again == SECONDS


def test_what_is_to_be_made_again_waits_until_it_has_another_attempt(every_state):
    every_state.freeze(mode="all")
    with every_state.ledger() as ledger:
        (progress,) = ledger.backfills.progress("old")
    assert progress.tracks == 14
    assert progress.states == {
        "planned": 1,
        "submitting": 1,
        "unknown": 1,
        "processing": 1,
        "ready": 1,
        "collected": 1,
        "waiting": 8,
    }


@pytest.mark.parametrize(
    ("mode", "taken"), [("all", ["t00", "t01"]), ("stale", ["t01"]), ("missing", []), ("failed", [])]
)
@pytest.mark.parametrize("state", ["planned", "held"])
@pytest.mark.long
def test_what_another_backfill_waits_to_make_again_is_published_as_it_is(
    catalogue, history, mode, taken, state
):
    """It was taken for missing, so that the one that asks for it later made nothing and called itself finished."""
    catalogue.write(["2015-01-01", "2015-01-01"])
    history.bring(0, State.PUBLISHED)
    history.bring(1, State.PUBLISHED, location="https://x.example/moved.mp3")
    catalogue.freeze("first", mode="all")
    ledger, recipe = history.ledger, history.recipe
    run_id = ledger.runs.start("nightly", "stemsplit", recipe, "digest", "key")
    rows = [row.track for _, row in ledger.backfills.to_do("first", -1, 10)]
    ledger.tracks.plan(run_id, rows, again={row.track_id: 1 for row in rows})
    if state == "held":
        ledger.tracks.hold(run_id, Code.BUDGET_BACKFILL, "It has no room.")
    assert set(ledger.tracks.states("stemsplit", recipe, ["t00", "t01"]).values()) == {State(state)}

    with open_ledger_view(catalogue.settings()) as view:  # what a run would take, as `plan` tells it
        assert set(view.states_of(["t00", "t01"]).values()) == {State.PUBLISHED}
    with catalogue.planned("second", mode=mode) as plan:
        found = list(plan.choice.rows.rows())
        assert [row.track.track_id for row in found] == taken
        assert {row.last_attempt for row in found} <= {1}
        assert plan.choice.paid_again == len(taken) * SECONDS


def test_the_length_of_a_file_is_its_own_and_another_one_is_told(catalogue):
    path = catalogue.folder / "a.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(6 * 8_000) / 9), 8_000)
    catalogue.write_rows([{"released_on": "2015-01-01", "uri": str(path), "duration_seconds": "3:35"}])
    with catalogue.planned() as plan:
        assert [each.sentence for each in plan.choice.misstated] == ["215.0 s given, 6.0 s measured"]
        assert [row.credits for row in plan.choice.rows.rows()] == [6]
