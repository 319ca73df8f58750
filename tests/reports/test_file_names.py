"""Every file is found under its name, and one odd name costs only its own row."""

from __future__ import annotations

import hashlib
import os
import socket
import unicodedata
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import fsspec
import pytest

from stemline.errors import ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.passed_over import passed_over_sentence
from stemline.manifest.scan import scan_manifest
from stemline.records import Code, Reject, Track


def scan(manifest: object, **options: object) -> tuple[list[Track], list[Reject], Counter[str]]:
    batches = list(scan_manifest(ManifestSource(str(manifest), **options)))
    return (
        [track for batch in batches for track in batch.tracks],
        [reject for batch in batches for reject in batch.rejects],
        sum((batch.passed_over for batch in batches), Counter()),
    )


def names(rows: list[Track], root: Path) -> list[str]:
    return [row.location.removeprefix(f"{root}/") for row in rows]


@pytest.fixture
def music(tmp_path):
    (tmp_path / "music").mkdir()
    (tmp_path / "music/good.wav").write_bytes(b"x")
    return tmp_path / "music"


ODD_NAMES = [
    b"P\xe9n\xe9lope.wav",
    b"\xff.wav",
    b"a\x80b.flac",
    b"\xc3.mp3",
    b"latin \xfcber.ogg",
    b"\xed\xa0\x80.wav",
    b"\xf0\x9f\x8e.wav",
    b"shift \x83\x8a.m4a",
    b"two\nlines.wav",
    b"tab\t.wav",
    b"bell\x07.wav",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_one_odd_file_name_costs_only_its_own_row(music, name):
    """beetbox/beets#5648, #2267: one name that is not UTF-8 stopped a whole library."""
    Path(os.fsdecode(os.fsencode(music) + b"/" + name)).write_bytes(b"x")

    tracks, rejects, _ = scan(music)

    assert names(tracks, music) == ["good.wav"]
    assert len(rejects) == 1
    assert rejects[0].code in {Code.BAD_ROW, Code.BAD_LOCATION}
    rejects[0].sentence.encode()


def test_the_name_is_shown_escaped(music):
    """beetbox/beets#5648: whoever has to rename the file must be able to find it."""
    Path(os.fsdecode(os.fsencode(music) + b"/P\xe9n\xe9lope.wav")).write_bytes(b"x")

    _, rejects, _ = scan(music)

    assert r"/P\xe9n\xe9lope.wav" in rejects[0].sentence
    assert rejects[0].sentence.endswith("Rename the file.")


def test_a_folder_whose_name_is_not_utf_8_costs_only_its_own_files(music):
    """beetbox/beets#2267."""
    folder = Path(os.fsdecode(os.fsencode(music) + b"/M\xfcnchen"))
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"x")

    tracks, rejects, _ = scan(music)

    assert (names(tracks, music), len(rejects)) == (["good.wav"], 1)


PLAIN_NAMES = [
    "a::b.wav",
    "100%.wav",
    "a%20b.wav",
    "what?.wav",
    "[live] take *.wav",
    "#1.wav",
    "ünïcode.wav",
    unicodedata.normalize("NFD", "é.wav"),
    "a,b;c.wav",
    'quote".wav',
    "it's.wav",
    " leading.wav",
    "-dash.wav",
    "back\\slash.wav",
    "\N{GUITAR}.wav",
    "http:.wav",
]


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_listed_name_is_taken_as_the_disk_has_it(music, name):
    """No name of a file is a pattern, a URL or an encoding."""
    (music / name).write_bytes(b"x")

    tracks, rejects, _ = scan(music)

    assert sorted(names(tracks, music)) == sorted(["good.wav", name])
    assert not rejects


