"""What cannot be published is set aside with its reason; it stops neither other tracks nor later runs."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from sqlalchemy import select
from support.night import ACTIVITY, RECIPE, open_night

from stemline.dataset.layout import DatasetLayout
from stemline.ledger.row_mapping import without_activity
from stemline.ledger.tables import attempts
from stemline.records import Code, State


@pytest.fixture
def night(tmp_path):
    with open_night(tmp_path, no=pa.int64()) as night:
        yield night


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_cell_that_fits_no_column_sets_its_track_aside_alone(night, is_cut_off):
    tokens = [night.collect("good", no=7), night.collect("odd", no="WARP-7")]
    if is_cut_off:  # the batch was opened under other types, and the process killed
        night.ledger.batches.open(night.run_id, "0001", tokens)

    assert night.publisher.publish_leftovers(night.run_id, "local", RECIPE) == 1

    assert list(night.rows()) == list(night.rows("stems")) == ["good"]
    odd = night.ledger.tracks.status(night.run_id, ["odd"])["odd"]
    assert (odd.state, odd.code) == (State.COLLECTED, Code.UNPUBLISHABLE)
    assert odd.sentence == 'Column "no": "WARP-7" cannot be int64.'
    assert night.publisher.publish_leftovers(night.run_id, "local", RECIPE) == 0
    assert night.publisher.publish_set_aside(night.run_id, "local", RECIPE) == 0

    night.publish("later", no=8)  # a later run is not stopped by it
    as_text = replace(night.publisher, layout=DatasetLayout((), pa.schema([("no", pa.string())])))
    assert as_text.publish_set_aside(night.run_id, "local", RECIPE) == 1
    assert night.ledger.tracks.status(night.run_id, ["odd"])["odd"].state is State.PUBLISHED
    assert night.ledger.credits.spending(night.run_id).run.charged == 21


def test_a_batch_is_of_the_run_that_opened_it_whoever_sent_its_tracks_or_finishes_it(night):
    token = night.collect("a", no=1)
    opener, finisher = (night.ledger.runs.start("night", "local", RECIPE, "d") for _ in range(2))
    night.ledger.batches.open(opener, "0001", [token])
    assert night.publisher.publish_leftovers(finisher, "local", RECIPE) == 1
    assert night.rows()["a"]["run_id"] == opener


def test_what_each_second_holds_is_kept_until_it_is_published_and_no_longer(night, monkeypatch):
    token = night.collect("a", no=1)
    monkeypatch.setattr(night.ledger.batches, "publish", _cut_off)
    with pytest.raises(KeyboardInterrupt):
        night.publisher.publish(night.run_id, [token])
    written = night.files()
    monkeypatch.undo()

    assert night.publisher.publish_leftovers(night.run_id, "local", RECIPE) == 1

    assert night.files() == written
    assert night.rows("activity")["a"]["rms_dbfs"] == pytest.approx(ACTIVITY.rms_dbfs)
    (row,) = night.ledger.queries.results([token])
    assert [stem.activity for stem in row.collected.stems] == [None]


def _cut_off(*_):
    raise KeyboardInterrupt


def test_a_track_collected_before_seconds_were_measured_is_published_without_them(night):
    token = night.collect("a", no=1)
    with night.ledger.database.write() as connection:
        result = connection.execute(select(attempts.c.result)).scalar_one()
        connection.execute(attempts.update().values(result=without_activity(result)))

    night.publisher.publish(night.run_id, [token, night.collect("b", no=2)])

    assert sorted(night.rows("stems")) == ["a", "b"]
    assert sorted(night.rows("activity")) == ["b"]
