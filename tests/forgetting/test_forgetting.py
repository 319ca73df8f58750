"""What is forgotten is nowhere any more: not in a byte, nor in a name; and the books still balance."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.estate import DATASET, RECIPE, fill, open_estate

from stemline.budget import Limits
from stemline.dataset.metadata import LAYOUT_KEY
from stemline.dataset.paths import stem_path
from stemline.dataset.tombstone_files import TOMBSTONES_PREFIX, read_tombstones
from stemline.errors import StorageError, UsageError
from stemline.forgetting import objects
from stemline.forgetting.choice import ForgetChoice
from stemline.known_tombstones import take_over_tombstones
from stemline.manifest.source_root import SourceRoot
from stemline.records import Code, State
from stemline.release.record import require_release
from stemline.report import write_report
from stemline.report.dataset_page import write_dataset_report
from stemline.rewrite.snapshot import live_parts, read_snapshot
from stemline.run.compaction import compact_parts
from stemline.storage import open_store

GONE = ("goes-01", "goes-02", "goes-03", "goes-04")
TEXTS = (*GONE, "Nina", "Sinnerman", "QZ-goes")


def test_nothing_of_it_is_left_in_any_byte_or_name(estate):
    assert estate.traces(*TEXTS)
    report = estate.forget(artists=("nina  SIMONE",))
    assert report.exit_code == 0
    assert estate.traces(*TEXTS) == []
    assert estate.rows() == ["keeps1", "keeps2", "keeps3"]
    assert len(estate.rows("stems")) == 6
    assert estate.rows(folder="releases") == ["keeps1", "keeps2", "keeps3"]
    assert len(list(estate.store.list("audio"))) == 6


def test_what_others_have_stays_as_it_was(estate):
    kept = {key: estate.store.read_bytes(key) for key in estate.store.list("audio") if "keeps" in key}
    parts = [key for key in live_parts(estate.store) if "keeps2" in str(pq.read_table(estate.store.url(key)))]
    before = {key: estate.store.read_bytes(key) for key in parts}
    estate.forget(tracks=GONE)
    assert {key: estate.store.read_bytes(key) for key in estate.store.list("audio")} == kept
    assert {key: estate.store.read_bytes(key) for key in parts} == before


def test_the_snapshot_tells_the_parts_as_they_are(estate):
    estate.forget(tracks=("goes-01",))
    snapshot = read_snapshot(estate.store)
    assert snapshot.cause == "forget"
    for part in snapshot.parts:
        data = estate.store.read_bytes(part.key)
        assert (part.size_bytes, part.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert part.rows == pq.read_metadata(pa.BufferReader(data)).num_rows > 0
    assert len(list(estate.store.list("_stemline/snapshots"))) == 2


@pytest.mark.long
def test_a_part_that_becomes_empty_goes_with_the_folder_named_after_the_artist(tmp_path):
    with open_estate(tmp_path, open_store(str(tmp_path / "out")), partition_by=("artist",)) as estate:
        fill(estate)
        assert estate.forget(artists=("Nina Simone",)).exit_code == 0
        assert estate.traces(*TEXTS) == []
        assert estate.rows() == ["keeps1", "keeps2", "keeps3"]


def test_no_folder_of_an_earlier_rewrite_is_named_after_the_artist(tmp_path):
    with open_estate(tmp_path, open_store(str(tmp_path / "out")), partition_by=("artist",)) as estate:
        for name in ("goes-1", "goes-2"):
            estate.publish(name, artist="Nina")
        compact_parts(estate.ledger, estate.store, DATASET)
        folder = estate.store.local_path("_stemline/rewrites/older/tracks/by_artist=Nina")
        folder.mkdir(parents=True)  # earlier versions left such
        estate.forget(artists=("Nina",))
        assert estate.traces("Nina") == []


def test_audio_that_is_embedded_goes_with_its_rows(tmp_path):
    with open_estate(tmp_path, open_store(str(tmp_path / "out")), audio="embedded") as estate:
        fill(estate)
        staged = (
            "_stemline/staged/"
            + stem_path(estate.ledger.attempts.of_track("local", "goes-03")[0], "x", "y")[6:]
        )
        estate.store.put_bytes(staged, b"left by a crash")
        assert estate.forget(artists=("Nina Simone",)).exit_code == 0
        assert estate.traces(*TEXTS, "left by a crash", "vocals of goes") == []
        assert estate.traces("vocals of keeps2")


def test_many_tracks_are_looked_for_in_one_listing(estate, monkeypatch):
    monkeypatch.setattr(objects, "MOST_LISTINGS", 1)
    assert estate.forget(artists=("Nina Simone",)).exit_code == 0
    assert estate.traces(*TEXTS) == []


def test_runs_go_on_publishing_meanwhile(estate):
    names = [f"meanwhile-{number}" for number in range(6)]

    def publish():
        for name in names:
            estate.publish(name)

    with ThreadPoolExecutor(1) as threads:
        publishing = threads.submit(publish)
        assert estate.forget(artists=("Nina Simone",)).exit_code == 0
        publishing.result()
    assert estate.rows() == sorted(["keeps1", "keeps2", "keeps3", *names])
    assert estate.traces(*TEXTS) == []


def test_another_ledger_of_the_dataset_forgets_it_too(estate, tmp_path):
    (tmp_path / "other").mkdir()
    with open_estate(tmp_path / "other", estate.store) as other:
        other.plan("goes-01")
        other.plan("later", artist="Nina Simone")
        estate.forget(artists=("Nina Simone",))
        other.next_command()
        assert other.ledger.queries.codes(other.run_id) == {Code.FORGOTTEN: 2}


class TestBooks:
    """What was paid stays paid."""

    def test_sums_do_not_change(self, estate):
        before = estate.ledger.credits.spending(estate.run_id)
        estate.forget(tracks=GONE)
        assert estate.ledger.credits.spending(estate.run_id) == before
        assert before.run.charged == 18

    def test_each_track_stands_as_forgotten_under_another_name(self, estate):
        report = estate.forget(tracks=GONE)
        assert estate.ledger.queries.counts(estate.run_id)[State.REJECTED] == 5
        assert estate.ledger.queries.codes(estate.run_id)[Code.FORGOTTEN] == 5
        rows = list(estate.ledger.queries.rejected_rows(estate.run_id))
        assert all(report.certificate.tombstone.tombstone_id in row.sentence for row in rows)
        assert estate.ledger.tracks.states("local", RECIPE, GONE) == {}

    def test_the_dataset_is_not_missed_when_all_is_forgotten(self, bare):
        bare.publish("goes-01")
        bare.forget(tracks=("goes-01",))
        assert not bare.ledger.datasets.has_published("local", RECIPE, DATASET)
        assert bare.ledger.datasets.find("local", RECIPE, DATASET).tracks == 0


class TestChoice:
    """By id, ISRC, artist or a filter."""

    @pytest.mark.parametrize(
        "asked",
        [
            {"tracks": ("goes-01", "goes-02")},
            {"isrcs": ("qzgoes012600001", "QZ GOES 02 26 00001")},
            {"where": "artist = 'Nina Simone' AND genre = 'soul' AND plays = 3 AND track_id < 'goes-03'"},
        ],
        ids=lambda asked: next(iter(asked)),
    )
    def test_ways(self, estate, asked):
        preview = estate.command.look(ForgetChoice(**asked))
        assert preview.order.track_ids == {"goes-01", "goes-02"}

    def test_a_joint_name_is_near_and_is_not_meant(self, bare):
        bare.publish("both", artist="Nina Simone & Hot Chips")
        bare.publish("slip", artist="Nina Simmone")
        preview = bare.command.look(ForgetChoice(artists=("Nina Simone",)))
        assert not preview.order.tracks
        assert set(preview.near) == {"Nina Simone & Hot Chips", "Nina Simmone"}

    def test_isrcs_that_go_on_are_near_only_where_none_is_the_one(self, bare):
        bare.publish("one", isrc="USABC2400001")
        bare.publish("two", isrc="USABC2400002")
        found = bare.command.look(ForgetChoice(isrcs=("US-ABC-24-00001",)))
        assert (found.order.track_ids, found.near) == ({"one"}, [])
        assert bare.command.look(ForgetChoice(isrcs=("USABC2400003",))).near == [
            "USABC2400001",
            "USABC2400002",
        ]

    def test_a_filter_reaches_nothing_else(self, estate, tmp_path):
        (tmp_path / "secret.csv").write_text("a\n1\n")
        for where in (f"EXISTS (FROM '{tmp_path}/secret.csv')", "true; DROP TABLE known"):
            with pytest.raises(UsageError, match=r"refused|does not work"):
                estate.command.look(ForgetChoice(where=where))

    @pytest.mark.parametrize("asked", [{}, {"tracks": ("a",), "where": "true"}, {"artists": (" ",)}])
    def test_one_way_is_named(self, asked):
        with pytest.raises(UsageError, match="one way"):
            ForgetChoice(**asked)

    def test_a_look_changes_nothing(self, estate):
        before = {key: estate.store.read_bytes(key) for key in estate.store.list()}
        tree = estate.command.look(ForgetChoice(artists=("Nina Simone",))).as_tree()
        assert {key: estate.store.read_bytes(key) for key in estate.store.list()} == before
        assert tree["places"]["tables"] == {"objects": 4, "rows": 6, "bytes": 0}
        assert tree["places"]["audio"]["objects"] == 4
        assert tree["places"]["quarantine"]["objects"] == 2
        assert tree["places"]["rejected rows"] == {"objects": 2, "rows": 2, "bytes": 0}
        assert tree["releases"] == ["v1"]


def test_what_somebody_is_at_is_left_and_named(estate):
    estate.ready("waits-1", artist="Nina Simone")
    token = estate.collect("waits-2", artist="Nina Simone")
    report = estate.forget(artists=("Nina Simone",))
    assert report.exit_code == 3
    assert report.under_way == {"waits-1": State.READY, "waits-2": State.COLLECTED}
    assert estate.traces(*GONE) == []
    assert estate.publisher.publish(estate.run_id, [token]) == 1
    assert "waits-2" in estate.rows()
    assert estate.forget(tracks=("waits-2",)).exit_code == 0
    assert estate.traces("waits-2") == []


def test_a_release_says_what_was_forgotten(estate):
    estate.forget(artists=("Nina Simone",))
    release = require_release(estate.store, "v1")
    assert [each["rows"] for each in release.facts["forgotten"]] == [{"tracks": 2, "stems": 4}]
    for file in release.files:
        data = estate.store.read_bytes(f"releases/v1/{file.path}")
        assert (file.size_bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    estate.release("v2")
    assert release.counts == require_release(estate.store, "v2").counts
    assert b"## Forgotten" in estate.store.read_bytes("releases/v1/README.md")
    estate.forget(tracks=("keeps1",))
    again = require_release(estate.store, "v1")
    assert len(again.facts["forgotten"]) == 2
    assert again.counts["tracks"] == 2


def test_a_track_that_is_sent_between_the_look_and_the_deed_is_left(estate):
    track, choice = estate.plan("waits-1"), ForgetChoice(tracks=("waits-1",))
    preview = estate.command.look(choice)
    estate.ledger.attempts.reserve(estate.run_id, track, "token", 3, Limits())
    report = estate.command.forget(preview, choice)
    assert (report.exit_code, report.under_way) == (3, {"waits-1": State.SUBMITTING})
    (tombstone,) = estate.ledger.forgetting.tombstones()
    assert tombstone.tracks == ()
    assert estate.ledger.attempts.mark_sending("token").sent_at is not None


def test_reports_call_sources_as_before(estate):
    estate.quarantine("goes-05", artist="Nina Simone")
    estate.quarantine("keeps9")
    root = SourceRoot("/music/")
    write_report(estate.ledger, estate.store, estate.run_id, root)
    choice = ForgetChoice(artists=("Nina Simone",))
    command = replace(estate.command, root=root)
    assert command.forget(command.look(choice), choice).exit_code == 0
    page = estate.store.read_bytes(f"_stemline/runs/{estate.run_id}.html")
    assert b"keeps9.flac" in page
    assert b"/music/" not in page


def test_the_file_of_all_tracks_of_a_run_goes_with_its_old_page(estate, monkeypatch):
    monkeypatch.setattr("stemline.report.SHOWN_TRACKS", 1)
    for name in ("goes-05", "keeps9"):
        estate.quarantine(name, artist="Nina Simone" if name == "goes-05" else "Otto")
    write_report(estate.ledger, estate.store, estate.run_id)
    key = f"_stemline/runs/{estate.run_id}.tracks.csv"
    assert b"goes-05" in estate.store.read_bytes(key)
    command, choice = estate.command, ForgetChoice(artists=("Nina Simone",))
    assert command.forget(command.look(choice), choice).exit_code == 0
    assert b"goes-05" not in estate.store.read_bytes(key)
    assert b"keeps9" in estate.store.read_bytes(key)


def test_pages_about_the_dataset_go_with_a_track_they_show(estate):
    for release in (None, "v1"):
        write_dataset_report(estate.settings, release)
    command, choice = estate.command, ForgetChoice(artists=("Nina Simone",))
    preview = command.look(choice)
    assert "_stemline/reports/release-v1.html" in preview.as_tree()["reports"]
    assert command.forget(preview, choice).exit_code == 0
    assert list(estate.store.list("_stemline/reports")) == []


def test_a_release_may_lose_all_it_has(estate):
    assert estate.forget(where="true").exit_code == 0
    release = require_release(estate.store, "v1")
    assert (release.counts["tracks"], release.counts["seconds"], release.counts["providers"]) == (0, 0, {})
    assert {file.path for file in release.files} == {"README.md", "croissant.json", "leakage.json"}
    assert estate.rows() == estate.rows(folder="releases") == list(estate.store.list("audio")) == []


def test_exports_are_named_for_a_person_to_act_on(estate):
    estate.store.put_bytes("_stemline/exports/one.json", json.dumps({"out": "s3://far/one"}).encode())
    tree = json.loads(estate.store.read_bytes("releases/v1/release.json"))
    tree["exports"] = [{"to": "hf://datasets/me/v1"}]
    estate.store.put_bytes("releases/v1/release.json", json.dumps(tree).encode())
    report = estate.forget(artists=("Nina Simone",))
    assert [each["to"] for each in report.certificate.exports] == ["s3://far/one", "hf://datasets/me/v1"]


def test_the_certificate_is_in_the_dataset_and_names_nobody(estate):
    report = estate.forget(artists=("Nina Simone",), reason="the label asked")
    tree = json.loads(estate.store.read_bytes(report.certificate.key))
    assert tree["is_complete"]
    assert (tree["reason"], tree["tracks"], tree["chosen_by"]) == ("the label asked", 4, "artist")
    places = {each["place"]: each for each in tree["places"]}
    assert places["tables"]["found"]["rows"] == 6
    assert all(not any(each["left"].values()) for each in tree["places"])
    assert len(tree["provider_jobs"]) == 3


def test_what_cannot_be_emptied_is_named_and_tried_again(estate, monkeypatch):
    delete = type(estate.store).delete
    stubborn = next(key for key in estate.store.list("audio") if "goes-01" in key)
    monkeypatch.setattr(
        type(estate.store), "delete", lambda self, key: None if key == stubborn else delete(self, key)
    )
    report = estate.forget(tracks=GONE)
    assert (report.exit_code, report.certificate.left) == (3, ["audio"])
    monkeypatch.undo()
    estate.next_command()
    assert estate.traces(*TEXTS) == []


def test_tombstones_that_the_dataset_has_lost_are_written_again(estate):
    estate.forget(artists=("Nina Simone",))
    kept = read_tombstones(estate.store)
    estate.store.delete_all(list(estate.store.list(TOMBSTONES_PREFIX)))
    take_over_tombstones(estate.ledger, estate.store)
    assert read_tombstones(estate.store) == kept != []


def test_nothing_is_forgotten_while_the_layout_is_gone(estate):
    estate.store.delete(LAYOUT_KEY)
    with pytest.raises(StorageError, match=r"layout\.json is gone"):
        estate.forget(artists=("Nina Simone",))
