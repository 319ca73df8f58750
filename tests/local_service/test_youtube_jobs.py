"""YouTube jobs in the StemSplit dialect: audio from a file of videos, shapes from the vendor's page."""

from __future__ import annotations

import json
import time
from io import BytesIO
from pathlib import Path

import pytest
import soundfile
from local_service import WAIT_SECONDS, Client, VendorClients, error_of, listening, storage, tone

from stemline.errors import UsageError
from stemline_local import ApiKey, ServiceOptions
from stemline_local.files.video_catalogue import VideoCatalogue, video_id_of

VIDEO = "dQw4w9WgXcQ"
ABOUT = {
    "videoId": VIDEO,
    "videoTitle": "Never",
    "videoDuration": 2,
    "videoThumbnail": f"https://i.ytimg.com/vi/{VIDEO}/hqdefault.jpg",
    "channelName": "Rick",
}


def created(clients: VendorClients) -> dict:
    response = clients.jobs.post("youtube-jobs", json={"youtubeUrl": f"https://youtube.com/watch?v={VIDEO}"})
    assert response.status_code == 201, response.text
    return response.json()


def ended(clients: VendorClients, job_id: str) -> dict:
    deadline = time.monotonic() + WAIT_SECONDS
    while (job := clients.jobs.get(f"youtube-jobs/{job_id}").json())["status"] in ("PENDING", "PROCESSING"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return job


def test_a_created_job_has_the_vendors_shape(clients: VendorClients) -> None:
    job = created(clients)

    assert job.pop("id").startswith("c")
    assert job.pop("createdAt").endswith("Z")
    assert job == ABOUT | {
        "status": "PENDING",
        "creditsRequired": 2,
        "outputs": ["vocals", "instrumental"],
    }


def test_a_job_gives_vocals_instrumental_and_the_whole_as_mp3(clients: VendorClients) -> None:
    job = ended(clients, created(clients)["id"])

    assert job.items() >= (ABOUT | {"status": "COMPLETED", "progress": 100, "creditsCharged": 2}).items()
    assert job["audioMetadata"] == {"bpm": 120.0, "key": "C"}
    assert set(job["outputs"]) == {"fullAudio", "vocals", "instrumental"}
    levels = {}
    for stem, output in job["outputs"].items():
        sound, _ = soundfile.read(BytesIO(storage.get(output["url"]).content))
        levels[stem] = abs(sound).max()
        assert ".mp3?" in output["url"]
    assert levels["fullAudio"] == pytest.approx(2 * levels["vocals"], rel=0.1)
    assert clients.jobs.balance() == 998


def test_video_jobs_and_stem_jobs_have_lists_of_their_own(clients: VendorClients, short: bytes) -> None:
    video_job, stem_job = created(clients)["id"], clients.jobs.created(short)
    videos, stems = clients.jobs.get("youtube-jobs").json(), clients.jobs.get("jobs").json()

    assert [job["id"] for job in videos["jobs"]] == [video_job]
    assert [job["id"] for job in stems["jobs"]] == [stem_job]
    assert videos["pagination"] == {"total": 1, "limit": 20, "offset": 0, "hasMore": False}
    assert videos["jobs"][0].items() >= ABOUT.items()
    assert "outputs" not in videos["jobs"][0]
    assert error_of(clients.jobs.get(f"youtube-jobs/{stem_job}")) == (404, "JOB_NOT_FOUND")
    assert error_of(clients.jobs.get(f"jobs/{video_job}")) == (404, "JOB_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "INVALID_REQUEST"),
        ({"youtubeUrl": 5}, 400, "INVALID_REQUEST"),
        ({"youtubeUrl": "https://example.com/watch?v=dQw4w9WgXcQ"}, 400, "INVALID_REQUEST"),
        ({"youtubeUrl": "AAAAAAAAAAA"}, 404, "VIDEO_NOT_FOUND"),
        ({"youtubeUrl": "lost_audio_"}, 400, "SOURCE_UNREACHABLE"),
    ],
)
def test_a_job_that_cannot_be_made_is_refused_and_costs_nothing(
    clients: VendorClients, body: dict, status: int, code: str
) -> None:
    assert error_of(clients.jobs.post("youtube-jobs", json=body)) == (status, code)
    assert clients.jobs.balance() == 1_000


def test_the_create_reply_can_do_without_outputs(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(tone(1.2))
    (tmp_path / "videos.json").write_text(json.dumps({VIDEO: {"audio": str(tmp_path / "a.wav")}}))
    options = ServiceOptions(
        tmp_path / "service",
        keys=(ApiKey("sk_live_first"),),
        engine="copy",
        workers=1,
        videos=tmp_path / "videos.json",
        youtube_outputs_in_create=False,
    )
    with listening(options) as address, Client(address.url) as client:
        job = client.post("youtube-jobs", json={"youtubeUrl": VIDEO}).json()

    assert "outputs" not in job
    assert (job["videoTitle"], job["channelName"]) == ("a", "unknown")


@pytest.mark.parametrize(
    "text",
    [
        VIDEO,
        f"https://www.youtube.com/watch?v={VIDEO}",
        f"https://youtube.com/watch?list=x&v={VIDEO}&t=5",
        f"http://m.youtube.com/watch?v={VIDEO}",
        f"https://music.youtube.com/watch?v={VIDEO}",
        f"https://youtu.be/{VIDEO}?t=5",
        f"youtu.be/{VIDEO}",
        f"https://www.youtube.com/embed/{VIDEO}",
        f"https://www.youtube.com/shorts/{VIDEO}",
    ],
)
def test_every_form_of_an_address_names_its_video(text: str) -> None:
    assert video_id_of(text) == VIDEO


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dQw4w9WgXc",
        f"{VIDEO}x",
        f"https://youtube.com.example.com/watch?v={VIDEO}",
        f"https://example.com/{VIDEO}",
        f"ftp://youtube.com/watch?v={VIDEO}",
        "https://youtube.com/watch",
        "https://youtube.com/playlist?list=x",
        "https://youtu.be/",
        "http://[broken",
    ],
)
def test_nothing_else_names_a_video(text: str) -> None:
    assert video_id_of(text) is None


@pytest.mark.parametrize(
    "text", ["[]", "a: {audio: x.wav}", f"{VIDEO}: x.wav", f"{VIDEO}: {{title: x}}", "{", "\xff"]
)
def test_a_file_of_videos_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "videos.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError):
        VideoCatalogue.read(path)
