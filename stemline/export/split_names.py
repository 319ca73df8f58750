"""Splits as the files and folders of an export are named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable

from stemline.export.track_query import NO_SPLIT

_LETTERS = 40
_PLAIN = re.compile(f"[A-Za-z0-9][A-Za-z0-9_]{{0,{_LETTERS - 1}}}")
"""What begins with `_` is taken for hidden by readers of Parquet, and may be the frame's own."""


def split_names(splits: Iterable[str | None]) -> dict[str | None, str]:
    """Give splits as files are named; no two differ in case alone, which some disks do not tell apart."""
    names: dict[str | None, str] = {}
    taken = {NO_SPLIT}
    for split in sorted(splits, key=lambda each: each or ""):
        name = NO_SPLIT if split in {None, NO_SPLIT} else _split_name(split or "", taken)
        taken.add(name.lower())
        names[split] = name
    return names


def _split_name(text: str, taken: Collection[str]) -> str:
    """Give a split as files are named, and `datasets` takes it: letters, digits and `_`, and not `all`."""
    if _PLAIN.fullmatch(text) and text.lower() not in {"all", *taken}:
        return text
    plain = re.sub("[^A-Za-z0-9_]", "_", text)[:_LETTERS].strip("_") or "split"
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain}_{digest[:6]}"
