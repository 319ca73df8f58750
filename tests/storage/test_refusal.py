"""A place that cannot be written says so in one sentence, and shows nothing torn."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stemline.errors import StorageError
from stemline.storage import open_store
from stemline.storage.store import storage_error


@pytest.fixture
def small_disk(tmp_path):
    """A real file system with room for one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = subprocess.run(
        ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mount.returncode:
        pytest.skip(f"mounting is not allowed here: {mount.stderr.strip()}")
    yield disk
    subprocess.run(["/bin/umount", str(disk)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing(small_disk):
    store = open_store(str(small_disk))
    store.put_bytes("before", b"kept")

    with pytest.raises(StorageError, match=f"disk that holds {small_disk}.* is full.*Free some space"):
        store.put_bytes("large", b"x" * (2 << 20))

    assert list(store.list()) == ["before"]
    assert not any((small_disk / "_stemline/tmp").iterdir())
    store.put_bytes("small", b"the space is free again")


def test_a_full_disk_for_a_file_is_named(small_disk, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x" * (2 << 20))

    with pytest.raises(StorageError, match="is full"):
        open_store(str(small_disk)).put_file("large", source)


def test_what_cannot_be_read_is_named_as_that():
    with pytest.raises(
        StorageError, match=r"cannot be read: Input/output error\. Check the path and the rights there"
    ):
        open_store("/proc/self").read_bytes("mem")


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StorageError, match=f"{tmp_path}/taken"):
        open_store(str(tmp_path / "taken")).check_writable()


def test_a_folder_without_the_right_to_write_is_named():
    with pytest.raises(StorageError, match=r"/proc/stemline.*cannot be written"):
        open_store("/proc/stemline").check_writable()


def test_a_missing_bucket_is_named(s3_server):
    with pytest.raises(StorageError, match=r"bucket of s3://no-such-bucket/x does not exist.*Create it"):
        open_store("s3://no-such-bucket/x", s3_server.storage_options).check_writable()


@pytest.mark.parametrize(
    "more", [{}, {"s3_additional_kwargs": {"StorageClass": "STANDARD"}}], ids=["obstore", "s3fs"]
)
def test_wrong_credentials_are_named_and_kept_secret(s3_server, bucket, more):
    options = {**s3_server.storage_options, "key": "AKIAIOSFODNN7EXAMPLE", "secret": "a-wrong-secret", **more}

    with pytest.raises(StorageError, match=rf"Access to s3://{bucket}/x was refused") as caught:
        open_store(f"s3://{bucket}/x", options).check_writable()

    assert "a-wrong-secret" not in str(caught.value)


def test_an_endpoint_where_nobody_answers_is_named():
    options = {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}

    with pytest.raises(StorageError, match=r"Nothing answers for s3://bucket/x\..*endpoint_url"):
        open_store("s3://bucket/x", options).check_writable()


XML = (
    'Generic S3 error: 503: <?xml version="1.0"?>\n<Error><Code>SlowDown</Code>'
    "<Message>Please reduce your request rate.</Message><RequestId>A1</RequestId></Error>"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
        (PermissionError("403 Forbidden"), "refused"),
        (RuntimeError("Received redirect without LOCATION"), "another region"),
        (RuntimeError("odd\nsecond line"), "could not be used: odd."),
        (RuntimeError(XML), "could not be used: Please reduce your request rate."),
        (RuntimeError("<html><body>Gateway  <b>busy</b></body></html>"), "could not be used: Gateway"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_every_refusal_is_one_sentence_with_the_place(error, words):
    refusal = storage_error("s3://bucket/x", error)

    assert words in refusal.message
    assert "s3://bucket/x" in refusal.message
    assert "<" not in refusal.message, "nobody reads XML"
    assert "\n" not in str(refusal)


WRITER = """
import sys, time
from stemline.storage import open_store

def slowly():
    yield b"first half"
    print("writing", flush=True)
    time.sleep(60)
    yield b"second half"

open_store(sys.argv[1]).put_stream("object", slowly())
"""


def test_a_killed_writer_leaves_no_object_and_its_leftover_is_swept_a_day_later(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"writing\n"
    writer.kill()
    writer.communicate(timeout=30)
    store = open_store(str(tmp_path))
    (leftover,) = (tmp_path / "_stemline/tmp").iterdir()

    assert list(store.list()) == []
    store.check_writable()
    assert leftover.exists()  # it might belong to a writer at work
    os.utime(leftover, (0, time.time() - 25 * 3600))
    store.check_writable()
    assert not leftover.exists()


def test_writers_that_try_one_folder_at_once_do_not_meet(tmp_path):
    store = open_store(str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            list(pool.map(lambda _: store.check_writable(), range(16)))
    assert list(store.list()) == []
