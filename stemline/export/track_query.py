"""The tracks that an export is asked for, found with DuckDB, which keeps on the disk what does not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from stemline.dataset.rights_columns import RIGHTS_COLUMNS
from stemline.errors import UsageError
from stemline.export.sample import STEM_TYPES, LeftOut
from stemline.leakage.report import LeakageReport
from stemline.leakage.survey import ACTIVITY_COLUMNS, TRACK_COLUMNS, LeakageSurvey
from stemline.manifest.expression import bounded, check_expressions, shut
from stemline.manifest.manifest_file import filter_reason
from stemline.manifest.manifest_source import ManifestSource
from stemline.reader import StemsDataset
from stemline.records import LINKED
from stemline.rights import RightsGate, normalise_license, read_ai_training

MEMORY_BYTES = 384 << 20
ROWS_AT_ONCE = 500
LOOKED_AT_ONCE = 20_000
NO_SPLIT = "unassigned"
"""The name of the split of tracks that have none, beside others that have."""
_MADE = "concat_ws('-', stems, quality, format)"
_CHANGED = {"recipe": f"coalesce(recipe, {_MADE})", "split": "nullif(trim(split), '')"}
_ADDED = {"recipe": _MADE, "split": "NULL::VARCHAR"}
"""Of tables from before the column, where nobody wrote a layout down."""
_STORED = rf"NOT regexp_matches(verification, '(^|,){LINKED}(,|$)')"
"""A linked mix lies elsewhere."""


class TrackQuery:
    """A selection of tracks that is narrowed step by step, in the order of the methods."""

    def __init__(self, dataset: StemsDataset, scratch: Path) -> None:
        """Open the tables; nothing is read yet."""
        settings = {"memory_limit": f"{MEMORY_BYTES}B", "temp_directory": str(scratch / "spill")}
        self._database = duckdb.connect(config={**settings, "preserve_insertion_order": False})
        tables = {"tracks": dataset.tracks, "stems": dataset.stems, "activity": dataset.activity}
        for name, table in tables.items():
            self._database.register(name, table)
        self._columns = {name: table.schema.names for name, table in tables.items()}
        shut(self._database, [])

    def close(self) -> None:
        """Let go of memory and files."""
        self._database.close()

    def choose(self, where: str | None) -> None:
        """Keep the newest row of each track that a filter lets through; raises UsageError where there is none."""
        columns = _columns(self._columns["tracks"])
        newest = "collected_at DESC, run_id DESC, provider DESC, recipe DESC, attempt_token DESC"
        query = f"""
            CREATE TEMP TABLE chosen AS SELECT * FROM (
                SELECT {columns}, row_number() OVER (PARTITION BY track_id ORDER BY {newest}) AS __age
                FROM tracks {f"WHERE ({chr(10)}{where}{chr(10)})" if where else ""}
            ) WHERE __age = 1
        """
        try:
            if where:
                check_expressions(self._database, ManifestSource("", where=where))
            with bounded(self._database):
                self._database.execute(query)
        except duckdb.Error as error:
            reason = filter_reason(error)
            raise UsageError(
                f'--where "{where}" does not work: {reason}.',
                fix=f"The columns are {', '.join(self._columns['tracks'])}.",
            ) from error
        if not self._all("SELECT 1 FROM chosen LIMIT 1"):
            which = "that --where is true for" if where else "in the dataset"
            raise UsageError(f"There is no track {which}.", fix="Run `stemline run`, or ask for others.")

    def refuse(self, gate: RightsGate) -> list[LeftOut]:
        """Take out the tracks that do not pass a gate, and give them with the reason."""
        if gate.is_open:
            return []
        known = self._columns["tracks"]
        names = ", ".join(name if name in known else f"NULL::VARCHAR AS {name}" for name in RIGHTS_COLUMNS)
        rows = self._all(f"SELECT DISTINCT {names} FROM chosen")
        reasons = [
            gate.refusal(spdx or normalise_license(text), read_ai_training(said)) for text, spdx, said in rows
        ]
        columns = {name: [row[place] for row in rows] for place, name in enumerate(RIGHTS_COLUMNS)}
        schema = pa.schema([(name, pa.string()) for name in (*RIGHTS_COLUMNS, "reason")])
        self._database.register("reasons", pa.table({**columns, "reason": reasons}, schema=schema))
        alike = " AND ".join(
            f"c.{name} IS NOT DISTINCT FROM r.{name}" for name in RIGHTS_COLUMNS if name in known
        )
        found = self._all(
            f"SELECT DISTINCT c.track_id, r.reason FROM chosen c JOIN reasons r ON {alike} "
            "WHERE r.reason IS NOT NULL ORDER BY c.track_id"
        )
        self._database.register(
            "refused", pa.table({"track_id": [track_id for track_id, _ in found]}, _TRACK_ID)
        )
        self._database.execute("DELETE FROM chosen WHERE track_id IN (SELECT track_id FROM refused)")
        return [LeftOut(*row) for row in found]

    def keep_split(self, wanted: str) -> None:
        """Keep the tracks of one split; raises UsageError, naming those there are."""
        found = [row[0] for row in self._all("SELECT DISTINCT split FROM chosen ORDER BY split")]
        if wanted not in found and not (wanted == NO_SPLIT and None in found):
            told = ", ".join(NO_SPLIT if name is None else name for name in found) or "none"
            raise UsageError(f"There is no split {wanted!r}.", fix=f"Give --split one of {told}.")
        self._database.execute("DELETE FROM chosen WHERE coalesce(split, ?) <> ?", [NO_SPLIT, wanted])

    def splits(self) -> list[str | None]:
        """Give the splits there are; None stands for tracks that are in none."""
        return [row[0] for row in self._all("SELECT DISTINCT split FROM chosen")]

    def stems(self) -> list[str]:
        """Give the stems of which any is in the dataset."""
        chosen = "SEMI JOIN chosen USING (track_id, provider, recipe)"
        return [row[0] for row in self._all(f"SELECT DISTINCT stem FROM stems {chosen} WHERE {_STORED}")]

    def rows(self, columns: Iterable[str], splits: Mapping[str | None, str]) -> Iterator[pa.Table]:
        """Give the tracks' columns, `__split` by its name here, and `__stems`, sorted by split and track."""
        named = pa.table({"split": list(splits), "name": list(splits.values())}, _SPLIT_NAMES)
        self._database.register("split_names", named)
        quoted = ", ".join(f'c."{name.replace(chr(34), chr(34) * 2)}"' for name in columns)
        known = self._columns["stems"]
        told = ", ".join(name if name in known else f"NULL AS {name}" for name in STEM_TYPES)
        newest = f"collected_on DESC, run_id DESC {', path DESC' if 'path' in known else ''}"
        query = f"""
            WITH newest AS (
                SELECT * FROM (
                    SELECT {told}, track_id, provider, recipe, row_number() OVER (
                        PARTITION BY track_id, provider, recipe, stem ORDER BY {newest}) AS __age
                    FROM stems SEMI JOIN chosen USING (track_id, provider, recipe) WHERE {_STORED}
                ) WHERE __age = 1
            ), together AS (
                SELECT track_id, provider, recipe, list({{{", ".join(f"{name}: {name}" for name in STEM_TYPES)}}}
                    ORDER BY stem) AS __stems FROM newest GROUP BY ALL
            )
            SELECT {quoted}, n.name AS __split, coalesce(s.__stems, []) AS __stems FROM chosen c
            JOIN split_names n ON c.split IS NOT DISTINCT FROM n.split
            LEFT JOIN together s USING (track_id, provider, recipe)
            ORDER BY __split, c.track_id
        """
        yield from self._batches(query, ROWS_AT_ONCE)

    def leakage(self) -> LeakageReport:
        """Give what of one split is in another."""
        survey = LeakageSurvey()
        known = self._columns["tracks"]
        told = ", ".join(name if name in known else f"NULL::VARCHAR AS {name}" for name in TRACK_COLUMNS)
        self._each(survey.add_tracks, f"SELECT {told} FROM chosen ORDER BY track_id")
        if survey.has_splits and set(ACTIVITY_COLUMNS) <= set(self._columns["activity"]):
            told = ", ".join(ACTIVITY_COLUMNS)
            chosen = "SEMI JOIN chosen USING (track_id, provider, recipe)"
            self._each(survey.add_activity, f"SELECT {told} FROM activity {chosen} ORDER BY track_id, stem")
        return survey.report()

    def _each(self, add: Callable[[pa.Table], object], query: str) -> None:
        for table in self._batches(query, LOOKED_AT_ONCE):
            add(table)

    def _batches(self, query: str, rows: int) -> Iterator[pa.Table]:
        for batch in self._database.sql(query).to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query).fetchall()


def _columns(known: Iterable[str]) -> str:
    """Give the columns of tracks as they are selected: `recipe` and `split` filled, and there in any case."""
    there = set(known)
    changed = [f"{told} AS {name}" for name, told in _CHANGED.items() if name in there]
    added = [f"{told} AS {name}" for name, told in _ADDED.items() if name not in there]
    return ", ".join([f"* REPLACE ({', '.join(changed)})" if changed else "*", *added])


_TRACK_ID = pa.schema([("track_id", pa.string())])
_SPLIT_NAMES = pa.schema([("split", pa.string()), ("name", pa.string())])
