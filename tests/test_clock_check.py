"""What `doctor` says of the provider's clock: how far it is off, that it cannot be told, or that nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from stemline.client import Access
from stemline.doctor import _check_clock
from stemline.errors import StemlineError

DATE = "Sun, 29 Nov 2026 23:19:40 GMT"
SECONDS = 1_795_994_380.0
"""The same instant, as this machine's clock has it."""


@contextmanager
def dated(date: str | None) -> Iterator[Access]:
    """Serve answers with this date, or without any."""

    class Dated(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response_only(404)
            if date:
                self.send_header("Date", date)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Dated) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield Access(f"http://127.0.0.1:{server.server_port}", "key", {})
        finally:
            server.shutdown()


def test_the_date_of_an_answer_is_held_against_this_clock(monkeypatch):
    monkeypatch.setattr("stemline.doctor.time.time", lambda: SECONDS + 3)
    with dated(DATE) as access:
        assert _check_clock(access) == "This clock and the provider's are 3 s apart."


@pytest.mark.parametrize("date", ["yesterday", None])
def test_without_a_readable_date_nothing_is_held_against_it(date):
    with dated(date) as access:
        assert _check_clock(access).startswith("The provider's answers have no date")


def test_a_clock_that_is_off_is_to_be_set(monkeypatch):
    monkeypatch.setattr("stemline.doctor.time.time", lambda: SECONDS + 3_600)
    with dated(DATE) as access, pytest.raises(StemlineError, match=r"This clock is \+3600 s off") as refused:
        _check_clock(access)
    assert refused.value.fix == "Set it, for example with NTP."


def test_nobody_there_is_said_in_our_words(free_port):
    with pytest.raises(StemlineError, match="nothing listens there") as refused:
        _check_clock(Access(f"http://127.0.0.1:{free_port}", "key", {}))
    assert refused.value.fix
    assert "Errno" not in refused.value.message
