"""What a configuration holds that is secret is in no text that its redactor has seen."""

from __future__ import annotations

import json
import traceback

import pytest

from stemline.errors import KeyRefused
from stemline.settings import Settings
from stemline.settings.redactor import RedactedError, redactor_of

SETTINGS = Settings.model_validate(
    {
        "name": "night",
        "catalogue": {
            "manifest": "https://me:man-pass@host/m.csv?token=man-token",
            "storage_options": {"key": "AKIAEXAMPLE", "secret": "cat-secret"},
        },
        "provider": {"kind": "stemsplit", "api_key": "sk_live_1"},
        "dataset": {
            "url": "s3://bucket/stems",
            "storage_options": {"client_kwargs": {"headers": {"Authorization": "hdr-secret"}}, "anon": "no"},
        },
        "ledger": {"url": "postgresql://me:led%2Fpass@host/db"},
        "webhooks": {"public_url": "https://h", "secret": "hook-secret"},
    }
)
REDACT = redactor_of(
    SETTINGS, ["sk_own_key"], {"AWS_SECRET_ACCESS_KEY": "env-secret", "PATH": "/usr/bin/env"}
)


@pytest.mark.parametrize(
    "secret",
    [
        "sk_live_1",
        "sk_own_key",
        "AKIAEXAMPLE",
        "cat-secret",
        "hdr-secret",
        "led%2Fpass",
        "led/pass",
        "hook-secret",
        "man-pass",
        "man-token",
        "env-secret",
    ],
)
def test_a_secret_is_replaced_wherever_it_stands(secret):
    text = f"before({secret})after, x{secret}"

    assert secret not in REDACT(text)
    assert secret not in json.dumps(REDACT.tree({"rows": [{"text": text}], "count": 1}))


def test_what_has_a_secrets_form_is_hidden_whoever_gave_it():
    text = "see postgresql://u:other@h/d and https://h/a.flac?X-Amz-Signature=abc&x=1, Bearer abcdefgh1"

    assert (
        REDACT(text) == "see postgresql://u:***@h/d and https://h/a.flac?X-Amz-Signature=***&x=1, Bearer ***"
    )


def test_what_is_not_secret_stays():
    text = "night: 3 tracks of s3://bucket/stems, no key in /usr/bin/env"

    assert REDACT(text) == text


def test_an_error_that_holds_no_secret_is_given_as_it_is():
    error = ValueError("plain")

    assert REDACT.error(error) is error


def test_an_error_of_ours_keeps_its_class_and_loses_the_secret_in_it_and_in_its_cause():
    secret = "sk_live_1"
    error = KeyRefused(f"The key {secret} is refused.", fix=f"Replace {secret}.")
    error.__cause__ = ValueError(secret)

    told = REDACT.error(error)

    assert isinstance(told, KeyRefused)
    assert str(told) == "The key *** is refused. Replace ***."
    assert secret not in "".join(traceback.format_exception(told))


def test_an_unexpected_error_becomes_its_traceback_without_the_secret():
    secret = "sk_live_1"
    told = REDACT.error(KeyError(secret))

    assert isinstance(told, RedactedError)
    assert str(told) == "KeyError: '***'"
    assert secret not in "".join(traceback.format_exception(told))
