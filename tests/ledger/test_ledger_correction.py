"""Columns of published tracks, as the tables have them by now."""

from __future__ import annotations

from stemline.ledger.cell import load_cells


def test_a_published_track_is_found_with_its_batch_and_its_columns_booked(ledger, case):
    published = case.published(1)
    case.processing(2)
    key = (published.provider, published.recipe)
    names = [published.track.track_id, case.track(2).track_id]

    (found,) = ledger.corrections.published(*key, names)
    assert (found.attempt.token, found.job.job_id) == (published.token, published.job_id)
    assert ledger.batches.rows(found.batch_id)[0].attempt.token == published.token

    spent = case.spent()
    for _ in range(2):  # a verb may be said twice
        ledger.corrections.book(case.run_id, *key, {names[0]: {"mood": "wild", "plays": 7}})

    written = {name: row.columns for name, row in ledger.tracks.written(*key, names).items()}
    assert load_cells(written[names[0]]) == {"mood": "wild", "plays": 7}
    assert load_cells(written[names[1]]) == dict(case.track(2).columns)
    assert (case.state(1), case.spent()) == ("published", spent)
