"""Objects of a store, handed over by presigned link."""

from __future__ import annotations

import httpx
import pytest

from stemline.link import presigned_link


@pytest.fixture
def song(s3_client, bucket):
    s3_client.put_object(Bucket=bucket, Key="a b.mp3", Body=b"sound")
    return f"s3://{bucket}/a b.mp3"


def test_a_link_gives_the_object_without_credentials(song, s3_server):
    link = presigned_link(song, s3_server.storage_options, is_forced=True)

    assert httpx.get(link).content == b"sound"
    assert httpx.get(link.split("?")[0]).status_code == 403


def test_a_link_that_no_vendor_can_reach_is_none(song, s3_server):
    assert presigned_link(song, s3_server.storage_options, is_forced=False) is None


def test_a_public_store_is_linked_to():
    options = {"key": "AKIAEXAMPLE", "secret": "secret", "client_kwargs": {"region_name": "eu-west-1"}}
    link = presigned_link("s3://music/a.mp3", options, is_forced=False)
    assert link.startswith("https://")
    assert "Signature" in link
    assert "secret" not in link


def test_a_store_that_makes_no_links_is_none():
    assert presigned_link("memory://music/a.mp3", {}, is_forced=True) is None
