"""The judge of kills and faults sees every kind of harm: each is done to a catalogue on which all went well."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from verdict import judge

TRACKS = 3
LAST = "rowid IN (SELECT max(rowid) FROM credit_entries WHERE kind = 'charge')"


@pytest.fixture
def published(set_stage):
    """A stage on which all went well."""
    stage = set_stage(TRACKS)
    assert stage.run().code == 0
    assert judge(stage).is_clean
    return stage


def alter(stage, statement):
    with closing(sqlite3.connect(stage.bench.ledger)) as connection, connection:
        connection.execute(statement)


def forget_a_track(stage):
    alter(stage, "DELETE FROM tracks WHERE track_id = 't00'")


def leave_a_track_under_way(stage):
    alter(stage, "UPDATE tracks SET state = 'processing' WHERE track_id = 't00'")


def charge_too_much(stage):
    alter(stage, f"UPDATE credit_entries SET amount = amount + 1 WHERE {LAST}")


def charge_too_little(stage):
    alter(stage, f"DELETE FROM credit_entries WHERE {LAST}")


def keep_a_reservation(stage):
    alter(stage, "DELETE FROM credit_entries WHERE kind = 'release'")


def pay_again(stage):
    size = stage.accounts[0].details()[0]["input"]["fileSizeBytes"]
    songs = [Path(row["uri"]).read_bytes() for row in stage.bench.good_rows(TRACKS)]
    ticket = post(stage, "upload", {"filename": "again.wav"})
    headers = {"Content-Type": ticket["contentType"]}
    content = next(song for song in songs if len(song) == size)
    stage.vendor.http.put(ticket["uploadUrl"], content=content, headers=headers).raise_for_status()
    post(stage, "jobs", {"uploadKey": ticket["uploadKey"], "fileName": "again.wav"})


def post(stage, path, tree):
    account = stage.accounts[0]
    headers = {"Authorization": f"Bearer {account.key}"}
    answer = stage.vendor.http.post(f"{account.url}/{path}", json=tree, headers=headers)
    return answer.raise_for_status().json()


def lose_a_result(stage):
    alter(stage, "UPDATE tracks SET state = 'failed' WHERE track_id = 't00'")


def publish_twice(stage):
    for table in ("tracks", "stems"):
        for part in list((stage.bench.dataset / table).rglob("*.parquet")):
            shutil.copy(part, part.with_name("again.parquet"))


def spoil_a_stem(stage):
    next((stage.bench.dataset / "audio").rglob("*.wav")).write_bytes(b"")


def leave_an_orphan(stage):
    stem = next((stage.bench.dataset / "audio").rglob("*.wav"))
    shutil.copy(stem, stem.with_name("orphan.wav"))


HARMS = {
    "tracks in no state or in two": forget_a_track,
    "tracks left under way": leave_a_track_under_way,
    "credits in the ledger that were not paid": charge_too_much,
    "paid credits not in the ledger": charge_too_little,
    "credits reserved for nothing": keep_a_reservation,
    "tracks paid twice": pay_again,
    "paid results lost": lose_a_result,
    "tracks not in the dataset once": publish_twice,
    "stems not in the dataset once": publish_twice,
    "stems that are not as told": spoil_a_stem,
    "audio objects nobody knows": leave_an_orphan,
}


@pytest.mark.parametrize(("what", "tamper"), HARMS.items(), ids=lambda each: getattr(each, "__name__", None))
def test_the_judge_sees(published, what, tamper):
    tamper(published)
    assert judge(published).harm[what] > 0


def test_the_judge_sees_a_limit_that_was_passed(published):
    assert judge(published, limit=published.charged).is_clean
    assert judge(published, limit=published.charged - 1).harm["credits past the limit"] == 1
