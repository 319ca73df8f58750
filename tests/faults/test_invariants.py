"""Every violation of the invariants is found: each is done to a catalogue on which all went well."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from invariants import examine

TRACKS = 3
LAST = "rowid IN (SELECT max(rowid) FROM credit_entries WHERE kind = 'charge')"


@pytest.fixture
def published(new_scenario):
    """A scenario on which all went well."""
    scenario = new_scenario(TRACKS)
    assert scenario.run().code == 0
    assert examine(scenario).is_clean
    return scenario


def alter(scenario, statement):
    with closing(sqlite3.connect(scenario.project.ledger)) as connection, connection:
        connection.execute(statement)


def forget_a_track(scenario):
    alter(scenario, "DELETE FROM tracks WHERE track_id = 't00'")


def leave_a_track_under_way(scenario):
    alter(scenario, "UPDATE tracks SET state = 'processing' WHERE track_id = 't00'")


def charge_too_much(scenario):
    alter(scenario, f"UPDATE credit_entries SET amount = amount + 1 WHERE {LAST}")


def charge_too_little(scenario):
    alter(scenario, f"DELETE FROM credit_entries WHERE {LAST}")


def keep_a_reservation(scenario):
    alter(scenario, "DELETE FROM credit_entries WHERE kind = 'release'")


def pay_again(scenario):
    size = scenario.accounts[0].details()[0]["input"]["fileSizeBytes"]
    songs = [Path(row["uri"]).read_bytes() for row in scenario.project.good_rows(TRACKS)]
    ticket = post(scenario, "upload", {"filename": "again.wav"})
    headers = {"Content-Type": ticket["contentType"]}
    content = next(song for song in songs if len(song) == size)
    scenario.vendor.http.put(ticket["uploadUrl"], content=content, headers=headers).raise_for_status()
    post(scenario, "jobs", {"uploadKey": ticket["uploadKey"], "fileName": "again.wav"})


def post(scenario, path, tree):
    account = scenario.accounts[0]
    headers = {"Authorization": f"Bearer {account.key}"}
    answer = scenario.vendor.http.post(f"{account.url}/{path}", json=tree, headers=headers)
    return answer.raise_for_status().json()


def lose_a_result(scenario):
    alter(scenario, "UPDATE tracks SET state = 'failed' WHERE track_id = 't00'")


def publish_twice(scenario):
    for table in ("tracks", "stems"):
        for part in list((scenario.project.dataset / table).rglob("*.parquet")):
            shutil.copy(part, part.with_name("again.parquet"))


def spoil_a_stem(scenario):
    next((scenario.project.dataset / "audio").rglob("*.wav")).write_bytes(b"")


def leave_an_orphan(scenario):
    stem = next((scenario.project.dataset / "audio").rglob("*.wav"))
    shutil.copy(stem, stem.with_name("orphan.wav"))


VIOLATIONS = {
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


@pytest.mark.parametrize(
    ("what", "tamper"), VIOLATIONS.items(), ids=lambda each: getattr(each, "__name__", None)
)
@pytest.mark.long
def test_a_violation_is_found(published, what, tamper):
    tamper(published)
    assert examine(published).violations[what] > 0


def test_a_limit_that_was_passed_is_found(published):
    assert examine(published, limit=published.charged).is_clean
    assert examine(published, limit=published.charged - 1).violations["credits past the limit"] == 1
