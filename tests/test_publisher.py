"""What cannot be published is set aside with its reason; it stops neither other tracks nor later runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pytest

from stemline.dataset.layout import DatasetLayout
from stemline.ledger import open_ledger
from stemline.publisher import Publisher
from stemline.records import Code, CollectedTrack, Job, Phase, Recipe, State, StemFile, Submission, Track

RECIPE = Recipe("vocals", "best", "flac")


@pytest.fixture
def ledger(tmp_path):
    with open_ledger(f"sqlite:///{tmp_path}/night.db") as ledger:
        yield ledger


def collect(ledger, run_id, name, **columns):
    from stemline.budget import Limits  # noqa: PLC0415

    track, token = Track(name, f"/{name}.wav", 1, duration_seconds=6.5, columns=columns), f"token-{name}"
    ledger.tracks.plan(run_id, [track])
    ledger.attempts.reserve(run_id, track, token, 7, Limits())
    ledger.attempts.mark_sending(token)
    ledger.attempts.record_submission(token, Submission(f"job-{name}", 7))
    ledger.attempts.record_ready(token, Job(f"job-{name}", Phase.DONE, credits_charged=7))
    stem = StemFile("vocals", f"audio/{name}.flac", "flac", 44100, 2, 9, 2.5, 9, "ab", None, None, "ok")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    ledger.attempts.record_collected(CollectedTrack(token, (stem,), 120.0, "Am", None, None, now))
    return token


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_cell_that_fits_no_column_sets_its_track_aside_alone(ledger, tmp_path, is_cut_off):
    from stemline.storage import open_store  # noqa: PLC0415

    store = open_store(str(tmp_path / "out"))
    run_id = ledger.runs.start("night", "local", RECIPE, "digest", "key")
    tokens = [collect(ledger, run_id, "good", no=7), collect(ledger, run_id, "odd", no="WARP-7")]
    publisher = Publisher(ledger, store, DatasetLayout(carried=pa.schema([("no", pa.int64())])))
    if is_cut_off:  # the batch was opened under other types, and the process killed
        ledger.batches.open(run_id, "0001", tokens)

    assert publisher.publish_leftovers(run_id, "local", RECIPE) == 1

    assert list(pd.read_parquet(tmp_path / "out/tracks")["track_id"]) == ["good"]
    assert list(pd.read_parquet(tmp_path / "out/stems")["track_id"]) == ["good"]
    odd = ledger.tracks.status(run_id, ["odd"])["odd"]
    assert (odd.state, odd.code) == (State.COLLECTED, Code.UNPUBLISHABLE)
    assert odd.sentence == 'Column "no": "WARP-7" cannot be int64.'
    assert publisher.publish_leftovers(run_id, "local", RECIPE) == 0

    as_text = Publisher(ledger, store, DatasetLayout(carried=pa.schema([("no", pa.string())])))
    assert as_text.publish_leftovers(run_id, "local", RECIPE) == 1
    assert ledger.tracks.status(run_id, ["odd"])["odd"].state is State.PUBLISHED
