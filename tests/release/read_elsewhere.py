"""Reads a table with everything that this environment has; prints what each reader sees, as JSON.

It runs in an environment of its own, where nothing of stemline is installed: `read_elsewhere.py URL OPTIONS CACHE`.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import datasets
import duckdb
import mlcroissant
import pandas as pd
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as pads
import s3fs

Rows = list[dict[str, Any]]
TABLES = ("tracks", "stems", "activity")


def pandas(url: str, options: dict[str, str]) -> Rows:
    return pd.read_parquet(url, storage_options=options or None).to_dict("records")


def pyarrow(url: str, options: dict[str, str]) -> Rows:
    return opened(url, options).to_table().to_pylist()


def opened(url: str, options: dict[str, str]) -> pads.Dataset:
    filesystem = s3fs.S3FileSystem(**options) if options else None
    return pads.dataset(url.removeprefix("s3://"), filesystem=filesystem, partitioning="hive")


def duckdb_sql(url: str, options: dict[str, str]) -> Rows:
    with duckdb.connect() as connection:
        if options:
            connection.register_filesystem(s3fs.S3FileSystem(**options))
        return connection.sql(f"FROM '{url}/**/*.parquet'").fetch_arrow_table().to_pylist()


def polars(url: str, options: dict[str, str]) -> Rows:
    names = {
        "key": "aws_access_key_id",
        "secret": "aws_secret_access_key",
        "endpoint_url": "aws_endpoint_url",
    }
    given = {names[name]: value for name, value in options.items()}
    more = {"aws_region": "us-east-1", "aws_allow_http": "true"} if options else {}
    return (
        pl.scan_parquet(f"{url}/**/*.parquet", storage_options={**given, **more} or None).collect().to_dicts()
    )


def hugging_face(url: str, options: dict[str, str]) -> Iterable[Mapping[str, Any]]:
    folder, _, table = url.rpartition("/")
    cache = sys.argv[3]
    if not options:
        return datasets.load_dataset(folder, table, split="train", cache_dir=cache)
    files = f"{url}/**/*.parquet"
    return datasets.load_dataset(
        "parquet", data_files=files, split="train", streaming=True, storage_options=dict(options)
    )


READERS: dict[str, Callable[[str, dict[str, str]], Iterable[Mapping[str, Any]]]] = {
    "pandas": pandas,
    "pyarrow": pyarrow,
    "duckdb": duckdb_sql,
    "polars": polars,
    "datasets": hugging_face,
}


def croissant(folder: Path) -> dict[str, Any]:
    """Give what mlcroissant has to say against the release, and how many records it reads of each table."""
    problems = Lines()
    logging.getLogger("absl").addHandler(problems)
    found = mlcroissant.Dataset(str(folder / "croissant.json"))
    records = {table: sum(1 for _ in found.records(table)) for table in TABLES}
    return {"problems": problems.lines, "records": records, "name": found.metadata.name}


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    url, options = sys.argv[1], json.loads(sys.argv[2])
    seen: dict[str, Any] = {
        name: {table: [row_key(row) for row in read(f"{url}/{table}", options)] for table in TABLES}
        for name, read in READERS.items()
    }
    pruned = opened(f"{url}/tracks", options).get_fragments(
        filter=pc.field("by_collected_on") == "2026-11-02"
    )
    if not options:
        seen["croissant"] = croissant(Path(url))
    has_stemline = importlib.util.find_spec("stemline") is not None
    print(json.dumps({**seen, "pruned": len(list(pruned)), "has_stemline": has_stemline}))  # noqa: T201 - its result


def row_key(row: Mapping[str, Any]) -> str:
    return " ".join(str(row[name]) for name in ("track_id", "stem") if name in row)


if __name__ == "__main__":
    main()
