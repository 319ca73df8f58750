"""What an error says."""

from __future__ import annotations

import httpx
import pytest

from stemline.client.transport import _broken_off
from stemline.dispatcher.poller import _reason
from stemline.errors import KeyRefused
from stemline.protocol import HttpRequest


@pytest.mark.parametrize("message", ["The key is refused: status 401", "The key is refused: status 401."])
def test_one_full_stop_stands_between_a_sentence_and_its_fix(message):
    assert str(KeyRefused(message, fix="Check it.")) == "The key is refused: status 401. Check it."


def test_one_full_stop_ends_what_broke_off():
    said = _broken_off(HttpRequest("GET", "/balance"), httpx.ReadError("It was closed by its owner."))
    assert str(said) == "GET /balance broke off: It was closed by its owner."


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/srv/svc/sources/c1/input.flac cannot be decoded", "input.flac cannot be decoded"),
        ("see https://vendor.test/help/audio.html", "see https://vendor.test/help/audio.html"),
        ("", "no reason given"),
    ],
)
def test_why_a_job_failed_names_a_file_without_the_folders_of_the_service(said, shown):
    assert _reason(said) == shown
