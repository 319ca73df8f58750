"""What is asked of AIStemSplitter: exactly what its reference page and its packages take."""

from __future__ import annotations

import pytest
from exchange import ALONE, TOKEN, answer, attempt, drive

from stemline.errors import LinkExpired, NoAnswer, ProviderDown, TrackRefused, TransferFailed
from stemline.protocol import HttpRequest
from stemline.records import Code, Job, Phase, Submission

MADE = {"id": "split_123", "status": "queued", "creditsUsed": 180, "createdAt": "2026-05-26T10:20:30.000Z"}
TICKET = {
    "uploadId": "upl_123",
    "uploadUrl": "https://upload.example.com/audio",
    "uploadHeaders": {"X-Upload-Token": "token_123", "X-Folder": "audio/api/key_123/upl_123"},
    "expiresAt": "2026-05-26T10:25:30.000Z",
}
STORED = {"url": "https://cdn.example.com/upl_123/song.mp3", "key": "audio/api/key_123/upl_123/song.mp3"}
WEB = "https://example.com/song.mp3"


def data(tree: object, status: int = 200, **facts):
    """What AIStemSplitter says inside its envelope."""
    return answer({"success": True, "data": tree}, status, **facts)


def uploaded(ticket: dict | None = None, transfer=None) -> list:
    return [data(ticket or TICKET), transfer or data(STORED), data(MADE)]


def test_a_web_track_is_handed_over_by_its_url_in_one_paid_request(splitter):
    submission, requests = drive(splitter.submit(attempt(WEB)), [data(MADE)])

    assert requests == [
        HttpRequest(
            "POST",
            "/audio/splits",
            json={
                "input": {"type": "direct_url", "url": WEB},
                "stemModel": "4s",
                "outputFormat": "flac",
            },
            headers={"Idempotency-Key": TOKEN},
            is_paid=True,
        )
    ]
    assert submission == Submission("split_123", 180)


def test_a_file_is_transferred_under_a_reservation_and_named_by_what_came_back(splitter):
    answers = uploaded(transfer=data(STORED, sent_sha256="abc"))
    submission, requests = drive(splitter.submit(attempt("/music/Sigur Rós - #1?.MP3")), answers)

    assert requests == [
        HttpRequest(
            "POST",
            "/audio/uploads",
            json={"filename": f"{TOKEN}.mp3", "contentType": "audio/mpeg", "contentLength": 4_500_000},
        ),
        HttpRequest(
            "POST",
            TICKET["uploadUrl"],
            headers={**TICKET["uploadHeaders"], "Content-Type": "audio/mpeg"},
            body="/music/Sigur Rós - #1?.MP3",
            is_transfer=True,
        ),
        HttpRequest(
            "POST",
            "/audio/splits",
            json={
                "input": {
                    "type": "uploaded_file",
                    "uploadId": "upl_123",
                    "fileUrl": STORED["url"],
                    "storageKey": STORED["key"],
                },
                "stemModel": "4s",
                "outputFormat": "flac",
            },
            headers={"Idempotency-Key": TOKEN},
            is_paid=True,
        ),
    ]
    assert submission == Submission("split_123", 180, source_sha256="abc")


@pytest.mark.parametrize(
    ("stems", "model"),
    [("vocals", "4s"), ("instrumental", "4s"), ("both", "4s"), ("four", "4s"), ("six", "6s")],
)
def test_only_six_stems_need_the_other_model(splitter, stems, model):
    _, requests = drive(splitter.submit(attempt(WEB, stems)), [data(MADE)])

    assert requests[0].json["stemModel"] == model


