"""What stands in tags becomes what a table can have."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from stemline.probe.probing import probe
from stemline.probe.tag_text import clean_text, read_isrc, written_day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2004", "2004"),
        ("2004-05", "2004-05"),
        ("20040512", "2004-05-12"),
        ("2004-05-12", "2004-05-12"),
        ("2004/05/12", "2004-05-12"),
        ("2004.05.12", "2004-05-12"),
        ("2004-05-12T07:00:00Z", "2004-05-12"),
        ("2004-05-12 10:00", "2004-05-12"),
        ("2004-00-00", "2004"),
        ("2004-05-00", "2004-05"),
        ("05/12/2004", "05/12/2004"),
        ("spring 2004", "spring 2004"),
        ("200405", "200405"),
        ("", ""),
    ],
)
def test_a_day_is_written_as_iso_8601_does(text, day):
    assert written_day(text) == day


@pytest.mark.parametrize(
    ("text", "isrc"),
    [
        ("GBAYE0601498", "GBAYE0601498"),
        ("GB-AYE-06-01498", "GB-AYE-06-01498"),
        ("GBAYE0601498;USUM71703861", "GBAYE0601498"),
        ("Universal:isrc:USUM71703861", "USUM71703861"),
        ("none", "none"),
    ],
)
def test_of_several_isrcs_the_first_counts(text, isrc):
    assert read_isrc(text) == isrc


@given(st.text())
def test_text_of_a_tag_can_be_shown_on_one_line(text):
    found = clean_text(text)
    assert found.isprintable()
    assert found == found.strip()


def frame(name: bytes, text: bytes, encoding: int) -> bytes:
    """Give a text frame of ID3v2.3: its encoding and its bytes."""
    body = bytes([encoding]) + text
    return name + struct.pack(">IH", len(body), 0) + body


def id3(*frames: bytes) -> bytes:
    """Give an ID3v2.3 tag."""
    size = len(body := b"".join(frames))
    return b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + body


@pytest.fixture(scope="module")
def mp3(tmp_path_factory):
    path = tmp_path_factory.mktemp("tags") / "plain.mp3"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 44_100), 44_100, format="MP3")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("frames", "tags"),
    [
        ([frame(b"TIT2", "Jóga".encode("latin-1"), 0)], {"title": "Jóga"}),
        ([frame(b"TIT2", "\ufeffЁж".encode("utf-16-le"), 1)], {"title": "Ёж"}),
        ([frame(b"TIT2", b"\xff\xfe", 1)], {}),
        ([frame(b"TIT2", b"", 0), frame(b"TPE1", b"   ", 0)], {}),
        ([frame(b"TIT2", b"One\x00Two\x00", 0)], {"title": "One"}),
        ([frame(b"TIT2", b"A\x01\x02B\nC", 0)], {"title": "AB C"}),
        ([frame(b"TYER", b"2004", 0), frame(b"TDAT", b"1205", 0)], {"released_on": "2004-05-12"}),
        ([frame(b"TYER", b"2004", 0)], {"released_on": "2004"}),
        ([frame(b"TSRC", b"GBAYE0601498", 0), frame(b"TALB", b"X", 9)], {"isrc": "GBAYE0601498"}),
    ],
)
def test_tags_of_odd_encodings_are_read(mp3, tmp_path, frames, tags):
    (tmp_path / "a.mp3").write_bytes(id3(*frames) + mp3)

    found = probe(str(tmp_path / "a.mp3"), with_tags=True)
    assert dict(found.tags) == tags
    assert found.duration_seconds == pytest.approx(1.0, abs=0.1)


def test_the_comments_of_a_flac_are_read(tmp_path):
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", 44_100, 1) as file:
        file.title, file.artist, file.date = "Jóga", "Björk", "19970922"
        file.write(np.random.default_rng(1).normal(0, 0.1, 44_100))

    assert dict(probe(str(path), with_tags=True).tags) == {
        "title": "Jóga",
        "artist": "Björk",
        "released_on": "1997-09-22",
    }


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("Pénélope".encode("latin-1"), "Pénélope"),
        ("Björk … Jóga".encode("cp1252"), "Björk … Jóga"),
        ("Björk".encode(), "Björk"),
        ("Sigur Rós, Ágætis byrjun".encode()[:-1], "Sigur Rós, Ágætis byrju"),
        ("日本語".encode()[:-1], "日本"),
        ("Caf\u00e9".encode("latin-1"), "Café"),
    ],
)
def test_tags_that_are_no_utf_8_keep_their_letters(raw, text):
    assert clean_text(raw.decode("utf-8", "surrogateescape")) == text


def test_the_letters_of_id3v1_tags_are_kept(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, np.zeros(44_100), 44_100)
    fields = b"".join(text.encode("latin-1").ljust(30, b"\0") for text in ("Pénélope", "Björk", "Début"))
    with path.open("ab") as file:
        file.write(b"TAG" + fields + b"1993" + bytes(31))
    tags = probe(str(path), with_tags=True).tags
    assert (tags["title"], tags["artist"], tags["album"]) == ("Pénélope", "Björk", "Début")


def test_the_letters_of_riff_tags_are_kept(tmp_path):
    """They have no encoding of their own, and what most programs wrote is what Windows had."""
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(44_100), 44_100)
    name = "Pénélope".encode("latin-1")
    info = b"INFOINAM" + struct.pack("<I", len(name)) + name
    whole = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    path.write_bytes(whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:])
    assert probe(str(path), with_tags=True).tags["title"] == "Pénélope"
