"""The text of a first configuration: the keys that matter, each with a comment, and no key of a vendor's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from stemline.settings import ProviderFacts
from stemline.settings.default_ledger import local_folder, sqlite_url
from stemline.settings.document import escape_variables

_PLAIN = re.compile(r"[\w ./:~-]+")
_COMMENT_AT = 34
_RUN_CREDITS, _FLOOR_CREDITS = 36_000, 600
_WORDS = {
    "uri": "where each track's audio is",
    "track_id": "what a track is known by for ever",
    "duration_seconds": "its length, in seconds or as 3:35",
}


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """What a first configuration says."""

    name: str
    manifest: str
    provider: str
    dataset: str
    is_folder: bool = False
    """Whether the manifest is audio files alone."""
    columns: Mapping[str, str] = field(default_factory=dict)
    ledger: str = ""
    """Its URL, where it is not with the dataset."""


def config_name(file: Path) -> str:
    """Give a name for a configuration in a file: of letters, digits and few marks, as names must be."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("._-")[:64] or "stemline"


def ledger_beside(name: str, dataset: str, folder: Path) -> str:
    """Give the URL of a ledger in a folder, for a dataset on a store that cannot hold one; empty: it has a default."""
    if local_folder(dataset) is not None:
        return ""
    return sqlite_url(folder / ".stemline" / f"{name}.db")


def write_config(config: FirstConfig, facts: ProviderFacts) -> str:
    """Give the text of a configuration."""
    lines = [line for section in _SECTIONS for line in section(config, facts)]
    return "\n".join(lines) + "\n"


def _head(config: FirstConfig, _: ProviderFacts) -> Iterator[str]:
    yield "# Written by `stemline init`. All keys: docs/configuration.md. `--set key.path=value` overrides any of them."
    yield _line(f"name: {scalar(config.name)}", "names the runs, the ledger and the reports")


def _catalogue(config: FirstConfig, _: ProviderFacts) -> Iterator[str]:
    what = "every audio file below it, and its tags" if config.is_folder else "a row a track"
    yield "catalogue:"
    yield _line(f"  manifest: {scalar(config.manifest)}", what)
    if config.columns:
        yield _line("  columns:", "our name: the manifest's")
    for ours, theirs in config.columns.items():
        yield _line(f"    {ours}: {scalar(theirs)}", _WORDS.get(ours, ""))
    if not config.is_folder:
        yield "  # where: \"artist = 'Somebody'\"    # only these rows: SQL over the columns"


def _provider(config: FirstConfig, facts: ProviderFacts) -> Iterator[str]:
    yield "provider:"
    variable = facts.key_variable
    if variable is None:
        yield _line(
            f"  kind: {config.provider}", "the engine that ships with stemline: free, of draft quality"
        )
        return
    yield _line(f"  kind: {config.provider}", "each second of audio costs a credit there")
    yield _line(f"  api_key: ${{{variable}}}", f"export {variable}=…: the key itself stays out of here")


def _recipe(_: FirstConfig, facts: ProviderFacts) -> Iterator[str]:
    wanted = {
        "stems": ("four", facts.stems),
        "quality": ("best", facts.qualities),
        "format": ("flac", facts.formats),
    }
    yield "recipe:"
    for key, (best, offered) in wanted.items():
        yield _line(f"  {key}: {best if best in offered else offered[0]}", " | ".join(offered))


def _budget(_: FirstConfig, facts: ProviderFacts) -> Iterator[str]:
    if facts.key_variable is None:
        return
    yield "budget:"
    yield _line(f"  run: {_RUN_CREDITS}", "a run spends no more credits than this: ten hours of audio")
    yield _line(f"  floor: {_FLOOR_CREDITS}", "leave so many with the vendor")


def _dataset(config: FirstConfig, _: ProviderFacts) -> Iterator[str]:
    yield "dataset:"
    yield _line(f"  url: {scalar(config.dataset)}", "where the stems and their tables go")


def _ledger(config: FirstConfig, _: ProviderFacts) -> Iterator[str]:
    if config.ledger:
        yield "ledger:"
        yield _line(
            f"  url: {scalar(config.ledger)}", "what was paid for: keep it, or name a PostgreSQL server"
        )


_SECTIONS = (_head, _catalogue, _provider, _recipe, _budget, _dataset, _ledger)


def _line(text: str, comment: str) -> str:
    return f"{text.ljust(_COMMENT_AT)}   # {comment}" if comment else text


def scalar(text: str) -> str:
    """Give text as YAML writes it on one line, so that it is read as that text whatever is in it."""
    escaped = escape_variables(text)
    style = None if _PLAIN.fullmatch(escaped) and escaped.isascii() else '"'
    written = yaml.safe_dump(
        [escaped], default_style=style, default_flow_style=True, allow_unicode=True, width=2**31
    )
    return written.strip()[1:-1]
