"""What AIStemSplitter answers: the examples of its page and packages, and everything that is not among them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from exchange import answer, drive, serve
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.errors import ProviderDown
from stemline.protocol import HttpRequest
from stemline.records import Job, Output, Phase

AT = datetime(2026, 5, 26, 10, 20, 30, tzinfo=UTC)
SPLIT = {
    "id": "split_123",
    "status": "succeeded",
    "stemModel": "4s",
    "filename": "song.mp3",
    "durationSeconds": 214,
    "creditsUsed": 214,
    "createdAt": "2026-05-26T10:20:30.000Z",
    "updatedAt": "2026-05-26T10:22:01.000Z",
    "stems": {
        "vocals": "https://cdn.example.com/split_123/vocals.mp3",
        "drums": "https://cdn.example.com/split_123/drums.mp3",
    },
    "error": None,
}
BARE = Job("x", Phase.RUNNING)


def data(tree: object):
    return answer({"success": True, "data": tree})


def read(splitter, tree) -> Job:
    return drive(splitter.read_job("x"), [data(tree)])[0]


def test_a_finished_split_is_read_with_links(splitter):
    assert read(splitter, SPLIT) == Job(
        "split_123",
        Phase.DONE,
        "song.mp3",
        214.0,
        AT,
        AT + timedelta(seconds=91),
        214,
        None,
        (
            Output("vocals", "https://cdn.example.com/split_123/vocals.mp3"),
            Output("drums", "https://cdn.example.com/split_123/drums.mp3"),
        ),
    )


def test_a_split_under_way_is_not_done_whenever_it_changed(splitter):
    job = read(splitter, {**SPLIT, "status": "processing", "stems": None})

    assert (job.phase, job.completed_at, job.outputs) == (Phase.RUNNING, None, ())


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("queued", Phase.QUEUED),
        ("processing", Phase.RUNNING),
        ("succeeded", Phase.DONE),
        ("failed", Phase.FAILED),
        ("polishing", Phase.RUNNING),
        ("SUCCEEDED", Phase.RUNNING),
        (None, Phase.RUNNING),
        (7, Phase.RUNNING),
        ([], Phase.RUNNING),
    ],
)
def test_a_status_nobody_has_heard_of_is_a_split_under_way(splitter, status, phase):
    assert read(splitter, {"id": "x", "status": status}).phase is phase


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": "DECODE", "message": "Not audio."}, "Not audio."),
        ({"code": "DECODE"}, "DECODE"),
        ({"code": "DECODE", "message": ""}, "DECODE"),
        ("Not audio.", "Not audio."),
        ({}, None),
        ({"message": 7}, None),
        (None, None),
    ],
)
def test_a_failed_split_says_why_as_well_as_it_can(splitter, error, message):
    job = read(splitter, {"id": "x", "status": "failed", "updatedAt": "2026-05-26T10:20:30Z", "error": error})

    assert (job.phase, job.message, job.completed_at) == (Phase.FAILED, message, AT)


def test_nulls_and_fields_of_other_types_are_survived(splitter):
    odd = {
        "id": "x",
        "status": "succeeded",
        "filename": 7,
        "durationSeconds": "long",
        "creditsUsed": "many",
        "createdAt": 17,
        "updatedAt": "yesterday",
        "stems": {"vocals": None, "drums": {"url": "u"}, "other": "", "bass": "https://b.example"},
        "error": [],
        "news": {"from": ["the", "future"]},
    }

    assert read(splitter, odd) == Job("x", Phase.DONE, outputs=(Output("bass", "https://b.example"),))


@pytest.mark.parametrize("stems", [None, [], "vocals", {}])
def test_stems_of_another_shape_are_none(splitter, stems):
    assert read(splitter, {**SPLIT, "stems": stems}).outputs == ()


def test_figures_that_are_none_are_left_out(splitter):
    body = b'{"success":true,"data":{"id":"x","creditsUsed":1e999,"durationSeconds":NaN}}'

    assert drive(splitter.read_job("x"), [answer(body)])[0] == BARE


def test_a_part_of_a_credit_is_a_whole_one(splitter):
    assert read(splitter, {"id": "x", "creditsUsed": 180.2}).credits_charged == 181


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-05-26T10:20:30.123Z", AT.replace(microsecond=123000)),
        ("2026-05-26T11:20:30+01:00", AT),
        ("2026-05-26T10:20:30", AT),
        ("0001-01-01T00:00:00+05:00", None),
        ("", None),
    ],
)
def test_times_are_utc_whether_they_say_so_or_not(splitter, text, time):
    assert read(splitter, {"id": "x", "createdAt": text}).created_at == time


@pytest.mark.parametrize("balance", [3600, 0])
def test_a_balance_is_read_in_seconds(splitter, balance):
    tree = {"balance": balance, "unit": "seconds"}

    assert drive(splitter.read_balance(), [data(tree)])[0] == balance


@pytest.mark.parametrize("tree", [{}, {"balance": None}, {"balance": "plenty"}, {"balance": True}])
def test_a_balance_that_is_missing_is_not_an_empty_one(splitter, tree):
    with pytest.raises(ProviderDown, match="without a balance"):
        drive(splitter.read_balance(), [data(tree)])


def test_a_sweep_reads_each_split_for_there_is_no_list(splitter):
    jobs, requests = serve(
        splitter.sweep(["a", "b"], AT), lambda request: data({"id": request.url[-1], "status": "succeeded"})
    )

    assert not splitter.can_list
    assert [job.job_id for job in jobs] == ["a", "b"]
    assert requests == [
        HttpRequest("GET", f"/audio/splits/{split}", template="/audio/splits/{id}") for split in "ab"
    ]


trees = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(SPLIT)), inner),
    max_leaves=10,
)


@settings(deadline=None, max_examples=examples(60))
@given(envelope=st.dictionaries(st.sampled_from(["success", "data", "error", "message"]), trees))
def test_no_json_object_whatever_breaks_the_reading(splitter, envelope):
    told = answer(envelope)
    drive(splitter.read_job("x"), [told])
    for status in (200, 402, 422, 500):
        for request in (
            HttpRequest("POST", "/audio/splits", is_paid=True),
            HttpRequest("PUT", "u", is_transfer=True),
        ):
            splitter.classify(request, answer(envelope, status))
