"""Where a file lies, as fsspec takes it."""

from __future__ import annotations

from typing import Any

import fsspec


def file_place(location: str, storage_options: dict[str, Any], *, is_url: bool) -> tuple[Any, str]:
    """Give the file system and the path there; `::` in the name of a local file or folder chains nothing."""
    if is_url:
        file_system, path = fsspec.core.url_to_fs(location, **storage_options)
        return file_system, str(path)
    file_system = fsspec.filesystem("file")
    path = str(file_system._strip_protocol(location))  # noqa: SLF001 - as url_to_fs does
    # It joins the working directory and a relative path by a slash, `/` as well.
    return file_system, path.replace("//", "/", 1) if path.startswith("//") else path
