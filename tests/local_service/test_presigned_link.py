from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_service import Clock

from stemline_local.files.presigned_link import LinkRefused, LinkSigner


def opened(target: str) -> tuple[str, dict[str, str]]:
    """Give the file and the query of a link, as a server sees them."""
    parts = urlsplit(target)
    return unquote(parts.path).removeprefix("/storage/"), dict(parse_qsl(parts.query))


@given(file=st.text(min_size=1), lifetime=st.integers(1, 10**6))
def test_a_link_opens_the_file_it_was_made_for(file: str, lifetime: int) -> None:
    signer = LinkSigner(b"secret", Clock(1_000.0))
    try:
        target = signer.link("GET", file, lifetime).target
    except UnicodeEncodeError:
        return  # half a surrogate pair is no file name

    name, query = opened(target)

    assert name == file
    signer.check("GET", name, query)


def test_a_link_dies_at_its_expiry() -> None:
    clock = Clock(1_000.0)
    signer = LinkSigner(b"secret", clock)
    link = signer.link("GET", "outputs/c1/vocals.mp3", 60)
    name, query = opened(link.target)
    clock.now = link.expires_at - 0.001
    signer.check("GET", name, query)
    clock.now = link.expires_at

    with pytest.raises(LinkRefused) as refused:
        signer.check("GET", name, query)

    assert refused.value.code == "AccessDenied"


@pytest.mark.parametrize(
    ("method", "name", "change", "content_type"),
    [
        ("PUT", "uploads/a/input.mp3", {}, "audio/mpeg"),
        ("GET", "uploads/b/input.mp3", {}, "audio/mpeg"),
        ("GET", "uploads/a/input.mp3", {}, "audio/wav"),
        ("GET", "uploads/a/input.mp3", {"expires": "99999999999"}, "audio/mpeg"),
        ("GET", "uploads/a/input.mp3", {"expires": "soon"}, "audio/mpeg"),
        ("GET", "uploads/a/input.mp3", {"signature": "0" * 64}, "audio/mpeg"),
        ("GET", "uploads/a/input.mp3", {"signature": "é"}, "audio/mpeg"),
        ("GET", "uploads/a/input.mp3", {"signature": ""}, "audio/mpeg"),
    ],
)
def test_a_changed_link_is_refused(method: str, name: str, change: dict[str, str], content_type: str) -> None:
    signer = LinkSigner(b"secret", Clock(1_000.0))
    _, query = opened(signer.link("GET", "uploads/a/input.mp3", 60, "audio/mpeg").target)

    with pytest.raises(LinkRefused) as refused:
        signer.check(method, name, query | change, content_type)

    assert refused.value.code == "SignatureDoesNotMatch"


def test_a_link_of_another_secret_is_refused() -> None:
    name, query = opened(LinkSigner(b"one", Clock(1_000.0)).link("GET", "outputs/c1/vocals.mp3", 60).target)

    with pytest.raises(LinkRefused):
        LinkSigner(b"two", Clock(1_000.0)).check("GET", name, query)


def test_a_link_without_its_query_is_refused() -> None:
    with pytest.raises(LinkRefused):
        LinkSigner(b"secret", Clock(1_000.0)).check("GET", "outputs/c1/vocals.mp3", {})
