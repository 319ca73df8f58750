"""Where the dataset lives: a folder, an object store or memory, behind one set of whole-or-nothing writes.

`open_store` takes the `dataset.url` and `dataset.storage_options` of the configuration. Bytes flow to S3
through obstore (a tenth of s3fs's memory, half its CPU); whatever obstore cannot be told goes through fsspec.
obstore panics in a forked process: start workers with spawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stemline.errors import ConfigError, StemlineError
from stemline.storage.disk import disk_guarded, scratch_folder
from stemline.storage.local import LocalStore
from stemline.storage.remote import RemoteStore
from stemline.storage.s3 import S3ObjectStore, s3_settings
from stemline.storage.store import Store

__all__ = ["Store", "disk_guarded", "open_store", "scratch_folder"]


def open_store(url: str, storage_options: Mapping[str, Any] | None = None) -> Store:
    """Give the store behind a plain path, `file://`, `memory://`, `s3://` or any other fsspec URL.

    Nothing is contacted or created yet: `Store.check_writable` does that.

    Raises:
        ConfigError: the URL or an option is unusable, or needs a package that is not installed.
        StorageError: there are no AWS credentials anywhere.
    """
    if not url.strip():
        raise ConfigError("dataset.url is empty.", fix="Give a folder or a URL such as s3://bucket/stems.")
    options = dict(storage_options or {})
    scheme, separator, rest = url.partition("://")
    if not separator:
        return LocalStore(url)
    if scheme in ("file", "local"):
        return LocalStore(rest)
    with _opening(url):
        settings = s3_settings(options) if scheme in ("s3", "s3a") else None
        return RemoteStore(url, options) if settings is None else S3ObjectStore(url, options, settings)


@contextmanager
def _opening(url: str) -> Iterator[None]:
    """Turn what a client library says of a URL or an option into ConfigError."""
    try:
        yield
    except StemlineError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"dataset.url {url} cannot be opened: {reason}.",
            fix="Use a path, s3://, gs://, az:// or another URL that fsspec knows, and check storage_options.",
        ) from error
