"""`stemline resolve`: a track whose paid request was never answered, resolved by hand."""

from __future__ import annotations

import signal

import numpy as np
import pytest

from stemline.audio import encode
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

SUBMIT = "POST /api/v1/jobs"


@pytest.fixture
def by_hand(project):
    """Have a song separated past stemline, as somebody with the same key may, and give the job's id."""

    def make(song, **wanted):
        api, http = project.provider.url, project.provider.http
        account = {"Authorization": f"Bearer {project.provider.key}"}
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
def accepted(project, break_with, by_hand):
    """A track whose submit was accepted, its answer and its token lost, beside a job that looks just like its own.

    Another track is published. Gives the track's job and the other one.
    """
    project.prepare(2, provider={"max_in_flight": 1})
    twin = by_hand(project.songs[0])
    break_with(
        {"fault": "server_error_after_accept", "endpoint": SUBMIT, "nth": 1},
        {"fault": "token_dropped", "nth": 1},
    )
    run = project.run()
    assert run.code == 3, run.err
    assert run.tree["tracks"] == {"published": 1, "unknown": 1}
    jobs = {job["id"]: job["input"]["fileName"] for job in project.provider.jobs()}
    return next(job for job, name in jobs.items() if job != twin and "sl" not in name), twin


@pytest.fixture
def lost(project, break_with):
    """A track whose submit never arrived, in a run that was interrupted before that could be known."""
    project.prepare(1)
    break_with({"fault": "timeout_before_accept", "endpoint": SUBMIT, "seconds": 0.5, "nth": 1})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("mark_sending"))
    running.send(signal.SIGINT)
    assert running.wait().tree["tracks"] == {"unknown": 1}


def resolve(project, *argv, **env):
    return project.stemline("resolve", project.config, *argv, **env)


def tell(project, *argv, **env):
    """Give the one object that is told to a program, after checking that all went well."""
    told = resolve(project, *argv, "--json", **env)
    assert told.code == 0, told.out + told.err
    return told.tree


def state_of(project, track_id="t00"):
    return project.query("SELECT state FROM tracks WHERE track_id = ?", track_id)[0][0]


def assert_refused(project, *argv, says, **env):
    """Nothing has changed, and one sentence says why; give the error."""
    both = "tracks JOIN attempts USING (track_id)"
    standing = f"SELECT token, tracks.state, attempts.state, job_id, is_disputed FROM {both}"
    before = project.query(standing)
    refused = resolve(project, *argv, "--json", **env)
    assert refused.code == 2, refused.err
    error = refused.tree["error"]
    for word in says:
        assert word in error["message"] + error["fix"]
    assert project.query(standing) == before
    return error


def test_it_shows_what_is_known_and_what_could_be_it(project, accepted):
    found = tell(project, "t00")
    token, reserved = project.query("SELECT token, credits_reserved FROM attempts WHERE state = 'unknown'")[0]
    assert (found["state"], found["token"], found["credits_reserved"]) == ("unknown", token, reserved)
    assert (found["source"], found["duration_seconds"]) == (str(project.songs[0]), 2.0)
    assert found["sent_at"] < found["set_aside_at"]
    assert [event["verb"] for event in found["history"]] == [
        "plan",
        "reserve",
        "mark_sending",
        "mark_unknown",
    ]
    assert [job["job_id"] for job in found["candidates"]] == list(accepted)
    assert not any(job["is_certain"] for job in found["candidates"])
    shown = resolve(project, "t00", COLUMNS="60")  # the jobs' ids are there to be copied
    assert shown.code == 0
    for word in (token, *accepted, "2 reserved", "--adopt JOB", "--resubmit", "--abandon"):
        assert word in shown.out
    assert state_of(project) == "unknown"


@pytest.mark.long
def test_an_adopted_job_is_collected_by_the_next_run_and_nothing_is_paid_again(project, accepted):
    job, _ = accepted
    paid = project.provider.charged
    told = tell(project, "t00", "--adopt", job)
    assert (told["settled"], told["state"], told["job_id"]) == ("adopted", "processing", job)
    done = project.run()
    assert done.code == 0, done.err
    assert sorted(project.tracks()["track_id"]) == ["t00", "t01"]
    assert project.provider.charged == paid
    assert project.open_reservations() == 0


@pytest.mark.long
def test_a_job_that_cannot_be_the_tracks_is_not_adopted(project, accepted, by_hand):
    others = project.query("SELECT job_id FROM attempts WHERE track_id = 't01'")[0][0]
    long_song = project.folder / "long.wav"
    encode(long_song, np.zeros((4 * 22_050, 1)) + 0.1, 22_050, "wav")
    assert_refused(project, "t00", "--adopt", "nosuchjob", says=("nosuchjob", "does not know"))
    assert_refused(project, "t00", "--adopt", others, says=(others, "track t01"))
    assert_refused(project, "t00", "--adopt", by_hand(long_song), says=("4.0 s", "2.0 s"))
    assert_refused(project, "t00", "--adopt", accepted[0], "--abandon", says=("one of",))


