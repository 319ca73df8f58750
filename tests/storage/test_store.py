"""Every store keeps the same promises: the same facts on a folder, in memory, on S3 and through fsspec."""

from __future__ import annotations

import threading
import uuid

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.errors import ConfigError, StorageError
from stemline.storage import open_store
from stemline.storage.remote_store import RemoteStore
from stemline.storage.s3_store import S3ObjectStore, s3_settings
from stemline.storage.store import checked_key

LARGE = bytes(range(256)) * (20 << 12)  # 20 MiB: three parts on S3


@pytest.fixture(params=["path", "file", "memory", "s3", "s3 through s3fs", "a remote disk"])
def store(request, tmp_path):
    """A fresh store of each kind."""
    if request.param == "path":
        return open_store(str(tmp_path / "dataset"))
    if request.param == "file":
        return open_store(f"file://{tmp_path}/dataset")
    if request.param == "memory":
        return open_store(f"memory://{uuid.uuid4().hex}/dataset")
    if request.param == "a remote disk":  # what is no object store: written aside, then renamed
        return RemoteStore(f"local://{tmp_path}/dataset", {})
    options = request.getfixturevalue("s3_server").storage_options
    url = f"s3://{request.getfixturevalue('bucket')}/a prefix/dataset"
    if request.param == "s3":
        return open_store(url, options)
    return open_store(url, {**options, "s3_additional_kwargs": {"StorageClass": "STANDARD"}})


def breaking(first: bytes):
    yield first
    raise ConnectionResetError("the far side hung up")


