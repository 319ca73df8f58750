"""The files of a listing that are no audio by their names: what they are counted as, and what is said of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from stemline.wording import counted

_HIDDEN = "hidden"
_OTHERS = "others"
_SUFFIX = re.compile(r"[.][a-z0-9_]{1,8}")
_SHOWN_KINDS = 3


def kind_of(name: str) -> str:
    """Give what a file that is passed over is counted as: `.jpg`, `hidden`, or `others` without a suffix."""
    if name.startswith("."):
        return _HIDDEN
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if _SUFFIX.fullmatch(suffix) else _OTHERS


def passed_over_sentence(passed_over: Mapping[str, int]) -> str:
    """Say how many files were passed over, and what they were; empty for none.

    The numbers behind the colon add up to the one before it.
    """
    count = sum(passed_over.values())
    if not count:
        return ""
    shown = Counter(dict(passed_over) | {_OTHERS: 0}).most_common(_SHOWN_KINDS)
    kinds = [f"{number:,} {kind}" for kind, number in shown if number]
    if rest := count - sum(number for _, number in shown):
        kinds.append(f"{rest:,} {'others' if rest > 1 else 'other'}")
    files = counted(count, "file")
    return f"{files} {'was' if count == 1 else 'were'} passed over, no audio by the name: {', '.join(kinds)}"


def passed_over_tree(passed_over: Counter[str]) -> dict[str, Any]:
    """Give the same for `--json`: the number, and the numbers by kind where it is not 0."""
    kinds = {"passed_over_kinds": dict(passed_over.most_common())} if passed_over else {}
    return {"passed_over": passed_over.total(), **kinds}