@pytest.mark.parametrize("name", ["a::b", "100%", "[live]", "what? *", "#1", "ünïcode", "it's", "x=1"])
def test_a_folder_may_have_any_name(tmp_path, name):
    """No name of a folder is a pattern, a URL or a partition."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.wav").write_bytes(b"x")

    assert names(scan(tmp_path / name)[0], tmp_path) == [f"{name}/a.wav"]


@pytest.mark.parametrize(
    "suffix",
    [
        "mp2",
        "MP2",
        "m4b",
        "caf",
        "aifc",
        "w64",
        "au",
        "spx",
        "ac3",
        "3gp",
        "wave",
        "bwf",
        "dsf",
        "tta",
        "mpga",
        "m4r",
        "oga",
    ],
)
def test_every_kind_of_audio_that_the_probe_reads_is_listed(music, suffix):
    """Audiobooks, loops and broadcast recordings were passed over without a word."""
    (music / f"a.{suffix}").write_bytes(b"x")

    assert sorted(names(scan(music)[0], music)) == sorted(["good.wav", f"a.{suffix}"])


def test_what_is_passed_over_is_counted_by_kind(music):
    """A listing that leaves something out says so."""
    for name in ("cover.jpg", "back.JPG", "notes.txt", "README", ".hidden.wav", "._good.wav"):
        (music / name).write_bytes(b"x")

    tracks, _, passed_over = scan(music)

    assert len(tracks) == 1
    assert passed_over == {".jpg": 2, "hidden": 2, ".txt": 1, "others": 1}
    assert passed_over_sentence(passed_over) == (
        "6 files were passed over, no audio by the name: 2 .jpg, 2 hidden, 1 .txt, 1 other"
    )


def test_a_folder_without_audio_says_what_it_has_instead(tmp_path):
    """The mistake is seen at once: the folder of the artwork."""
    (tmp_path / "a.jpg").write_bytes(b"x")

    with pytest.raises(ManifestError, match=r"holds no audio files \(1 file was passed over.*1 \.jpg"):
        scan(tmp_path)


def test_linked_folders_and_files_are_followed_and_circles_end(music, tmp_path):
    """Libraries on several disks are put together with links."""
    (tmp_path / "disk/album").mkdir(parents=True)
    (tmp_path / "disk/album/b.wav").write_bytes(b"xy")
    (tmp_path / "c.wav").write_bytes(b"xyz")
    (music / "linked").symlink_to(tmp_path / "disk")
    (music / "again").symlink_to(tmp_path / "disk")
    (music / "up").symlink_to(music)
    (music / "c.wav").symlink_to(tmp_path / "c.wav")

    tracks, rejects, _ = scan(music)

    assert sorted(name.rpartition("/")[2] for name in names(tracks, music)) == ["b.wav", "c.wav", "good.wav"]
    assert sorted(track.size_bytes or 0 for track in tracks) == [1, 2, 3]
    assert not rejects


def test_a_broken_link_is_rejected_with_where_it_leads(music):
    """It is a file somebody believes to have."""
    (music / "gone.wav").symlink_to("/nowhere/gone.wav")

    tracks, rejects, _ = scan(music)

    assert len(tracks) == 1
    assert [reject.code for reject in rejects] == [Code.MISSING_FILE]
    assert '"/nowhere/gone.wav"' in rejects[0].sentence


@pytest.mark.parametrize("how", ["listed", "named"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "circle"])
def test_what_is_no_regular_file_is_rejected_and_never_opened(music, kind, how, monkeypatch):
    """A FIFO would be waited for until somebody writes into it."""
    monkeypatch.chdir(music)
    if kind == "pipe":
        os.mkfifo("a.wav")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("a.wav")
    else:
        Path("a.wav").symlink_to("a.wav")
    (music.parent / "m.csv").write_text("path\nmusic/a.wav\nmusic/good.wav\n")

    tracks, rejects, _ = scan(music if how == "listed" else music.parent / "m.csv")

    assert names(tracks, music) == ["good.wav"]
    assert [reject.code for reject in rejects] == [
        Code.MISSING_FILE if kind == "circle" else Code.BAD_LOCATION
    ]


ACCENTS = [
    "é.wav",
    "Björk/Jóga.wav",
    "ガ.wav",
    "한국.wav",
    "Ångström/Å.wav",
    "ñ/é/ü.wav",
    "Dvořák 9.wav",
    "ệ.wav",
]


@pytest.mark.parametrize("asked", ["NFC", "NFD"])
@pytest.mark.parametrize("there", ["NFC", "NFD", "mixed"])
@pytest.mark.parametrize("name", ACCENTS)
@pytest.mark.long
def test_a_path_is_found_whichever_way_its_accents_are_written(tmp_path, name, there, asked):
    """quodlibet/quodlibet#1760: macOS writes names decomposed, manifests are composed."""
    parts = [
        unicodedata.normalize(there if there != "mixed" else ("NFD", "NFC")[place % 2], part)
        for place, part in enumerate(name.split("/"))
    ]
    path = tmp_path.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    (tmp_path / "m.csv").write_text(f"path\n{unicodedata.normalize(asked, name)}\n")

    tracks, rejects, _ = scan(tmp_path / "m.csv")

    assert [track.location for track in tracks] == [str(path)]
    assert not rejects


