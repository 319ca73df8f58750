"""The same check on an S3 server: listed flat, with uploads that nobody ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stemline.integrity import verification
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
    store.put_bytes(night.paths["a"], b"quiet")
    store.delete(night.paths["b"])
    store.put_bytes("audio/stray.flac", b"")
    for key in ("stems/audio/ab/x.flac", "elsewhere/x.flac"):
        s3_client.create_multipart_upload(Bucket=bucket, Key=key)
    assert night.told() == {
        "missing": [night.paths["b"]],
        "altered": [night.paths["a"]],
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
