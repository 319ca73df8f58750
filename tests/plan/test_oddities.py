"""What a plan finds odd in a manifest, with examples."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from stemline.plan.metadata_check import MetadataCheck
from stemline.plan.oddities import EXAMPLES, MOST_FILES, SAMPLE_BYTES, AlikeAudio, ManifestOddities
from stemline.records import Track
from stemline.settings import build_settings


def row(position, location=None, size_bytes=None, **columns):
    where = location or f"https://example.com/{position}.mp3"
    return Track(f"t{position}", where, position, size_bytes=size_bytes, columns=columns)


def odd_of(*tracks):
    check = MetadataCheck()
    check.add(tracks, {})
    return check.odd


def test_the_first_values_that_are_none_are_named_with_their_rows():
    tracks = [row(number, released_on="spring", isrc=f"none {number}") for number in range(1, 9)]

    values = odd_of(*tracks).as_tree()["values"]

    assert values["released_on"] == [{"row": n, "value": "spring"} for n in range(1, EXAMPLES + 1)]
    assert values["isrc"] == [{"row": n, "value": f"none {n}"} for n in range(1, EXAMPLES + 1)]
    assert 'row 1: "spring", row 2: "spring"' in " ".join(odd_of(*tracks).sentences())


def test_rows_with_one_isrc_are_found_however_it_is_written():
    found = odd_of(
        row(4, isrc="us-rc1-76-07839"),
        row(2, isrc="USRC17607839"),
        row(3, isrc="GBAYE6000001"),
        row(9, isrc="usrc17607839"),
    )

    assert found.as_tree()["same_isrc"] == {
        "groups": 1,
        "rows": 3,
        "examples": [{"what": "USRC17607839", "rows": [2, 4, 9]}],
    }


def test_what_is_no_isrc_is_nobodys():
    assert odd_of(row(1, isrc="n/a"), row(2, isrc="n/a"), row(3), row(4)).isrcs.find() == []


def write(path, content):
    path.write_bytes(content)
    return row(int(path.stem), str(path), len(content))


def test_files_that_look_alike_are_found_and_others_of_their_size_are_not(tmp_path):
    size = 4 * SAMPLE_BYTES
    same = bytes(range(256)) * (size // 256)
    other = same[: size // 2] + b"!" + same[size // 2 + 1 :]
    odd = odd_of(
        write(tmp_path / "1.wav", same),
        write(tmp_path / "2.wav", other),
        write(tmp_path / "3.wav", same),
        write(tmp_path / "4.wav", same[:-1]),
    )

    assert odd.as_tree()["alike_audio"]["examples"] == [{"what": "1.wav, 3.wav", "rows": [1, 3]}]
    assert "rows 1, 3 (1.wav, 3.wav)" in " ".join(odd.sentences())


def test_only_files_of_one_size_are_opened(tmp_path):
    audio = AlikeAudio()
    for number in (1, 2):
        audio.add(row(number, str(tmp_path / "not there.wav"), number))

    assert audio.find() == []


def test_one_source_under_two_ids_is_found():
    found = odd_of(row(1, "https://example.com/a.mp3"), row(2, "https://example.com/a.mp3"), row(3))

    assert found.as_tree()["alike_audio"]["examples"] == [{"what": "a.mp3", "rows": [1, 2]}]


def test_a_file_that_has_gone_meanwhile_is_like_no_other(tmp_path):
    gone = [row(n, str(tmp_path / f"{n}.wav"), 10) for n in (1, 2)]

    assert odd_of(*gone).audio.find() == []


def test_of_more_files_than_are_held_in_memory_the_first_are_compared():
    audio = AlikeAudio()
    for number in range(MOST_FILES):
        audio.add(row(number))
    audio.add(row(MOST_FILES, "https://example.com/0.mp3"))

    assert audio.find() == []


def test_columns_by_another_name_come_with_what_to_write():
    odd = ManifestOddities(columns={"isrc": "ISRC_code", "title": "Track Title"}, mapped={"uri": "File"})

    (sentence,) = odd.sentences()
    assert '"ISRC_code" like isrc' in sentence
    assert sentence.startswith("Some columns look like ones that stemline knows by another name: ")
    assert "--set catalogue.columns.isrc=ISRC_code --set 'catalogue.columns.title=Track Title'; " in sentence
    assert (
        'catalogue of the configuration: columns: {uri: File, isrc: ISRC_code, title: "Track Title"}'
        in sentence
    )


@pytest.mark.parametrize(
    "theirs", ["Catalog #", "Yes", "12", "a: b", 'Bob\'s "date"', "${HOME}", "null", " x"]
)
def test_what_is_to_be_pasted_means_the_column_whatever_it_is_called(theirs):
    odd = ManifestOddities(columns={"title": theirs}, mapped={"uri": "File"})

    (sentence,) = odd.sentences()
    flags = sentence.partition("these, add ")[2].partition("; or have this line")[0]
    line = sentence.rpartition("of the configuration: ")[2]
    tree = {"catalogue": {"manifest": "m.csv", "columns": {"uri": "File"}}, "provider": {"kind": "local"}}
    settings = build_settings({**tree, "dataset": {"url": "x"}}, Path("a.yaml"), shlex.split(flags)[1:])
    assert settings.catalogue.columns == {"uri": "File", "title": theirs}
    tree = {**tree, "catalogue": {"manifest": "m.csv", **yaml.safe_load(line)}}
    assert build_settings({**tree, "dataset": {"url": "x"}}, Path("a.yaml")).catalogue.columns == {
        "uri": "File",
        "title": theirs,
    }


def test_of_a_sound_manifest_nothing_is_said():
    odd = odd_of(row(1, isrc="USRC17607839", released_on="1976"), row(2))

    assert list(odd.sentences()) == []
    assert odd.as_tree()["values"] == {}
