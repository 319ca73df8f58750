"""The card of an export: what is in it and how it is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from stemline.export.form import ExportForm
from stemline.export.target_files import WrittenShard
from stemline.leakage.report import leakage_lines
from stemline.rights import RightsGate
from stemline.wording import counted

CARD_NAME = "README.md"
MOST_NAMED = 20


def export_card(form: ExportForm, shards: Sequence[WrittenShard], record: Mapping[str, Any]) -> bytes:
    """Give the README: a head that Hugging Face reads, the contents, how it is opened, what is not in it."""
    head = {
        "pretty_name": record["title"],
        "task_categories": ["audio-to-audio"],
        "tags": ["music", "music-source-separation", "stems"],
        **form.card_head(shards),
    }
    sections = [
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
        f"# {_plain(record['title'])} as {form.name}",
        _OPENING,
        "\n".join(_contents(record)),
        f"## How to open it\n\n{form.card_reading()}",
        "\n".join(_asked(record)),
        "\n".join(_rights(record)),
        "\n".join(_leakage(record)),
        "\n".join(_missing(record)),
    ]
    return ("\n\n".join(section for section in sections if section) + "\n").encode("utf-8", "replace")


_OPENING = """Made by stemline. `export.json` names every file with its size and SHA-256.

**The stems are the output of source-separation models,** not recordings from a studio: `provider` says whose, `recipe`
what was asked for."""


def _contents(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## What is in it\n"
    yield "| split | samples | tracks | hours |"
    yield "|---|---:|---:|---:|"
    for split, counts in record["splits"].items():
        hours = counts["seconds"] / 3600
        yield f"| `{split}` | {counts['samples']:,} | {counts['tracks']:,} | {hours:,.2f} |"
    yield f"\nStems: {', '.join(f'`{name}`' for name in record['stems'])}."


def _asked(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## How it was made\n"
    if record["seconds"] is not None:
        yield (
            f"- Each track is cut into windows of {record['seconds']:g} s from its start, without overlap; what is "
            "left at its end is not in it."
        )
    if record["sample_rate"] is not None:
        yield f"- Resampled to {record['sample_rate']} Hz (soxr)."
    if record["mono"]:
        yield "- Mixed down to one channel: the mean."
    if record["seconds"] is None and record["sample_rate"] is None and not record["mono"]:
        yield "- Audio is as it was verified, byte for byte, unless the form wants another format."
    for name in ("release", "split", "where"):
        if record[name] is not None:
            yield f"- {name}: `{_plain(record[name])}`"


def _rights(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## What the tracks may be used for\n"
    gate, refused = RightsGate.from_tree(record["rights"]), record["refused"]
    told = "as its row tells in `license`, `license_spdx` and `ai_training`; what is not told is unknown."
    if gate.is_open:
        yield f"Every track is in it, whatever its rights: {told}"
        return
    yield f"In it are {gate.sentence()}, {told} {counted(refused['tracks'])} did not pass."
    if refused["tracks"]:
        yield "`refused.jsonl` lists them with the reason:\n"
        for reason, count in list(refused["reasons"].items())[:MOST_NAMED]:
            yield f"- {count:,}: {_plain(reason)}"


def _leakage(record: Mapping[str, Any]) -> Iterator[str]:
    if record["leakage"]["splits"]:
        yield "## Splits, and what leaks\n"
        yield from leakage_lines(record["leakage"])
        yield "\n`leakage.json` has examples, and the tracks that are in no split."


def _missing(record: Mapping[str, Any]) -> Iterator[str]:
    found = record["left_out"]
    if not found:
        return
    yield f"## {counted(len(found))} of the selection not in it\n"
    yield from (f"- `{_plain(each['track_id'])}`: {_plain(each['reason'])}" for each in found[:MOST_NAMED])
    if len(found) > MOST_NAMED:
        yield f"- and {len(found) - MOST_NAMED:,} more, which `export.json` names"


def _plain(text: str) -> str:
    """Give text on one line that means nothing in Markdown."""
    return " ".join(str(text).split()).replace("`", "'").replace("<", "&lt;")[:200]
