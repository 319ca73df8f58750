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
from local_service import TLS, WAIT_SECONDS, Client, Lab, Receiver, data_of, error_of, storage

from stemline.errors import UsageError
from stemline_local.fault import MENU, Faults, read_faults
from stemline_local.gate import ABSURD_SECONDS

JOBS = "POST /api/v1/jobs"


@pytest.fixture
def fault(lab: Lab) -> Callable[..., None]:
    """Put one fault in force."""

    def put(name: str, **fields: object) -> None:
        lab.break_with({"fault": name, **fields})

    return put


def impatient(lab: Lab, seconds: float) -> httpx.Client:
    return httpx.Client(base_url=lab.jobs.base_url, headers=lab.jobs.headers, timeout=seconds, verify=TLS)


def ids(lab: Lab, **params: int) -> list[str]:
    return [job["id"] for job in lab.jobs.get("jobs", params=params).json()["jobs"]]


def test_a_timeout_before_accepting_leaves_no_job(lab: Lab, fault, short: bytes) -> None:
    key = lab.jobs.uploaded(short)
    fault("timeout_before_accept")
    with impatient(lab, 0.3) as client, pytest.raises(httpx.ReadTimeout):
        client.post("jobs", json={"uploadKey": key})

    assert ids(lab) == []
    assert lab.jobs.balance() == 1_000


def test_a_timeout_after_accepting_leaves_a_job_nobody_heard_of(lab: Lab, fault, short: bytes) -> None:
    key = lab.jobs.uploaded(short)
    fault("timeout_after_accept")
    with impatient(lab, 0.5) as client, pytest.raises(httpx.ReadTimeout):
        client.post("jobs", json={"uploadKey": key, "fileName": "tok.wav"})
    deadline = time.monotonic() + WAIT_SECONDS
    while not ids(lab):
        assert time.monotonic() < deadline

    (job,) = lab.jobs.get("jobs").json()["jobs"]
    assert job["input"]["fileName"] == "tok.wav"
    assert lab.jobs.balance() == 998


