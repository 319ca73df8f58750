"""What other libraries say, in our words: raised by the libraries themselves where that takes a moment."""

from __future__ import annotations

import socket
import sqlite3

import av
import httpx
import pytest

from stemline.library_words import in_our_words, reason_of


def raised(action) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the library raises
        action()
    return caught.value


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_socket_an_http_client_and_a_decoder_say_what_a_person_can_act_on(tmp_path, closed_port):
    (tmp_path / "a.mp3").write_bytes(b"nonsense" * 500)
    (tmp_path / "l.db").write_bytes(b"nonsense" * 500)

    def query() -> None:
        sqlite3.connect(tmp_path / "l.db").execute("SELECT 1 FROM t")

    told = [
        reason_of(raised(lambda: socket.create_connection(("127.0.0.1", closed_port)))),
        reason_of(raised(lambda: httpx.get(f"http://127.0.0.1:{closed_port}"))),
        reason_of(raised(lambda: socket.getaddrinfo("no-such-host.invalid", 80))),
        reason_of(raised(lambda: av.open(str(tmp_path / "a.mp3")))),
        reason_of(raised(query)),
    ]

    assert told[0] == told[1] == "nothing listens there (is it up, and is the port right?)"
    assert told[2] == "no host of that name is found (is it spelt right, and is there a network?)"
    assert told[3] == "its data is damaged, or of no form that is known"
    assert told[4] == "the file is no SQLite database"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            "All connection attempts failed",
            "nothing answers there (is it up, and is the address right?)",
        ),
        (
            'Could not connect to the endpoint URL: "http://s3.local:9000/b"',
            "nothing answers at http://s3.local:9000/b",
        ),
        ("(sqlite3.OperationalError) database is locked", "another program holds it locked"),
        ("the key has expired", "the key has expired"),
    ],
)
def test_known_words_are_ours_and_others_stay(theirs, ours):
    assert in_our_words(theirs) == ours


def test_the_xml_of_a_store_is_its_message():
    xml = (
        '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>'
    )

    assert reason_of(OSError(xml)) == "Please reduce your rate"
