"""Locations are told apart without opening them."""

from __future__ import annotations

import pytest

from stemline.errors import TrackRefused
from stemline.manifest import Kind, kind_of
from stemline.records import Code

KINDS = {
    "/music/a.mp3": Kind.FILE,
    "a b/ünï.flac": Kind.FILE,
    "../a.mp3": Kind.FILE,
    "a.mp3": Kind.FILE,
    "s3/a.mp3": Kind.FILE,
    "weird:name.mp3": Kind.FILE,
    "file:///music/a.mp3": Kind.FILE,
    "s3://bucket/a.mp3": Kind.STORE,
    "gs://bucket/a.mp3": Kind.STORE,
    "az://bucket/a.mp3": Kind.STORE,
    "memory://a.mp3": Kind.STORE,
    "simplecache::s3://bucket/a.mp3": Kind.STORE,
    "https://host/a.mp3?sig=x%20y": Kind.HTTP,
    "HTTP://host:8080/a": Kind.HTTP,
    "https://notyoutube.com/watch?v=x": Kind.HTTP,
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ": Kind.YOUTUBE,
    "https://music.youtube.com/watch?v=x": Kind.YOUTUBE,
    "https://youtu.be/x": Kind.YOUTUBE,
}


@pytest.mark.parametrize("location", KINDS)
def test_the_kind_is_told(location):
    assert kind_of(location) is KINDS[location]


@pytest.mark.parametrize(
    "location",
    [
        *("ftp//x", "http:/host/a.mp3", "s3:/bucket/a", "s3//bucket/a", "https//host/a.mp3"),
        *("song", "", "nosuch://x", "http://", "https:///a.mp3", "https://[::1/a.mp3"),
        *("www.host.com/a.mp3", "a\x00.mp3", "a\nb.mp3", "tab\t.mp3"),
    ],
)
def test_garbage_is_a_bad_location_with_the_fix(location):
    with pytest.raises(TrackRefused) as caught:
        kind_of(location)

    assert caught.value.code is Code.BAD_LOCATION
    assert caught.value.fix