def test_a_patient_client_is_hung_up_on(lab: Lab, fault, short: bytes) -> None:
    key = lab.jobs.uploaded(short)
    fault("timeout_after_accept", seconds=0.2, times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending"):
        lab.jobs.post("jobs", json={"uploadKey": key})

    assert len(ids(lab)) == 1
    assert lab.jobs.post("jobs", json={"uploadKey": key}).status_code == 201


def test_a_connection_is_cut_in_the_middle_of_a_reply(lab: Lab, fault, short: bytes) -> None:
    key = lab.jobs.uploaded(short)
    fault("connection_cut", endpoint=JOBS)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        lab.jobs.post("jobs", json={"uploadKey": key})

    assert len(ids(lab)) == 1


def test_a_download_ends_early_and_looks_whole(lab: Lab, fault, short: bytes) -> None:
    url = lab.jobs.wait(lab.jobs.created(short))["outputs"]["vocals"]["url"]
    whole = storage.get(url).content
    fault("truncated_body", times=1)
    part = storage.get(url)

    assert (part.status_code, part.headers["content-length"]) == (200, str(len(part.content)))
    assert part.content == whole[: len(whole) // 2]
    assert storage.get(url).content == whole


def test_a_link_expires_while_it_is_read(lab: Lab, fault, short: bytes) -> None:
    job_id = lab.jobs.created(short)
    url = lab.jobs.wait(job_id)["outputs"]["vocals"]["url"]
    fault("link_expired_mid_download", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        storage.get(url)
    again = storage.get(url)

    assert (again.status_code, "Request has expired" in again.text) == (403, True)
    assert storage.get(lab.jobs.job(job_id)["outputs"]["vocals"]["url"]).status_code == 200


@pytest.mark.parametrize("retry_after", ["seconds", "date", "absent", "absurd"])
def test_too_many_requests_say_when_to_come_back_or_not(lab: Lab, fault, retry_after: str) -> None:
    fault("too_many_requests", retry_after=retry_after, seconds=9)
    response = lab.jobs.get("balance")
    told = response.headers.get("retry-after")

    assert error_of(response) == (429, "RATE_LIMIT_EXCEEDED")
    if retry_after == "date":
        assert 7 <= parsedate_to_datetime(told).timestamp() - time.time() <= 10
    else:
        assert told == {"seconds": "9", "absent": None, "absurd": str(ABSURD_SECONDS)}[retry_after]
    assert lab.splits.get("credits").json()["error"]["code"] == "RATE_LIMITED"


def test_the_limit_is_halved_in_the_middle(lab: Lab, fault) -> None:
    fault("limit_halved", after=1)
    limits = [lab.jobs.get("balance").headers["x-ratelimit-limit"] for _ in range(3)]

    assert limits == ["100000", "50000", "50000"]


def test_a_halved_limit_is_enforced(start: Callable[..., Client]) -> None:
    client = start(requests_per_minute=6)
    url = str(client.base_url).replace("/api/v1/", "/_faults")
    client.post(url, json=[{"fault": "limit_halved"}])

    assert [client.get("balance").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_credits_run_out(lab: Lab, fault, short: bytes) -> None:
    first = lab.jobs.created(short)
    fault("out_of_credits")

    assert error_of(lab.jobs.submit(short)) == (402, "INSUFFICIENT_CREDITS")
    assert lab.splits.submit(lab.splits.uploaded(short)).status_code == 402
    assert ids(lab) == [first]


def test_the_service_fails_for_a_while(lab: Lab, fault) -> None:
    fault("server_error", times=2)

    assert [lab.jobs.get("balance").status_code for _ in range(3)] == [500, 500, 200]
    fault("server_error", times=1)
    assert lab.splits.get("credits").json() == {
        "success": False,
        "error": {"code": "SERVER_ERROR", "message": "The service has failed."},
    }


def test_the_service_fails_after_it_has_accepted(lab: Lab, fault, short: bytes) -> None:
    key = lab.jobs.uploaded(short)
    fault("server_error_after_accept")

    assert error_of(lab.jobs.post("jobs", json={"uploadKey": key})) == (500, "INTERNAL_ERROR")
    assert len(ids(lab)) == 1


def test_something_in_front_of_the_service_answers_with_a_page(lab: Lab, fault) -> None:
    fault("html_403")
    response = lab.jobs.get("balance")

    assert (response.status_code, response.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "x-ratelimit-limit" not in response.headers


def test_a_key_is_revoked(lab: Lab, fault) -> None:
    fault("key_revoked", after=1)
    answers = [lab.jobs.get("balance") for _ in range(2)]

    assert answers[0].status_code == 200
    assert error_of(answers[1]) == (403, "API_KEY_REVOKED")
    assert lab.splits.get("credits").status_code == 401


@pytest.mark.parametrize("seconds", [300, -300])
def test_the_clock_is_wrong(lab: Lab, fault, short: bytes, seconds: int) -> None:
    fault("clock_skew", seconds=seconds)
    created = lab.jobs.submit(short)
    stamp = datetime.fromisoformat(created.json()["createdAt"]).timestamp()
    date = parsedate_to_datetime(created.headers["date"]).timestamp()
    reset = int(created.headers["x-ratelimit-reset"])
    job = lab.jobs.wait(created.json()["id"])

    assert abs(stamp - time.time() - seconds) < 20
    assert abs(date - time.time() - seconds) < 20
    assert abs(reset - time.time() - 60 - seconds) < 20
    assert storage.get(job["outputs"]["vocals"]["url"]).status_code == 200


def test_every_answer_has_the_right_date_otherwise(lab: Lab) -> None:
    for response in (lab.jobs.get("balance"), storage.get(f"{lab.url}/nothing")):
        (date,) = response.headers.get_list("date")
        assert abs(parsedate_to_datetime(date).timestamp() - time.time()) < 20


def test_the_balance_lags(lab: Lab, fault, short: bytes) -> None:
    fault("balance_lags", times=2)
    lab.jobs.created(short)

    assert [lab.jobs.balance(), lab.splits.balance(), lab.jobs.balance()] == [1_000, 1_000, 998]


def test_a_list_shifts_while_it_is_paged(lab: Lab, fault, short: bytes) -> None:
    made = [lab.jobs.created(short) for _ in range(4)][::-1]
    fault("list_shifted")
    assert ids(lab, limit=2) + ids(lab, limit=2, offset=2) == [made[0], made[1], made[1], made[2]]
    fault("list_shifted", by=-1)
    assert ids(lab, limit=2) + ids(lab, limit=2, offset=2) == [made[0], made[1], made[3]]


def test_a_list_is_reversed(lab: Lab, fault, short: bytes) -> None:
    made = [lab.jobs.created(short) for _ in range(3)]
    fault("list_reversed")

    assert ids(lab, limit=2) == made[:2]


def test_a_job_is_in_two_lists(lab: Lab, fault, short: bytes) -> None:
    job_id = lab.jobs.created(short)
    video_id = lab.jobs.post("youtube-jobs", json={"youtubeUrl": "dQw4w9WgXcQ"}).json()["id"]
    fault("same_id_in_two_lists")
    videos = [job["id"] for job in lab.jobs.get("youtube-jobs").json()["jobs"]]

    assert ids(lab) == videos == [video_id, job_id]


def test_the_price_changes(lab: Lab, fault, short: bytes) -> None:
    fault("price_change", after=1, factor=1.6)
    cheap, dear = lab.jobs.submit(short).json(), lab.jobs.submit(short).json()

    assert [cheap["creditsRequired"], dear["creditsRequired"]] == [2, 4]
    assert lab.jobs.wait(dear["id"])["creditsCharged"] == 4
    assert lab.jobs.balance() == 1_000 - 6


def test_the_token_is_dropped(lab: Lab, fault, short: bytes) -> None:
    fault("token_dropped")
    job = lab.jobs.submit(short, fileName="tok-1.wav").json()

    assert job["input"]["fileName"] == "input.wav"
    assert lab.jobs.job(job["id"])["input"]["fileName"] == "input.wav"


def test_a_job_is_stuck_and_others_are_not(lab: Lab, fault, short: bytes) -> None:
    fault("job_stuck", nth=1)
    stuck, other = lab.jobs.created(short), lab.jobs.created(short)
    lab.jobs.wait(other)

    assert lab.jobs.job(stuck)["status"] == "PROCESSING"


def test_a_job_fails_and_is_charged(lab: Lab, fault, short: bytes) -> None:
    fault("failed_after_charging")
    job = lab.jobs.wait(lab.jobs.created(short))

    assert (job["status"], job["creditsCharged"], job["outputs"]) == ("FAILED", 2, None)
    assert lab.jobs.balance() == 998


def test_a_job_expires_before_it_is_collected(lab: Lab, fault, short: bytes) -> None:
    fault("expired_before_download")
    job = lab.jobs.wait(lab.jobs.created(short), "EXPIRED")

    assert (job["outputs"], job["creditsCharged"]) == (None, 2)


def test_stems_are_swapped(lab: Lab, fault, short: bytes) -> None:
    fault("stems_swapped")
    outputs = lab.jobs.wait(lab.jobs.created(short, outputType="FOUR_STEMS"))["outputs"]
    behind = {stem: output["url"].split("/")[-1].split(".")[0] for stem, output in outputs.items()}

    assert behind == {"vocals": "drums", "drums": "bass", "bass": "other", "other": "vocals"}


def test_tempo_and_key_are_null(lab: Lab, fault, short: bytes) -> None:
    fault("null_bpm_and_key")

    assert lab.jobs.wait(lab.jobs.created(short))["audioMetadata"] == {"bpm": None, "key": None}


def test_a_webhook_comes_before_the_create_reply(lab: Lab, fault, receiver: Receiver, short: bytes) -> None:
    lab.jobs.post("webhooks", json={"url": receiver.url})
    source = lab.splits.uploaded(short)
    fault("webhook_early")
    job_id = lab.jobs.created(short)
    assert receiver.calls.get_nowait().payload["data"]["jobId"] == job_id

    split_id = data_of(lab.splits.submit(source, webhookUrl=receiver.url))["id"]
    assert receiver.calls.get_nowait().payload["data"]["id"] == split_id


def test_a_webhook_comes_twice(lab: Lab, fault, receiver: Receiver, short: bytes) -> None:
    lab.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_duplicate", times=1)
    lab.jobs.created(short)

    assert receiver.call().body == receiver.call().body


def test_webhooks_come_in_the_wrong_order(lab: Lab, fault, receiver: Receiver, short: bytes) -> None:
    lab.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_out_of_order", nth=1, seconds=600)
    first = lab.jobs.created(short)
    lab.jobs.wait(first)
    second = lab.jobs.created(short)

    assert [receiver.call().payload["data"]["jobId"] for _ in range(2)] == [second, first]


def test_a_webhook_never_comes(lab: Lab, fault, receiver: Receiver, short: bytes) -> None:
    lab.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_never", nth=1)
    first = lab.jobs.created(short)
    lab.jobs.wait(first)
    second = lab.jobs.created(short)

    assert receiver.call().payload["data"]["jobId"] == second
    assert receiver.calls.empty()


def test_a_webhook_is_forged(lab: Lab, fault, receiver: Receiver, short: bytes) -> None:
    lab.jobs.post("webhooks", json={"url": receiver.url})
    fault("webhook_forged", times=1)
    lab.jobs.created(short)
    forged, real = receiver.call(), receiver.call()

    assert forged.body == real.body
    assert forged.headers["x-webhook-signature"] != real.headers["x-webhook-signature"]


def test_every_fault_of_the_menu_has_a_test_here() -> None:
    tried = set(re.findall(r'\bfault\("(\w+)"', Path(__file__).read_text(encoding="utf-8")))

    assert tried == set(MENU)


def test_faults_are_counted_and_lifted(lab: Lab) -> None:
    url = f"{lab.url}/_faults"
    lab.break_with({"fault": "server_error", "endpoint": "GET */balance", "nth": [2]})
    answers = [lab.jobs.get(path).status_code for path in ("balance", "jobs", "balance", "balance")]

    assert answers == [200, 200, 500, 200]
    assert lab.jobs.get(url).json() == {"faults": [{"fault": "server_error", "seen": 3, "struck": 1}]}
    assert lab.jobs.delete(url).json() == {"faults": []}


def test_faults_need_a_key_and_nobody_in_between(lab: Lab) -> None:
    url = f"{lab.url}/_faults"

    assert storage.get(url).status_code == 401
    assert storage.post(url, json=[], headers={"Authorization": "Bearer nobody"}).status_code == 401
    assert lab.jobs.post(url, json=[], headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 403
    assert lab.jobs.post(url, content=b"{").status_code == 400
    assert "There is no fault" in lab.jobs.post(url, json=[{"fault": "x"}]).json()["error"]


def test_chance_is_the_same_for_the_same_seed() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults()
        faults.set(read_faults([{"fault": "job_stuck", "probability": 0.3, "seed": seed}]))
        return [faults.strikes("job_stuck") is not None for _ in range(400)]

    assert struck(1) == struck(1) != struck(2)
    assert 80 < sum(struck(1)) < 160


def test_faults_are_read_from_a_file_at_the_start(start: Callable[..., Client], tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("- fault: server_error\n  endpoint: [GET */balance]\n")
    client = start(faults=path)

    assert [client.get(path).status_code for path in ("balance", "jobs")] == [500, 200]


@pytest.mark.parametrize(
    "tree",
    [
        None,
        {},
        [1],
        [{}],
        [{"fault": "nothing"}],
        [{"fault": "server_error", "nth": "2"}],
        [{"fault": "server_error", "nth": [1.5]}],
        [{"fault": "server_error", "probability": "often"}],
        [{"fault": "server_error", "times": True}],
        [{"fault": "server_error", "every": 2}],
        [{"fault": "server_error", "endpoint": [5]}],
        [{"fault": "too_many_requests", "retry_after": "later"}],
        [{"fault": "job_stuck", "endpoint": "POST *"}],
    ],
)
def test_what_is_no_fault_is_refused(tree: object) -> None:
    with pytest.raises(UsageError):
        read_faults(tree)


def test_a_file_of_faults_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text("- {")
    for name in ("faults.yaml", "none.yaml"):
        with pytest.raises(UsageError):
            Faults.from_file(tmp_path / name)
    assert Faults.from_file(None).as_tree() == []


def test_a_refused_job_is_no_reason_to_wait_for_its_webhook(lab: Lab, fault) -> None:
    fault("webhook_early", seconds=WAIT_SECONDS)

    assert lab.jobs.post("jobs", json={}).status_code == 400
