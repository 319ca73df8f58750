"""An unanswered submit whose token StemSplit lost: its job is known by what fits, or it is not guessed at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from exchange import ALONE, TOKEN, answer, attempt, drive

from stemline.errors import JobFailed
from stemline.protocol import OtherAttempts
from stemline.providers.stemsplit import file_name
from stemline.records import Attempt, Code

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
URL = "https://example.com/a%20song.mp3?sig=x"
UPLOADED = {"uploadKey": "uploads/api_xxx/input.mp3", "fileName": f"song.{TOKEN}.mp3"}
OTHER_TOKEN = "sl" + "0" * 20


def sent(location=URL, **facts) -> Attempt:
    """A submit of a track of 180 seconds, sent at noon."""
    return attempt(location, **{"sent_at": AT, **facts})


def item(job_id="j1", name="a song.mp3", seconds=180, after=1, **changes):
    """A job as the list shows it, made so many seconds after noon."""
    made_at = (AT + timedelta(seconds=after)).isoformat()
    given = {"fileName": name, "durationSeconds": seconds}
    return {"id": job_id, "status": "PENDING", "createdAt": made_at, "input": given, **changes}


def find(provider, mine, *items, other_attempts=ALONE):
    job, _ = drive(
        provider.find(mine, other_attempts), [answer({"jobs": items, "pagination": {"hasMore": False}})]
    )
    return job.job_id if job else None


def doubted(provider, mine, *items, other_attempts=ALONE) -> str:
    """Give the sentence of a match that nobody may guess."""
    with pytest.raises(JobFailed) as doubt:
        find(provider, mine, *items, other_attempts=other_attempts)
    assert doubt.value.code is Code.SUBMIT_UNANSWERED
    return str(doubt.value)


def beside(*unanswered: Attempt) -> OtherAttempts:
    return OtherAttempts(lambda _: False, lambda: unanswered)


@pytest.mark.parametrize("name", ["a song.mp3", "a-song.mp3", "A_SONG.MP3", "a%20song", "a song", None])
def test_a_job_without_its_token_is_known_by_name_and_length(provider, name):
    stranger = item("j2", "something else.mp3")

    assert find(provider, sent(), item(name=name), stranger) == "j1"


@pytest.mark.parametrize("location", ["/music/椎名林檎.wav", "/music/a.b.c.M4A", "s3://bucket/track #7.opus"])
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_name_may_be_the_sources_or_what_we_made_of_it(provider, location, is_ours):
    mine = sent(location)
    name = file_name(mine).replace(f".{TOKEN}", "") if is_ours else location.rpartition("/")[2]

    assert find(provider, mine, item(name=name, seconds=None)) == "j1"


@pytest.mark.parametrize(("seconds", "expected"), [(179, "j1"), (181, "j1"), (178.9, None), (182, None)])
def test_a_job_without_a_name_is_known_by_its_length_as_far_as_it_is_rounded(provider, seconds, expected):
    assert find(provider, sent(), item(name=None, seconds=seconds)) == expected


def test_the_name_that_every_upload_has_says_nothing(provider):
    mine = sent("/music/song.mp3", request=UPLOADED)

    assert find(provider, mine, item(name="input.mp3")) == "j1"
    assert find(provider, mine, item(name="input.flac")) is None
    doubted(provider, mine, item(name="input.mp3", seconds=None))


@pytest.mark.parametrize(
    ("after", "expected"), [(-299, "j1"), (-301, None), (3_600, "j1"), (3_899, "j1"), (3_901, None)]
)
def test_only_jobs_made_while_it_was_under_way_count(provider, after, expected):
    assert find(provider, sent(), item(after=after)) == expected


def test_the_token_is_better_than_anything_that_fits(provider):
    named = item("j2", f"a-song.{TOKEN}.mp3", 200)

    assert find(provider, sent(), item("j1"), named) == "j2"


def test_a_job_with_somebody_elses_token_is_not_ours(provider):
    assert find(provider, sent(), item(name=f"a-song.{OTHER_TOKEN}.mp3")) is None


def test_a_job_that_the_ledger_knows_is_not_ours(provider):
    other_attempts = OtherAttempts(lambda job_id: job_id == "j1", list)

    assert find(provider, sent(), item("j1"), other_attempts=other_attempts) is None
    assert find(provider, sent(), item("j1"), item("j2"), other_attempts=other_attempts) == "j2"


def test_two_jobs_that_fit_are_never_guessed_between(provider):
    sentence = doubted(provider, sent(), item("j1"), item("j2"), item("j3", "something else.mp3"))

    assert "StemSplit lists j1, j2, and nothing tells whether this submit made one of them." in sentence


def test_a_job_that_says_neither_name_nor_length_is_not_taken(provider):
    doubted(provider, sent(), item(name=None, seconds=None))
    doubted(provider, sent(), item(input=None))


def test_the_right_name_at_another_length_is_a_doubt_and_not_free_to_be_paid_again(provider):
    doubted(provider, sent(), item(seconds=190))
    assert find(provider, sent(), item(seconds=190), item("j2")) == "j2"


def test_one_job_that_two_unanswered_submits_may_have_made_is_neithers(provider):
    twin = replace(sent(), token=OTHER_TOKEN)

    assert find(provider, sent(), item()) == "j1"
    doubted(provider, sent(), item(), other_attempts=beside(twin))
    doubted(provider, twin, item(), other_attempts=beside(sent()))


@pytest.mark.parametrize(
    "other",
    [
        sent("https://example.com/other.mp3"),
        sent(sent_at=AT - timedelta(hours=2)),
        replace(sent(), track=replace(sent().track, duration_seconds=200.0)),
    ],
)
def test_an_unanswered_submit_that_cannot_have_made_the_job_is_no_rival(provider, other):
    assert find(provider, sent(), item(), other_attempts=beside(other)) == "j1"


def test_the_other_attempts_are_asked_for_after_the_list_is_read(provider):
    """One that was sent while the list was on its way may have made what it shows."""
    unanswered: list[Attempt] = []
    steps = provider.find(sent(), OtherAttempts(lambda _: False, lambda: unanswered))
    next(steps)
    unanswered.append(replace(sent(), token=OTHER_TOKEN))

    with pytest.raises(JobFailed):
        steps.send(answer({"jobs": [item()]}))


def test_a_job_on_two_pages_is_one(provider):
    pages = [
        {"jobs": [item("j2", "x.mp3"), item()], "pagination": {"hasMore": True}},
        {"jobs": [item()], "pagination": {"hasMore": False}},
    ]
    job, _ = drive(provider.find(sent(), ALONE), map(answer, pages))

    assert job.job_id == "j1"
