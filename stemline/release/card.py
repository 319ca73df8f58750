"""The card of a release: what is in it and how it is read, for people, and for Hugging Face `datasets` in its head."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from stemline.dataset.card import card_head
from stemline.dataset.layout import DatasetLayout
from stemline.leakage.report import leakage_lines
from stemline.records import LINKED, MIX
from stemline.release.counts import UNKNOWN
from stemline.release.record import REFUSED_PATH, Release
from stemline.rights import RightsGate
from stemline.wording import counted, hours_text

MOST_LINES = 20
"""How many values of a column the card shows."""
HUB_LICENSES = frozenset(
    {
        "cc0-1.0",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
    }
)
"""Licences of music by the names that huggingface.co/docs/hub/repositories-licenses lists."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def release_card(release: Release, layout: DatasetLayout, dataset: str) -> bytes:
    """Give the README of a release of the dataset that its owner's configuration calls `dataset`."""
    sections = [
        _head(release, dataset),
        _opening(release, dataset) + _mixes(release),
        "\n".join(_contents(release.counts)),
        "\n".join(_rights(release)),
        _leakage(release),
        _reading(layout),
        "\n".join(_LIMITS),
        _citation(release, dataset),
    ]
    return ("\n\n".join(section.strip() for section in sections if section) + "\n").encode()


def _head(release: Release, dataset: str) -> str:
    tracks = release.counts.get("tracks", 0)
    facts = {
        "pretty_name": f"{dataset} {release.name}",
        **license_of(spdx_counts(release)),
        "task_categories": ["audio-to-audio"],
        "tags": ["music", "music-source-separation", "stems"],
        "size_categories": [next((name for limit, name in _SIZES if tracks < limit), "n>1M")],
    }
    return card_head(release.tables, facts, _state(release))


def _state(release: Release) -> str:
    """Give a name for what is in a release, which changes when something is forgotten of it."""
    digests = "\n".join(file.sha256 for file in release.files if file.table is not None)
    whole = f"{release.facts['dataset_id']} {release.name}\n{digests}"
    return f"state-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def spdx_counts(release: Release) -> Mapping[str, int]:
    """Give the tracks by license: as SPDX has it, or as the catalogue gave it where a release is from before that."""
    counts: Mapping[str, int] = release.counts.get("licenses_spdx", release.counts.get("licenses", {}))
    return counts


def license_of(licenses: Mapping[str, int]) -> dict[str, str]:
    """Give the licence as a card's head names it: one that all tracks have, or where it is told."""
    names = {name.lower() for name in licenses}
    if len(names) == 1 and names <= HUB_LICENSES:
        return {"license": names.pop()}
    if names <= {UNKNOWN}:
        return {"license": "unknown"}
    return {"license": "other", "license_name": "per-track"}


def _opening(release: Release, dataset: str) -> str:
    counts = release.counts
    return f"""
# {dataset}, release {release.name}

Stems of {counts.get("tracks", 0):,} tracks ({hours_text(counts["seconds"])} of music), made on
{release.made_at:%Y-%m-%d} by stemline {release.facts["versions"]["stemline"]}. This release does not change:
`release.json` names every file of it with its size and SHA-256.

**The stems are the output of source-separation models,** not recordings from a studio: the column `provider` says
whose, `recipe` what was asked for.
"""


def _mixes(release: Release) -> str:
    if MIX not in release.counts.get("stems_by_name", {}):
        return ""
    linked = [words for words in release.counts["verification"] if LINKED in words.split(",")]
    elsewhere = (
        f" Where `verification` has the word `{LINKED}` it is not in the dataset: `path` is where the source lies."
        if linked
        else ""
    )
    return f"\nA row whose `stem` is `{MIX}` is no model's output: it is the whole track.{elsewhere}\n"


def _contents(counts: Mapping[str, Any]) -> Iterator[str]:
    yield "## What is in it\n"
    yield "| table | rows | one row is |"
    yield "|---|---:|---|"
    for table, what in _TABLES.items():
        if table in counts:
            yield f"| `{table}` | {counts[table]:,} | {what} |"
    yield ""
    formats = [
        f"{facts['stems']:,} {name} ({facts['bytes'] / 1e9:,.2f} GB)"
        for name, facts in counts["formats"].items()
    ]
    yield f"Audio: {', '.join(formats) or 'none'}.\n"
    for column, name in (
        ("provider", "providers"),
        ("recipe", "recipes"),
        ("stem", "stems_by_name"),
        ("split", "splits"),
        ("verification", "verification"),
    ):
        values = counts.get(name, {})
        if values and set(values) != {UNKNOWN}:
            yield from _value_table(column, values)
            yield ""


_TABLES = {
    "tracks": "a track, as one provider separated it by one recipe: its metadata, bpm, key, licence",
    "stems": "a stem: where its audio is, its SHA-256, length, level and what verifying it found",
    "activity": "a stem: how loud each second of it is, and where in the file its bytes begin",
}