def test_of_two_spellings_on_the_disk_the_one_that_was_written_is_meant(tmp_path):
    """quodlibet/quodlibet#1760: both may be there."""
    for form, size in (("NFC", 1), ("NFD", 2)):
        (tmp_path / unicodedata.normalize(form, "é.wav")).write_bytes(b"x" * size)
    rows = "\n".join(unicodedata.normalize(form, "é.wav") for form in ("NFC", "NFD"))
    (tmp_path / "m.csv").write_text(f"path\n{rows}\n")

    tracks, _, _ = scan(tmp_path / "m.csv")

    assert [track.size_bytes for track in tracks] == [1, 2]


URIS = {
    "three slashes": lambda path: f"file://{quote(path)}",
    "one slash": lambda path: f"file:{quote(path)}",
    "localhost": lambda path: f"file://localhost{quote(path)}",
    "loud": lambda path: f"FILE://{quote(path)}",
    "not encoded": lambda path: f"file://{path}",
    "everything encoded": lambda path: (
        "file://" + "".join(f"%{byte:02x}" for byte in path.encode()).replace("%2f", "/")
    ),
    "decomposed": lambda path: f"file://{quote(unicodedata.normalize('NFD', path))}",
    "a path, encoded": quote,
    "a path": lambda path: path,
}


@pytest.mark.parametrize(
    "name", ["a.wav", "a b.wav", "é ü.wav", "50%.wav", "a#b.wav", "a?b.wav", "a+b.wav", "a%20b.wav"]
)
@pytest.mark.parametrize("case", URIS)
@pytest.mark.long
def test_a_file_uri_names_the_file_it_encodes(tmp_path, case, name):
    """RFC 8089 and RFC 3986 2.1: players export percent-encoded URIs, scripts forget to encode them."""
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "m.csv").write_text(f"path\n{URIS[case](f'{tmp_path}/{name}')}\n")

    tracks, rejects, _ = scan(tmp_path / "m.csv")

    assert [track.location for track in tracks] == [f"{tmp_path}/{name}"], rejects


def test_an_encoded_name_means_the_decoded_file_and_a_written_one_itself(tmp_path):
    """Both files may be there; a URI is encoded and a path is not."""
    (tmp_path / "a b.wav").write_bytes(b"x")
    (tmp_path / "a%20b.wav").write_bytes(b"xy")
    (tmp_path / "m.csv").write_text(f"path,track_id\nfile://{tmp_path}/a%20b.wav,1\n{tmp_path}/a%20b.wav,2\n")

    assert [track.size_bytes for track in scan(tmp_path / "m.csv")[0]] == [1, 2]


def test_a_file_of_another_machine_is_refused(tmp_path):
    """RFC 8089: a host in a file: URI is a host."""
    (tmp_path / "m.csv").write_text("path\nfile://nas/music/a.wav\n")

    _, rejects, _ = scan(tmp_path / "m.csv")

    assert [(reject.code, '"nas"' in reject.sentence) for reject in rejects] == [(Code.BAD_LOCATION, True)]


