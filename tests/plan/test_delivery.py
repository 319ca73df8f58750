"""Which tracks are uploaded, and which the provider fetches by itself."""

from __future__ import annotations

import pytest

from stemline.plan.delivery import SourceDelivery


@pytest.mark.parametrize(
    ("location", "send", "is_upload"),
    [
        ("/music/a.wav", "auto", True),
        ("/music/a.wav", "url", True),
        ("https://x.example/a.mp3", "upload", False),
        ("https://youtu.be/dQw4w9WgXcQ", "auto", False),
        ("memory://music/a.wav", "auto", True),
    ],
)
def test_a_location_says_it_itself(catalogue, location, send, is_upload):
    assert SourceDelivery(catalogue.settings(f"catalogue.send={send}")).is_upload(location) is is_upload


@pytest.mark.parametrize(("send", "is_upload"), [("auto", True), ("url", False), ("upload", True)])
def test_objects_of_a_store_on_loopback_go_by_link_only_when_forced(
    catalogue, s3_server, bucket, send, is_upload
):
    options = {"catalogue": {"storage_options": s3_server.storage_options, "send": send}}
    settings = catalogue.settings()
    settings = settings.model_copy(
        update={"catalogue": settings.catalogue.model_copy(update=options["catalogue"])}
    )

    assert SourceDelivery(settings).is_upload(f"s3://{bucket}/a.flac") is is_upload


def test_objects_the_vendor_can_reach_are_not_uploaded(catalogue):
    options = {"key": "somebody", "secret": "something"}
    settings = catalogue.settings()
    settings = settings.model_copy(
        update={"catalogue": settings.catalogue.model_copy(update={"storage_options": options})}
    )

    assert not SourceDelivery(settings).is_upload("s3://bucket/a.flac")
