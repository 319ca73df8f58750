"""The StemSplit dialect over HTTP, shape by shape as the vendor's reference page shows it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
import soundfile
from local_service import Client, Clock, error_of, serving_folder, storage, tone

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
OUTCOME = {"completedAt", "creditsCharged", "errorMessage"}
LIST_ITEM = {"id", "status", "progress", "createdAt", "input", "options"} | OUTCOME
DETAIL = LIST_ITEM | {"startedAt", "expiresAt", "outputs", "audioMetadata", "errorDetails"}


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_an_upload_ticket_has_the_vendors_shape(client: Client) -> None:
    before = int(time.time())
    ticket = client.ticket("my-song.mp3")

    assert re.fullmatch(r"uploads/api_\w+/\w+/input\.mp3", ticket["uploadKey"])
    assert ticket["maxFileSizeBytes"] == 52_428_800
    assert ticket["maxFileSizeMb"] == 50
    assert ticket["contentType"] == "audio/mpeg"
    assert set(ticket["instructions"]) == {"step1", "step2", "note"}
    assert before + 900 <= datetime.fromisoformat(ticket["expiresAt"]).timestamp() <= time.time() + 900


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("a.wav", "audio/wav"),
        ("a.FLAC", "audio/flac"),
        ("a.m4a", "audio/mp4"),
        ("a.ogg", "audio/ogg"),
        ("a", "application/octet-stream"),
        ("../../etc/passwd", "application/octet-stream"),
        ("a.mp3/..", "application/octet-stream"),
    ],
)
def test_the_content_type_is_detected_from_the_name(client: Client, filename: str, content_type: str) -> None:
    ticket = client.ticket(filename)

    assert ticket["contentType"] == content_type
    assert ".." not in ticket["uploadKey"]


def test_a_created_job_has_the_vendors_shape(client: Client, short: bytes) -> None:
    response = client.submit(
        short,
        fileName="tok-1.wav",
        outputType="FOUR_STEMS",
        quality="BALANCED",
        outputFormat="FLAC",
        metadata={"a": 1},
    )
    job = response.json()

    assert response.status_code == 201
    assert TIME.fullmatch(job.pop("createdAt"))
    assert re.fullmatch("c[a-z0-9]{24}", job.pop("id"))
    assert job.pop("estimatedSeconds") >= 1
    assert job == {
        "status": "PENDING",
        "progress": 0,
        "creditsRequired": 2,
        "input": {"fileName": "tok-1.wav", "durationSeconds": 2, "fileSizeBytes": len(short)},
        "options": {"outputType": "FOUR_STEMS", "quality": "BALANCED", "outputFormat": "FLAC"},
        "outputs": None,
        "metadata": {"a": 1},
    }


def test_what_is_left_out_is_both_best_mp3_and_the_keys_own_name(client: Client, short: bytes) -> None:
    job = client.post("jobs", json={"uploadKey": client.uploaded(short)}).json()

    assert job["options"] == {"outputType": "BOTH", "quality": "BEST", "outputFormat": "MP3"}
    assert job["input"]["fileName"] == "input.wav"
    assert job["metadata"] is None


def test_a_job_is_separated_charged_and_downloaded(client: Client) -> None:
    job_id = client.created(
        tone(2.5, 44_100), outputType="FOUR_STEMS", outputFormat="FLAC", fileName="song.wav"
    )
    assert client.balance() == 997

    job = client.wait(job_id)

    assert set(job) == DETAIL
    assert (job["status"], job["progress"], job["creditsCharged"]) == ("COMPLETED", 100, 3)
    assert job["input"]["durationSeconds"] == 3
    assert set(job["audioMetadata"]) == {"bpm", "key"}
    assert set(job["outputs"]) == {"vocals", "drums", "bass", "other"}
    assert all(TIME.fullmatch(job[name]) for name in ("createdAt", "startedAt", "completedAt", "expiresAt"))
    assert seconds_between(job["completedAt"], job["expiresAt"]) == 14 * 86_400
    assert client.balance() == 997
    for output in job["outputs"].values():
        stem, sample_rate = soundfile.read(BytesIO(storage.get(output["url"]).content))
        assert sample_rate == 44_100
        assert len(stem) == round(2.5 * 44_100)


def test_a_job_whose_audio_breaks_off_fails_and_is_refunded(client: Client) -> None:
    whole = tone(20, suffix="flac")
    job = client.wait(client.created(whole[: len(whole) // 2], fileName="broken.flac"))

    assert (job["status"], job["creditsCharged"], job["outputs"]) == ("FAILED", 0, None)
    assert job["errorMessage"]
    assert job["input"]["durationSeconds"] == 20
    assert client.balance() == 1_000
    assert [item["errorMessage"] for item in client.get("jobs?status=FAILED").json()["jobs"]] == [
        job["errorMessage"]
    ]


def test_progress_moves_from_nothing_to_everything(client: Client) -> None:
    job_id = client.created(tone(180, 8_000), outputType="VOCALS")
    seen = [client.job(job_id)]
    while seen[-1]["status"] in ("PENDING", "PROCESSING"):
        seen.append(client.job(job_id))
    progress = [job["progress"] for job in seen]

    assert progress == sorted(progress)
    assert progress[-1] == 100
    assert any(0 < value < 100 for value in progress)
    assert all(job["creditsCharged"] == 0 and job["outputs"] is None for job in seen[:-1])


@pytest.mark.long
def test_links_live_an_hour_and_outputs_two_weeks(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    """Each look mints new links, none outlives the files, and the charge outlives both."""
    client = start()
    job_id = client.created(short, outputType="VOCALS")
    first = client.wait(job_id)["outputs"]["vocals"]
    clock.now += 1_800
    second = client.job(job_id)["outputs"]["vocals"]
    clock.now += 1_800
    assert [storage.get(link["url"]).status_code for link in (first, second)] == [403, 200]
    assert seconds_between(first["expiresAt"], second["expiresAt"]) == 1_800

    clock.now += 14 * 86_400 - 3_600 - 600
    last = client.job(job_id)
    assert 0 <= seconds_between(last["outputs"]["vocals"]["expiresAt"], last["expiresAt"]) <= 1

    clock.now += 600
    job = client.job(job_id)
    assert (job["status"], job["outputs"], job["creditsCharged"]) == ("EXPIRED", None, 2)
    assert job["audioMetadata"] == last["audioMetadata"]
    assert [item["id"] for item in client.get("jobs?status=EXPIRED").json()["jobs"]] == [job_id]
    assert storage.get(last["outputs"]["vocals"]["url"]).status_code == 403


def test_the_list_pages_newest_first(client: Client, short: bytes) -> None:
    key = client.uploaded(short)
    ids = [
        client.post("jobs", json={"uploadKey": key, "fileName": f"{n}.wav"}).json()["id"] for n in range(5)
    ]

    pages = [client.get("jobs", params={"limit": 2, "offset": offset}).json() for offset in (0, 2, 4)]

    assert [job["id"] for page in pages for job in page["jobs"]] == ids[::-1]
    assert [page["pagination"] for page in pages] == [
        {"total": 5, "limit": 2, "offset": 0, "hasMore": True},
        {"total": 5, "limit": 2, "offset": 2, "hasMore": True},
        {"total": 5, "limit": 2, "offset": 4, "hasMore": False},
    ]
    item = pages[0]["jobs"][0]
    assert set(item) == LIST_ITEM
    assert item["input"] == {"fileName": "4.wav", "durationSeconds": 2}


def test_the_list_gives_twenty_by_default_and_a_hundred_at_most(client: Client) -> None:
    assert client.get("jobs").json()["pagination"] == {"total": 0, "limit": 20, "offset": 0, "hasMore": False}
    assert client.get("jobs?limit=1000").json()["pagination"]["limit"] == 100


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "sourceUrl": "http://example.com/a.mp3"}, "INVALID_REQUEST"),
        ({"upload_key": "KEY"}, "INVALID_REQUEST"),
        ({"uploadKey": 5}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "outputType": "ALL_STEMS"}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "outputType": "vocals"}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "quality": "ULTRA"}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "outputFormat": "OGG"}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "outputType": "SIX_STEMS", "quality": "FAST"}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "fileName": ["a"]}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "fileName": "x" * 5_000}, "INVALID_REQUEST"),
        ({"uploadKey": "KEY", "metadata": "text"}, "INVALID_REQUEST"),
        ({"uploadKey": "uploads/api_0/0/input.mp3"}, "UPLOAD_NOT_FOUND"),
        ({"uploadKey": "../service.db"}, "UPLOAD_NOT_FOUND"),
        ({"uploadKey": "KEY/../input.wav"}, "UPLOAD_NOT_FOUND"),
        ({"sourceUrl": "http://127.0.0.1:1/a.mp3"}, "SOURCE_UNREACHABLE"),
        ({"sourceUrl": "file:///etc/passwd"}, "INVALID_SOURCE_URL"),
        ({"sourceUrl": "http://[not-an-address/a.mp3"}, "INVALID_SOURCE_URL"),
    ],
)
def test_a_job_that_cannot_be_made_is_refused_and_costs_nothing(
    client: Client, short: bytes, body: dict, code: str
) -> None:
    key = client.uploaded(short)
    filled = {
        name: value.replace("KEY", key) if isinstance(value, str) else value for name, value in body.items()
    }

    assert error_of(client.post("jobs", json=filled)) == (400, code)
    assert client.balance() == 1_000


@pytest.mark.parametrize(
    ("audio", "code"),
    [
        (b"<html>not a song</html>", "UNSUPPORTED_FORMAT"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/music/song.mp3\n", "UNSUPPORTED_FORMAT"),
        (b"ffconcat version 1.0\nfile input.m3u8\n", "UNSUPPORTED_FORMAT"),
        (b"", "UNSUPPORTED_FORMAT"),
        (tone(0.4), "AUDIO_TOO_SHORT"),
        (tone(3_601, sample_rate=1_000), "AUDIO_TOO_LONG"),
    ],
    ids=["html", "playlist", "list of itself", "empty", "short", "long"],
)
def test_audio_that_cannot_be_taken_is_refused_at_once(client: Client, audio: bytes, code: str) -> None:
    key = client.uploaded(audio, "song.m3u8")  # the name must not decide what the bytes are

    assert error_of(client.post("jobs", json={"uploadKey": key})) == (400, code)
    assert client.balance() == 1_000


def test_a_source_url_is_fetched_and_named(client: Client, tmp_path: Path, short: bytes) -> None:
    (tmp_path / "my song.wav").write_bytes(short)
    with serving_folder(tmp_path) as site:
        url = f"{site}/my%20song.wav"
        job = client.post("jobs", json={"sourceUrl": url, "outputType": "VOCALS", "quality": "FAST"}).json()
        missing = client.post("jobs", json={"sourceUrl": url.replace("song", "sang")})

    assert job["input"] == {"fileName": "my song.wav", "durationSeconds": 2, "fileSizeBytes": len(short)}
    assert error_of(missing) == (400, "SOURCE_UNREACHABLE")
    assert client.wait(job["id"])["status"] == "COMPLETED"


def test_a_private_source_url_is_refused_unless_allowed(start: Callable[..., Client]) -> None:
    response = start().post("jobs", json={"sourceUrl": "http://127.0.0.1:1/a.mp3"})

    assert error_of(response) == (400, "INVALID_SOURCE_URL")
