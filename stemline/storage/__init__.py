"""Where the dataset lives: a folder, an object store or memory, behind one set of whole-or-nothing writes.

`open_store` takes the `dataset.url` and `dataset.storage_options` of the configuration. Bytes flow to S3
through obstore (a tenth of s3fs's memory, half its CPU); whatever obstore has no option for goes through fsspec.
obstore panics in a process that was forked off one that used it: start workers with spawn, or say `is_forked`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stemline.errors import ConfigError, StemlineError
from stemline.library_words import reason_of
from stemline.settings.default_ledger import local_folder
from stemline.storage.disk import disk_guarded, file_sha256, scratch_folder
from stemline.storage.local_store import LocalStore
from stemline.storage.store import InvalidKey, OpenUpload, Store, joined_url

__all__ = [
    "InvalidKey",
    "OpenUpload",
    "Store",
    "disk_guarded",
    "file_sha256",
    "object_url",
    "open_store",
    "scratch_folder",
]


def open_store(
    url: str, storage_options: Mapping[str, Any] | None = None, *, is_forked: bool = False
) -> Store:
    """Give the store behind a plain path, `file://`, `memory://`, `s3://` or any other fsspec URL.

    Nothing is contacted or created yet: `Store.check_writable` does that. `is_forked`: this process was forked off
    one that has used obstore, and s3fs serves instead.

    Raises:
        ConfigError: the URL or an option is unusable, or needs a package that is not installed.
        StorageError: there are no AWS credentials anywhere.
    """
    if not url.strip():
        raise ConfigError("dataset.url is empty.", fix="Give a folder or a URL such as s3://bucket/stems.")
    folder = local_folder(url)
    if folder is not None:
        return LocalStore(folder)
    return _open_remote(url, dict(storage_options or {}), is_forked=is_forked)


def object_url(url: str, key: str) -> str:
    """Give what `open_store(url).url(key)` gives, without opening the store."""
    folder = local_folder(url)
    return LocalStore(folder).url(key) if folder is not None else joined_url(url, key)


def _open_remote(url: str, options: dict[str, Any], *, is_forked: bool) -> Store:
    """Open a store that is reached through a client."""
    from stemline.storage.remote_store import RemoteStore  # noqa: PLC0415 - a dataset in a folder needs no client

    with _opening(url):
        if is_forked:
            return RemoteStore(url, options)
        from stemline.storage.s3_store import S3ObjectStore, s3_settings  # noqa: PLC0415

        settings = s3_settings(options) if url.startswith(("s3://", "s3a://")) else None
        return RemoteStore(url, options) if settings is None else S3ObjectStore(url, options, settings)


@contextmanager
def _opening(url: str) -> Iterator[None]:
    """Turn what a client library says of a URL or an option into ConfigError."""
    try:
        yield
    except StemlineError:
        raise
    except Exception as error:
        reason = reason_of(error)
        raise ConfigError(
            f"dataset.url {url} cannot be opened: {reason}.",
            fix="Use a path, s3://, gs://, az:// or another URL that fsspec knows, and check storage_options.",
        ) from error
