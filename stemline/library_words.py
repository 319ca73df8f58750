"""What other libraries say went wrong, in words that a person can act on; what is not known here stays as it is."""

from __future__ import annotations

import re

LONGEST = 200
_XML_MESSAGE = re.compile(r"<Message>(?P<message>[^<]+)</Message>")
"""How S3 and what speaks like it say what is wrong."""
_MARKUP = re.compile(r"<\?xml.*?\?>|</?[A-Za-z][^<>]*>", re.DOTALL)
_NUMBERED = re.compile(r"\[Errno -?\d+\] ?|^\(\w+\.\w+\) |\[SQL: .*", re.DOTALL)
"""What numbers a system's error, and what names a class or a query around a database's."""

PHRASES: tuple[tuple[str, str], ...] = (
    # the way to a host: sockets, httpx, aiohttp, botocore
    (
        r"Name or service not known|nodename nor servname.*|Temporary failure in name resolution|getaddrinfo failed",
        "no host of that name is found (is it spelt right, and is there a network?)",
    ),
    (r"All connection attempts failed", "nothing answers there (is it up, and is the address right?)"),
    (r"Connection refused", "nothing listens there (is it up, and is the port right?)"),
    (r"Network is unreachable|No route to host", "no network leads there"),
    (r"Connection reset by peer|Broken pipe", "the other side broke the connection"),
    (r"Server disconnected without sending a response", "it closed the connection without an answer"),
    (
        r"peer closed connection without sending complete message body.*",
        "the connection ended before everything had come",
    ),
    (
        r"\[SSL: CERTIFICATE_VERIFY_FAILED\].*|certificate verify failed.*",
        "its certificate is not one that this machine trusts",
    ),
    (r"\b(?:Connect|Read|Write|Pool)Timeout\b", "it did not answer in time"),
    (r'Could not connect to the endpoint URL: "(?P<url>[^"]*)"', r"nothing answers at \g<url>"),
    (
        r"Unable to locate credentials|NoCredentialsError",
        "there are no credentials for it (set them in the environment, or in storage_options)",
    ),
    # audio: FFmpeg, libsndfile
    (r"Invalid data found when processing input", "its data is damaged, or of no form that is known"),
    (r"Format not recognised\.?", "it is of no audio format that is known"),
    # the ledger of one machine
    (r"database is locked", "another program holds it locked"),
    (r"database disk image is malformed", "the database file is damaged"),
    (r"file is not a database", "the file is no SQLite database"),
    (r"unable to open database file", "the database file cannot be opened"),
    (r"attempt to write a readonly database", "the database file may not be written"),
    (r"disk I/O error", "the disk does not read or write it"),
    (r"database or disk is full", "the disk is full"),
)
"""A library's words, as a pattern, and ours."""
_KNOWN = tuple((re.compile(theirs), ours) for theirs, ours in PHRASES)


def in_our_words(text: str) -> str:
    """Give a library's sentence with the words that are known in ours."""
    told = _NUMBERED.sub("", text).strip()
    for theirs, ours in _KNOWN:
        told = theirs.sub(ours, told)
    return told or text


def reason_of(error: BaseException) -> str:
    """Give what another library says went wrong in a few words: no XML, no lines behind the first, no full stop."""
    text = (getattr(error, "strerror", None) or str(error) or "").strip()
    xml = _XML_MESSAGE.search(text)
    text = xml["message"] if xml else _MARKUP.sub(" ", text)
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    told = in_our_words(first)
    shortened = told if len(told) <= LONGEST else told[: LONGEST - 1].rsplit(" ", 1)[0] + " …"
    return shortened.rstrip(".:; ")
