"""The kind of a location is found without opening it."""

from __future__ import annotations

import pytest

from stemline.errors import TrackRefused
from stemline.manifest import LocationKind, location_kind
from stemline.records import Code

KINDS = {
    "/music/a.mp3": LocationKind.FILE,
    "a b/ünï.flac": LocationKind.FILE,
    "../a.mp3": LocationKind.FILE,
    "a.mp3": LocationKind.FILE,
    "s3/a.mp3": LocationKind.FILE,
    "weird:name.mp3": LocationKind.FILE,
    "file:///music/a.mp3": LocationKind.FILE,
    "s3://bucket/a.mp3": LocationKind.STORE,
    "gs://bucket/a.mp3": LocationKind.STORE,
    "az://bucket/a.mp3": LocationKind.STORE,
    "memory://a.mp3": LocationKind.STORE,
    "simplecache::s3://bucket/a.mp3": LocationKind.STORE,
    "https://host/a.mp3?sig=x%20y": LocationKind.HTTP,
    "HTTP://host:8080/a": LocationKind.HTTP,
    "https://notyoutube.com/watch?v=x": LocationKind.HTTP,
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ": LocationKind.YOUTUBE,
    "https://music.youtube.com/watch?v=x": LocationKind.YOUTUBE,
    "https://youtu.be/x": LocationKind.YOUTUBE,
}


@pytest.mark.parametrize("location", KINDS)
def test_the_kind_is_found(location):
    assert location_kind(location) is KINDS[location]


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
        location_kind(location)

    assert caught.value.code is Code.BAD_LOCATION
    assert caught.value.fix