@pytest.mark.parametrize("data", [b"", b"few bytes", LARGE], ids=["empty", "small", "large"])
@pytest.mark.long
def test_bytes_come_back_as_they_were_put(store, data, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(data)

    store.put_bytes("a/bytes", data)
    store.put_file("a/file.flac", source)
    store.put_stream("a/stream", (data[start : start + 100_000] for start in range(0, len(data), 100_000)))

    for key in ("a/bytes", "a/file.flac", "a/stream"):
        store.fetch_file(key, tmp_path / "back")
        assert store.read_bytes(key) == (tmp_path / "back").read_bytes() == data
        assert store.size(key) == len(data)
    assert source.exists()
    assert set(store.list("a")) == {"a/bytes", "a/file.flac", "a/stream"}


@pytest.mark.parametrize(
    "key", ["by_key=C%23%20major/p.parquet", "audio/a=2Fb/vocals.flac", "ünï/cödé", "a b"]
)
def test_odd_keys_are_kept_as_they_are(store, key):
    store.put_bytes(key, b"here")

    assert list(store.list()) == [key]
    with fsspec.open(store.url(key), **store.storage_options) as file:
        assert file.read() == b"here"


def test_putting_again_replaces(store):
    store.put_bytes("key", b"old and longer")
    store.put_bytes("key", b"new")

    assert store.read_bytes("key") == b"new"


def test_a_source_that_breaks_leaves_nothing(store):
    with pytest.raises(ConnectionResetError):
        store.put_stream("torn", breaking(LARGE))

    assert not store.exists("torn")
    assert list(store.list()) == []


def test_a_source_that_breaks_leaves_the_old_object(store):
    store.put_bytes("key", b"old")
    with pytest.raises(ConnectionResetError):
        store.put_stream("key", breaking(LARGE))

    assert store.read_bytes("key") == b"old"


def test_a_reader_sees_the_old_or_the_new_object_never_a_mixture(store):
    versions = [letter * (4 << 20) for letter in (b"a", b"b")]
    store.put_bytes("key", versions[0])
    seen, done = [], threading.Event()

    def read():
        while not done.is_set():
            seen.append(store.read_bytes("key"))

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(6):
        store.put_bytes("key", versions[turn % 2])
    done.set()
    reader.join(timeout=30)

    assert seen
    assert all(data in versions for data in seen)


def test_a_missing_object_is_a_missing_file(store, tmp_path):
    assert not store.exists("nothing/here")
    for read in (store.size, store.read_bytes, lambda key: store.fetch_file(key, tmp_path / "back")):
        with pytest.raises(FileNotFoundError):
            read("nothing/here")
    assert list(store.list("nothing")) == []


@pytest.mark.parametrize("span", [(10, 20), (0, 100), (90, 150), (100, 110), (200, 210)])
def test_a_range_ends_where_the_object_does(store, span):
    data = bytes(range(100))
    store.put_bytes("a/b", data)

    assert store.read_range("a/b", *span) == data[slice(*span)]
    with pytest.raises(FileNotFoundError):
        store.read_range("a/c", *span)


def test_a_listing_tells_sizes(store):
    for size in (0, 3, 70_000):
        store.put_bytes(f"a/{size}", b"x" * size)
    assert dict(store.list_sizes("a")) == {"a/0": 0, "a/3": 3, "a/70000": 70_000}


def test_a_copy_replaces_what_is_there_and_outlives_its_source(store):
    store.put_bytes("staged/part", b"new")
    store.put_bytes("live/part", b"old one")
    for _ in range(2):  # done again after a crash
        store.copy("staged/part", "live/part")
        assert store.read_bytes("live/part") == b"new"
    store.put_bytes("staged/part", b"newer")
    assert store.read_bytes("live/part") == b"new"
    store.delete("staged/part")
    assert set(store.list()) == {"live/part"}
    with pytest.raises(FileNotFoundError):
        store.copy("staged/part", "live/part")


def test_only_one_creates(store):
    assert store.create("lock", b"a")
    assert not store.create("lock", b"b")
    assert store.read_bytes("lock") == b"a"
    store.delete_all(["lock", "no such object"])
    assert store.create("lock", b"c")
    assert set(store.list()) == {"lock"}


def test_deleting_twice_is_fine(store):
    store.put_bytes("key", b"data")
    store.delete("key")
    store.delete("key")

    assert not store.exists("key")


def test_a_good_store_passes_the_write_check_and_keeps_no_trace(store):
    store.check_writable()

    assert list(store.list()) == []


@pytest.mark.parametrize("key", ["../out", "/absolute", "a//b", "a/./b", "a/"])
def test_a_key_cannot_leave_the_dataset(store, key):
    with pytest.raises(ValueError, match="no key"):
        store.put_bytes(key, b"data")


@given(st.text(max_size=30))
def test_an_accepted_key_stays_below_the_root(key):
    try:
        checked_key(key)
    except ValueError:
        return
    assert not key.startswith("/")
    assert ".." not in key.split("/")


def test_memory_is_the_one_that_pandas_reads():
    store = open_store("memory://shared")
    store.put_bytes("object", b"seen by all")

    assert fsspec.filesystem("memory").cat("/shared/object") == b"seen by all"


KEYS = {"key": "k", "secret": "s"}


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("nonsense://place", {}, "nonsense://place cannot be opened"),
        ("", {}, "empty"),
        ("s3://", KEYS, "names no bucket"),
        ("s3://bucket/../x", KEYS, r"s3://bucket/\.\./x cannot be opened"),
        (
            "s3://bucket/x",
            {**KEYS, "endpoint_url": "localhost:9000"},
            "'localhost:9000' of the dataset is no URL",
        ),
        ("s3://bucket/x", {"key": "k"}, "SecretAccessKey"),
        ("s3://bucket/x", {"profile": "nobody"}, "nobody"),
        ("gs://bucket/x", {}, "gcsfs"),
    ],
)
def test_what_cannot_be_opened_is_a_config_error_with_the_reason(url, options, words):
    with pytest.raises(ConfigError, match=words):
        open_store(url, options)


