"""The AIStemSplitter dialect over HTTP, shape by shape as the vendor's reference page shows it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from http.server import HTTPServer, SimpleHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from threading import Thread

import httpx
import pytest
import soundfile
from local_service import Lab, SplitClient, data_of, listening, storage, tone

from stemline_local import ApiKey, Options
from stemline_local.process import running_service

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SPLIT = {
    "id",
    "status",
    "stemModel",
    "filename",
    "durationSeconds",
    "creditsUsed",
    "createdAt",
    "updatedAt",
    "error",
}


def refused(response: httpx.Response) -> tuple[int, str]:
    """Give the status and the code of a refusal in the vendor's envelope."""
    envelope = response.json()
    assert set(envelope) == {"success", "error"}
    assert set(envelope["error"]) == {"code", "message"}
    assert envelope["success"] is False
    return response.status_code, envelope["error"]["code"]


def test_credits_are_whole_seconds(lab: Lab) -> None:
    assert data_of(lab.splits.get("credits")) == {"balance": 1_000, "unit": "seconds"}


def test_a_reservation_has_the_vendors_shape(lab: Lab) -> None:
    reservation = lab.splits.reserved(100)
    folder = reservation["uploadHeaders"]["X-Folder"]

    assert set(reservation) == {"uploadId", "uploadUrl", "uploadHeaders", "expiresAt"}
    assert set(reservation["uploadHeaders"]) == {"X-Upload-Token", "X-Folder"}
    assert reservation["uploadId"].startswith("upl_")
    assert folder.endswith("/" + reservation["uploadId"])
    assert 290 <= datetime.fromisoformat(reservation["expiresAt"]).timestamp() - time.time() <= 300


def test_an_upload_is_split_charged_and_downloaded(lab: Lab, short: bytes) -> None:
    source = lab.splits.uploaded(short, "my sóng.wav")
    response = lab.splits.submit(source, stemModel="6s")
    created = data_of(response)
    split = lab.splits.wait(created["id"])

    assert TIME.fullmatch(created.pop("createdAt"))
    assert created == {"id": split["id"], "status": "queued", "creditsUsed": 2}
    assert split["id"].startswith("split_")
    assert set(split) == SPLIT | {"stems"}
    assert split | {"id": "", "stems": {}, "createdAt": "", "updatedAt": ""} == {
        "id": "",
        "status": "succeeded",
        "stemModel": "6s",
        "filename": "my sóng.wav",
        "durationSeconds": 2,
        "creditsUsed": 2,
        "createdAt": "",
        "updatedAt": "",
        "stems": {},
        "error": None,
    }
    assert set(split["stems"]) == {"vocals", "drums", "bass", "other", "guitar", "piano"}
    for url in split["stems"].values():
        stem, _ = soundfile.read(BytesIO(storage.get(url).content))
        assert abs(len(stem) / 22_050 - 1.2) < 0.1
    assert lab.splits.balance() == 998


def test_a_split_in_hand_has_no_stems_and_no_error(lab: Lab, short: bytes) -> None:
    lab.break_with({"fault": "job_stuck"})
    split = lab.splits.split(data_of(lab.splits.submit(lab.splits.uploaded(short)))["id"])

    assert set(split) == SPLIT
    assert split["status"] in ("queued", "processing")
    assert (split["error"], split["stemModel"], split["creditsUsed"]) == (None, "4s", 2)


