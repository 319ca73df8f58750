"""A dataset on S3 or a store that speaks it, through obstore.

Options are spelled as s3fs spells them, so that the same `storage_options` serve pandas and everything else.
"""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import obstore
from botocore.session import Session  # type: ignore[import-untyped]  # botocore ships no types
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from stemline.errors import ConfigError, StorageError
from stemline.storage.s3_upload import abort_upload, open_uploads
from stemline.storage.store import (
    CHUNK_BYTES,
    TEMPORARY_PREFIX,
    ChunkSource,
    OpenUpload,
    Store,
    checked_key,
    guarded,
    guarded_read,
    is_past_the_end,
)

# Two parts of 8 MiB in flight move as fast as obstore's default of twelve, in half the memory.
_PART_BYTES = 8 << 20
_PARTS_IN_FLIGHT = 2
_CREDENTIALS_TTL = timedelta(minutes=10)

_ENDPOINT = re.compile(r"https?://[^/\s]+")
_USUAL_STYLE = {"signature_version": "s3v4", "s3": {"addressing_style": "path"}}
_NAMES = {
    "key": "access_key_id",
    "username": "access_key_id",
    "secret": "secret_access_key",
    "password": "secret_access_key",
    "token": "session_token",
    "endpoint_url": "endpoint",
    "region": "region",
    "region_name": "region",
    "anon": "skip_signature",
    "requester_pays": "request_payer",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
# How s3fs reads and caches, which says nothing about where the bytes go.
_IRRELEVANT = frozenset(
    {
        "default_block_size",
        "default_fill_cache",
        "default_cache_type",
        "version_aware",
        "max_concurrency",
        "fixed_upload_size",
        "use_listings_cache",
        "listings_expiry_time",
        "skip_instance_cache",
        "asynchronous",
        "use_ssl",
    }
)


def s3_settings(options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give obstore's settings for s3fs-style options; None when one of them has no counterpart.

    Credentials that are not in the options come from the AWS chain: environment, profile, SSO, instance role.

    Raises:
        StorageError: there are none.
    """
    flat = {**options, **options.get("client_kwargs", {})}
    profile = flat.pop("profile", None)
    flat.pop("client_kwargs", None)
    known = {name: value for name, value in flat.items() if name not in _IRRELEVANT and value is not None}
    style = known.pop("config_kwargs", {})
    if any(_USUAL_STYLE.get(name) != value for name, value in style.items()) or not set(known) <= set(_NAMES):
        return None
    settings = {_NAMES[name]: value for name, value in known.items() if value is not False}
    session = Session(profile=profile)
    settings.setdefault("region", session.get_config_variable("region") or "us-east-1")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        settings.setdefault("endpoint", endpoint)
    if "endpoint" in settings and not _ENDPOINT.match(settings["endpoint"]):  # obstore panics over it
        raise ConfigError(
            f"The endpoint_url {settings['endpoint']!r} of the dataset is no URL.",
            fix="Begin it with http:// or https://.",
        )
    if "access_key_id" not in settings and "skip_signature" not in settings:
        settings["credential_provider"] = _aws_chain(session)
    return settings


def _aws_chain(session: Session) -> Callable[[], dict[str, Any]]:
    """Give obstore the credentials botocore finds; botocore renews those that expire."""
    credentials = session.get_credentials()
    if credentials is None:
        raise StorageError(
            "No AWS credentials were found for the dataset.",
            fix="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or key and secret in storage_options.",
        )

    def current() -> dict[str, Any]:
        frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_TTL,
        }

    return current


class S3ObjectStore(Store):
    """Objects below a bucket's prefix."""

    def __init__(self, url: str, storage_options: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Take the URL, the options as given and `s3_settings` of them."""
        super().__init__(url, storage_options)
        bucket, _, prefix = self.root_url.partition("://")[2].partition("/")
        if not bucket:
            raise ConfigError(f"dataset.url {url} names no bucket.", fix="Write s3://bucket/folder.")
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={"allow_http": True, "timeout": "120s", "connect_timeout": "10s"},
            retry_config={"max_retries": 6, "retry_timeout": timedelta(minutes=3)},
            **settings,
        )

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object."""
        with guarded(self.root_url):
            obstore.put(self._store, checked_key(key), data, attributes=_attributes(key))

    def put_file(self, key: str, local_path: Path) -> None:
        """Write an object from a local file, which stays where it is."""
        self._put(key, local_path, None)

    def put_stream(self, key: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Write an object chunk by chunk; an exception of `chunks` passes through and nothing is written."""
        source = ChunkSource(chunks)
        with guarded(self.root_url, source):
            body = _body(iter(source))
        self._put(key, body, source)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        try:
            self.size(key)
        except FileNotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        """Give the size of an object in bytes."""
        with guarded_read(self.root_url, self.url(key)):
            return obstore.head(self._store, checked_key(key))["size"]

    def written_at(self, key: str) -> datetime:
        """Give when an object was written."""
        with guarded_read(self.root_url, self.url(key)):
            return obstore.head(self._store, checked_key(key))["last_modified"]

    def read_bytes(self, key: str) -> bytes:
        """Give a whole object."""
        with guarded_read(self.root_url, self.url(key)):
            return bytes(obstore.get(self._store, checked_key(key)).bytes())

    def read_range(self, key: str, start: int, stop: int) -> bytes:
        """Give an object's bytes from `start` to before `stop`; fewer where it ends earlier."""
        with guarded_read(self.root_url, self.url(key)):
            try:
                return bytes(obstore.get_range(self._store, checked_key(key), start=start, end=stop))
            except BaseError as error:
                if not is_past_the_end(error):
                    raise
        return b""

    def fetch_file(self, key: str, local_path: Path) -> None:
        """Copy an object to a local file in bounded memory."""
        with guarded_read(self.root_url, self.url(key), "copied"), local_path.open("wb") as file:
            for chunk in obstore.get(self._store, checked_key(key)).stream(min_chunk_size=CHUNK_BYTES):
                file.write(chunk)

    def list(self, prefix: str = "") -> Iterator[str]:
        """Give the keys below a folder."""
        return (key for key, _ in self.list_sizes(prefix))

    def list_sizes(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Give the keys below a folder with their sizes."""
        with guarded(self.root_url):
            for page in obstore.list(self._store, checked_key(prefix) or None):
                for entry in page:
                    if not entry["path"].startswith(f"{TEMPORARY_PREFIX}/"):
                        yield entry["path"], entry["size"]

    def copy(self, source: str, target: str) -> None:
        """Write an object over `target` from another one; the far side moves the bytes."""
        with guarded_read(self.root_url, self.url(source), "copied"):
            obstore.copy(self._store, checked_key(source), checked_key(target))

    def create(self, key: str, data: bytes) -> bool:
        """Write a small object unless there is one; tell whether there was none."""
        with guarded(self.root_url):
            try:
                obstore.put(self._store, checked_key(key), data, attributes=_attributes(key), mode="create")
            except AlreadyExistsError:
                return False
        return True

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        with guarded(self.root_url):
            obstore.delete(self._store, checked_key(key))

    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove objects, a thousand with each request."""
        some = [checked_key(key) for key in keys]
        if some:
            with guarded(self.root_url):
                obstore.delete(self._store, some)

    def open_uploads(self) -> Iterable[OpenUpload]:
        """Give the uploads that were begun below the root and not ended."""
        with guarded(self.root_url):
            return open_uploads(self.root_url, self.storage_options)

    def abort_upload(self, upload: OpenUpload) -> None:
        """Give up an upload; one that is over is no error."""
        with guarded(self.root_url):
            abort_upload(self.root_url, self.storage_options, upload)

    def _put(
        self, key: str, source: Path | memoryview | Iterator[bytes | memoryview], chunks: ChunkSource | None
    ) -> None:
        with guarded(self.root_url, chunks):
            obstore.put(
                self._store,
                checked_key(key),
                source,
                attributes=_attributes(key),
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_IN_FLIGHT,
            )


def _body(chunks: Iterator[bytes | memoryview]) -> memoryview | Iterator[bytes | memoryview]:
    """Give what fits into one part as one: that is one request, where obstore makes three of any iterator.

    It is given as it was gathered, and not copied: so much is held for every stem that is on its way.
    """
    first = bytearray()
    for chunk in chunks:
        first += chunk
        if len(first) >= _PART_BYTES:
            return chain((memoryview(first),), chunks)
    return memoryview(first)


def _attributes(key: str) -> dict[str, str]:
    """Give the object its media type, so that a browser plays a stem from its link."""
    return {"Content-Type": mimetypes.guess_type(key)[0] or "application/octet-stream"}