def test_an_encoded_name_that_is_not_utf_8_is_rejected_alone(tmp_path):
    """beetbox/beets#2267, by way of a URI."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/P\xe9.wav")).write_bytes(b"x")
    (tmp_path / "m.csv").write_text(f"path\nfile://{tmp_path}/P%E9.wav\n")

    _, rejects, _ = scan(tmp_path / "m.csv")

    assert [reject.code for reject in rejects] == [Code.BAD_LOCATION]
    assert r"P\xe9.wav" in rejects[0].sentence


def test_a_name_with_control_characters_behind_an_encoded_uri_costs_its_own_row(music):
    """What a URI encodes is what the file is called: it is looked at as a written name is."""
    (music / "two\nlines.wav").write_bytes(b"x")
    (music / "m.csv").write_text(f"path\nfile://{music}/two%0Alines.wav\ngood.wav\n")

    tracks, rejects, _ = scan(music / "m.csv")

    assert names(tracks, music) == ["good.wav"]
    assert [reject.code for reject in rejects] == [Code.BAD_LOCATION]
    assert r"two\nlines.wav" in rejects[0].sentence
    assert "Rename the file" in rejects[0].sentence


@pytest.mark.parametrize("scheme", ["HTTP", "Https", "S3", "GS"])
def test_a_scheme_may_be_written_in_any_case(tmp_path, scheme):
    """RFC 3986, 3.1; the track keeps the id that its row as written has."""
    (tmp_path / "m.csv").write_text(f"path\n{scheme}://Host.example/A::B.wav\n")

    tracks, rejects, _ = scan(tmp_path / "m.csv")

    assert [track.location for track in tracks] == [f"{scheme.lower()}://Host.example/A::B.wav"], rejects
    digest = hashlib.sha256(f"{scheme}://Host.example/A::B.wav".encode()).hexdigest()
    assert tracks[0].track_id == f"t-{digest[:16]}"


LOOK_ALIKES = [
    ("it's.wav", "it\u2019s.wav"),
    ("a \u2013 b.wav", "a - b.wav"),
    ("a b.wav", "a\N{NO-BREAK SPACE}b.wav"),
    ("Song.wav", "song.WAV"),
    ("a b.wav", "a  b.wav"),
    ('"x".wav', "“x”.wav"),
    ("ﬁne.wav", "fine.wav"),
    ("\uff11.wav", "1.wav"),
    ("a\u2010b.wav", "a-b.wav"),
    ("STRASSE.wav", "straße.wav"),
]


@pytest.mark.parametrize(("there", "asked"), LOOK_ALIKES)
def test_a_name_that_only_looks_alike_is_named_and_not_taken(tmp_path, there, asked):
    """It may be another recording: nothing is paid on a guess."""
    (tmp_path / there).write_bytes(b"x")
    (tmp_path / "m.tsv").write_text(f"path\n{asked}\n".replace('"', '""'))

    tracks, rejects, _ = scan(tmp_path / "m.tsv")

    assert not tracks
    assert [reject.code for reject in rejects] == [Code.MISSING_FILE]
    assert f'"{there}", which looks much the same' in rejects[0].sentence


def test_a_windows_path_is_found(tmp_path):
    """Manifests from Windows have backslashes."""
    (tmp_path / "music/album").mkdir(parents=True)
    (tmp_path / "music/album/a.wav").write_bytes(b"x")
    (tmp_path / "m.csv").write_text("path\nmusic\\album\\a.wav\n")

    assert [track.location for track in scan(tmp_path / "m.csv")[0]] == [f"{tmp_path}/music/album/a.wav"]


KEYS = [
    "in//b.wav",
    "in///b.wav",
    "in/a//b.wav",
    "in/./b.wav",
    "in/ b.wav",
    "in/é.wav",
    "in/a+b.wav",
    "in/%20.wav",
    "in/a?b.wav",
]
KEYS += ["in/[x]*.wav", "in/#1.wav", "in/a&b<c>.wav"]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_below_a_prefix_is_listed_as_it_is(s3_server, s3_client, bucket, key):
    """fsspec/s3fs#770: keys with two slashes are lost where a listing goes folder by folder."""
    for each in ("in/a.wav", key, "in/cover.jpg", "other/c.wav", "in/folder/"):
        s3_client.put_object(Bucket=bucket, Key=each, Body=b"" if each.endswith("/") else b"12345")

    tracks, rejects, passed_over = scan(f"s3://{bucket}/in/", storage_options=s3_server.storage_options)

    assert sorted(track.location for track in tracks) == sorted(
        [f"s3://{bucket}/in/a.wav", f"s3://{bucket}/{key}"]
    )
    assert {track.size_bytes for track in tracks} == {5}
    assert (rejects, passed_over) == ([], {".jpg": 1})


