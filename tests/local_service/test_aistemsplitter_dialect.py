"""The AIStemSplitter dialect over HTTP, shape by shape as the vendor's reference page shows it."""

from __future__ import annotations

import re
import time
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
import soundfile
from local_service import SplitClient, VendorClients, data_of, serving_folder, split_error_of, storage, tone

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


def test_credits_are_whole_seconds(clients: VendorClients) -> None:
    assert data_of(clients.splits.get("credits")) == {"balance": 1_000, "unit": "seconds"}


def test_a_reservation_has_the_vendors_shape(clients: VendorClients) -> None:
    reservation = clients.splits.reserved(100)
    folder = reservation["uploadHeaders"]["X-Folder"]

    assert set(reservation) == {"uploadId", "uploadUrl", "uploadHeaders", "expiresAt"}
    assert set(reservation["uploadHeaders"]) == {"X-Upload-Token", "X-Folder"}
    assert reservation["uploadId"].startswith("upl_")
    assert folder.endswith("/" + reservation["uploadId"])
    assert 290 <= datetime.fromisoformat(reservation["expiresAt"]).timestamp() - time.time() <= 300


def test_an_upload_is_split_charged_and_downloaded(clients: VendorClients, short: bytes) -> None:
    source = clients.splits.uploaded(short, "my sóng.wav")
    response = clients.splits.submit(source, stemModel="6s")
    created = data_of(response)
    split = clients.splits.wait(created["id"])

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
    assert clients.splits.balance() == 998


def test_a_split_in_hand_has_no_stems_and_no_error(clients: VendorClients, short: bytes) -> None:
    clients.break_with({"fault": "job_stuck"})
    split = clients.splits.split(data_of(clients.splits.submit(clients.splits.uploaded(short)))["id"])

    assert set(split) == SPLIT
    assert split["status"] in ("queued", "processing")
    assert (split["error"], split["stemModel"], split["creditsUsed"]) == (None, "4s", 2)


def test_a_split_that_fails_says_so_and_costs_nothing(clients: VendorClients) -> None:
    whole = tone(20, suffix="flac")
    split = clients.splits.wait(
        data_of(clients.splits.submit(clients.splits.uploaded(whole[: len(whole) // 2], "song.flac")))["id"]
    )

    assert set(split) == SPLIT
    assert (split["status"], split["creditsUsed"]) == ("failed", 0)
    assert set(split["error"]) == {"code", "message"}
    assert clients.splits.balance() == 1_000


def test_a_direct_url_is_fetched_and_named(clients: VendorClients, tmp_path: Path, short: bytes) -> None:
    (tmp_path / "my song.wav").write_bytes(short)
    with serving_folder(tmp_path) as site:
        url = f"{site}/my%20song.wav"
        created = data_of(clients.splits.submit({"type": "direct_url", "url": url}, outputFormat="wav"))
        missing = clients.splits.submit({"type": "direct_url", "url": url.replace("song", "sang")})

    split = clients.splits.wait(created["id"])
    assert (split["filename"], split["status"], split["stemModel"]) == ("my song.wav", "succeeded", "4s")
    assert all(".wav?" in url for url in split["stems"].values())
    assert split_error_of(missing) == (422, "VALIDATION_ERROR")


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
def test_an_upload_takes_what_was_reserved_and_nothing_else(
    clients: VendorClients, change: dict, status: int, code: str
) -> None:
    reservation = clients.splits.reserved(100)
    headers = {**reservation["uploadHeaders"], "Content-Type": "audio/wav"} | change.get("headers", {})
    content = change.get("content", b"x" * 100)
    response = storage.post(reservation["uploadUrl"], content=content, headers=headers)

    assert response.status_code == status
    assert response.json() == {
        "success": False,
        "error": code,
        "message": response.json()["message"],
    }


def test_a_reservation_cannot_be_moved_to_another_file_or_time(clients: VendorClients) -> None:
    reservation = clients.splits.reserved(100)
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
def test_a_reservation_that_cannot_be_made_is_refused(clients: VendorClients, fields: dict) -> None:
    assert split_error_of(clients.splits.post("audio/uploads", json=fields)) == (422, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("filename", "kept"),
    [("../../etc/passwd", "passwd"), ("a\\b.wav", "b.wav"), ("..", "input"), ("a?b#c%d.wav", "a?b#c%d.wav")],
)
def test_a_file_name_never_leads_out_of_its_folder(
    clients: VendorClients, short: bytes, filename: str, kept: str
) -> None:
    source = clients.splits.uploaded(short, filename)
    split = clients.splits.split(data_of(clients.splits.submit(source))["id"])

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
def test_a_split_that_cannot_be_made_is_refused_and_costs_nothing(
    clients: VendorClients, short: bytes, body: dict
) -> None:
    body = body if not body or "input" in body else {"input": clients.splits.uploaded(short), **body}

    assert split_error_of(clients.splits.post("audio/splits", json=body)) == (422, "VALIDATION_ERROR")
    assert clients.splits.balance() == 1_000


@pytest.mark.parametrize("audio", [b"<html>not a song</html>", tone(0.4)], ids=["html", "short"])
def test_audio_that_cannot_be_taken_is_a_validation_error(clients: VendorClients, audio: bytes) -> None:
    assert split_error_of(clients.splits.submit(clients.splits.uploaded(audio))) == (422, "VALIDATION_ERROR")


def test_the_parts_of_two_uploads_do_not_go_together(clients: VendorClients, short: bytes) -> None:
    first, second = clients.splits.uploaded(short), clients.splits.uploaded(short)

    assert split_error_of(clients.splits.submit({**first, "uploadId": second["uploadId"]})) == (
        422,
        "VALIDATION_ERROR",
    )


def test_another_accounts_upload_and_split_are_unknown(
    clients: VendorClients, copy_service: tuple, short: bytes
) -> None:
    address, keys = copy_service
    source = clients.splits.uploaded(short)
    split_id = data_of(clients.splits.submit(source))["id"]
    with SplitClient(address.url, next(keys)) as other:
        assert split_error_of(other.submit(source)) == (422, "VALIDATION_ERROR")
        assert split_error_of(other.get(f"audio/splits/{split_id}")) == (404, "NOT_FOUND")
    assert clients.jobs.get(f"jobs/{split_id}").status_code == 404
    assert clients.jobs.get("jobs").json()["jobs"] == []


def test_a_split_past_the_balance_needs_payment(clients: VendorClients) -> None:
    source = clients.splits.uploaded(tone(1_001, sample_rate=1_000))

    assert split_error_of(clients.splits.submit(source)) == (402, "INSUFFICIENT_CREDITS")


def test_links_of_a_split_that_has_expired_lead_nowhere(start_splits, clock, short: bytes) -> None:
    splits = start_splits(retention_seconds=1_000)
    split_id = data_of(splits.submit(splits.uploaded(short)))["id"]
    splits.wait(split_id)
    clock.now += 1_001
    splits.split(split_id)
    split = splits.split(split_id)

    assert split["status"] == "succeeded"
    assert set(split["stems"]) == {"vocals", "drums", "bass", "other"}
