"""What `doctor` says of the provider's clock: how far it is off, that it cannot be told, or that nobody answers."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from stemline.client import Access
from stemline.doctor import _check_clock
from stemline.errors import StemlineError


@pytest.fixture(params=["Sun, 29 Nov 2026 23:19:40 GMT", "yesterday", None])
def dated(request):
    """A server whose answers have this date, or none."""

    class Dated(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response_only(404)
            if request.param:
                self.send_header("Date", request.param)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Dated) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield Access(f"http://127.0.0.1:{server.server_port}", "key", {}), request.param
        server.shutdown()


def test_the_date_of_an_answer_is_held_against_this_clock(dated, monkeypatch):
    access, date = dated
    monkeypatch.setattr("stemline.doctor.time.time", lambda: 1_795_994_383.0)

    said = _check_clock(access)

    if date and date[0] == "S":
        assert said == "This clock and the provider's are 3 s apart."
    else:
        assert said.startswith("The provider's answers have no date")


def test_a_clock_that_is_off_is_to_be_set(dated, monkeypatch):
    access, date = dated
    monkeypatch.setattr("stemline.doctor.time.time", lambda: 1_795_994_380.0 + 3_600)
    if date and date[0] == "S":
        with pytest.raises(StemlineError, match=r"This clock is \+3600 s off") as refused:
            _check_clock(access)
        assert refused.value.fix == "Set it, for example with NTP."


def test_nobody_there_is_said_in_our_words(free_port):
    with pytest.raises(StemlineError, match="nothing listens there") as refused:
        _check_clock(Access(f"http://127.0.0.1:{free_port}", "key", {}))
    assert refused.value.fix
    assert "Errno" not in refused.value.message