def test_of_a_bucket_the_datasets_are_passed_over(s3_server, s3_client, bucket):
    within = ("_stemline/layout.json", "audio/00/a/vocals.wav", "tracks/part-1.parquet")
    keys = [
        "in/a.wav",
        "in/z/b.wav",
        "in/stems2.wav",
        *(f"in/{name}/{key}" for name in ("stems", "z/s") for key in within),
    ]
    for key in keys:
        s3_client.put_object(Bucket=bucket, Key=key, Body=b"12345")
    options = {"storage_options": s3_server.storage_options}

    tracks, _, passed_over = scan(f"s3://{bucket}/in", **options)

    found = sorted(track.location.rpartition("/in/")[2] for track in tracks)
    assert (found, passed_over) == (["a.wav", "stems2.wav", "z/b.wav"], {"datasets": 2})
    with pytest.raises(ManifestError, match="holds a dataset of stems"):
        scan(f"s3://{bucket}/in/stems", **options)


@pytest.mark.parametrize("is_link", [False, True])
def test_of_a_folder_the_datasets_are_passed_over(music, tmp_path, is_link):
    dataset = (tmp_path if is_link else music) / "stems"
    for key in ("_stemline/quarantine/x.wav", "audio/00/a/vocals.wav"):
        (dataset / key).parent.mkdir(parents=True)
        (dataset / key).write_bytes(b"x")
    if is_link:
        (music / "link").symlink_to(dataset)

    tracks, _, passed_over = scan(music)

    assert (len(tracks), passed_over) == (1, {"datasets": 1})
    assert passed_over_sentence(passed_over) == "a dataset of stems in there was passed over"
    with pytest.raises(ManifestError, match="holds a dataset of stems"):
        scan(dataset)


def test_of_a_store_that_is_gone_through_by_folders_the_datasets_are_passed_over():
    store = fsspec.filesystem("memory")
    for key in ("a.wav", "stems/_stemline/layout.json", "stems/audio/v.wav", "z/b.wav"):
        store.pipe(f"/listed/{key}", b"12345")

    tracks, _, passed_over = scan("memory://listed")

    found = sorted(track.location.rpartition("listed/")[2] for track in tracks)
    assert (found, passed_over) == (["a.wav", "z/b.wav"], {"datasets": 1})


@pytest.mark.long
def test_a_prefix_is_listed_flat_a_page_at_a_time(s3_server, s3_client, bucket, monkeypatch):
    """fsspec/s3fs#770: one request for a thousand keys, whatever folders these seem to lie in."""
    import s3fs  # noqa: PLC0415 - only to count what goes over the wire

    for number in range(1_010):
        s3_client.put_object(Bucket=bucket, Key=f"in/{number}/a.wav", Body=b"x")
    asked: list[str] = []
    call = s3fs.S3FileSystem._call_s3

    async def counted(self: object, method: str, *args: object, **kwargs: object) -> object:
        asked.append(method)
        return await call(self, method, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)

    assert len(scan(f"s3://{bucket}/in", storage_options=s3_server.storage_options)[0]) == 1_010
    assert len(asked) <= 10
