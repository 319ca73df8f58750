"""The same check on an S3 server: listed flat, with uploads that nobody ended, and releases read."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from stemline.integrity import verification
from stemline.release.record import Release, ReleaseFile, write_release
from stemline.storage import open_store


@pytest.mark.xdist_group("s3")
@pytest.mark.long
def test_a_dataset_on_s3_is_checked_and_open_uploads_are_told(
    night, s3_server, s3_client, bucket, monkeypatch
):
    url = f"s3://{bucket}/stems"
    night.publish("a", "b")
    store = open_store(url, s3_server.storage_options)
    for key in night.store.list():
        store.put_bytes(key, night.store.read_bytes(key))
    night.store = store
    assert night.told() == {}
    whole, cut, gone = (
        ReleaseFile(f"tracks/part-{number:04}.parquet", 5, hashlib.sha256(b"songs").hexdigest(), 2)
        for number in (1, 2, 3)
    )
    write_release(
        store, Release("v1", verification.utc_now(), (whole, cut, gone), {"snapshot": {"parts": []}})
    )
    store.put_bytes(f"releases/v1/{whole.path}", b"songs")
    store.put_bytes(f"releases/v1/{cut.path}", b"SONGS")
    store.put_bytes(night.paths["a"], b"quiet")
    store.delete(night.paths["b"])
    store.put_bytes("audio/stray.flac", b"")
    for key in ("stems/audio/ab/x.flac", "elsewhere/x.flac"):
        s3_client.create_multipart_upload(Bucket=bucket, Key=key)
    assert night.told() == {
        "missing": [night.paths["b"], f"releases/v1/{gone.path}"],
        "altered": [night.paths["a"], f"releases/v1/{cut.path}"],
        "extra": ["audio/stray.flac"],
    }
    assert night.check().leftovers == ()  # a run may be at it
    monkeypatch.setattr(verification, "OLD", timedelta(days=-1))
    (upload,) = night.check().leftovers
    assert (upload.path, upload.what) == ("audio/ab/x.flac", "upload")
    (begun,) = store.open_uploads()
    assert (begun.key, begun.upload_id) == (upload.path, upload.upload_id)
    for _ in range(2):
        store.abort_upload(begun)
    assert list(store.open_uploads()) == []
