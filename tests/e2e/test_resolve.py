"""`stemline resolve`: a track whose paid request was never answered, settled by hand."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from stemline.audio import encode
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

SUBMIT = "POST /api/v1/jobs"


@pytest.fixture
def by_hand(bench):
    """Have a song separated past stemline, as somebody with the same key may, and give the job's id."""

    def make(song, **wanted):
        api, http = bench.provider.url, bench.provider.http
        account = {"Authorization": f"Bearer {bench.provider.key}"}
        ticket = http.post(f"{api}/upload", headers=account, json={"filename": song.name}).json()
        kind = {"Content-Type": ticket["contentType"]}
        http.put(ticket["uploadUrl"], headers=kind, content=song.read_bytes()).raise_for_status()
        order = {
            "uploadKey": ticket["uploadKey"],
            "outputType": "BOTH",
            "quality": "FAST",
            "outputFormat": "WAV",
        }
        made = http.post(f"{api}/jobs", headers=account, json={**order, **wanted})
        return made.raise_for_status().json()["id"]

    return make


@pytest.fixture
def accepted(bench, break_with, by_hand):
    """A track whose submit was accepted, its answer and its token lost, beside a job that looks just like its own.

    Another track is published. Gives the track's job and the other one.
    """
    bench.prepare(2, provider={"max_in_flight": 1})
    twin = by_hand(bench.songs[0])
    break_with(
        {"fault": "server_error_after_accept", "endpoint": SUBMIT, "nth": 1},
        {"fault": "token_dropped", "nth": 1},
    )
    run = bench.run()
    assert run.code == 3, run.err
    assert run.tree["tracks"] == {"published": 1, "unknown": 1}
    jobs = {job["id"]: job["input"]["fileName"] for job in bench.provider.jobs()}
    return next(job for job, name in jobs.items() if job != twin and "sl" not in name), twin


@pytest.fixture
def lost(bench, break_with):
    """A track whose submit never arrived, in a run that was interrupted before that could be known."""
    bench.prepare(1)
    break_with({"fault": "timeout_before_accept", "endpoint": SUBMIT, "seconds": 0.5, "nth": 1})
    running = bench.start("run", bench.config, "--json")
    assert running.until(lambda: bench.has_happened("mark_sending"))
    running.send(signal.SIGINT)
    assert running.wait().tree["tracks"] == {"unknown": 1}


def resolve(bench, *argv, **env):
    return bench.stemline("resolve", bench.config, *argv, **env)


def tell(bench, *argv, **env):
    """Give the one object that is told to a program, after checking that all went well."""
    told = resolve(bench, *argv, "--json", **env)
    assert told.code == 0, told.out + told.err
    return told.tree


def state_of(bench, track_id="t00"):
    return bench.query("SELECT state FROM tracks WHERE track_id = ?", track_id)[0][0]


def assert_refused(bench, *argv, says, **env):
    """Nothing has changed, and one sentence says why; give the error."""
    both = "tracks JOIN attempts USING (track_id)"
    standing = f"SELECT token, tracks.state, attempts.state, job_id, is_disputed FROM {both}"
    before = bench.query(standing)
    refused = resolve(bench, *argv, "--json", **env)
    assert refused.code == 2, refused.err
    error = refused.tree["error"]
    for word in says:
        assert word in error["message"] + error["fix"]
    assert bench.query(standing) == before
    return error


def test_it_shows_what_is_known_and_what_could_be_it(bench, accepted):
    found = tell(bench, "t00")
    token, reserved = bench.query("SELECT token, credits_reserved FROM attempts WHERE state = 'unknown'")[0]
    assert (found["state"], found["token"], found["credits_reserved"]) == ("unknown", token, reserved)
    assert (found["source"], found["duration_seconds"]) == (str(bench.songs[0]), 2.0)
    assert found["sent_at"] < found["set_aside_at"]
    assert [event["verb"] for event in found["history"]] == [
        "plan",
        "reserve",
        "mark_sending",
        "mark_unknown",
    ]
    assert [job["job_id"] for job in found["candidates"]] == list(accepted)
    assert not any(job["is_certain"] for job in found["candidates"])
    shown = resolve(bench, "t00")
    assert shown.code == 0
    for word in (token, *accepted, "2 reserved", "--adopt JOB", "--resubmit", "--abandon"):
        assert word in shown.out
    assert state_of(bench) == "unknown"


def test_an_adopted_job_is_collected_by_the_next_run_and_nothing_is_paid_again(bench, accepted):
    job, _ = accepted
    paid = bench.provider.charged
    told = tell(bench, "t00", "--adopt", job)
    assert (told["settled"], told["state"], told["job_id"]) == ("adopted", "processing", job)
    done = bench.run()
    assert done.code == 0, done.err
    assert sorted(bench.tracks()["track_id"]) == ["t00", "t01"]
    assert bench.provider.charged == paid
    assert bench.open_reservations() == 0


