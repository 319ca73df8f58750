"""What is forgotten while a run reads its manifest is not planned, though its rows were read before."""

from __future__ import annotations

from stemline.forgetting.order import MOST_TEXTS, ForgetOrder, OrderedTrack
from stemline.plan.survey import SurveyedBatch
from stemline.records import Code
from stemline.run.batch_planning import BatchPlanning
from stemline.tombstone import Tombstone


def batch(estate, *names):
    return SurveyedBatch(tuple(estate.track(name, artist="Nina Simone") for name in names), ())


def test_rows_read_before_and_after(estate):
    planning = BatchPlanning(estate.ledger, estate.store, estate.run_id, 3)
    assert len(planning.plan(batch(estate, "early")).tracks) == 1
    estate.forget(artists=("Nina Simone",))
    before, paid = estate.ledger.queries.counts(estate.run_id), estate.ledger.credits.spending(estate.run_id)
    for name in ("goes-02", "late"):  # the first notices it, the second was read by what held before
        planned = planning.plan(batch(estate, name))
        assert [reject.code for reject in planned.rejects] == [Code.FORGOTTEN]
    assert estate.ledger.queries.counts(estate.run_id) == before
    assert estate.ledger.credits.spending(estate.run_id) == paid


def test_how_far_a_run_is_counted_names_nobody(estate):
    with estate.ledger.database.write() as connection:
        text = '{"counts": {}, "through": "goes-02"}'
        connection.exec_driver_sql(f"UPDATE runs SET left_as_they_stood = '{text}'")
    assert estate.forget(artists=("Nina Simone",)).exit_code == 0
    assert estate.traces("goes-02") == []


def test_names_are_found_however_many_are_looked_for():
    texts = ("a/track", "R&B 12", "/music/one.flac", "short")
    some = tuple(OrderedTrack(text, locations=(f"/music/{text}.flac",)) for text in texts)
    many = tuple(OrderedTrack(f"filler-{number}") for number in range(MOST_TEXTS))
    stone = Tombstone("x", None, "track", "", "", "ab")
    for order in (ForgetOrder(stone, some), ForgetOrder(stone, some + many)):
        for page in (
            '<audio src="../../audio/ab/a=2Ftrack/local/vocals.flac">',
            "<td>a/track</td>",
            '<td>"/music/R&amp;B 12.flac"</td>',
            "3,/music/one.flac,missing_file",
            '<audio src="../../audio/ab/short/local/vocals.flac">',
        ):
            assert order.is_named_in(page), page
        for page in (
            "<td>a/trackless</td>",
            "/music/R&amp;B 12.flac.bak",
            "../ab/shorter/local",
            "/music/one.flac2",
        ):
            assert not order.is_named_in(page), page
    assert ForgetOrder(stone, some).is_named_in("Of R&B 12 nothing came.")
