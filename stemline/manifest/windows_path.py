"""Paths of a Windows machine: told from others, and looked for on this one."""

from __future__ import annotations

import os
import re

from stemline.errors import TrackRefused
from stemline.records import Code

_ABSOLUTE = re.compile(r"([A-Za-z]):[\\/](?!/)|\\\\[^\\/]")
"""A drive, or a share of the network; `c://` begins a URL."""


def is_windows_path(text: str) -> bool:
    """Tell whether text is an absolute path of a Windows machine."""
    return _ABSOLUTE.match(text) is not None


def windows_refusal(path: str, folder: str) -> TrackRefused:
    """Give the refusal of a Windows path, which says where the file lies here if it can be told.

    `folder` is what relative paths are relative to; empty: nothing of this machine.
    """
    here = _place_here(path, folder)
    return TrackRefused(
        f'the location "{path}" is a path of a Windows machine, and this is none.',
        code=Code.BAD_LOCATION,
        fix=f'The file is here as "{here}": write that.'
        if here
        else "Copy or mount the files here, and write their paths as this machine has them, or relative to the "
        "manifest's folder.",
    )


def _place_here(path: str, folder: str) -> str | None:
    """Give the path by which a row can name the file: under its mounted drive, or the longest end below the folder."""
    drive, parts = _ABSOLUTE.match(path), _parts(path)
    mounted = f"/mnt/{drive[1].lower()}/{'/'.join(parts)}" if drive and drive[1] else ""  # as WSL mounts it
    if mounted and os.path.isfile(mounted):  # noqa: PTH113 - text in, text out
        return mounted
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if folder and os.path.isfile(folder + end)), None)  # noqa: PTH113


def _parts(path: str) -> list[str]:
    """Give the folders and the name of a Windows path, behind its drive or host."""
    return [part for part in re.split(r"[\\/]+", path) if part][1:] or [path]
