"""Every error of AIStemSplitter, in both its shapes, on the right branch of the error tree."""

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

SUBMIT = HttpRequest("POST", "/audio/splits", is_paid=True)
REPEAT = HttpRequest("POST", "/audio/splits")
RESERVE = HttpRequest("POST", "/audio/uploads")
SPLIT = HttpRequest("GET", "/audio/splits/x")
CREDITS = HttpRequest("GET", "/credits")
TRANSFER = HttpRequest("POST", "https://upload.example.com/x", is_transfer=True)
PUT = HttpRequest("PUT", "https://upload.example.com/x", is_transfer=True)
HTML = b"<!doctype html><title>Just a moment...</title>"


def nested(code: str) -> dict:
    """As the service says it."""
    return {"success": False, "error": {"code": code, "message": "They say so."}}


def flat(code: str) -> dict:
    """As its upload worker says it."""
    return {"success": False, "error": code, "message": "They say so."}


@pytest.mark.parametrize("shape", [nested, flat])
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "UNAUTHORIZED", KeyRefused),
        (400, "UNAUTHORIZED", KeyRefused),
        (401, "SOMETHING_NEW", KeyRefused),
        (403, "SOMETHING_NEW", KeyRefused),
        (402, "INSUFFICIENT_CREDITS", OutOfCredits),
        (422, "INSUFFICIENT_CREDITS", OutOfCredits),
        (402, "SOMETHING_NEW", OutOfCredits),
        (422, "VALIDATION_ERROR", TrackRefused),
        (400, "BAD_REQUEST", TrackRefused),
        (404, "NOT_FOUND", TrackRefused),
        (409, "CONFLICT", TrackRefused),
        (429, "RATE_LIMITED", Throttled),
        (400, "RATE_LIMITED", Throttled),
        (500, "SERVER_ERROR", NoAnswer),
        (503, "VALIDATION_ERROR", NoAnswer),
    ],
)
def test_a_refused_submit_takes_the_branch_of_its_code(splitter, status, code, kind, shape):
    error = splitter.classify(SUBMIT, answer(shape(code), status))

    assert type(error) is kind
    if status != 429 and kind is not NoAnswer:
        assert "They say so." in error.message
    if kind is TrackRefused:
        assert error.code is Code.REFUSED


@pytest.mark.parametrize(
    ("request_", "status", "code", "kind"),
    [
        (SPLIT, 404, "NOT_FOUND", JobFailed),
        (SPLIT, 404, "", JobFailed),
        (SPLIT, 500, "SERVER_ERROR", ProviderDown),
        (SPLIT, 422, "VALIDATION_ERROR", ProviderDown),
        (CREDITS, 404, "NOT_FOUND", ProviderDown),
        (CREDITS, 401, "UNAUTHORIZED", KeyRefused),
        (CREDITS, 429, "RATE_LIMITED", Throttled),
        (RESERVE, 422, "VALIDATION_ERROR", TrackRefused),
        (RESERVE, 502, "", ProviderDown),
        (REPEAT, 500, "SERVER_ERROR", ProviderDown),
    ],
)
def test_other_requests_take_branches_of_their_own(splitter, request_, status, code, kind):
    assert type(splitter.classify(request_, answer(nested(code), status))) is kind


def test_a_split_that_is_gone_has_a_code(splitter):
    assert splitter.classify(SPLIT, answer(nested("NOT_FOUND"), 404)).code is Code.JOB_LOST


@pytest.mark.parametrize("status", [200, 201, 302, 403, 404, 500, 502, 503, 520])
@pytest.mark.parametrize("body", [HTML, b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize(
    ("request_", "kind"), [(SUBMIT, NoAnswer), (REPEAT, ProviderDown), (SPLIT, ProviderDown)]
)
def test_a_proxys_page_settles_nothing(splitter, status, body, request_, kind):
    error = splitter.classify(request_, answer(body, status))

    assert type(error) is kind
    assert f"status {status}" in error.message


@pytest.mark.parametrize(
    "tree", [{}, {"data": None}, {"data": []}, {"success": True}, {**nested("ODD"), "data": {"id": "x"}}]
)
def test_a_2xx_without_a_usable_envelope_is_none(splitter, tree):
    assert type(splitter.classify(SUBMIT, answer(tree))) is NoAnswer
    assert type(splitter.classify(SPLIT, answer(tree))) is ProviderDown


@pytest.mark.parametrize("error", [None, [], 7, {"code": 7, "message": None}])
def test_an_error_of_a_third_shape_is_told_by_its_status(splitter, error):
    assert type(splitter.classify(CREDITS, answer({"error": error}, 401))) is KeyRefused
    refused = splitter.classify(SUBMIT, answer({"error": error}, 422))
    assert type(refused) is TrackRefused
    assert refused.message.endswith("status 422")


@pytest.mark.parametrize("status", [200, 201, 202, 299])
def test_any_2xx_with_an_envelope_is_success(splitter, status):
    assert splitter.classify(SUBMIT, answer({"success": True, "data": {}}, status)) is None


def test_a_429_is_believed_whatever_its_body_is(splitter):
    assert type(splitter.classify(SUBMIT, answer(HTML, 429))) is Throttled


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (200, None, None),
        (204, None, None),
        (401, LinkExpired, None),
        (403, LinkExpired, None),
        (404, LinkExpired, None),
        (410, LinkExpired, None),
        (413, TrackRefused, Code.TOO_LARGE),
        (415, TrackRefused, Code.UNSUPPORTED_FORMAT),
        (422, TrackRefused, Code.REFUSED),
        (400, TransferFailed, None),
        (429, TransferFailed, None),
        (500, TransferFailed, None),
    ],
)
@pytest.mark.parametrize("request_", [TRANSFER, PUT])
def test_an_upload_is_told_by_its_status(splitter, status, kind, code, request_):
    error = splitter.classify(request_, answer(b"<Error/>", status))

    assert (type(error) if error else None) is kind
    assert getattr(error, "code", None) is code


def test_a_405_ends_a_put_and_not_a_post(splitter):
    assert splitter.classify(TRANSFER, answer(b"", 405)) is None
    assert type(splitter.classify(PUT, answer(b"", 405))) is TransferFailed


@pytest.mark.parametrize(
    ("tree", "sentence"),
    [
        (flat("LENGTH_MISMATCH"), "The upload failed: They say so."),
        (nested("LENGTH_MISMATCH"), "The upload failed: They say so."),
        ({"error": "LENGTH_MISMATCH"}, "The upload failed: LENGTH_MISMATCH."),
        ({}, "The upload failed: status 400."),
    ],
)
def test_the_upload_workers_sentence_is_passed_on(splitter, tree, sentence):
    assert splitter.classify(TRANSFER, answer(tree, 400)).message == sentence
