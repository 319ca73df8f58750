"""Every error of StemSplit on the right branch of the error tree."""

from __future__ import annotations

import pytest
from exchange import answer

from stemline.errors import (
    JobFailed,
    KeyRefused,
    LinkExpired,
    NoAnswer,
    OutOfCredits,
    ProviderDown,
    Throttled,
    TrackRefused,
    TransferFailed,
)
from stemline.protocol import HttpRequest
from stemline.records import Code

SUBMIT = HttpRequest("POST", "/jobs", is_paid=True)
UPLOAD = HttpRequest("POST", "/upload")
DETAIL = HttpRequest("GET", "/jobs/x")
LIST = HttpRequest("GET", "/jobs")
TRANSFER = HttpRequest("PUT", "https://storage.example.com/x", is_transfer=True)
HTML = b"<!doctype html><title>Just a moment...</title>"


def refusal(code: str, **more) -> dict:
    return {"error": {"code": code, "message": "They say so.", **more}}


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours"),
    [
        (400, "FILE_TOO_LARGE", TrackRefused, Code.TOO_LARGE),
        (400, "AUDIO_TOO_LONG", TrackRefused, Code.TOO_LONG),
        (400, "AUDIO_TOO_SHORT", TrackRefused, Code.TOO_SHORT),
        (400, "UNSUPPORTED_FORMAT", TrackRefused, Code.UNSUPPORTED_FORMAT),
        (400, "SOMETHING_NEW", TrackRefused, Code.REFUSED),
        (404, "TRACK_NOT_FOUND", TrackRefused, Code.REFUSED),
        (409, "CONFLICT", TrackRefused, Code.REFUSED),
        (422, "VALIDATION", TrackRefused, Code.REFUSED),
        (401, "MISSING_API_KEY", KeyRefused, None),
        (401, "INVALID_API_KEY", KeyRefused, None),
        (401, "INVALID_API_KEY_FORMAT", KeyRefused, None),
        (403, "API_KEY_EXPIRED", KeyRefused, None),
        (403, "API_KEY_REVOKED", KeyRefused, None),
        (403, "EMAIL_NOT_VERIFIED", KeyRefused, None),
        (401, "ACCOUNT_SUSPENDED", KeyRefused, None),
        (400, "API_KEY_EXPIRED", KeyRefused, None),
        (403, "SOMETHING_NEW", KeyRefused, None),
        (402, "INSUFFICIENT_CREDITS", OutOfCredits, None),
        (400, "INSUFFICIENT_CREDITS", OutOfCredits, None),
        (402, "SOMETHING_NEW", OutOfCredits, None),
        (429, "RATE_LIMIT_EXCEEDED", Throttled, None),
        (500, "INTERNAL", NoAnswer, None),
        (503, "FILE_TOO_LARGE", NoAnswer, None),
    ],
)
def test_a_refused_submit_takes_the_branch_of_its_code(provider, status, code, kind, ours):
    error = provider.classify(SUBMIT, answer(refusal(code), status))

    assert type(error) is kind
    assert getattr(error, "code", None) is ours


@pytest.mark.parametrize(
    ("request_", "status", "code", "kind"),
    [
        (DETAIL, 404, "JOB_NOT_FOUND", JobFailed),
        (DETAIL, 404, "", JobFailed),
        (DETAIL, 500, "INTERNAL", ProviderDown),
        (LIST, 404, "NOT_FOUND", ProviderDown),
        (LIST, 400, "BAD_REQUEST", ProviderDown),
        (LIST, 429, "RATE_LIMIT_EXCEEDED", Throttled),
        (LIST, 401, "INVALID_API_KEY", KeyRefused),
        (UPLOAD, 400, "UNSUPPORTED_FORMAT", TrackRefused),
        (UPLOAD, 502, "", ProviderDown),
    ],
)
def test_other_requests_take_branches_of_their_own(provider, request_, status, code, kind):
    assert type(provider.classify(request_, answer(refusal(code), status))) is kind


def test_a_job_that_is_gone_has_a_code(provider):
    assert provider.classify(DETAIL, answer(refusal("JOB_NOT_FOUND"), 404)).code is Code.JOB_LOST


def test_the_vendors_sentence_and_shop_are_passed_on(provider):
    tree = refusal("INSUFFICIENT_CREDITS", requiredSeconds=180, purchaseUrl="https://stemsplit.io/buy")
    error = provider.classify(SUBMIT, answer(tree, 402))

    assert str(error) == ("StemSplit is out of credits: They say so. Buy more at https://stemsplit.io/buy.")


@pytest.mark.parametrize("status", [200, 201, 302, 403, 404, 500, 502, 503, 520])
@pytest.mark.parametrize("body", [HTML, b"", b"[]", b"null", b"{", b"\xff\xfe"])
@pytest.mark.parametrize(("request_", "kind"), [(SUBMIT, NoAnswer), (LIST, ProviderDown)])
def test_a_proxys_page_settles_nothing(provider, status, body, request_, kind):
    error = provider.classify(request_, answer(body, status))

    assert type(error) is kind
    assert f"status {status}" in error.message


@pytest.mark.parametrize("error", ["Unauthorized", None, []])
def test_an_error_of_another_shape_is_told_by_its_status(provider, error):
    assert type(provider.classify(LIST, answer({"error": error}, 401))) is KeyRefused
    assert type(provider.classify(SUBMIT, answer({"error": error}, 400))) is TrackRefused


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_with_an_object_is_success(provider, status):
    assert provider.classify(SUBMIT, answer({}, status)) is None


def test_a_429_is_believed_whatever_its_body_is(provider):
    assert type(provider.classify(SUBMIT, answer(HTML, 429))) is Throttled


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, None),
        (204, None),
        (401, LinkExpired),
        (403, LinkExpired),
        (404, LinkExpired),
        (410, LinkExpired),
        (413, TrackRefused),
        (429, TransferFailed),
        (500, TransferFailed),
        (503, TransferFailed),
    ],
)
def test_the_storage_speaks_in_statuses_alone(provider, status, kind):
    error = provider.classify(TRANSFER, answer(b"<Error/>", status))

    assert (type(error) if error else None) is kind
