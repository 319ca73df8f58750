"""How clean the splits are: as a release says of itself, else looked for in the live tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from stemline.leakage.survey import ACTIVITY_COLUMNS, TRACK_COLUMNS, LeakageSurvey
from stemline.release.record import LEAKAGE_NAME, release_key
from stemline.report.figure_tables import FigureTables, telling
from stemline.report.part_columns import read_part_columns
from stemline.storage import Store

_LOUDNESS = "rms_dbfs"


def read_leakage(tables: FigureTables, store: Store, release: str | None) -> Mapping[str, Any]:
    """Give what `LeakageReport.as_tree` gives."""
    if release is not None:
        try:
            tree = json.loads(store.read_bytes(release_key(release, LEAKAGE_NAME)))
        except (FileNotFoundError, ValueError):
            pass  # made before releases had one
        else:
            if isinstance(tree, dict) and "splits" in tree:
                return tree
    with telling(tables.dataset):
        return _surveyed(tables)


def _surveyed(tables: FigureTables) -> Mapping[str, Any]:
    survey = LeakageSurvey()
    for rows in _whole_rows(tables.dataset.tracks, TRACK_COLUMNS):
        survey.add_tracks(rows)
    if survey.has_splits and _LOUDNESS in tables.dataset.activity.schema.names:
        for rows in _whole_rows(tables.dataset.activity, ACTIVITY_COLUMNS):
            survey.add_activity(rows)
    return survey.report().as_tree()


def _whole_rows(table: pads.Dataset, names: Sequence[str]) -> Iterator[pa.Table]:
    """Give rows with all of these columns; one that a part lacks is null."""
    for rows in read_part_columns(table, names):
        there = set(rows.column_names)
        columns = {name: rows[name] if name in there else pa.nulls(len(rows), pa.string()) for name in names}
        yield pa.table(columns)
