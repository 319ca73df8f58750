"""The first rows of a manifest as they are written: what can be said of it before it is read as a whole."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import duckdb

from stemline.errors import ManifestError
from stemline.manifest.json_structure import member_names
from stemline.manifest.lines import PROBLEM, ROW, read_table, text_of
from stemline.manifest.listing import Listing
from stemline.manifest.loading import refusing
from stemline.manifest.manifest_file import ManifestFile, ManifestForm, find_manifest
from stemline.manifest.manifest_source import ManifestSource
from stemline.manifest.passed_over import passed_over_sentence
from stemline.manifest.raw_table import load_parquet, opened

SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class ManifestSample:
    """The columns of a manifest and its first rows."""

    names: Sequence[str]
    """The columns as the manifest writes them; of a folder there are none."""
    rows: Sequence[Mapping[str, str]]
    """Each row's values as text, by their columns; what is empty is left out."""
    base: str
    """What relative locations are relative to; ends with a slash."""
    is_listing: bool = False

    def values(self, name: str) -> list[str]:
        """Give the values of a column, in the rows' order."""
        return [row[name] for row in self.rows if name in row]


def read_sample(source: ManifestSource) -> ManifestSample:
    """Give the first rows of a manifest; raises ManifestError where there is none, and where it holds nothing."""
    file = find_manifest(source)
    with refusing(source):
        if file.listing is not None:
            _refuse_no_audio(file, file.listing)
            return ManifestSample((), (), file.base, is_listing=True)
        names, rows, problem = _READERS[file.form](file)
    if not rows:
        raise ManifestError(
            f'The manifest "{source.manifest}" holds no rows{f" that can be read. {problem}" if problem else "."}',
            fix="Give one with a header and a row a track.",
        )
    return ManifestSample(names, rows, file.base)


def _refuse_no_audio(file: ManifestFile, listing: Listing) -> None:
    if any(batch.num_rows for batch in listing.read()):
        return
    others = passed_over_sentence(listing.passed_over)
    raise ManifestError(
        f'"{file.source.manifest}" holds no audio files{f" ({others})" if others else ""}.',
        fix="Give the folder that your music is in, or a .csv, .tsv, .jsonl or .parquet file that lists it.",
    )


_Table = tuple[list[str], list[dict[str, str]], str]
"""Columns, rows that can be read, and what is wrong with the first that cannot; empty where there is none."""


def _read_table(file: ManifestFile) -> _Table:
    with opened(file) as stream:
        reader = read_table(text_of(stream), is_tab_separated=file.form is ManifestForm.TSV, known=())
        names = [name for name in reader.schema.names if name not in (ROW, PROBLEM)]
        rows = [row for batch in islice(reader, 1) for row in batch.slice(0, SAMPLE_ROWS).to_pylist()]
    problem = next((row[PROBLEM] for row in rows if row[PROBLEM] is not None), "")
    return (
        names,
        [_texts({name: row[name] for name in names}) for row in rows if row[PROBLEM] is None],
        problem,
    )


def _read_objects(file: ManifestFile) -> _Table:
    with opened(file) as stream:
        lines = list(islice((line for line in text_of(stream) if line.strip()), SAMPLE_ROWS))
    found = [row for line in lines if isinstance(row := _parsed(line), dict)]
    names = member_names(dict.fromkeys(key for row in found for key in row))
    problem = "Row 1 is no JSON object: write one object a line." if lines and not found else ""
    rows = [_texts({names[key]: value for key, value in row.items()}) for row in found]
    return list(names.values()), rows, problem


def _parsed(line: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(line)
    except ValueError:
        return None  # a row that is rejected costs no other


def _read_parquet(file: ManifestFile) -> _Table:
    with (
        tempfile.TemporaryDirectory(prefix="stemline-manifest-") as folder,
        duckdb.connect(f"{folder}/m.db") as database,
    ):
        load_parquet(database, file)
        given = database.sql(f"SELECT * EXCLUDE ({ROW}, {PROBLEM}) FROM raw LIMIT {SAMPLE_ROWS}")
        names, rows = list(given.columns), given.fetchall()
    return names, [_texts(dict(zip(names, row, strict=True))) for row in rows], ""


def _texts(row: Mapping[str, object]) -> dict[str, str]:
    return {name: text for name, value in row.items() if value is not None and (text := str(value).strip())}


_READERS = {
    ManifestForm.CSV: _read_table,
    ManifestForm.TSV: _read_table,
    ManifestForm.JSONL: _read_objects,
    ManifestForm.PARQUET: _read_parquet,
}
