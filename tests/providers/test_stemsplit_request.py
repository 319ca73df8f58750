"""What is asked of StemSplit: exactly what its reference page takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from exchange import TOKEN, answer, attempt, drive

from stemline.errors import LinkExpired, NoAnswer, ProviderDown, TrackRefused
from stemline.protocol import HttpRequest
from stemline.providers.stemsplit import file_name
from stemline.records import Code, Submission

CONTRACT = Path(__file__).parents[1] / "conformance" / "reference" / "stemsplit_openapi.yaml"
CREATED = {"id": "clxxx123", "status": "PENDING", "creditsRequired": 180, "input": {"durationSeconds": 180}}
TICKET = {
    "uploadUrl": "https://storage.example.com/presigned",
    "uploadKey": "uploads/api_xxx/input.mp3",
    "maxFileSizeBytes": 52428800,
    "contentType": "audio/mpeg",
}


def test_a_web_track_is_handed_over_by_its_url_in_one_paid_request(provider):
    submission, requests = drive(
        provider.submit(attempt("https://example.com/song.mp3", "both")), [answer(CREATED, 201)]
    )

    assert requests == [
        HttpRequest(
            "POST",
            "/jobs",
            json={
                "sourceUrl": "https://example.com/song.mp3",
                "fileName": f"song.{TOKEN}.mp3",
                "outputType": "BOTH",
                "quality": "BEST",
                "outputFormat": "FLAC",
                "metadata": {"token": TOKEN},
            },
            is_paid=True,
        )
    ]
    assert submission == Submission("clxxx123", 180, 180.0)


def test_a_file_is_transferred_under_a_ticket_and_named_by_its_key(provider):
    answers = [answer(TICKET), answer(b"", sent_sha256="abc"), answer(CREATED, 201)]
    submission, requests = drive(provider.submit(attempt()), answers)

    assert requests[:2] == [
        HttpRequest("POST", "/upload", json={"filename": f"song.{TOKEN}.mp3"}),
        HttpRequest(
            "PUT",
            TICKET["uploadUrl"],
            headers={"Content-Type": "audio/mpeg"},
            body="/music/song.mp3",
            is_transfer=True,
        ),
    ]
    assert requests[2].json["uploadKey"] == TICKET["uploadKey"]
    assert "sourceUrl" not in requests[2].json
    assert [request.is_paid for request in requests] == [False, False, True]
    assert submission.source_sha256 == "abc"


def test_the_tickets_content_type_is_sent_whatever_the_file_is_called(provider):
    ticket = {**TICKET, "contentType": "audio/x-ms-wma"}
    _, requests = drive(provider.submit(attempt()), [answer(ticket), answer(b""), answer(CREATED)])

    assert requests[1].headers == {"Content-Type": "audio/x-ms-wma"}


def test_an_expired_ticket_is_replaced_once(provider):
    expired = LinkExpired("expired")
    second = {**TICKET, "uploadKey": "second"}
    answers = [answer(TICKET), expired, answer(second), answer(b""), answer(CREATED)]
    _, requests = drive(provider.submit(attempt()), answers)

    assert [request.method for request in requests] == ["POST", "PUT", "POST", "PUT", "POST"]
    assert requests[-1].json["uploadKey"] == "second"
    with pytest.raises(LinkExpired):
        drive(provider.submit(attempt()), [answer(TICKET), expired, answer(TICKET), expired])


def test_a_file_larger_than_the_ticket_allows_is_not_transferred(provider):
    ticket = {**TICKET, "maxFileSizeBytes": 1000}

    with pytest.raises(TrackRefused, match=r"has 1001 bytes and StemSplit takes at most 1000") as caught:
        drive(provider.submit(attempt(size_bytes=1001)), [answer(ticket)])
    assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("size", [None, 1000])
def test_a_file_of_unknown_or_just_allowed_size_is_transferred(provider, size):
    ticket = {**TICKET, "maxFileSizeBytes": 1000}
    _, requests = drive(
        provider.submit(attempt(size_bytes=size)), [answer(ticket), answer(b""), answer(CREATED)]
    )

    assert len(requests) == 3


@pytest.mark.parametrize("missing", ["uploadUrl", "uploadKey"])
def test_a_ticket_that_lacks_what_is_needed_is_the_providers_fault(provider, missing):
    with pytest.raises(ProviderDown, match="without uploadUrl or uploadKey"):
        drive(provider.submit(attempt()), [answer({**TICKET, missing: None})])


@pytest.mark.parametrize("created", [{}, {"id": None}, {"status": "PENDING"}])
def test_a_job_without_an_id_counts_as_no_answer(provider, created):
    with pytest.raises(NoAnswer, match="named no id"):
        drive(provider.submit(attempt("http://x.example/a.mp3")), [answer(created, 201)])


def test_reads_are_plain_requests(provider):
    _, job = drive(provider.read_job("clxxx123"), [answer({"id": "clxxx123"})])
    _, balance = drive(provider.read_balance(), [answer({"balanceSeconds": 3600})])

    assert job == [HttpRequest("GET", "/jobs/clxxx123", template="/jobs/{id}")]
    assert balance == [HttpRequest("GET", "/balance")]


WEIRD = [
    "/music/song.mp3",
    "/music/Sigur Rós - Hoppípolla (live).flac",
    "/music/椎名林檎.wav",
    "/music/no extension",
    "/music/what? #1.mp3",
    "/music/100%25.ogg",
    "/music/.hidden",
    "/music/a.b.c.M4A",
    "/music/" + "long" * 60 + ".mp3",
    "/music/double..mp3",
    "/music/notes.backup-of-2019",
    "//[odd]/a.mp3",
    "s3://bucket/deep/folder/track #7.opus",
    "s3://bucket/key",
    "memory://a.wav",
    "file:///tmp/a b.webm",
    "https://example.com/a%20b.mp3?sig=x.y/z&e=1#part",
    "https://example.com/",
    "https://example.com/stream?id=7",
    "HTTPS://EXAMPLE.com/UP.MP3",
]


@pytest.mark.parametrize("location", WEIRD)
def test_a_job_is_named_in_ascii_with_the_token_and_the_extension(location):
    name = file_name(attempt(location))

    assert re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]*\.{TOKEN}(\.[A-Za-z0-9]{{1,5}})?", name)
    assert len(name) <= 100


@pytest.mark.parametrize(
    ("location", "suffix"),
    [
        ("/music/what? #1.mp3", ".mp3"),
        ("/music/a.b.c.M4A", ".M4A"),
        ("s3://bucket/track #7.opus", ".opus"),
        ("https://example.com/a%20b.mp3?sig=x.y#part", ".mp3"),
        ("https://example.com/a%2Emp3", ".mp3"),
        ("/music/100%25.ogg", ".ogg"),
        ("/music/no extension", ""),
        ("/music/notes.backup-of-2019", ""),
        ("https://example.com/stream?id=7.mp3", ""),
    ],
)
def test_the_real_extension_is_kept(location, suffix):
    assert file_name(attempt(location)).endswith(TOKEN + suffix)


@pytest.fixture(scope="session")
def schemas():
    return yaml.safe_load(CONTRACT.read_text())["components"]["schemas"]


@pytest.mark.parametrize("stems", ["vocals", "instrumental", "both", "four", "six"])
@pytest.mark.parametrize("location", ["/music/song.mp3", "https://example.com/song.mp3"])
def test_every_body_fits_the_vendors_own_schema(provider, schemas, stems, location):
    jsonschema = pytest.importorskip("jsonschema")
    is_web = location.startswith("https")
    answers = [answer(CREATED)] if is_web else [answer(TICKET), answer(b""), answer(CREATED)]
    _, requests = drive(provider.submit(attempt(location, stems)), answers)

    names = {"/jobs": "CreateJobRequest", "/upload": "UploadRequest"}
    for request in requests:
        if request.json is not None:
            schema = schemas[names[request.url]]
            jsonschema.validate(dict(request.json), {**schema, "additionalProperties": False})