def test_a_split_that_fails_says_so_and_costs_nothing(lab: Lab) -> None:
    whole = tone(20, suffix="flac")
    split = lab.splits.wait(
        data_of(lab.splits.submit(lab.splits.uploaded(whole[: len(whole) // 2], "song.flac")))["id"]
    )

    assert set(split) == SPLIT
    assert (split["status"], split["creditsUsed"]) == ("failed", 0)
    assert set(split["error"]) == {"code", "message"}
    assert lab.splits.balance() == 1_000


def test_a_direct_url_is_fetched_and_named(lab: Lab, tmp_path: Path, short: bytes) -> None:
    (tmp_path / "my song.wav").write_bytes(short)
    with serving(tmp_path) as site:
        url = f"{site}/my%20song.wav"
        created = data_of(lab.splits.submit({"type": "direct_url", "url": url}, outputFormat="wav"))
        missing = lab.splits.submit({"type": "direct_url", "url": url.replace("song", "sang")})

    split = lab.splits.wait(created["id"])
    assert (split["filename"], split["status"], split["stemModel"]) == ("my song.wav", "succeeded", "4s")
    assert all(".wav?" in url for url in split["stems"].values())
    assert refused(missing) == (422, "VALIDATION_ERROR")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP."""
    site = HTTPServer(("127.0.0.1", 0), lambda *args: Quiet(*args, directory=str(folder)))
    Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}).start()
    try:
        yield f"http://127.0.0.1:{site.server_port}"
    finally:
        site.shutdown()
        site.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"headers": {"X-Upload-Token": "0" * 64}}, 401, "INVALID_TOKEN"),
        ({"headers": {"X-Upload-Token": ""}}, 401, "INVALID_TOKEN"),
        ({"headers": {"X-Folder": "audio/api/other/upl_0"}}, 403, "INVALID_FOLDER"),
        ({"headers": {"Content-Type": "audio/mpeg"}}, 401, "INVALID_TOKEN"),
        ({"content": b"x" * 99}, 401, "INVALID_TOKEN"),
        ({"content": b"x" * 101}, 401, "INVALID_TOKEN"),
    ],
)
def test_the_worker_takes_what_was_reserved_and_nothing_else(
    lab: Lab, change: dict, status: int, code: str
) -> None:
    reservation = lab.splits.reserved(100)
    headers = {**reservation["uploadHeaders"], "Content-Type": "audio/wav"} | change.get("headers", {})
    content = change.get("content", b"x" * 100)
    response = storage.post(reservation["uploadUrl"], content=content, headers=headers)

    assert response.status_code == status
    assert response.json() == {
        "success": False,
        "error": code,
        "message": response.json()["message"],
    }


def test_a_reservation_cannot_be_moved_to_another_file_or_time(lab: Lab) -> None:
    reservation = lab.splits.reserved(100)
    headers = {**reservation["uploadHeaders"], "Content-Type": "audio/wav"}
    url = reservation["uploadUrl"]
    for forged in (url.replace("song.wav", "other.wav"), url.replace("expires=1", "expires=9")):
        assert storage.post(forged, content=b"x" * 100, headers=headers).status_code == 401


def test_a_reservation_dies(start_splits, clock, short: bytes) -> None:
    splits = start_splits()
    reservation = splits.reserved(len(short))
    headers = {**reservation["uploadHeaders"], "Content-Type": "audio/wav"}
    clock.now += 300
    response = storage.post(reservation["uploadUrl"], content=short, headers=headers)

    assert (response.status_code, response.json()["error"]) == (410, "UPLOAD_EXPIRED")


@pytest.mark.parametrize(
    "fields",
    [
        {"filename": "a.mp3", "contentType": "audio/mpeg"},
        {"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": 0},
        {"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": "5"},
        {"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": True},
        {"filename": "a.mp3", "contentType": "audio/mpeg", "contentLength": 10**9},
        {"filename": "a.mp3", "contentType": "no type", "contentLength": 5},
        {"filename": "", "contentType": "audio/mpeg", "contentLength": 5},
        {"contentType": "audio/mpeg", "contentLength": 5},
    ],
)
def test_a_reservation_that_cannot_be_made_is_refused(lab: Lab, fields: dict) -> None:
    assert refused(lab.splits.post("audio/uploads", json=fields)) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("filename", "kept"),
    [("../../etc/passwd", "passwd"), ("a\\b.wav", "b.wav"), ("..", "input"), ("a?b#c%d.wav", "a?b#c%d.wav")],
)
def test_a_file_name_never_leads_out_of_its_folder(lab: Lab, short: bytes, filename: str, kept: str) -> None:
    source = lab.splits.uploaded(short, filename)
    split = lab.splits.split(data_of(lab.splits.submit(source))["id"])

    assert source["storageKey"].endswith(f"{source['uploadId']}/{kept}")
    assert split["filename"] == kept


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": "https://example.com/a.mp3"},
        {"input": {}},
        {"input": {"type": "direct_url"}},
        {"input": {"type": "youtube", "url": "https://example.com/a.mp3"}},
        {"input": {"type": "direct_url", "url": "file:///etc/passwd"}},
        {"input": {"type": "direct_url", "url": "http://127.0.0.1:1/a.mp3"}},
        {"input": {"type": "uploaded_file", "uploadId": "upl_0", "fileUrl": "http://x", "storageKey": "a/b"}},
        {"input": {"type": "uploaded_file", "uploadId": "upl_0"}},
        {"stemModel": "2s"},
        {"stemModel": "htdemucs"},
        {"outputFormat": "ogg"},
        {"webhookUrl": "ftp://example.com"},
        {"webhookUrl": 5},
    ],
)
def test_a_split_that_cannot_be_made_is_refused_and_costs_nothing(lab: Lab, short: bytes, body: dict) -> None:
    body = body if not body or "input" in body else {"input": lab.splits.uploaded(short), **body}

    assert refused(lab.splits.post("audio/splits", json=body)) == (422, "VALIDATION_ERROR")
    assert lab.splits.balance() == 1_000


@pytest.mark.parametrize("audio", [b"<html>not a song</html>", tone(0.4)], ids=["html", "short"])
def test_audio_that_cannot_be_taken_is_a_validation_error(lab: Lab, audio: bytes) -> None:
    assert refused(lab.splits.submit(lab.splits.uploaded(audio))) == (422, "VALIDATION_ERROR")


def test_the_parts_of_two_uploads_do_not_go_together(lab: Lab, short: bytes) -> None:
    first, second = lab.splits.uploaded(short), lab.splits.uploaded(short)

    assert refused(lab.splits.submit({**first, "uploadId": second["uploadId"]})) == (422, "VALIDATION_ERROR")


def test_another_accounts_upload_and_split_are_unknown(lab: Lab, lab_service: tuple, short: bytes) -> None:
    address, keys = lab_service
    source = lab.splits.uploaded(short)
    split_id = data_of(lab.splits.submit(source))["id"]
    with SplitClient(address.url, next(keys)) as other:
        assert refused(other.submit(source)) == (422, "VALIDATION_ERROR")
        assert refused(other.get(f"audio/splits/{split_id}")) == (404, "NOT_FOUND")
    assert lab.jobs.get(f"jobs/{split_id}").status_code == 404
    assert lab.jobs.get("jobs").json()["jobs"] == []


def test_a_split_past_the_balance_needs_payment(lab: Lab) -> None:
    source = lab.splits.uploaded(tone(1_001, sample_rate=1_000))

    assert refused(lab.splits.submit(source)) == (402, "INSUFFICIENT_CREDITS")


def test_the_same_key_and_body_make_one_split_and_one_charge(lab: Lab, short: bytes) -> None:
    source = lab.splits.uploaded(short)
    first = data_of(lab.splits.submit(source, "mine", stemModel="6s"))
    lab.splits.wait(first["id"])
    again = data_of(lab.splits.submit(source, "mine", stemModel="6s"))
    other = data_of(lab.splits.submit(source, "another", stemModel="6s"))

    assert again == first
    assert other["id"] != first["id"]
    assert lab.splits.balance() == 996


def test_the_same_key_with_another_body_is_refused(lab: Lab, short: bytes) -> None:
    source = lab.splits.uploaded(short)
    data_of(lab.splits.submit(source, "mine"))

    assert refused(lab.splits.submit(source, "mine", stemModel="6s")) == (422, "VALIDATION_ERROR")
    assert lab.splits.balance() == 998


def test_the_same_submit_many_times_at_once_is_charged_once(lab: Lab, short: bytes) -> None:
    source = lab.splits.uploaded(short)
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: data_of(lab.splits.submit(source, "mine"))["id"], range(16)))

    assert len(ids) == 1
    assert lab.splits.balance() == 998


def test_a_repeat_needs_its_source_no_more(lab: Lab, tmp_path: Path, short: bytes) -> None:
    (tmp_path / "song.wav").write_bytes(short)
    with serving(tmp_path) as url:
        source = {"type": "direct_url", "url": f"{url}/song.wav"}
        first = data_of(lab.splits.submit(source, "mine"))

    assert data_of(lab.splits.submit(source, "mine")) == first
    assert refused(lab.splits.submit(source, "another")) == (422, "VALIDATION_ERROR")


def test_a_service_killed_after_it_accepted_gives_the_same_split_again(tmp_path: Path, short: bytes) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("- {fault: timeout_after_accept, seconds: 0.1}")
    options = Options(tmp_path / "state", keys=(ApiKey("neutral", 100),), engine="copy", workers=1)
    with running_service(replace(options, faults=faults)) as service:
        with SplitClient(service.url, "neutral") as splits:
            source = splits.uploaded(short)
            with pytest.raises(httpx.RemoteProtocolError):
                splits.submit(source, "mine")
            assert splits.balance() == 98
        os.kill(service.pid, signal.SIGKILL)
    with running_service(options) as service, SplitClient(service.url, "neutral") as splits:
        split_id = data_of(splits.submit(source, "mine"))["id"]
        assert splits.wait(split_id)["status"] == "succeeded"
        assert splits.balance() == 98


def test_a_refused_submit_does_not_use_its_key_up(lab: Lab, short: bytes) -> None:
    source = lab.splits.uploaded(short)
    lab.break_with({"fault": "out_of_credits", "times": 1})

    assert refused(lab.splits.submit(source, "mine")) == (402, "INSUFFICIENT_CREDITS")
    assert data_of(lab.splits.submit(source, "mine"))["status"] == "queued"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(lab: Lab, short: bytes, key: str) -> None:
    assert refused(lab.splits.submit(lab.splits.uploaded(short), key)) == (422, "VALIDATION_ERROR")


def test_keys_of_two_accounts_are_two_keys(lab: Lab, lab_service: tuple, short: bytes) -> None:
    address, keys = lab_service
    first = data_of(lab.splits.submit(lab.splits.uploaded(short), "mine"))
    with SplitClient(address.url, next(keys)) as other:
        assert data_of(other.submit(other.uploaded(short), "mine"))["id"] != first["id"]


def test_a_restart_does_not_forget_a_key(tmp_path: Path, short: bytes) -> None:
    options = Options(tmp_path, keys=(ApiKey("ast_live_1", 100),), engine="copy", workers=1)
    with listening(options) as address, SplitClient(address.url, "ast_live_1") as splits:
        source = splits.uploaded(short)
        first = data_of(splits.submit(source, "mine"))
    with listening(options) as address, SplitClient(address.url, "ast_live_1") as splits:
        assert data_of(splits.submit(source, "mine")) == first
        assert splits.balance() == 98
        assert splits.wait(first["id"])["status"] == "succeeded"


@pytest.mark.parametrize("header", [None, "Bearer nobody", "Basic x", "Bearer sk_live_vendor"])
def test_nobody_is_let_in_without_a_key(start_splits, header: str | None) -> None:
    splits = start_splits()
    headers = {"Authorization": header} if header else {}

    assert refused(storage.get(splits.base_url.join("credits"), headers=headers)) == (401, "UNAUTHORIZED")


def test_a_key_whose_prefix_names_a_vendor_is_refused_by_the_other(start_splits) -> None:
    splits = start_splits()
    url = str(splits.base_url).removesuffix("/v1/")
    answers = {
        (key, path): storage.get(f"{url}{path}", headers={"Authorization": f"Bearer {key}"})
        for key in ("sk_live_vendor", "ast_live_vendor", "neutral")
        for path in ("/v1/credits", "/api/v1/balance")
    }

    assert {place: answer.status_code for place, answer in answers.items()} == {
        ("sk_live_vendor", "/v1/credits"): 401,
        ("sk_live_vendor", "/api/v1/balance"): 200,
        ("ast_live_vendor", "/v1/credits"): 200,
        ("ast_live_vendor", "/api/v1/balance"): 401,
        ("neutral", "/v1/credits"): 200,
        ("neutral", "/api/v1/balance"): 200,
    }
    assert answers["ast_live_vendor", "/api/v1/balance"].json()["error"]["code"] == "INVALID_API_KEY"


def test_past_the_limit_a_request_is_refused_without_any_header(start_splits) -> None:
    splits = start_splits(requests_per_minute=2)
    answers = [splits.get("credits") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert refused(answers[-1]) == (429, "RATE_LIMITED")
    assert not any("ratelimit" in name or name == "retry-after" for name in answers[-1].headers)


def test_an_unknown_endpoint_and_split_are_not_found_in_the_vendors_shape(lab: Lab) -> None:
    assert refused(lab.splits.get("nothing")) == (404, "NOT_FOUND")
    assert refused(lab.splits.get("audio/splits/split_0")) == (404, "NOT_FOUND")
    assert refused(lab.splits.delete("audio/splits/split_0")) == (404, "NOT_FOUND")


def test_links_of_a_split_that_has_expired_lead_nowhere(start_splits, clock, short: bytes) -> None:
    splits = start_splits(retention_seconds=1_000)
    split_id = data_of(splits.submit(splits.uploaded(short)))["id"]
    splits.wait(split_id)
    clock.now += 1_001
    splits.split(split_id)
    split = splits.split(split_id)

    assert split["status"] == "succeeded"
    assert set(split["stems"]) == {"vocals", "drums", "bass", "other"}