@pytest.mark.parametrize(
    ("location", "suffix", "content_type"),
    [
        ("/music/song.mp3", ".mp3", "audio/mpeg"),
        ("/music/song.WAV", ".wav", "audio/wav"),
        ("s3://bucket/track #7.flac", ".flac", "audio/flac"),
        ("/music/what? #1.m4a", ".m4a", "audio/mp4"),
        ("/music/100%25.ogg", ".ogg", "audio/ogg"),
        ("/music/a.b.opus", ".opus", "audio/opus"),
        ("//[odd]/a.webm", ".webm", "audio/webm"),
        ("/music/song.aiff", ".aiff", "application/octet-stream"),
        ("/music/no extension", "", "application/octet-stream"),
        ("/music/notes.backup-of-2019", "", "application/octet-stream"),
        ("/music/song.mp3é", "", "application/octet-stream"),
    ],
)
def test_a_file_is_announced_by_its_extension(splitter, location, suffix, content_type):
    _, requests = drive(splitter.submit(attempt(location)), uploaded())

    assert requests[0].json["filename"] == TOKEN + suffix
    assert requests[0].json["contentType"] == content_type
    assert requests[1].headers["Content-Type"] == content_type


def test_an_address_in_capitals_is_an_address_too(splitter):
    _, requests = drive(splitter.submit(attempt("HTTPS://EXAMPLE.com/UP.MP3")), [data(MADE)])

    assert requests[0].json["input"] == {"type": "direct_url", "url": "HTTPS://EXAMPLE.com/UP.MP3"}


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_the_reservations_content_type_wins_in_any_spelling(splitter, name):
    ticket = {**TICKET, "uploadHeaders": {"X-Folder": "f", name: "audio/x-odd"}}
    _, requests = drive(splitter.submit(attempt()), uploaded(ticket))

    assert requests[1].headers == {"X-Folder": "f", name: "audio/x-odd"}


@pytest.mark.parametrize("given", [None, [], "none", {}, {"Content-Length": "17", "X-Gone": None}])
def test_a_reservation_may_ask_for_no_headers(splitter, given):
    _, requests = drive(splitter.submit(attempt()), uploaded({**TICKET, "uploadHeaders": given}))

    assert requests[1].headers == {"Content-Type": "audio/mpeg"}


def test_figures_among_the_headers_are_sent_as_text(splitter):
    _, requests = drive(splitter.submit(attempt()), uploaded({**TICKET, "uploadHeaders": {"X-Part": 7}}))

    assert requests[1].headers["X-Part"] == "7"


def test_a_storage_that_takes_no_post_is_given_a_put(splitter):
    answers = [data(TICKET), answer(b"", 405), data(STORED, sent_sha256="abc"), data(MADE)]
    submission, requests = drive(splitter.submit(attempt()), answers)

    post, put = requests[1:3]
    assert (post.method, put.method) == ("POST", "PUT")
    assert (put.url, put.headers, put.body, put.is_transfer) == (post.url, post.headers, post.body, True)
    assert submission.source_sha256 == "abc"


def test_an_expired_reservation_is_replaced_once(splitter):
    expired = LinkExpired("expired")
    second = {**TICKET, "uploadId": "second"}
    answers = [data(TICKET), expired, data(second), data(STORED), data(MADE)]
    _, requests = drive(splitter.submit(attempt()), answers)

    assert [request.url for request in requests] == [
        "/audio/uploads",
        TICKET["uploadUrl"],
        "/audio/uploads",
        TICKET["uploadUrl"],
        "/audio/splits",
    ]
    assert requests[-1].json["input"]["uploadId"] == "second"
    assert [request.is_paid for request in requests] == [False, False, False, False, True]
    with pytest.raises(LinkExpired):
        drive(splitter.submit(attempt()), [data(TICKET), expired, data(TICKET), expired])


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_says_that_a_reservation_has_expired_leads_to_a_fresh_one(splitter, status):
    """The error that the sender would throw is the one that `classify` gives."""
    transfer = HttpRequest("POST", TICKET["uploadUrl"], is_transfer=True)
    refused = splitter.classify(transfer, answer({"success": False, "error": "EXPIRED"}, status))
    _, requests = drive(splitter.submit(attempt()), [data(TICKET), refused, *uploaded()])

    assert len(requests) == 5