def test_a_job_that_cannot_be_the_tracks_is_not_adopted(bench, accepted, by_hand):
    others = bench.query("SELECT job_id FROM attempts WHERE track_id = 't01'")[0][0]
    long_song = bench.folder / "long.wav"
    encode(long_song, np.zeros((4 * 22_050, 1)) + 0.1, 22_050, "wav")
    assert_refused(bench, "t00", "--adopt", "nosuchjob", says=("nosuchjob", "does not know"))
    assert_refused(bench, "t00", "--adopt", others, says=(others, "track t01"))
    assert_refused(bench, "t00", "--adopt", by_hand(long_song), says=("4.0 s", "2.0 s"))
    assert_refused(bench, "t00", "--adopt", accepted[0], "--abandon", says=("one of",))


def test_the_job_is_asked_for_with_the_key_that_it_was_made_with(bench, accepted, second):
    job, _ = accepted
    error = assert_refused(bench, "t00", "--adopt", job, says=("no longer holds",), STEM_KEY=second.key)
    assert "provider.keys" in error["fix"]
    assert "no longer holds" in tell(bench, "t00", STEM_KEY=second.key)["note"]
    bench.write_config(provider={"api_key": None, "keys": ["${OTHER_KEY}", "${STEM_KEY}"]})
    assert tell(bench, "t00", "--adopt", job, OTHER_KEY=second.key)["state"] == "processing"


@pytest.mark.usefixtures("lost")
def test_what_never_arrived_is_submitted_again_and_paid_once(bench):
    assert "None" in tell(bench, "t00")["note"]
    shown = resolve(bench, "t00", "--resubmit")
    assert shown.code == 0, shown.err
    assert "paid twice" in shown.err
    assert state_of(bench) == "planned"
    assert bench.open_reservations() == 0
    done = bench.run()
    assert done.code == 0, done.err
    bench.assert_published_once(1)


@pytest.mark.usefixtures("lost")
def test_what_is_abandoned_stays_disputed_until_somebody_names_its_code(bench):
    told = tell(bench, "t00", "--abandon")
    assert (told["settled"], told["state"], told["credits_reserved"]) == ("abandoned", "failed", 2)
    assert bench.open_reservations() == 2
    assert bench.query("SELECT is_disputed FROM attempts") == [(1,)]
    assert bench.run().tree["tracks"] == {"failed": 1}
    assert bench.stemline("redrive", bench.config, "--json").tree["tracks"] == {}
    again = bench.stemline("redrive", bench.config, "--code", "submit_unanswered", "--json")
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {"published": 1}
    assert "may have been paid for before is paid again: 2 credits" in again.err


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize("way", [("--adopt", "any"), ("--resubmit",), ("--abandon",)], ids=lambda way: way[0])
def test_nothing_is_settled_while_a_run_holds_the_key(bench, way):
    running = bench.start("run", bench.config, "--json")  # it asks about the track for the grace time first
    assert running.until(lambda: bench.has_happened("acquire_lease", 2))
    error = assert_refused(bench, "t00", *way, says=(str(running.pid),))
    assert error["kind"] == "LeaseHeld"
    assert tell(bench, "t00")["state"] == "unknown"
    running.kill()


@pytest.mark.usefixtures("accepted")
def test_a_track_that_is_not_unknown_is_told_by_its_state(bench):
    assert_refused(bench, "t01", says=("published",))
    assert_refused(bench, "t01", "--resubmit", says=("published",))
    assert_refused(bench, "t09", says=("no track t09", "t00"))


def test_there_is_nothing_to_settle_before_the_first_run(bench):
    bench.prepare(1)
    assert_refused(bench, "t00", says=("stemline run",))
    assert not bench.ledger.exists()


def test_a_provider_without_a_list_is_said_to_have_none(bench):
    bad = bench.folder / "bad.mp3"
    bad.write_bytes(b"tale" * 100)
    bench.write_manifest([{"track_id": "t00", "uri": str(bad), "duration_seconds": 6}])
    faults = bench.folder / "faults.yaml"
    faults.write_text("[{fault: connection_cut, endpoint: POST /v1/audio/splits, nth: 1}]")
    options = ServiceOptions(bench.folder / "vendor", keys=(ApiKey("ast_live_key", 100),), workers=1, faults=faults)
    with running_service(options) as vendor:
        bench.write_config(
            provider={"kind": "aistemsplitter", "base_url": vendor.api_urls["aistemsplitter"]},
            recipe={"stems": "four", "quality": "best", "format": "mp3"},
        )
        key = {"STEM_KEY": "ast_live_key"}
        assert bench.run(**key).tree["tracks"] == {"unknown": 1}
        found = tell(bench, "t00", **key)
        assert found["candidates"] == []
        assert "no list" in found["note"]
        assert tell(bench, "t00", "--abandon", **key)["state"] == "failed"
