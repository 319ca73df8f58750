"""Who is let in by the StemSplit dialect, how often, and how it says no."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from local_service import KEY, OTHER_KEY, Client, Clock, error_of, storage, tone

from stemline_local.dialects.stemsplit.vocabulary import ERRORS, StemSplitVocabulary
from stemline_local.refusal import Refusal, RefusalReason

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=ten", "offset=-1", "offset=x", "status=DONE", "status="]
)
def test_a_list_that_cannot_be_given_is_refused(client: Client, query: str) -> None:
    assert error_of(client.get(f"jobs?{query}")) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize("job_id", ["c" + "0" * 24, "x", "..%2F..", "%00"])
def test_an_unknown_job_is_not_found(client: Client, job_id: str) -> None:
    assert error_of(client.get(f"jobs/{job_id}"))[0] == 404


def test_every_refusal_has_a_code_of_the_vendors() -> None:
    assert set(ERRORS) == set(RefusalReason)


def test_an_unknown_endpoint_is_not_found_in_the_vendors_shape(client: Client) -> None:
    assert error_of(client.get("nothing")) == (404, "NOT_FOUND")
    assert error_of(client.delete("jobs")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"filename": "%s"}' % (b"x" * 70_000),
        b'{"filename": "\\ud800"}',
        b'{"filename": "a.wav", "metadata": {"a": NaN}}',
        b'{"filename": "a.wav", "metadata": {"a": 1e999}}',
        b'{"filename": "a.wav", "a": %s}' % (b"[" * 60_000),
    ],
)
def test_a_body_that_is_no_small_json_object_is_refused(client: Client, content: bytes) -> None:
    for endpoint in ("upload", "jobs"):
        assert error_of(client.post(endpoint, content=content)) == (400, "INVALID_REQUEST")


def test_a_content_type_that_would_break_out_of_its_header_is_refused(client: Client) -> None:
    fields = {"filename": "a.mp3", "contentType": "audio/mpeg\r\nX: y"}

    assert error_of(client.post("upload", json=fields)) == (400, "INVALID_REQUEST")


def test_a_job_past_the_balance_needs_payment(client: Client) -> None:
    response = client.submit(tone(1_001, sample_rate=1_000))

    assert error_of(response) == (402, "INSUFFICIENT_CREDITS")
    assert response.json()["error"]["requiredSeconds"] == 1_001
    assert response.json()["error"]["purchaseUrl"].startswith("http")
    assert client.balance() == 1_000


def test_the_balance_has_the_vendors_shape(client: Client) -> None:
    balance = client.get("balance").json()

    assert TIME.fullmatch(balance.pop("updatedAt"))
    assert balance == {"balanceSeconds": 1_000, "balanceMinutes": 16, "balanceFormatted": "16 minutes"}


def test_two_keys_share_nothing(start: Callable[..., Client], short: bytes) -> None:
    first = start(requests_per_minute=20)
    second = Client(str(first.base_url).removesuffix("/api/v1/"), OTHER_KEY)
    job_id = first.created(short)
    key = first.uploaded(short)

    assert error_of(second.get(f"jobs/{job_id}")) == (404, "JOB_NOT_FOUND")
    assert second.get("jobs").json()["pagination"]["total"] == 0
    assert error_of(second.post("jobs", json={"uploadKey": key})) == (400, "UPLOAD_NOT_FOUND")
    assert (first.balance(), second.balance()) == (998, 500)
    while first.get("balance").status_code != 429:
        pass
    assert second.get("balance").status_code == 200
    second.close()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "MISSING_API_KEY"),
        ("Bearer", "MISSING_API_KEY"),
        ("Bearer sk_live_unknown", "INVALID_API_KEY"),
        (f"Basic {KEY}", "INVALID_API_KEY"),
        (KEY, "MISSING_API_KEY"),
    ],
)
def test_nobody_is_let_in_without_a_key(client: Client, header: str | None, code: str) -> None:
    headers = {"Authorization": header} if header else {}
    response = storage.get(client.base_url.join("balance"), headers=headers)

    assert error_of(response) == (401, code)
    assert "x-ratelimit-limit" in response.headers


@pytest.mark.parametrize("window", ["sliding", "fixed"])
def test_past_the_limit_a_client_that_waits_as_told_is_let_in(
    start: Callable[..., Client], clock: Clock, window: str
) -> None:
    client = start(requests_per_minute=3, window=window)
    allowed = [client.get("balance") for _ in range(3)]
    refused = client.get("balance")

    assert [response.headers["x-ratelimit-remaining"] for response in allowed] == ["2", "1", "0"]
    assert {response.headers["x-ratelimit-limit"] for response in [*allowed, refused]} == {"3"}
    assert error_of(refused) == (429, "RATE_LIMIT_EXCEEDED")
    wait = int(refused.headers["retry-after"])
    assert f"{wait} seconds" in refused.json()["error"]["message"]
    assert clock.now <= int(refused.headers["x-ratelimit-reset"]) <= clock.now + 61

    clock.now += wait
    assert client.get("balance").status_code == 200


def test_every_answer_tells_the_limit(client: Client) -> None:
    responses = [
        client.post("upload", json={}),
        client.post("jobs", json={}),
        client.get("jobs"),
        client.get("jobs/none"),
        client.get("balance"),
        client.get("nothing"),
    ]

    for response in responses:
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(response.headers)


def test_transfers_are_not_counted(client: Client, short: bytes) -> None:
    before = int(client.get("balance").headers["x-ratelimit-remaining"])
    client.uploaded(short)  # one request for the ticket, one transfer

    assert int(client.get("balance").headers["x-ratelimit-remaining"]) == before - 2


def test_a_file_that_is_too_large_is_told_with_both_sizes() -> None:
    refusal = Refusal(RefusalReason.FILE_TOO_LARGE, "Too large.", maximum_bytes=100, actual_bytes=101)

    status, body = StemSplitVocabulary().refuse(refusal, "http://127.0.0.1")

    assert status == 400
    assert body["error"] == {
        "code": "FILE_TOO_LARGE",
        "message": "Too large.",
        "maxSizeBytes": 100,
        "actualSizeBytes": 101,
    }