@pytest.mark.parametrize("missing", ["uploadUrl", "uploadId"])
@pytest.mark.parametrize("value", [None, "", 7])
def test_a_reservation_that_lacks_what_is_needed_is_the_providers_fault(splitter, missing, value):
    with pytest.raises(ProviderDown, match="without uploadUrl or uploadId"):
        drive(splitter.submit(attempt()), [data({**TICKET, missing: value})])


@pytest.mark.parametrize(
    "transfer",
    [
        data({"url": STORED["url"]}),
        data({"key": STORED["key"]}),
        answer(b"<html>stored, I guess</html>"),
        answer(b"", 204),
        answer({"success": False, "error": "SHRUG", "data": STORED}),
    ],
)
def test_a_file_that_went_nobody_knows_where_is_not_paid_for(splitter, transfer):
    with pytest.raises(TransferFailed, match="without the file's url or key"):
        drive(splitter.submit(attempt()), [data(TICKET), transfer])


@pytest.mark.parametrize("made", [{}, {"id": None}, {"status": "queued"}])
def test_a_split_without_an_id_counts_as_no_answer(splitter, made):
    with pytest.raises(NoAnswer, match="named no id"):
        drive(splitter.submit(attempt(WEB)), [data(made)])


@pytest.mark.parametrize("location", [WEB, "/music/song.mp3"])
def test_an_unanswered_submit_is_repeated_under_its_own_key_and_body(splitter, location):
    _, sent = drive(splitter.submit(attempt(location)), [data(MADE)] if location == WEB else uploaded())
    job, again = drive(splitter.find(attempt(location, request=sent[-1].json), ALONE), [data(MADE)])

    (repeated,) = again
    assert (repeated.method, repeated.url) == (sent[-1].method, sent[-1].url)
    assert (repeated.json, repeated.headers) == (sent[-1].json, sent[-1].headers)
    assert not repeated.is_paid
    assert (job.job_id, job.phase, job.credits_charged) == ("split_123", Phase.QUEUED, 180)


def test_a_submit_whose_body_is_not_known_is_not_repeated(splitter):
    assert drive(splitter.find(attempt(WEB), ALONE), []) == (None, [])


def test_a_repeat_that_is_answered_without_an_id_finds_nothing(splitter):
    assert (
        drive(splitter.find(attempt(WEB, request={"a": 1}), ALONE), [data({"status": "queued"})])[0] is None
    )


def test_a_repeat_that_is_refused_settles_nothing(splitter):
    """Whether the first one was carried out stays unknown: it must not look like a submit that never arrived."""
    refused = TrackRefused("another body", code=Code.REFUSED)

    with pytest.raises(TrackRefused):
        drive(splitter.find(attempt(WEB, request={"a": 1}), ALONE), [refused])


def test_reads_are_plain_requests(splitter):
    job, split = drive(splitter.read_job("split_123"), [data({"id": "split_123"})])
    _, balance = drive(splitter.read_balance(), [data({"balance": 3600, "unit": "seconds"})])

    assert job == Job("split_123", Phase.RUNNING)
    assert split == [HttpRequest("GET", "/audio/splits/split_123", template="/audio/splits/{id}")]
    assert balance == [HttpRequest("GET", "/credits")]


def test_an_id_cannot_leave_its_place_in_the_address(splitter):
    _, requests = drive(splitter.read_job("../credits?a#b"), [data({})])

    assert requests[0].url == "/audio/splits/..%2Fcredits%3Fa%23b"


def test_nothing_is_asked_for_webhooks(splitter):
    assert drive(splitter.register_webhook("https://hooks.example.com", {"held"}), []) == (None, [])
    assert drive(splitter.unregister_webhook("https://hooks.example.com"), []) == ([], [])


def test_a_run_that_listens_says_where(splitter):
    url = "https://hooks.example.com/hooks/aistemsplitter"
    _, (request,) = drive(splitter.submit(attempt(WEB), url), [data(MADE)])

    assert request.json["webhookUrl"] == url