def test_memory_itself_is_a_root():
    store = open_store("memory://")
    store.put_bytes("top", b"x")

    assert store.url("top") == "memory://top"
    assert fsspec.filesystem("memory").cat("/top") == b"x"
    store.delete("top")


class TestS3:
    def test_bytes_flow_through_obstore(self, s3_server):
        assert isinstance(open_store("s3://bucket/x", s3_server.storage_options), S3ObjectStore)

    @pytest.mark.parametrize(("size", "parts"), [(1_000_000, 1), (9 << 20, 2)])
    def test_a_stream_is_one_request_where_one_will_do(self, s3_server, bucket, s3_client, size, parts):
        store = open_store(f"s3://{bucket}", s3_server.storage_options)

        store.put_stream("stream", (bytes(50_000) for _ in range(-(-size // 50_000))))

        etag = s3_client.head_object(Bucket=bucket, Key="stream")["ETag"].strip('"')
        assert etag.partition("-")[2] == ("" if parts == 1 else str(parts))  # parts are counted there

    def test_an_upload_that_breaks_leaves_no_parts(self, s3_server, bucket, s3_client):
        store = open_store(f"s3://{bucket}", s3_server.storage_options)

        with pytest.raises(ConnectionResetError):
            store.put_stream("torn", breaking(LARGE))

        assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=bucket)

    def test_an_option_obstore_lacks_goes_through_s3fs(self, s3_server):
        options = {**s3_server.storage_options, "s3_additional_kwargs": {"ServerSideEncryption": "AES256"}}

        assert isinstance(open_store("s3://bucket/x", options), RemoteStore)

    @pytest.mark.parametrize(
        ("options", "settings"),
        [
            (
                {"key": "k", "secret": "s"},
                {"access_key_id": "k", "secret_access_key": "s", "region": "us-east-1"},
            ),
            ({"anon": True}, {"skip_signature": True, "region": "us-east-1"}),
            (
                {
                    "key": "k",
                    "secret": "s",
                    "token": "t",
                    "anon": False,
                    "client_kwargs": {"region_name": "auto"},
                },
                {"access_key_id": "k", "secret_access_key": "s", "session_token": "t", "region": "auto"},
            ),
            (
                {
                    "anon": True,
                    "endpoint_url": "http://here",
                    "default_block_size": 5,
                    "use_listings_cache": False,
                },
                {"skip_signature": True, "endpoint": "http://here", "region": "us-east-1"},
            ),
            (
                {
                    "anon": True,
                    "config_kwargs": {"signature_version": "s3v4", "s3": {"addressing_style": "path"}},
                },
                {"skip_signature": True, "region": "us-east-1"},
            ),
            ({"anon": True, "config_kwargs": {"retries": 3}}, None),
        ],
    )
    def test_s3fs_options_become_obstore_settings(self, options, settings, monkeypatch):
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)

        assert s3_settings(options) == settings

    def test_credentials_come_from_the_aws_files_too(self, s3_server, bucket, tmp_path, monkeypatch):
        credentials = tmp_path / "credentials"
        credentials.write_text(
            f"[music]\naws_access_key_id = {s3_server.key}\naws_secret_access_key = {s3_server.secret}\n"
        )
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))

        store = open_store(f"s3://{bucket}/x", {"profile": "music", "endpoint_url": s3_server.endpoint_url})

        store.check_writable()

    def test_no_credentials_anywhere_say_so(self, tmp_path, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

        with pytest.raises(StorageError, match="No AWS credentials"):
            open_store("s3://bucket/x")


def test_a_folder_without_objects_is_pruned_and_may_be_written_to_at_that_moment(store):
    store.put_bytes("a/kept/one", b"y")

    def chunks():
        yield b"1"
        store.prune("a/fresh")
        yield b"2"

    store.put_stream("a/fresh/two", chunks())
    store.prune("a")
    assert {key: store.read_bytes(key) for key in store.list("a")} == {
        "a/kept/one": b"y",
        "a/fresh/two": b"12",
    }
