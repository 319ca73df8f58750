"""FFmpeg's shared libraries for torchcodec: those that PyAV's wheel brings, under the names that it looks for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def library_path(folder: Path) -> str:
    """Give what LD_LIBRARY_PATH needs in a process that decodes with torchcodec; empty where there are none."""
    found = Path(find_spec("av").origin).parent.parent / "av.libs"
    for library in [*found.glob("libav*.so.*"), *found.glob("libsw*.so.*")]:
        name, _, version = library.name.partition(".so.")
        (folder / f"{name.partition('-')[0]}.so.{version.partition('.')[0]}").symlink_to(library)
    return f"{folder}:{found}" if found.is_dir() else ""
