"""Each fault of the menu does what its name says, over HTTP, and everything else goes on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from local_service import TLS, WAIT_SECONDS, Client, VendorClients, error_of, storage

from stemline_local.api.request_pipeline import ABSURD_SECONDS
from stemline_local.faults import MENU

JOBS = "POST /api/v1/jobs"


def impatient(clients: VendorClients, seconds: float) -> httpx.Client:
    return httpx.Client(
        base_url=clients.jobs.base_url, headers=clients.jobs.headers, timeout=seconds, verify=TLS
    )


def ids(clients: VendorClients, **params: int) -> list[str]:
    return [job["id"] for job in clients.jobs.get("jobs", params=params).json()["jobs"]]


def test_a_timeout_before_accepting_leaves_no_job(clients: VendorClients, fault, short: bytes) -> None:
    key = clients.jobs.uploaded(short)
    fault("timeout_before_accept")
    with impatient(clients, 0.3) as client, pytest.raises(httpx.ReadTimeout):
        client.post("jobs", json={"uploadKey": key})

    assert ids(clients) == []
    assert clients.jobs.balance() == 1_000


def test_a_timeout_after_accepting_leaves_a_job_that_no_answer_named(
    clients: VendorClients, fault, short: bytes
) -> None:
    key = clients.jobs.uploaded(short)
    fault("timeout_after_accept")
    with impatient(clients, 0.5) as client, pytest.raises(httpx.ReadTimeout):
        client.post("jobs", json={"uploadKey": key, "fileName": "tok.wav"})
    deadline = time.monotonic() + WAIT_SECONDS
    while not ids(clients):
        assert time.monotonic() < deadline

    (job,) = clients.jobs.get("jobs").json()["jobs"]
    assert job["input"]["fileName"] == "tok.wav"
    assert clients.jobs.balance() == 998


def test_a_patient_client_is_hung_up_on(clients: VendorClients, fault, short: bytes) -> None:
    key = clients.jobs.uploaded(short)
    fault("timeout_after_accept", seconds=0.2, times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending"):
        clients.jobs.post("jobs", json={"uploadKey": key})

    assert len(ids(clients)) == 1
    assert clients.jobs.post("jobs", json={"uploadKey": key}).status_code == 201


def test_a_connection_is_cut_in_the_middle_of_a_reply(clients: VendorClients, fault, short: bytes) -> None:
    key = clients.jobs.uploaded(short)
    fault("connection_cut", endpoint=JOBS)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        clients.jobs.post("jobs", json={"uploadKey": key})

    assert len(ids(clients)) == 1


def test_a_download_ends_early_and_looks_whole(clients: VendorClients, fault, short: bytes) -> None:
    url = clients.jobs.wait(clients.jobs.created(short))["outputs"]["vocals"]["url"]
    whole = storage.get(url).content
    fault("truncated_body", times=1)
    part = storage.get(url)

    assert (part.status_code, part.headers["content-length"]) == (200, str(len(part.content)))
    assert part.content == whole[: len(whole) // 2]
    assert storage.get(url).content == whole


def test_a_link_expires_while_it_is_read(clients: VendorClients, fault, short: bytes) -> None:
    job_id = clients.jobs.created(short)
    url = clients.jobs.wait(job_id)["outputs"]["vocals"]["url"]
    fault("link_expired_mid_download", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        storage.get(url)
    again = storage.get(url)

    assert (again.status_code, "Request has expired" in again.text) == (403, True)
    assert storage.get(clients.jobs.job(job_id)["outputs"]["vocals"]["url"]).status_code == 200


@pytest.mark.parametrize("retry_after", ["seconds", "date", "absent", "absurd"])
def test_too_many_requests_say_when_to_come_back_or_not(
    clients: VendorClients, fault, retry_after: str
) -> None:
    fault("too_many_requests", retry_after=retry_after, seconds=9)
    response = clients.jobs.get("balance")
    told = response.headers.get("retry-after")

    assert error_of(response) == (429, "RATE_LIMIT_EXCEEDED")
    if retry_after == "date":
        assert 7 <= parsedate_to_datetime(told).timestamp() - time.time() <= 10
    else:
        assert told == {"seconds": "9", "absent": None, "absurd": str(ABSURD_SECONDS)}[retry_after]
    assert clients.splits.get("credits").json()["error"]["code"] == "RATE_LIMITED"


def test_the_limit_is_halved_in_the_middle(clients: VendorClients, fault) -> None:
    fault("limit_halved", after=1)
    limits = [clients.jobs.get("balance").headers["x-ratelimit-limit"] for _ in range(3)]

    assert limits == ["100000", "50000", "50000"]


def test_a_halved_limit_is_enforced(start: Callable[..., Client]) -> None:
    client = start(requests_per_minute=6)
    url = str(client.base_url).replace("/api/v1/", "/_faults")
    client.post(url, json=[{"fault": "limit_halved"}])

    assert [client.get("balance").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_credits_run_out(clients: VendorClients, fault, short: bytes) -> None:
    first = clients.jobs.created(short)
    fault("out_of_credits")

    assert error_of(clients.jobs.submit(short)) == (402, "INSUFFICIENT_CREDITS")
    assert clients.splits.submit(clients.splits.uploaded(short)).status_code == 402
    assert ids(clients) == [first]


def test_the_service_fails_for_a_while(clients: VendorClients, fault) -> None:
    fault("server_error", times=2)

    assert [clients.jobs.get("balance").status_code for _ in range(3)] == [500, 500, 200]
    fault("server_error", times=1)
    assert clients.splits.get("credits").json() == {
        "success": False,
        "error": {"code": "SERVER_ERROR", "message": "The service has failed."},
    }


def test_the_service_fails_after_it_has_accepted(clients: VendorClients, fault, short: bytes) -> None:
    key = clients.jobs.uploaded(short)
    fault("server_error_after_accept")

    assert error_of(clients.jobs.post("jobs", json={"uploadKey": key})) == (500, "INTERNAL_ERROR")
    assert len(ids(clients)) == 1


def test_something_in_front_of_the_service_answers_with_a_page(clients: VendorClients, fault) -> None:
    fault("html_403")
    response = clients.jobs.get("balance")

    assert (response.status_code, response.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "x-ratelimit-limit" not in response.headers


def test_a_key_is_revoked(clients: VendorClients, fault) -> None:
    fault("key_revoked", after=1)
    answers = [clients.jobs.get("balance") for _ in range(2)]

    assert answers[0].status_code == 200
    assert error_of(answers[1]) == (403, "API_KEY_REVOKED")
    assert clients.splits.get("credits").status_code == 401


@pytest.mark.parametrize("seconds", [300, -300])
def test_the_clock_is_wrong(clients: VendorClients, fault, short: bytes, seconds: int) -> None:
    fault("clock_skew", seconds=seconds)
    created = clients.jobs.submit(short)
    stamp = datetime.fromisoformat(created.json()["createdAt"]).timestamp()
    date = parsedate_to_datetime(created.headers["date"]).timestamp()
    reset = int(created.headers["x-ratelimit-reset"])
    job = clients.jobs.wait(created.json()["id"])

    assert abs(stamp - time.time() - seconds) < 20
    assert abs(date - time.time() - seconds) < 20
    assert abs(reset - time.time() - 60 - seconds) < 20
    assert storage.get(job["outputs"]["vocals"]["url"]).status_code == 200


def test_every_answer_has_the_right_date_otherwise(clients: VendorClients) -> None:
    for response in (clients.jobs.get("balance"), storage.get(f"{clients.url}/nothing")):
        (date,) = response.headers.get_list("date")
        assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 20


def test_the_balance_lags(clients: VendorClients, fault, short: bytes) -> None:
    fault("balance_lags", times=2)
    clients.jobs.created(short)

    assert [clients.jobs.balance(), clients.splits.balance(), clients.jobs.balance()] == [1_000, 1_000, 998]


def test_a_list_shifts_while_it_is_paged(clients: VendorClients, fault, short: bytes) -> None:
    made = [clients.jobs.created(short) for _ in range(4)][::-1]
    fault("list_shifted")
    assert ids(clients, limit=2) + ids(clients, limit=2, offset=2) == [made[0], made[1], made[1], made[2]]
    fault("list_shifted", by=-1)
    assert ids(clients, limit=2) + ids(clients, limit=2, offset=2) == [made[0], made[1], made[3]]


def test_a_list_is_reversed(clients: VendorClients, fault, short: bytes) -> None:
    made = [clients.jobs.created(short) for _ in range(3)]
    fault("list_reversed")

    assert ids(clients, limit=2) == made[:2]


def test_a_job_is_in_two_lists(clients: VendorClients, fault, short: bytes) -> None:
    job_id = clients.jobs.created(short)
    video_id = clients.jobs.post("youtube-jobs", json={"youtubeUrl": "dQw4w9WgXcQ"}).json()["id"]
    fault("same_id_in_two_lists")
    videos = [job["id"] for job in clients.jobs.get("youtube-jobs").json()["jobs"]]

    assert ids(clients) == videos == [video_id, job_id]


def test_the_price_changes(clients: VendorClients, fault, short: bytes) -> None:
    fault("price_change", after=1, factor=1.6)
    cheap, dear = clients.jobs.submit(short).json(), clients.jobs.submit(short).json()

    assert [cheap["creditsRequired"], dear["creditsRequired"]] == [2, 4]
    assert clients.jobs.wait(dear["id"])["creditsCharged"] == 4
    assert clients.jobs.balance() == 1_000 - 6


def test_the_token_is_dropped(clients: VendorClients, fault, short: bytes) -> None:
    fault("token_dropped")
    job = clients.jobs.submit(short, fileName="tok-1.wav").json()

    assert job["input"]["fileName"] == "input.wav"
    assert clients.jobs.job(job["id"])["input"]["fileName"] == "input.wav"


def test_a_job_is_stuck_and_others_are_not(clients: VendorClients, fault, short: bytes) -> None:
    fault("job_stuck", nth=1)
    stuck, other = clients.jobs.created(short), clients.jobs.created(short)
    clients.jobs.wait(other)

    assert clients.jobs.job(stuck)["status"] == "PROCESSING"


def test_a_job_fails_and_is_charged(clients: VendorClients, fault, short: bytes) -> None:
    fault("failed_after_charging")
    job = clients.jobs.wait(clients.jobs.created(short))

    assert (job["status"], job["creditsCharged"], job["outputs"]) == ("FAILED", 2, None)
    assert clients.jobs.balance() == 998


def test_a_job_expires_before_it_is_collected(clients: VendorClients, fault, short: bytes) -> None:
    fault("expired_before_download")
    job = clients.jobs.wait(clients.jobs.created(short), "EXPIRED")

    assert (job["outputs"], job["creditsCharged"]) == (None, 2)


def test_stems_are_swapped(clients: VendorClients, fault, short: bytes) -> None:
    fault("stems_swapped")
    outputs = clients.jobs.wait(clients.jobs.created(short, outputType="FOUR_STEMS"))["outputs"]
    behind = {stem: output["url"].split("/")[-1].split(".")[0] for stem, output in outputs.items()}

    assert behind == {"vocals": "drums", "drums": "bass", "bass": "other", "other": "vocals"}


def made(clients: VendorClients, source: bytes) -> dict[str, bytes]:
    """Have a source separated, and give the stems."""
    outputs = clients.jobs.wait(clients.jobs.created(source, outputFormat="WAV"))["outputs"]
    return {stem: storage.get(output["url"]).content for stem, output in outputs.items()}


def test_stems_are_not_what_was_asked_for(clients: VendorClients, fault, short: bytes) -> None:
    good = made(clients, short)
    fault("stems_silent")
    silent = made(clients, short)
    assert [len(stem) for stem in silent.values()] == [len(stem) for stem in good.values()]
    assert not any(any(stem[100:]) for stem in silent.values())
    fault("stems_stretched")
    assert all(len(stem) > 1.9 * len(good[name]) for name, stem in made(clients, short).items())
    fault("stem_missing")
    assert made(clients, short).keys() < good.keys()
    fault("format_ignored")
    assert {stem[:4] for stem in made(clients, short).values()} == {b"fLaC"}


def test_a_web_page_comes_in_place_of_a_stem(clients: VendorClients, fault, short: bytes) -> None:
    url = clients.jobs.wait(clients.jobs.created(short))["outputs"]["vocals"]["url"]
    fault("page_for_stem", times=1)
    page = storage.get(url)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert page.content.startswith(b"<html>")


def test_tempo_and_key_are_null(clients: VendorClients, fault, short: bytes) -> None:
    fault("null_bpm_and_key")

    assert clients.jobs.wait(clients.jobs.created(short))["audioMetadata"] == {"bpm": None, "key": None}


def test_every_fault_of_the_menu_has_a_test_here() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_fault_*.py")]
    tried = {name for text in texts for name in re.findall(r'\bfault\("(\w+)"', text)}

    assert tried == set(MENU)