def _value_table(column: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"| `{column}` | rows |"
    yield "|---|---:|"
    shown = list(values.items())[:MOST_LINES]
    for value, count in shown:
        yield f"| {_cell(value)} | {count:,} |"
    if len(values) > len(shown):
        yield f"| {len(values) - len(shown):,} more | {sum(values.values()) - sum(n for _, n in shown):,} |"


def _cell(text: str) -> str:
    """Give a text as a cell of a table: on one line, and nothing in it means anything."""
    plain = " ".join(text.split())[:80]
    return "".join(f"\\{char}" if char in "\\|`*_<>[]&" else char for char in plain)


def _rights(release: Release) -> Iterator[str]:
    yield _RIGHTS.strip() + "\n"
    yield from _gate(release.facts.get("rights"))
    for column, name in (
        ("license_spdx", "licenses_spdx"),
        ("ai_training", "ai_training"),
        ("license", "licenses"),
    ):
        if name in release.counts:
            yield from _value_table(column, release.counts[name])
            yield ""


def _gate(rights: Mapping[str, Any] | None) -> Iterator[str]:
    """Say what was let in, and what was not."""
    if rights is None:
        yield "Every published track is in it, whatever its rights.\n"
        return
    gate, refused = RightsGate.from_tree(rights["gate"]), rights["refused"]
    yield f"In it are {gate.sentence()}. {counted(refused['tracks'])} did not pass.\n"
    if refused["tracks"]:
        yield f"`{REFUSED_PATH}` lists them with the reason:\n"
        yield from _value_table("refusal", refused["reasons"])
        yield ""


_RIGHTS = """
## What the tracks may be used for

`license` is what the catalogue gave, `license_spdx` the [SPDX](https://spdx.org/licenses) expression it stands for,
`ai_training` whether the catalogue allows training on a track. What it did not say, or not clearly, is unknown here:
ask whoever holds the rights before you train on it or pass it on.
"""


def _leakage(release: Release) -> str:
    """Give what of one split is in another; nothing where no track is in any."""
    counts = release.facts.get("leakage", {})
    if not counts.get("splits"):
        return ""
    lines = "\n".join(leakage_lines(counts))
    return f"## Splits, and what leaks\n\n{lines}\n\n`leakage.json` has examples, and the tracks that are in no split."


def _reading(layout: DatasetLayout) -> str:
    folders = "/".join(f"by_{column}=…" for column in layout.partition_by)
    cut = (
        f"The tables are cut into folders `{folders}`; the columns themselves are in the files as well.\n"
        if layout.partition_by
        else ""
    )
    return f"""
## How to read it

No package of ours is needed. `RELEASE` is the folder or URL of this file.

```python
import pandas as pd
tracks = pd.read_parquet("RELEASE/tracks")            # on a store: storage_options={{...}}

import duckdb
duckdb.sql("FROM 'RELEASE/tracks/**/*.parquet' WHERE bpm BETWEEN 118 AND 122 AND key = 'Am'")

import polars as pl
stems = pl.scan_parquet("RELEASE/stems/**/*.parquet", hive_partitioning=False)

import pyarrow.dataset as ds
tracks = ds.dataset("RELEASE/tracks", partitioning="hive")

from datasets import load_dataset
stems = load_dataset("RELEASE", "stems", split="train")
```

`datasets` loads a folder of this machine or of the hub. From a store it streams files: `load_dataset("parquet",
data_files="RELEASE/stems/**/*.parquet", split="train", streaming=True, storage_options={{...}})`.

{cut}Rows are sorted by `track_id`. Tracks and stems belong together by `track_id`, `provider` and `recipe`.

{_AUDIO[layout.audio]}
"""


_AUDIO = {
    "objects": """
**The audio** is not copied into the release: it is shared by all releases of the dataset and never changes. The
column `path` of `stems` is relative to the root of the dataset, which is two folders above this one:

```python
from pathlib import Path
audio = Path("RELEASE").resolve().parents[1] / stems["path"][0]   # on a store: cut the last two steps off the URL
```

Who copies a release elsewhere takes the folder `audio/` of the dataset with it, or keeps its URL. `sha256` and
`size_bytes` tell whether a file is still the one that was verified.
""".strip(),
    "embedded": """
**The audio** is in the column `audio` of `stems`, as the bytes of a file each.
""".strip(),
}

_LIMITS = (
    "## What to know before you train on it\n",
    "- Stems are estimates: they bleed into each other and have artefacts. They need not add up to the source.",
    "- `verification` says what is odd about a stem: that it is silent, or that a person accepted it as it was.",
    "- `bpm` and `key` are estimates as well; `bpm_source` and `key_source` say whose. A null was not told.",
    "- Metadata is what the catalogue said. Corrections reach later releases, not this one.",
    "- A track may be in it more than once: by several providers, or by several recipes.",
)


def _citation(release: Release, dataset: str) -> str:
    digest = release.facts["config"]["digest"]
    return f"""
## How to cite it

`{dataset}`, release `{release.name}`, dataset `{release.facts["dataset_id"]}`, configuration `{digest}`.
`croissant.json` describes it for machines (Croissant 1.1).
"""
