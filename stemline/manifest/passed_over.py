"""What a listing leaves out, files that are no audio by their names and datasets of stems: counted, and told."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from stemline.wording import counted

DATASETS = "datasets"
"""What a folder is counted as that holds a dataset: what is in it was made of music, and is none to be paid for."""
EMPTY_ROWS = "empty rows"
"""What lines of a table without a single value are counted as; spreadsheets leave such."""
_HIDDEN = "hidden"
_OTHERS = "others"
_NO_FILES = frozenset({DATASETS, EMPTY_ROWS})
_SUFFIX = re.compile(r"[.][a-z0-9_]{1,8}")
_SHOWN_KINDS = 3


def kind_of(name: str) -> str:
    """Give what a file that is passed over is counted as: `.jpg`, `hidden`, or `others` without a suffix."""
    if name.startswith("."):
        return _HIDDEN
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if _SUFFIX.fullmatch(suffix) else _OTHERS


def passed_over_sentence(passed_over: Mapping[str, int]) -> str:
    """Say how many files were passed over, and what they were, and how many datasets; empty for none.

    The numbers behind the colon add up to the one before it.
    """
    files = {kind: number for kind, number in passed_over.items() if kind not in _NO_FILES}
    told = [_files_sentence(files)]
    if empty := passed_over.get(EMPTY_ROWS, 0):
        told.append(f"{counted(empty, 'empty row')} {'was' if empty == 1 else 'were'} passed over")
    if datasets := passed_over.get(DATASETS, 0):
        what = "a dataset of stems" if datasets == 1 else f"{datasets:,} datasets of stems"
        told.append(f"{what} in there {'was' if datasets == 1 else 'were'} passed over")
    return "; ".join(filter(None, told))


def passed_over_tree(passed_over: Counter[str]) -> dict[str, Any]:
    """Give the same for `--json`: the number of files, and the numbers by kind where there are any."""
    kinds = {"passed_over_kinds": dict(passed_over.most_common())} if passed_over else {}
    return {
        "passed_over": sum(count for kind, count in passed_over.items() if kind not in _NO_FILES),
        **kinds,
    }


def _files_sentence(files: dict[str, int]) -> str:
    count = sum(files.values())
    if not count:
        return ""
    shown = Counter(files | {_OTHERS: 0}).most_common(_SHOWN_KINDS)
    kinds = [f"{number:,} {kind}" for kind, number in shown if number]
    if rest := count - sum(number for _, number in shown):
        kinds.append(f"{rest:,} {'others' if rest > 1 else 'other'}")
    told = counted(count, "file")
    return f"{told} {'was' if count == 1 else 'were'} passed over, no audio by the name: {', '.join(kinds)}"
