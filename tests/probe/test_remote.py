"""Remote audio is probed through small ranges, and a store that fails is not taken for a broken file."""

from __future__ import annotations

import fsspec
import pytest

from stemline.errors import AudioRejected
from stemline.probe.audio_file import RangeFile
from stemline.probe.probing import probe
from stemline.records import Code

HEADED = ("a.wav", "a.flac", "a.ogg", "a.opus", "a.mp3", "variable.mp3", "a.m4a", "a.mka", "a.aiff")


class TestWeb:
    @pytest.mark.parametrize("name", HEADED)
    def test_ranges_give_the_same_facts_as_the_file(self, music, web, name):
        assert probe(f"{web.url}/{name}?sig=1") == probe(str(music / name))
        assert web.sent_bytes <= 5 * 65_536
        assert all(web.requests)

    @pytest.mark.parametrize("name", ["bare.mp3", "a.aac"])
    def test_a_length_that_must_be_counted_reads_everything(self, music, web, name):
        assert probe(f"{web.url}/{name}") == probe(str(music / name))

    @pytest.mark.parametrize("name", [*HEADED, "bare.mp3"])
    def test_a_server_without_ranges_will_do(self, music, web, name):
        web.has_ranges = False

        assert probe(f"{web.url}/{name}") == probe(str(music / name))

    def test_404_is_a_missing_file(self, web):
        with pytest.raises(AudioRejected) as caught:
            probe(f"{web.url}/none.mp3")
        assert caught.value.code is Code.MISSING_FILE

    @pytest.mark.parametrize("status", [403, 500])
    def test_refusals_are_the_servers_and_not_the_files(self, web, status):
        web.status = status

        with pytest.raises(AudioRejected, match=str(status)) as caught:
            probe(f"{web.url}/a.mp3")
        assert caught.value.code is Code.SOURCE_UNREACHABLE

    def test_nobody_there(self):
        with pytest.raises(AudioRejected) as caught:
            probe("http://127.0.0.1:9/a.mp3")
        assert caught.value.code is Code.SOURCE_UNREACHABLE

    @pytest.mark.parametrize("name", ["a.ogg", "a.m4a", "bare.mp3"])
    def test_a_server_that_stops_answering_is_not_a_broken_file(self, web, name):
        class StopsLater(list):
            def append(self, asked):
                super().append(asked)
                web.status = 200 if len(self) < 2 else 503

        web.requests = StopsLater()

        with pytest.raises(AudioRejected) as caught:
            probe(f"{web.url}/{name}")
        assert caught.value.code is Code.SOURCE_UNREACHABLE


class TestS3:
    @pytest.fixture
    def prefix(self, s3_server, bucket, music):
        s3 = fsspec.filesystem("s3", **s3_server.storage_options)
        s3.pipe({f"{bucket}/x y/{name}": (music / name).read_bytes() for name in (*HEADED, "bare.mp3")})
        s3.pipe(f"{bucket}/x y/empty.mp3", b"")
        return f"s3://{bucket}/x y"

    def test_objects_give_the_same_facts_as_files(self, s3_server, prefix, music):
        for name in (*HEADED, "bare.mp3"):
            facts = probe(f"{prefix}/{name}", storage_options=s3_server.storage_options)
            assert facts == probe(str(music / name))

    @pytest.mark.parametrize(
        ("name", "code"), [("none.mp3", Code.MISSING_FILE), ("empty.mp3", Code.EMPTY_FILE)]
    )
    def test_missing_and_empty_objects_are_named(self, s3_server, prefix, name, code):
        with pytest.raises(AudioRejected) as caught:
            probe(f"{prefix}/{name}", storage_options=s3_server.storage_options)
        assert caught.value.code is code

    def test_wrong_credentials_are_not_a_broken_file(self, s3_server, prefix):
        with pytest.raises(AudioRejected) as caught:
            probe(f"{prefix}/a.mp3", storage_options={**s3_server.storage_options, "secret": "wrong"})
        assert caught.value.code is Code.SOURCE_UNREACHABLE


class TestRangeFile:
    def test_reads_are_the_bytes_of_the_file_wherever_they_start(self):
        data = bytes(range(256)) * 5
        file = RangeFile(lambda start, end: data[start:end], len(data), 100)

        for place in (0, 99, 100, 101, 1250, 1279, 1280, 2000):
            for size in (1, 100, 250, -1):
                file.seek(place)
                assert file.read(size) == (data[place:] if size < 0 else data[place : place + size])
        assert file.seek(-3, 2) == len(data) - 3
        assert file.read() == data[-3:]

    def test_a_block_is_fetched_once_while_it_is_kept(self):
        fetched = []

        def fetch(start, end):
            fetched.append(start)
            return bytes(end - start)

        file = RangeFile(fetch, 10_000, 100, first_block=bytes(100))
        for _ in range(3):
            file.seek(0)
            file.read(300)

        assert fetched == [100, 200]
