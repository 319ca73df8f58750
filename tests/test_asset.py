"""The keys of assets: URLs that Prefect takes, without what opens them."""

from __future__ import annotations

import pytest
from prefect.assets import Asset

from tasks.asset import asset_key


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("s3://bucket/stems", "s3://bucket/stems"),
        ("s3://id:secret@bucket/stems?versionId=1#x", "s3://bucket/stems"),
        ("/srv/my stems", "file:///srv/my_stems"),
        ("file:///srv/stems", "file:///srv/stems"),
        ("gs://bucket/{a}", "gs://bucket/_a_"),
    ],
)
def test_an_asset_goes_by_its_url_without_credentials(url, key):
    assert asset_key(url) == key
    assert Asset(key=key).key == key


def test_a_url_that_is_too_long_for_a_key_is_no_asset():
    assert asset_key(f"s3://bucket/{'x' * 512}") is None
