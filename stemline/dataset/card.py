"""The card at a dataset's root, in whose head Hugging Face `datasets` finds which files are which table.

Without it `load_dataset` on the dataset's folder reads every Parquet file there as one table.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import yaml

from stemline.dataset.paths import TABLES
from stemline.errors import StorageError
from stemline.storage import Store

CARD_KEY = "README.md"
TABLES_SHOWN = ("tracks", *(table for table in TABLES if table != "tracks"))
"""The tables in the order in which a person is shown them."""
_MARK = re.compile(r"\n<!-- stemline ([0-9a-f]{16}): [^>]*-->\n$")
_STATE = re.compile(rb"^  description: (state-[0-9a-f]+)$", re.MULTILINE)
_TEXT = """
# Stems

A dataset that stemline adds to: tables in `tracks/` and `stems/`, audio in `audio/`, what does not change in
`releases/`. The stems are the output of source-separation models.

```python
import pandas as pd
tracks = pd.read_parquet("DATASET/tracks")

from datasets import load_dataset
stems = load_dataset("DATASET", "stems", split="train")
```

The column `path` of `stems` is relative to this folder.
"""


def card_head(tables: Iterable[str], facts: Mapping[str, Any], state: str) -> str:
    """Give the head of a card, by which `datasets` and the hub know the tables as configurations.

    `state` names what the tables hold: `datasets` keeps what it has loaded under the folder's name and what the card
    says, whatever has become of the files, and even for another folder of this name.
    """
    configs = [
        {"config_name": table, "description": state, "data_files": f"{table}/**/*.parquet"}
        for table in tables
    ]
    tree = {**facts, "configs": configs}
    return f"---\n{yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)}---"


def write_dataset_card(store: Store, state: str | None = None) -> bool:
    """Write the card of a dataset, or bring ours up to date; tell whether it did. A person's README stays.

    `state` names what the tables hold by now; None: what they held.
    """
    try:
        found = store.read_bytes(CARD_KEY)
    except FileNotFoundError:
        return store.create(CARD_KEY, _card(state or _new_state()))
    if not _is_ours(found):
        return False
    told = _STATE.search(found)
    text = _card(state or (told[1].decode() if told else _new_state()))
    if found == text:
        return False
    store.put_bytes(CARD_KEY, text)
    return True


def tell_change(store: Store) -> None:
    """Have the card tell that the tables hold something else now; one that cannot be written stops nothing."""
    with suppress(StorageError):
        write_dataset_card(store, _new_state())


def _new_state() -> str:
    return f"state-{secrets.token_hex(8)}"


def _card(state: str) -> bytes:
    return _marked(card_head(TABLES_SHOWN, {}, state) + "\n" + _TEXT).encode()


def _marked(text: str) -> str:
    return f"{text}\n<!-- stemline {_digest(text)}: kept up to date until somebody edits it -->\n"


def _is_ours(found: bytes) -> bool:
    """Tell whether a README is as we wrote it."""
    text = found.decode("utf-8", "replace")
    mark = _MARK.search(text)
    return mark is not None and mark[1] == _digest(text[: mark.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
