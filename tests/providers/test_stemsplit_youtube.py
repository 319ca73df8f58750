"""YouTube tracks with StemSplit: endpoints of their own, and no token to find a job by."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest
from exchange import ALONE

from stemline.errors import JobFailed, TrackRefused
from stemline.protocol import HttpAnswer, OtherAttempts, WebhookDelivery
from stemline.providers import load_provider
from stemline.records import Attempt, Code, Phase, Recipe, Track
from stemline.settings import load_facts

URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
SENT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CREATED = {
    "id": "clx1",
    "status": "PENDING",
    "videoId": "dQw4w9WgXcQ",
    "videoTitle": "A Song",
    "videoDuration": 213,
    "videoThumbnail": "https://i.example/1.jpg",
    "channelName": "A Channel",
    "creditsRequired": 213,
    "outputs": ["vocals", "instrumental"],
    "createdAt": "2026-03-01T12:00:01Z",
}


@pytest.fixture
def provider():
    return load_provider(load_facts("stemsplit"))


def attempt(location=URL, sent_at=SENT):
    track = Track("t1", location, 1)
    return Attempt(
        "sl0123456789abcdef0123", track, Recipe("both", "best", "mp3"), "stemsplit", 1, 3600, None, sent_at
    )


def answer(tree):
    return HttpAnswer(200, {}, json.dumps(tree).encode())


def drive(steps, *trees):
    """Carry steps out against canned answers; give the requests and what they return."""
    requests, left = [next(steps)], list(trees)
    while True:
        try:
            requests.append(steps.send(answer(left.pop(0))))
        except StopIteration as stop:
            assert not left
            return requests, stop.value


def page(*jobs, has_more=False):
    return {
        "jobs": list(jobs),
        "pagination": {"total": len(jobs), "limit": 100, "offset": 0, "hasMore": has_more},
    }


def test_a_video_is_handed_over_by_its_url_alone(provider):
    (request,), submission = drive(provider.submit(attempt()), CREATED)
    assert (request.method, request.url, request.json) == ("POST", "/youtube-jobs", {"youtubeUrl": URL})
    assert request.is_paid
    assert submission.job_id == "youtube:clx1"
    assert (submission.credits_required, submission.duration_seconds) == (213, 213.0)


def test_a_finished_video_gives_its_whole_audio_as_a_stem_named_mix(provider):
    links = {name: {"url": f"https://s/{name}.mp3"} for name in ("fullAudio", "vocals", "instrumental")}
    detail = CREATED | {"status": "COMPLETED", "outputs": links, "audioMetadata": {"bpm": 113.0, "key": "Am"}}
    (request,), job = drive(provider.read_job("youtube:clx1"), detail)
    assert request.url == "/youtube-jobs/clx1"
    assert (job.job_id, job.phase) == ("youtube:clx1", Phase.DONE)
    assert {output.stem for output in job.outputs} == {"mix", "vocals", "instrumental"}
    assert (job.bpm, job.key, job.title, job.artist) == (113.0, "Am", "A Song", "A Channel")


def test_both_kinds_are_looked_for_in_their_own_lists(provider):
    requests, jobs = drive(
        provider.sweep(["plain", "youtube:clx1"], SENT),
        page({"id": "plain", "status": "PROCESSING"}),
        page(CREATED),
    )
    assert [request.url for request in requests] == ["/jobs", "/youtube-jobs"]
    assert {job.job_id for job in jobs} == {"plain", "youtube:clx1"}


def test_an_unanswered_submit_is_found_by_its_video_and_time(provider):
    older = CREATED | {"id": "old", "createdAt": "2026-03-01T11:00:00Z"}
    stranger = CREATED | {"id": "other", "videoId": "zzzzzzzzzzz"}
    _, job = drive(provider.find(attempt(), ALONE), page(CREATED, stranger, older))
    assert job.job_id == "youtube:clx1"


def test_a_video_that_is_not_listed_is_not_found(provider):
    _, job = drive(provider.find(attempt(), ALONE), page(CREATED | {"videoId": "zzzzzzzzzzz"}))
    assert job is None


def test_two_jobs_of_one_video_are_never_guessed_between(provider):
    twin = CREATED | {"id": "clx2", "createdAt": "2026-03-01T12:00:02Z"}
    steps = provider.find(attempt(sent_at=SENT - timedelta(seconds=1)), ALONE)
    next(steps)
    with pytest.raises(JobFailed) as refused:
        steps.send(answer(page(CREATED, twin)))
    assert refused.value.code is Code.SUBMIT_UNANSWERED


def test_one_job_that_two_unanswered_submits_of_a_video_may_have_made_is_neithers(provider):
    twin = OtherAttempts(lambda _: False, lambda: [attempt("https://youtu.be/dQw4w9WgXcQ")])
    steps = provider.find(attempt(), twin)
    next(steps)
    with pytest.raises(JobFailed, match="StemSplit lists youtube:clx1, and nothing tells"):
        steps.send(answer(page(CREATED)))


def test_a_videos_job_that_is_known_to_be_anothers_is_passed_over(provider):
    twin = CREATED | {"id": "clx2", "createdAt": "2026-03-01T12:00:02Z"}
    _, job = drive(provider.find(attempt(), OtherAttempts("youtube:clx1".__eq__, list)), page(CREATED, twin))
    assert job.job_id == "youtube:clx2"


def test_a_vendors_clock_that_is_behind_hides_no_job(provider):
    slow = CREATED | {"createdAt": "2026-03-01T11:56:00Z"}
    _, job = drive(provider.find(attempt(), ALONE), page(slow))
    assert job.job_id == "youtube:clx1"


@pytest.mark.parametrize(
    "location",
    [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1",
        "https://youtu.be/dQw4w9WgXcQ",
        "https://m.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/embed/dQw4w9WgXcQ",
    ],
)
def test_every_form_of_a_url_leads_to_the_same_video(provider, location):
    _, job = drive(provider.find(attempt(location), ALONE), page(CREATED))
    assert job.job_id == "youtube:clx1"


def test_a_videos_event_is_about_the_job_the_ledger_knows(provider):
    data = {"jobId": "clx1", "type": "youtube", "status": "COMPLETED", "videoTitle": "A Song"}
    body = json.dumps({"event": "job.completed", "timestamp": "2026-03-01T12:03:00Z", "data": data}).encode()
    signature = hmac.new(b"whsec_1", body, hashlib.sha256).hexdigest()
    delivery = WebhookDelivery(
        {"x-webhook-signature": f"sha256={signature}"}, body, SENT + timedelta(minutes=3)
    )
    event = provider.read_event(delivery, "whsec_1")
    assert (event.job_id, event.phase) == ("youtube:clx1", Phase.DONE)


def test_a_url_of_no_video_is_refused_as_a_track_and_found_nowhere(provider):
    body = json.dumps({"error": {"code": "VIDEO_NOT_FOUND", "message": "No such video"}}).encode()
    steps = provider.submit(attempt("https://www.youtube.com/watch?v=short"))
    request = next(steps)
    assert isinstance(provider.classify(request, HttpAnswer(404, {}, body)), TrackRefused)
    _, job = drive(provider.find(attempt("https://www.youtube.com/watch?v=short"), ALONE), page(CREATED))
    assert job is None


def test_one_id_in_both_lists_is_two_jobs(provider):
    plain = {"id": "clx1", "status": "PROCESSING"}
    _, jobs = drive(provider.sweep(["clx1", "youtube:clx1"], SENT), page(plain), page(CREATED))
    assert {(job.job_id, job.phase) for job in jobs} == {
        ("clx1", Phase.RUNNING),
        ("youtube:clx1", Phase.QUEUED),
    }
