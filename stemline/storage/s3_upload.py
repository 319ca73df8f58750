"""Uploads in several parts that were begun and not ended, which obstore does not list: asked for through botocore."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from botocore.config import Config  # type: ignore[import-untyped]  # botocore ships no types
from botocore.session import Session  # type: ignore[import-untyped]

from stemline.storage.store import OpenUpload

_NAMES = {
    "key": "aws_access_key_id",
    "username": "aws_access_key_id",
    "secret": "aws_secret_access_key",
    "password": "aws_secret_access_key",
    "token": "aws_session_token",
    "region": "region_name",
}
_TAKEN = frozenset(
    {"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region_name", "endpoint_url"}
)
_GONE = "NoSuchUpload"


def open_uploads(root_url: str, options: Mapping[str, Any]) -> list[OpenUpload]:
    """Give the open uploads below an `s3://` URL, a thousand with each request."""
    bucket, prefix = _place(root_url)
    found = []
    with _client(options) as client:
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for each in page.get("Uploads", ()):
                if each["Key"].startswith(prefix):
                    key = each["Key"].removeprefix(prefix)
                    found.append(OpenUpload(key, each["UploadId"], each["Initiated"]))
    return found


def abort_upload(root_url: str, options: Mapping[str, Any], upload: OpenUpload) -> None:
    """Give up an upload; one that is over is no error."""
    bucket, prefix = _place(root_url)
    with _client(options) as client:
        try:
            client.abort_multipart_upload(
                Bucket=bucket, Key=f"{prefix}{upload.key}", UploadId=upload.upload_id
            )
        except client.exceptions.ClientError as error:
            if error.response["Error"].get("Code") != _GONE:
                raise


def _place(root_url: str) -> tuple[str, str]:
    bucket, _, prefix = root_url.partition("://")[2].partition("/")
    return bucket, f"{prefix}/" if prefix else ""


@contextmanager
def _client(options: Mapping[str, Any]) -> Iterator[Any]:
    """Give a client for options as s3fs spells them."""
    given = {**options, **options.get("client_kwargs", {})}
    named = {_NAMES.get(name, name): value for name, value in given.items() if value is not None}
    session = Session(profile=named.get("profile"))
    settings = {name: named[name] for name in _TAKEN & named.keys()}
    settings.setdefault("region_name", session.get_config_variable("region") or "us-east-1")
    style = (
        Config(signature_version="s3v4", s3={"addressing_style": "path"})
        if named.get("endpoint_url")
        else None
    )
    with closing(session.create_client("s3", config=style, **settings)) as client:
        yield client
