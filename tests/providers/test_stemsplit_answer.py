"""What StemSplit answers: every example of its reference page, and everything that is not on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from exchange import ALONE, TOKEN, answer, attempt, drive, serve
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.errors import ProviderDown
from stemline.protocol import HttpRequest
from stemline.records import Job, Output, Phase

AT = datetime(2024, 1, 5, 12, tzinfo=UTC)
LISTED = {
    "id": "clxxx123",
    "status": "COMPLETED",
    "progress": 100,
    "createdAt": "2024-01-05T12:00:00Z",
    "completedAt": "2024-01-05T12:02:30Z",
    "input": {"fileName": "song.mp3", "durationSeconds": 180},
    "options": {"outputType": "BOTH", "quality": "BEST", "outputFormat": "MP3"},
    "creditsCharged": 180,
}
DETAIL = {
    **LISTED,
    "audioMetadata": {"bpm": 120.0, "key": "Gm"},
    "outputs": {
        "vocals": {"url": "https://s.example/vocals.mp3?sig=1", "expiresAt": "2024-01-05T13:00:00Z"},
        "instrumental": {"url": "https://s.example/i.mp3?sig=2", "expiresAt": "2024-01-05T13:00:00Z"},
    },
}


def read(provider, tree) -> Job:
    return drive(provider.read_job("x"), [answer(tree)])[0]


def test_a_finished_job_is_read_with_links_and_music(provider):
    expires = AT + timedelta(hours=1)

    assert read(provider, DETAIL) == Job(
        "clxxx123",
        Phase.DONE,
        "song.mp3",
        180.0,
        AT,
        AT + timedelta(seconds=150),
        180,
        None,
        (
            Output("vocals", "https://s.example/vocals.mp3?sig=1", expires),
            Output("instrumental", "https://s.example/i.mp3?sig=2", expires),
        ),
        120.0,
        "Gm",
    )


def test_a_listed_job_is_read_without_links_and_music(provider):
    page = {"jobs": [LISTED], "pagination": {"total": 42, "limit": 20, "offset": 0, "hasMore": True}}
    jobs, requests = drive(provider.sweep({"clxxx123"}, AT), [answer(page)])

    assert jobs == [
        Job("clxxx123", Phase.DONE, "song.mp3", 180.0, AT, AT + timedelta(seconds=150), 180, None)
    ]
    assert requests == [HttpRequest("GET", "/jobs", params={"limit": 100, "offset": 0})]


def test_a_balance_is_read_in_seconds(provider):
    tree = {"balanceSeconds": 3600, "balanceMinutes": 60, "balanceFormatted": "60 minutes"}

    assert drive(provider.read_balance(), [answer(tree)])[0] == 3600
    assert drive(provider.read_balance(), [answer({"balanceSeconds": 0})])[0] == 0


@pytest.mark.parametrize("tree", [{}, {"balanceSeconds": None}, {"balanceSeconds": "plenty"}])
def test_a_balance_that_is_missing_is_not_an_empty_one(provider, tree):
    with pytest.raises(ProviderDown, match="without a balanceSeconds"):
        drive(provider.read_balance(), [answer(tree)])


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("PENDING", Phase.QUEUED),
        ("PROCESSING", Phase.RUNNING),
        ("COMPLETED", Phase.DONE),
        ("FAILED", Phase.FAILED),
        ("EXPIRED", Phase.EXPIRED),
        ("POLISHING", Phase.RUNNING),
        (None, Phase.RUNNING),
        (7, Phase.RUNNING),
    ],
)
def test_a_status_nobody_has_heard_of_is_a_job_under_way(provider, status, phase):
    assert read(provider, {"id": "x", "status": status}).phase is phase


def test_a_failed_job_says_why(provider):
    job = read(provider, {"id": "x", "status": "FAILED", "errorMessage": "Audio too short", "outputs": None})

    assert (job.phase, job.message, job.outputs) == (Phase.FAILED, "Audio too short", ())


def test_nulls_and_fields_of_other_types_are_survived(provider):
    odd = {
        "id": "x",
        "status": "COMPLETED",
        "input": "song.mp3",
        "audioMetadata": [],
        "createdAt": 17,
        "completedAt": "yesterday",
        "creditsCharged": "many",
        "errorMessage": {"text": "no"},
        "outputs": {"vocals": None, "drums": {"url": None}, "bass": {"url": "https://b.example"}},
        "news": {"from": ["the", "future"]},
    }

    assert read(provider, odd) == Job("x", Phase.DONE, outputs=(Output("bass", "https://b.example"),))


def test_figures_that_are_none_are_left_out(provider):
    body = b'{"id":"x","audioMetadata":{"bpm":NaN,"key":""},"creditsCharged":1e999,"input":{"durationSeconds":true}}'
    job = drive(provider.read_job("x"), [answer(body)])[0]

    assert (job.bpm, job.key, job.credits_charged, job.duration_seconds) == (None, None, None, None)


def test_a_part_of_a_credit_is_a_whole_one(provider):
    assert read(provider, {"id": "x", "creditsCharged": 180.2}).credits_charged == 181


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2024-01-05T12:00:00.123Z", AT.replace(microsecond=123000)),
        ("2024-01-05T13:00:00+01:00", AT),
        ("2024-01-05T12:00:00", AT),
        ("0001-01-01T00:00:00+05:00", None),
        ("", None),
    ],
)
def test_times_are_utc_whether_they_say_so_or_not(provider, text, time):
    assert read(provider, {"id": "x", "createdAt": text}).created_at == time


trees = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(DETAIL)), inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=examples(40))
@given(tree=st.dictionaries(st.sampled_from([*sorted(DETAIL), "jobs", "pagination"]), trees))
def test_no_json_object_whatever_breaks_the_reading(provider, tree):
    drive(provider.read_job("x"), [answer(tree)])
    serve(provider.sweep({"clxxx123"}, AT), lambda _: answer(tree))


class Listing:
    """A job list served page by page; things may happen to it between two pages."""

    def __init__(self, count: int, *, newest_first: bool = True, page: int = 100) -> None:
        self.page = page
        self.items = [self.item(number) for number in range(count)]
        self.newest_first = newest_first
        self.between = lambda: None
        self.asked = 0

    def item(self, number: int) -> dict:
        created = (AT + timedelta(minutes=number)).isoformat()
        return {"id": f"j{number}", "createdAt": created, "input": {"fileName": f"s.{TOKEN}x{number}.mp3"}}

    def __call__(self, request: HttpRequest):
        if self.asked:
            self.between()
        self.asked += 1
        items = self.items[::-1] if self.newest_first else self.items
        offset, limit = request.params["offset"], min(self.page, request.params["limit"])
        has_more = offset + limit < len(items)
        return answer({"jobs": items[offset : offset + limit], "pagination": {"hasMore": has_more}})


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("page", [100, 20, 1])
def test_a_sweep_finds_jobs_on_any_page_in_any_order(provider, newest_first, page):
    listing = Listing(250, newest_first=newest_first, page=page)
    wanted = {"j0", "j120", "j249"}
    jobs, _ = serve(provider.sweep(wanted, AT), listing)

    assert {job.job_id for job in jobs} == wanted


def test_a_sweep_stops_as_soon_as_every_job_was_seen(provider):
    listing = Listing(250)
    serve(provider.sweep({"j249", "j200"}, AT), listing)

    assert listing.asked == 1


def test_a_sweep_stops_where_the_list_gets_older_than_what_is_sought(provider):
    listing = Listing(1000)
    jobs, _ = serve(provider.sweep({"gone"}, AT + timedelta(minutes=950)), listing)

    assert jobs == []
    assert listing.asked == 2


def test_in_an_oldest_first_list_age_ends_nothing(provider):
    listing = Listing(1000, newest_first=False)
    jobs, _ = serve(provider.sweep({"j999"}, AT + timedelta(minutes=950)), listing)

    assert [job.job_id for job in jobs] == ["j999"]


def test_jobs_created_meanwhile_hide_none(provider):
    listing = Listing(300)
    listing.between = lambda: listing.items.extend(listing.item(len(listing.items)) for _ in range(3))
    wanted = {f"j{number}" for number in range(300)}
    jobs, _ = serve(provider.sweep(wanted, AT), listing)

    assert {job.job_id for job in jobs} == wanted


def test_a_job_deleted_meanwhile_hides_none(provider):
    listing = Listing(300)
    listing.between = listing.items.pop
    wanted = {f"j{number}" for number in range(290)}
    jobs, _ = serve(provider.sweep(wanted, AT), listing)

    assert {job.job_id for job in jobs} == wanted


def test_a_server_that_shows_one_page_over_and_over_is_left_alone(provider):
    page = {"jobs": [LISTED], "pagination": {"hasMore": True}}
    jobs, requests = serve(provider.sweep({"gone"}, AT), lambda _: answer(page))

    assert jobs == []
    assert len(requests) < 10


def test_an_unanswered_submit_is_found_by_its_token(provider):
    listing = Listing(150)
    mine = attempt(sent_at=AT)
    listing.items[3]["input"]["fileName"] = f"song.{TOKEN}.mp3"
    for number, item in enumerate(listing.items):
        if number != 3:
            item["input"] = None
    job, _ = serve(provider.find(mine, ALONE), listing)

    assert job.job_id == "j3"


@pytest.mark.parametrize("sent_at", [None, AT])
def test_a_submit_that_never_arrived_is_not_found(provider, sent_at):
    listing = Listing(150)
    listing.items = [{**item, "input": {"fileName": "other.mp3"}} for item in listing.items]

    assert serve(provider.find(attempt(sent_at=sent_at), ALONE), listing)[0] is None


def test_a_submit_sent_after_the_newest_job_needs_one_page(provider):
    listing = Listing(500)
    listing.items = [{**item, "input": {}} for item in listing.items]
    serve(provider.find(attempt(sent_at=AT + timedelta(days=1)), ALONE), listing)

    assert listing.asked == 1
