"""What is shown to the person who settles an unanswered submit: whatever the list says it may have made."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from stemline.protocol import HttpAnswer
from stemline.providers import load_provider
from stemline.records import Attempt, Recipe, Track
from stemline.settings import load_facts

TOKEN = "sl" + "a" * 20
SENT_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def attempt(location="/music/song.wav"):
    track = Track("t1", location, 1, duration_seconds=10.0)
    return Attempt(TOKEN, track, Recipe("four", "best", "flac"), "stemsplit", 1, 10, sent_at=SENT_AT)


def listed(job_id, name="song.wav", seconds=10, minutes=0.0, **more):
    made_at = (SENT_AT + timedelta(minutes=minutes)).isoformat()
    return {
        "id": job_id,
        "createdAt": made_at,
        "input": {"fileName": name, "durationSeconds": seconds},
        **more,
    }


def look(provider, wanted, pages):
    """HttpAnswer with one page after the other; give the ids found and the requests."""
    steps, requests = provider.candidates(wanted), []
    try:
        requests.append(next(steps))
        for page in pages:
            tree = {"jobs": page, "pagination": {"hasMore": True}}
            requests.append(steps.send(HttpAnswer(200, {}, json.dumps(tree).encode())))
    except StopIteration as stop:
        return [job.job_id for job in stop.value], requests
    raise AssertionError("it asks for more pages than there are")


@pytest.fixture
def provider():
    return load_provider(load_facts("stemsplit"))


def test_only_what_the_submit_may_have_made_is_shown(provider):
    page = [
        listed("named", f"song.{TOKEN}.wav", 12),
        listed("fits"),
        listed("older", minutes=-30),
        listed("stranger", "tune.wav"),
        listed("another's", f"song.sl{'b' * 20}.wav"),
    ]
    found, requests = look(provider, attempt(), [page, []])
    assert found == ["named", "fits"]
    assert {request.url for request in requests} == {"/jobs"}


def test_a_video_is_looked_for_among_videos(provider):
    location = "https://youtu.be/dQw4w9WgXcQ"
    page = [listed("it", videoId="dQw4w9WgXcQ"), listed("other", videoId="aaaaaaaaaaa")]
    found, requests = look(provider, attempt(location), [page, []])
    assert found == ["youtube:it"]
    assert {request.url for request in requests} == {"/youtube-jobs"}


def test_it_asks_for_ten_pages_at_most(provider):
    pages = [[listed(f"{number}-{place}") for place in range(3)] for number in range(20)]
    found, requests = look(provider, attempt(), pages)
    assert len(requests) == 10
    assert len(found) == 30


def test_a_provider_without_a_list_asks_nothing():
    found, requests = look(load_provider(load_facts("aistemsplitter")), attempt(), [])
    assert (found, requests) == ([], [])