@pytest.mark.long
def test_the_job_is_asked_for_with_the_key_that_it_was_made_with(project, accepted, second):
    job, _ = accepted
    error = assert_refused(project, "t00", "--adopt", job, says=("no longer holds",), STEM_KEY=second.key)
    assert "provider.keys" in error["fix"]
    assert "no longer holds" in tell(project, "t00", STEM_KEY=second.key)["note"]
    project.write_config(provider={"api_key": None, "keys": ["${OTHER_KEY}", "${STEM_KEY}"]})
    assert tell(project, "t00", "--adopt", job, OTHER_KEY=second.key)["state"] == "processing"


@pytest.mark.long
@pytest.mark.usefixtures("lost")
def test_what_never_arrived_is_submitted_again_and_paid_once(project):
    assert "None" in tell(project, "t00")["note"]
    shown = resolve(project, "t00", "--resubmit")
    assert shown.code == 0, shown.err
    assert "paid twice" in shown.err
    assert state_of(project) == "planned"
    assert project.open_reservations() == 0
    done = project.run()
    assert done.code == 0, done.err
    project.assert_published_once(1)


@pytest.mark.usefixtures("lost")
@pytest.mark.long
def test_what_is_abandoned_stays_disputed_until_somebody_names_its_code(project):
    told = tell(project, "t00", "--abandon")
    assert (told["settled"], told["state"], told["credits_reserved"]) == ("abandoned", "failed", 2)
    assert project.open_reservations() == 2
    assert project.query("SELECT is_disputed FROM attempts") == [(1,)]
    assert project.run().tree["tracks"] == {"failed": 1}
    assert project.stemline("redrive", project.config, "--json").tree["tracks"] == {}
    again = project.stemline("redrive", project.config, "--code", "submit_unanswered", "--json")
    assert again.code == 0, again.err
    assert again.tree["tracks"] == {"published": 1}
    assert "may have been paid for before is paid again: 2 credits" in again.err


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize(
    "way",
    [
        ("--adopt", "any"),
        pytest.param(("--resubmit",), marks=pytest.mark.long),
        pytest.param(("--abandon",), marks=pytest.mark.long),
    ],
    ids=lambda way: way[0],
)
@pytest.mark.long
def test_nothing_is_resolved_while_a_run_holds_the_key(project, way):
    running = project.start(
        "run", project.config, "--json"
    )  # it asks about the track for the grace time first
    assert running.until(lambda: project.has_happened("acquire_lease", 2))
    error = assert_refused(project, "t00", *way, says=(str(running.pid),))
    assert error["kind"] == "LeaseHeld"
    assert tell(project, "t00")["state"] == "unknown"
    running.kill()


@pytest.mark.usefixtures("accepted")
@pytest.mark.long
def test_a_track_that_is_not_unknown_is_told_by_its_state(project):
    assert_refused(project, "t01", says=("published",))
    assert_refused(project, "t01", "--resubmit", says=("published",))
    assert_refused(project, "t09", says=("no track t09", "t00"))


def test_there_is_nothing_to_resolve_before_the_first_run(project):
    project.prepare(1)
    assert_refused(project, "t00", says=("stemline run",))
    assert not project.ledger.exists()


@pytest.mark.long
def test_a_provider_without_a_list_is_said_to_have_none(project, service):
    page = f"{service.url}/"  # what is remote is not opened where its length is given
    project.write_manifest([{"track_id": "t00", "uri": page, "duration_seconds": 6}])
    faults = project.folder / "faults.yaml"
    faults.write_text("[{fault: connection_cut, endpoint: POST /v1/audio/splits, nth: 1}]")
    options = ServiceOptions(
        project.folder / "vendor",
        keys=(ApiKey("ast_live_key", 100),),
        workers=1,
        faults=faults,
        allow_private_sources=True,
    )
    with running_service(options) as vendor:
        project.write_config(
            provider={"kind": "aistemsplitter", "base_url": vendor.api_urls["aistemsplitter"]},
            recipe={"stems": "four", "quality": "best", "format": "mp3"},
        )
        key = {"STEM_KEY": "ast_live_key"}
        assert project.run("--yes", **key).tree["tracks"] == {"unknown": 1}
        found = tell(project, "t00", **key)
        assert found["candidates"] == []
        assert "no list" in found["note"]
        assert tell(project, "t00", "--abandon", **key)["state"] == "failed"
