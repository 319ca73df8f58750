"""Paths as Windows writes them find the file where it can be told which one is meant, and say what to do elsewhere."""

from __future__ import annotations

import fsspec
import pytest

from stemline.errors import ManifestError
from stemline.manifest import ManifestSource
from stemline.manifest.scan import scan_manifest
from stemline.manifest.windows_path import is_windows_path
from stemline.records import Code


@pytest.fixture
def scan(tmp_path):
    def scan_rows(*locations, **options):
        (tmp_path / "m.csv").write_text("\n".join(["uri", *(f'"{each}"' for each in locations)]))
        (batch,) = scan_manifest(ManifestSource(str(tmp_path / "m.csv"), **options))
        return [track.location for track in batch.tracks], list(batch.rejects)

    return scan_rows


@pytest.fixture
def music(tmp_path):
    (tmp_path / "Music/Album").mkdir(parents=True)
    file = tmp_path / "Music/Album/a.flac"
    file.write_bytes(b"audio")
    return file


@pytest.mark.parametrize("written", [r"Music\Album\a.flac", r".\Music\Album\a.flac", r"Music/Album\a.flac"])
def test_a_relative_path_finds_the_file_with_slashes(scan, music, written):
    (found,), rejects = scan(written)

    assert music.samefile(found)
    assert not rejects


@pytest.mark.parametrize(
    "written",
    [
        r"C:\Music\Album\a.flac",
        "C:/Music/Album/a.flac",
        r"d:\my files\Music\Album\a.flac",
        r"\\server\share\Music\Album\a.flac",
        r"\\server\Music\Album\a.flac",
    ],
)
@pytest.mark.usefixtures("music")
def test_an_absolute_path_names_the_file_that_lies_beside_the_manifest(scan, written):
    found, (reject,) = scan(written)

    assert not found
    assert reject.code is Code.BAD_LOCATION
    assert reject.location == written
    assert "is a path of a Windows machine, and this is none" in reject.sentence
    assert 'The file is here as "Music/Album/a.flac": write that.' in reject.sentence


@pytest.mark.parametrize("written", [r"C:\Other\b.flac", r"\\server\share\b.flac", "file:///C:/Other/b.flac"])
@pytest.mark.usefixtures("music")
def test_an_absolute_path_that_is_nowhere_here_says_what_to_do(scan, written):
    _, (reject,) = scan(written)

    assert reject.code is Code.BAD_LOCATION
    assert "Copy or mount the files here" in reject.sentence


def test_a_file_of_this_machine_may_be_called_like_one_of_windows(scan, tmp_path):
    (tmp_path / r"C:\a.flac").write_bytes(b"audio")
    (tmp_path / "D:").mkdir()
    (tmp_path / "D:/b.flac").write_bytes(b"audio")

    found, rejects = scan(r"C:\a.flac", "D:/b.flac")
    assert not rejects
    assert found == [str(tmp_path / r"C:\a.flac"), str(tmp_path / "D:/b.flac")]


def test_a_manifest_in_a_store_refuses_a_path_of_windows_at_once():
    fsspec.filesystem("memory").pipe("/windows/m.csv", b"uri\nC:\\Music\\a.flac\nb.flac\n")
    (batch,) = scan_manifest(ManifestSource("memory://windows/m.csv"))

    assert [track.location for track in batch.tracks] == ["memory:///windows/b.flac"]
    assert [reject.code for reject in batch.rejects] == [Code.BAD_LOCATION]


@pytest.mark.parametrize(
    "manifest", [r"C:\Music\m.csv", r"\\server\share\m.csv", "C:/Music", r"c:\m.parquet"]
)
def test_a_manifest_or_a_root_of_windows_says_so(scan, manifest):
    with pytest.raises(ManifestError, match=r"path of a Windows machine: write in catalogue\.manifest"):
        list(scan_manifest(ManifestSource(manifest)))
    with pytest.raises(ManifestError, match="no folder of this machine"):
        scan("https://h/a.mp3", root=manifest)


@pytest.mark.parametrize(
    "text", ["c://host/a", "s3://b/a", "C:a.flac", "a/b", "/C:/a", r"a\b", "", "C", r"\a"]
)
def test_other_text_is_no_path_of_windows(text):
    assert not is_windows_path(text)
